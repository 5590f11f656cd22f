//! Constraints from pg_constraint.

use std::sync::Arc;

use reconcile_catalog::Object;
use reconcile_sql::{QName, ServerVersion};

use super::{Constraint, Deferred, ReferentialAction, Rule};
use crate::read::{
    ObjectId, ReadError, Reader, Row, flag, id, parsed, required, user_relation, words,
};
use crate::storage;
use crate::table::Table;

/// An element of an exclusion constraint that is an expression has the number 0 in `conkey`, and so
/// has the whole row in a CHECK (`CreateConstraintEntry` is given them by `pull_var_clause`).
pub(super) fn query(version: ServerVersion) -> String {
    let user = user_relation("'r', 'p'");
    let names = |numbers: &str, relation: &str| {
        format!(
            "(SELECT json_agg((SELECT a.attname FROM pg_attribute a WHERE a.attrelid = {relation} AND a.attnum = k.attnum) \
             ORDER BY k.place) FROM unnest({numbers}) WITH ORDINALITY AS k(attnum, place) WHERE k.attnum <> 0)::text"
        )
    };
    let columns = names("con.conkey", "con.conrelid");
    let referenced = names("con.confkey", "con.confrelid");
    let include = names("(i.indkey::int2[])[i.indnkeyatts : i.indnatts - 1]", "con.conrelid");
    // New in 15: which the older servers cannot have.
    let (nulls, set_columns) = if version.at_least(15) {
        ("i.indnullsnotdistinct".to_owned(), names("con.confdelsetcols", "con.conrelid"))
    } else {
        ("false".to_owned(), "NULL".to_owned())
    };
    let (enforced, period) =
        if version.at_least(18) { ("con.conenforced", "con.conperiod") } else { ("true", "false") };
    format!(
        "SELECT 'constraint' AS kind, con.oid, n.nspname, c.relname, con.conname, con.contype, con.condeferrable, \
         con.condeferred, con.convalidated, con.connoinherit, con.coninhcount > 0 OR con.conparentid <> 0 AS inherited, con.conislocal AS local, \
         {columns} AS columns, CASE WHEN con.contype IN ('p', 'u') THEN {include} END AS include, {nulls} AS nulls_not_distinct, \
         CASE WHEN con.contype IN ('p', 'u', 'x') THEN con.conindid END AS conindid, NOT {enforced} AS not_enforced, \
         {period} AS period, array_to_json(x.reloptions)::text AS options, coalesce(sp.spcname, '') AS tablespace, \
         fn.nspname AS ref_namespace, fc.relname AS ref_name, CASE WHEN con.contype = 'f' THEN {referenced} END AS referenced, \
         con.confupdtype, con.confdeltype, con.confmatchtype = 'f' AS match_full, {set_columns} AS set_columns, \
         CASE WHEN con.contype = 'c' THEN pg_get_expr(con.conbin, con.conrelid) END AS expression, \
         CASE WHEN con.contype = 'x' THEN pg_get_constraintdef(con.oid) END AS definition \
         FROM pg_constraint con JOIN pg_class c ON c.oid = con.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
         LEFT JOIN pg_index i ON i.indexrelid = con.conindid LEFT JOIN pg_class x ON x.oid = con.conindid \
         LEFT JOIN pg_tablespace sp ON sp.oid = x.reltablespace \
         LEFT JOIN pg_class fc ON fc.oid = con.confrelid LEFT JOIN pg_namespace fn ON fn.oid = fc.relnamespace \
         WHERE con.contype IN ('p', 'u', 'c', 'f', 'x') AND {user}"
    )
}

pub(super) fn read(row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
    let table = Table::address(&QName::new(required(row, "nspname")?, required(row, "relname")?));
    let rule = rule(row)?;
    let has_index = !matches!(rule, Rule::Check { .. } | Rule::ForeignKey { .. });
    let with = storage::from_options(&words(row, "options")?);
    let constraint = Constraint {
        with: has_index.then_some(with),
        tablespace: has_index.then(|| row.get("tablespace").unwrap_or_default().to_owned()),
        not_enforced: flag(row, "not_enforced"),
        rule,
        deferrable: flag(row, "condeferrable").then(|| {
            if flag(row, "condeferred") {
                Deferred::InitiallyDeferred
            } else {
                Deferred::InitiallyImmediate
            }
        }),
        validated: flag(row, "convalidated"),
        inherited: flag(row, "inherited"),
        local: flag(row, "inherited") && flag(row, "local"),
    };
    let address = Constraint::address(&table, required(row, "conname")?);
    reader.add(
        id(row, ObjectId::PG_CONSTRAINT)?,
        Object::new(address.clone(), Some(table), Arc::new(constraint)),
    );
    if row.get("conindid").is_some() {
        reader.alias(ObjectId::new(ObjectId::PG_CLASS, parsed(row, "conindid")?), &address);
    }
    Ok(())
}

fn rule(row: &dyn Row) -> Result<Rule, ReadError> {
    let columns = words(row, "columns")?;
    Ok(match required(row, "contype")? {
        "p" => Rule::PrimaryKey {
            columns,
            include: words(row, "include")?,
            without_overlaps: flag(row, "period"),
        },
        "u" => Rule::Unique {
            columns,
            include: words(row, "include")?,
            nulls_not_distinct: flag(row, "nulls_not_distinct"),
            without_overlaps: flag(row, "period"),
        },
        "c" => Rule::Check {
            expression: required(row, "expression")?.to_owned(),
            no_inherit: flag(row, "connoinherit"),
        },
        "f" => Rule::ForeignKey {
            columns,
            references: QName::new(required(row, "ref_namespace")?, required(row, "ref_name")?),
            referenced: words(row, "referenced")?,
            on_update: action(required(row, "confupdtype")?),
            on_delete: action(required(row, "confdeltype")?),
            set_columns: words(row, "set_columns")?,
            match_full: flag(row, "match_full"),
            period: flag(row, "period"),
        },
        _ => Rule::Other { definition: required(row, "definition")?.to_owned() },
    })
}

fn action(letter: &str) -> ReferentialAction {
    match letter {
        "r" => ReferentialAction::Restrict,
        "c" => ReferentialAction::Cascade,
        "n" => ReferentialAction::SetNull,
        "d" => ReferentialAction::SetDefault,
        _ => ReferentialAction::NoAction,
    }
}
