//! The SQL of a constraint.

use reconcile_sql::quote_ident;

use super::{Constraint, Deferred, ReferentialAction, Rule};

/// Names as a list in parentheses.
pub(super) fn list(names: &[String]) -> String {
    format!("({})", names.iter().map(|n| quote_ident(n)).collect::<Vec<_>>().join(", "))
}

/// What stands behind CONSTRAINT name; without NOT VALID.
pub fn definition(constraint: &Constraint) -> String {
    let Constraint { rule, deferrable, validated: _, inherited: _, local: _ } = constraint;
    let mut sql = match rule {
        Rule::PrimaryKey { columns, include } => {
            format!("PRIMARY KEY {}{}", list(columns), including(include))
        }
        Rule::Unique { columns, include, nulls_not_distinct } => {
            let nulls = if *nulls_not_distinct { " NULLS NOT DISTINCT" } else { "" };
            format!("UNIQUE{nulls} {}{}", list(columns), including(include))
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
        } => {
            let mut sql = format!(
                "FOREIGN KEY {} REFERENCES {references} {}",
                list(columns),
                list(referenced)
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
        Rule::Other { definition } => return definition.clone(),
    };
    match deferrable {
        Some(Deferred::InitiallyDeferred) => sql.push_str(" DEFERRABLE INITIALLY DEFERRED"),
        Some(Deferred::InitiallyImmediate) => sql.push_str(" DEFERRABLE"),
        None => {}
    }
    sql
}

fn including(include: &[String]) -> String {
    if include.is_empty() { String::new() } else { format!(" INCLUDE {}", list(include)) }
}
