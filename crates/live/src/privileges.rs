//! What the role in force would need for a plan and does not have, asked before anything is
//! touched.
//!
//! Invariant: what is named here would fail on the server. The reverse is not promised: a step
//! can still be refused by the server, which then does nothing.

use std::collections::BTreeSet;
use std::fmt;

use reconcile_plan::{Plan, Step};
use reconcile_sql::{QName, quote_ident, quote_literal};

use crate::connect::Session;
use crate::error::Error;

/// Something that the role may not do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lacking {
    /// It does not own what is altered. PostgreSQL has no privilege to alter: only the owner may.
    Ownership {
        /// The relation or type.
        object: QName,
        /// Its owner.
        owner: String,
        /// The role in force.
        role: String,
    },
    /// It may not make objects in a namespace.
    Create {
        /// The namespace.
        namespace: String,
        /// The role in force.
        role: String,
    },
    /// It may not refer to a table.
    References {
        /// The table.
        table: QName,
        /// The role in force.
        role: String,
    },
}

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ownership { object, owner, role } => {
                let (owner, role) = (quote_ident(owner), quote_ident(role));
                write!(
                    f,
                    "{object} belongs to {owner}, and only its owner may alter it: act as the owner \
                     with --role {owner}, or GRANT {owner} TO {role}"
                )
            }
            Self::Create { namespace, role } => {
                let (namespace, role) = (quote_ident(namespace), quote_ident(role));
                write!(
                    f,
                    "{role} may not make objects in {namespace}: GRANT CREATE ON SCHEMA \
                     {namespace} TO {role}"
                )
            }
            Self::References { table, role } => {
                let role = quote_ident(role);
                write!(f, "{role} may not refer to {table}: GRANT REFERENCES ON {table} TO {role}")
            }
        }
    }
}

/// What the session's role lacks for a plan, in one round trip.
///
/// # Errors
/// If the server cannot be asked.
pub async fn lacking(session: &mut Session, plan: &Plan) -> Result<Vec<Lacking>, Error> {
    let mut wanted: BTreeSet<(&str, String, String)> = BTreeSet::new();
    let today = plan.renames.former_names();
    for step in plan.steps() {
        let own = step.addresses.iter().filter_map(|a| named(a.path()));
        let own: BTreeSet<QName> = own.map(|name| today.of(&name)).collect();
        for name in &own {
            wanted.insert(("own", name.namespace.clone(), name.name.clone()));
        }
        for lock in step.locks.iter() {
            let relation = today.of(&lock.relation);
            if own.contains(&relation) {
                continue;
            }
            if lock.level == reconcile_sql::LockLevel::ShareRowExclusive {
                let QName { namespace, name } = relation;
                wanted.insert(("references", namespace, name));
            }
        }
        if makes_relation(step) {
            let namespaces = step.addresses.iter().map(|a| today.in_namespace(a.namespace()));
            wanted.extend(namespaces.map(|namespace| ("create", namespace, String::new())));
        }
    }
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<String> = wanted
        .iter()
        .map(|(need, namespace, name)| {
            format!("('{need}', {}, {})", quote_literal(namespace), quote_literal(name))
        })
        .collect();
    let sql = format!(
        "SELECT w.need, w.namespace, w.name, current_user AS role, \
         pg_catalog.pg_get_userbyid(coalesce(c.relowner, t.typowner)) AS owner \
         FROM (VALUES {}) AS w(need, namespace, name) \
         JOIN pg_catalog.pg_namespace n ON n.nspname = w.namespace \
         LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name \
         LEFT JOIN pg_catalog.pg_type t ON c.oid IS NULL AND t.typnamespace = n.oid AND t.typname = w.name \
         WHERE CASE w.need \
         WHEN 'own' THEN coalesce(c.relowner, t.typowner) IS NOT NULL \
         AND NOT pg_catalog.pg_has_role(coalesce(c.relowner, t.typowner), 'USAGE') \
         WHEN 'references' THEN c.oid IS NOT NULL \
         AND NOT pg_catalog.has_any_column_privilege(c.oid, 'REFERENCES') \
         ELSE NOT pg_catalog.has_schema_privilege(n.oid, 'CREATE') END \
         ORDER BY w.need, w.namespace, w.name",
        rows.join(", ")
    );
    let rows = session.send(&sql).await?;
    let mut out: Vec<Lacking> = rows
        .iter()
        .map(|row| {
            let text = |column: &str| row.get(column).unwrap_or_default().to_owned();
            let (role, name) = (text("role"), QName::new(text("namespace"), text("name")));
            match row.get("need") {
                Some("own") => Lacking::Ownership { object: name, owner: text("owner"), role },
                Some("references") => Lacking::References { table: name, role },
                _ => Lacking::Create { namespace: name.namespace, role },
            }
        })
        .collect();
    out.sort();
    Ok(out)
}

/// The relation or type at, or around, a path.
fn named(path: &[String]) -> Option<QName> {
    match path {
        [namespace, name, ..] => Some(QName::new(namespace, name)),
        _ => None,
    }
}

/// Whether a step makes something that stands in a namespace by itself.
fn makes_relation(step: &Step) -> bool {
    let mut words = step.sql.split_whitespace().filter(|word| !matches!(*word, "OR" | "REPLACE"));
    let standing =
        ["TABLE", "INDEX", "UNIQUE", "VIEW", "MATERIALIZED", "TYPE", "SEQUENCE", "FUNCTION"];
    words.next() == Some("CREATE") && words.next().is_some_and(|word| standing.contains(&word))
}
