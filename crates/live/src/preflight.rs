//! Questions to the rows, before anything is touched.
//!
//! Invariant: an empty answer means that all rows were seen. Rows that row security or a missing
//! privilege hides are an error with the relation's name, never no rows.

use std::fmt;
use std::time::Duration;

use reconcile_kinds::Preflight;
use reconcile_sql::{LockLevel, QName, quote_ident, quote_literal};

use crate::ask::contained;
use crate::blockers::blockers;
use crate::connect::Session;
use crate::error::Error;
use crate::reading::{self, Limits};

/// What a preflight found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The question.
    pub preflight: Preflight,
    /// The offending values with the number of rows that have them, most frequent first; a null
    /// is `NULL`.
    pub values: Vec<(String, u64)>,
    /// There are more values than these.
    pub more: bool,
}

/// A relation whose rows the role cannot see, or not all of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unreadable {
    /// The relation.
    pub relation: QName,
    /// The role.
    pub role: String,
    /// Why.
    pub why: Hidden,
}

/// Why rows are out of sight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hidden {
    /// The role has no USAGE privilege on the namespace.
    NoUsage,
    /// The role has no SELECT privilege on the relation, or not on the column.
    NoPrivilege,
    /// Row security shows the role some of the rows only.
    RowSecurity,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { relation, role, why } = self;
        match why {
            Hidden::NoUsage => {
                let namespace = quote_ident(&relation.namespace);
                write!(
                    f,
                    "{relation}: {role} may not use its namespace (GRANT USAGE ON SCHEMA {namespace} TO {role})"
                )
            }
            Hidden::NoPrivilege => {
                write!(
                    f,
                    "{relation}: {role} may not read it (GRANT SELECT ON {relation} TO {role})"
                )
            }
            Hidden::RowSecurity => write!(
                f,
                "{relation}: row security hides rows from {role}; act as its owner or as a role with BYPASSRLS"
            ),
        }
    }
}

/// How many values of one question are told.
const MOST_VALUES: usize = 10;

/// How long to wait for a relation that somebody holds exclusively.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// Asks all questions in one message, of the rows as they are now, and returns those that found
/// something.
///
/// # Errors
/// [`Error::Unreadable`] with every relation whose rows the role cannot see, or not all of them;
/// [`Error::Blocked`] if a relation is locked for too long.
pub async fn preflight(session: &mut Session, checks: &[Preflight]) -> Result<Vec<Found>, Error> {
    let mut left: Vec<&Preflight> = checks.iter().collect();
    let mut unreadable: Vec<Unreadable> = Vec::new();
    let mut found = Vec::new();
    while !left.is_empty() {
        let sql = message(session, &left)?;
        let before = reading::begin_len(session) + 1;
        match session.send_sets(&sql).await {
            Ok(sets) => {
                // Two statements for each: its search_path, and itself.
                for (check, set) in left.iter().zip(sets.iter().skip(before + 1).step_by(2)) {
                    let value = |at: usize| {
                        let row = &set.rows[at];
                        let count = row.at(1).and_then(|n| n.parse().ok()).unwrap_or(0);
                        (row.at(0).unwrap_or("NULL").to_owned(), count)
                    };
                    if !set.rows.is_empty() {
                        found.push(Found {
                            preflight: (*check).clone(),
                            values: (0..set.rows.len().min(MOST_VALUES)).map(value).collect(),
                            more: set.rows.len() > MOST_VALUES,
                        });
                    }
                }
                break;
            }
            Err(Error::Server(error)) => {
                session.rollback().await?;
                let at = error.statement_index.checked_sub(before);
                let Some(check) = at.and_then(|at| left.get(at / 2)) else {
                    return Err(Error::Server(error));
                };
                let relation = check.relation.clone();
                if error.is_lock_timeout() {
                    let wanted = [(relation.clone(), LockLevel::AccessShare)];
                    let blockers = blockers(session, &wanted, &[]).await?;
                    let doing = format!("looking at the rows of {relation}");
                    return Err(Error::Blocked { doing, blockers, error });
                }
                // Both a missing privilege and row security are 42501.
                if error.sqlstate != "42501" {
                    return Err(Error::Server(error));
                }
                let why = why_hidden(session, &relation).await?;
                left.retain(|c| c.relation != relation);
                unreadable.push(Unreadable { relation, role: session.role.clone(), why });
            }
            Err(error) => return Err(error),
        }
    }
    if unreadable.is_empty() {
        return Ok(found);
    }
    unreadable.sort();
    Err(Error::Unreadable(unreadable))
}

fn message(session: &Session, checks: &[&Preflight]) -> Result<String, Error> {
    // No limit of time: it holds nobody up, and it can be cancelled.
    let limits = Limits { lock: LOCK_TIMEOUT, statement: Duration::ZERO };
    let mut sql = reading::begin(session, limits);
    // With row_security off, a policy that would hide rows is an error.
    sql.push_str("SET LOCAL row_security = off; ");
    for check in checks {
        // The conditions of a model are part of it.
        let question = contained(&check.sql).ok_or_else(|| Error::Protocol {
            target: session.target.display(),
            reason: format!("what is asked of {} is not one statement", check.relation),
        })?;
        let path = reading::search_path(&check.relation.namespace);
        let most = MOST_VALUES + 1;
        sql.push_str(&format!(
            "SET LOCAL search_path = {path}; SELECT * FROM ({question}) AS found LIMIT {most}; "
        ));
    }
    sql.push_str("COMMIT");
    Ok(sql)
}

async fn why_hidden(session: &mut Session, relation: &QName) -> Result<Hidden, Error> {
    let begin = reading::begin(session, Limits { lock: LOCK_TIMEOUT, statement: LOCK_TIMEOUT });
    // By OID: a name would need USAGE on the namespace.
    let sql = format!(
        "{begin}SELECT has_schema_privilege(n.oid, 'USAGE') AS usable, \
         has_any_column_privilege(c.oid, 'SELECT') AS readable, \
         row_security_active(c.oid) AS secured FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = {} AND c.relname = {}; COMMIT",
        quote_literal(&relation.namespace),
        quote_literal(&relation.name)
    );
    let rows = session.send(&sql).await?;
    let is = |column: &str| rows.first().and_then(|row| row.get(column)) == Some("t");
    Ok(match (is("usable"), is("readable"), is("secured")) {
        (false, ..) => Hidden::NoUsage,
        (true, true, true) => Hidden::RowSecurity,
        (true, ..) => Hidden::NoPrivilege,
    })
}
