//! The SQL of a constraint.

use reconcile_sql::quote_ident;

use super::{Constraint, Deferred, ReferentialAction, Rule, exclusion};
use crate::storage::{self, Settings};

/// Names as a list in parentheses.
pub(super) fn list(names: &[String]) -> String {
    format!("({})", names.iter().map(|n| quote_ident(n)).collect::<Vec<_>>().join(", "))
}

/// What stands behind CONSTRAINT name; without NOT VALID.
pub fn definition(constraint: &Constraint) -> String {
    let Constraint {
        rule,
        deferrable,
        validated: _,
        inherited: _,
        local: _,
        not_enforced,
        with,
        tablespace,
    } = constraint;
    let none = Settings::new();
    let with = with.as_ref().unwrap_or(&none);
    let tablespace = tablespace.as_deref().unwrap_or_default();
    let storage = || {
        let space = if tablespace.is_empty() {
            String::new()
        } else {
            format!(" USING INDEX TABLESPACE {}", quote_ident(tablespace))
        };
        format!("{}{space}", storage::with(with))
    };
    let mut sql = match rule {
        Rule::PrimaryKey { columns, include, without_overlaps } => {
            let columns = key(columns, *without_overlaps);
            format!("PRIMARY KEY {columns}{}{}", including(include), storage())
        }
        Rule::Unique { columns, include, nulls_not_distinct, without_overlaps } => {
            let nulls = if *nulls_not_distinct { " NULLS NOT DISTINCT" } else { "" };
            let columns = key(columns, *without_overlaps);
            format!("UNIQUE{nulls} {columns}{}{}", including(include), storage())
        }
        Rule::Check { expression, no_inherit } => {
            format!("CHECK ({expression}){}", if *no_inherit { " NO INHERIT" } else { "" })
        }
        Rule::ForeignKey {
            columns,
            references,
            referenced,
            on_update,
            on_delete,
            set_columns,
            match_full,
            period,
        } => {
            let mut sql = format!(
                "FOREIGN KEY {} REFERENCES {references} {}",
                of_period(columns, *period),
                of_period(referenced, *period)
            );
            if *match_full {
                sql.push_str(" MATCH FULL");
            }
            if *on_update != ReferentialAction::NoAction {
                sql.push_str(&format!(" ON UPDATE {}", on_update.sql()));
            }
            if *on_delete != ReferentialAction::NoAction {
                sql.push_str(&format!(" ON DELETE {}", on_delete.sql()));
                if !set_columns.is_empty() {
                    sql.push_str(&format!(" {}", list(set_columns)));
                }
            }
            sql
        }
        Rule::Other { definition } => match exclusion::parse(definition) {
            Some(exclusion) => exclusion::sql(&exclusion, with, tablespace),
            None => return definition.clone(),
        },
    };
    match deferrable {
        Some(Deferred::InitiallyDeferred) => sql.push_str(" DEFERRABLE INITIALLY DEFERRED"),
        Some(Deferred::InitiallyImmediate) => sql.push_str(" DEFERRABLE"),
        None => {}
    }
    if *not_enforced {
        sql.push_str(" NOT ENFORCED");
    }
    sql
}

/// The columns of a key, the last of them WITHOUT OVERLAPS.
fn key(columns: &[String], without_overlaps: bool) -> String {
    let list = list(columns);
    let open = list.strip_suffix(')').filter(|_| without_overlaps);
    open.map(|open| format!("{open} WITHOUT OVERLAPS)")).unwrap_or(list)
}

/// The columns of a foreign key, the last of them a PERIOD.
fn of_period(columns: &[String], period: bool) -> String {
    match columns.split_last() {
        Some((last, others)) if period => {
            let quoted = others.iter().map(|n| quote_ident(n));
            let last = format!("PERIOD {}", quote_ident(last));
            format!("({})", quoted.chain([last]).collect::<Vec<_>>().join(", "))
        }
        _ => list(columns),
    }
}

fn including(include: &[String]) -> String {
    if include.is_empty() { String::new() } else { format!(" INCLUDE {}", list(include)) }
}
