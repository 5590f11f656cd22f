//! A column as CREATE TABLE and ADD COLUMN declare it, and what they cannot say.

use reconcile_catalog::Address;
use reconcile_sql::{LockLevel, QName, ServerVersion, in_default, quote_ident, quote_literal};

use super::{Column, Identity, NotNull};
use crate::sequence::Counting;
use crate::step::{Action, Sql};

/// A column as CREATE TABLE and ADD COLUMN declare it.
pub fn declaration(address: &Address, column: &Column, version: ServerVersion) -> String {
    let mut sql = without_values(address, column);
    if let Some(expression) = &column.generated {
        let how = if column.is_virtual { "VIRTUAL" } else { "STORED" };
        sql.push_str(&format!(" GENERATED ALWAYS AS ({expression}) {how}"));
    }
    if let Some(identity) = column.identity {
        sql.push_str(&format!(" {}", identity_clause(address, column, identity)));
    }
    if let Some(default) = &column.default {
        sql.push_str(&format!(" DEFAULT {}", in_default(default)));
    }
    sql + &not_null(address, column, version)
}

/// The column with its type and collation: nullable, and without values of its own.
pub(super) fn without_values(address: &Address, column: &Column) -> String {
    let mut sql = format!("{} {}", quote_ident(address.name()), column.ty);
    if let Some(collation) = &column.collation.value {
        sql.push_str(&format!(" COLLATE {collation}"));
    }
    sql
}

/// NOT NULL, with what tells it from the usual one. A constraint that is not proven cannot be
/// declared (`transformColumnDefinition`, `src/backend/parser/parse_utilcmd.c`).
fn not_null(address: &Address, column: &Column, version: ServerVersion) -> String {
    if column.nullable {
        return String::new();
    }
    let Some(constraint) = column.not_null.as_ref().filter(|_| version.at_least(18)) else {
        return " NOT NULL".to_owned();
    };
    if !constraint.validated {
        return String::new();
    }
    let NotNull { name, no_inherit, validated: _ } = constraint;
    let usual = name.value == NotNull::usual_name(address);
    let name =
        if usual { String::new() } else { format!(" CONSTRAINT {}", quote_ident(&name.value)) };
    format!("{name} NOT NULL{}", if *no_inherit { " NO INHERIT" } else { "" })
}

/// GENERATED … AS IDENTITY with the options that are not the usual ones.
pub(super) fn identity_clause(address: &Address, column: &Column, identity: Identity) -> String {
    let mut options = Vec::new();
    if let Some(name) = column.sequence.as_ref().filter(|n| !n.silent).map(|n| &n.value)
        && *name != Column::usual_sequence(address)
    {
        options.push(format!("SEQUENCE NAME {name}"));
    }
    if let Some(counting) = &column.counting {
        options.extend(counting.value.clauses(&column.ty));
    }
    if options.is_empty() {
        identity.sql().to_owned()
    } else {
        format!("{} ({})", identity.sql(), options.join(" "))
    }
}

/// How the sequence of an identity column counts.
pub(super) fn counting(column: &Column) -> Counting {
    column.counting.as_ref().map_or_else(|| Counting::usual(&column.ty, 1), |c| c.value)
}

/// What no declaration says: how values are stored and sampled.
pub(super) fn settings(address: &Address, table: &QName, wanted: &Column) -> Vec<Action> {
    let plain = Column::new(wanted.ty.clone());
    changed_settings(address, table, &plain, wanted)
}

/// The clauses that turn the settings of one column into those of another.
pub(super) fn changed_settings(
    address: &Address,
    table: &QName,
    from: &Column,
    to: &Column,
) -> Vec<Action> {
    let column = quote_ident(address.name());
    let name = address.short();
    let mut out = Vec::new();
    let mut clause = |clause: String, summary: String, level| {
        let sql = Sql::alter_table(table, format!("ALTER COLUMN {column} {clause}"));
        out.push(Action::new(address, summary, sql).locking(table.clone(), level));
    };
    if from.statistics.value != to.statistics.value {
        let target = to.statistics.value.unwrap_or(-1);
        let summary = match to.statistics.value {
            Some(target) => format!("sample {name} with a statistics target of {target}"),
            None => format!("sample {name} as the server does"),
        };
        clause(format!("SET STATISTICS {target}"), summary, LockLevel::ShareUpdateExclusive);
    }
    if from.storage.value != to.storage.value {
        // DEFAULT is a word from 16 on.
        let own = from.type_storage.map_or("DEFAULT", |s| s.word());
        let word = to.storage.value.map_or(own, |s| s.word()).to_uppercase();
        let summary = format!("store values of {name} in the manner {}", word.to_lowercase());
        clause(format!("SET STORAGE {word}"), summary, LockLevel::AccessExclusive);
    }
    if from.compression.value != to.compression.value {
        let method = to.compression.value.as_deref().unwrap_or("default");
        let summary = format!("compress new values of {name} with {method}");
        clause(format!("SET COMPRESSION {method}"), summary, LockLevel::AccessExclusive);
    }
    let set: Vec<String> = to
        .options
        .value
        .iter()
        .filter(|(key, value)| from.options.value.get(*key) != Some(value))
        .map(|(key, value)| format!("{} = {}", quote_ident(key), quote_literal(value)))
        .collect();
    if !set.is_empty() {
        let set = set.join(", ");
        let summary = format!("set {set} on {name}");
        clause(format!("SET ({set})"), summary, LockLevel::ShareUpdateExclusive);
    }
    let reset: Vec<String> = from
        .options
        .value
        .keys()
        .filter(|key| !to.options.value.contains_key(*key))
        .map(|key| quote_ident(key))
        .collect();
    if !reset.is_empty() {
        let reset = reset.join(", ");
        let summary = format!("reset {reset} on {name}");
        clause(format!("RESET ({reset})"), summary, LockLevel::ShareUpdateExclusive);
    }
    out
}
