//! What online changes have left without anybody who knows of it.

use reconcile_catalog::Address;
use reconcile_kinds::online::{Shadow, Stray, strays};
use reconcile_sql::quote_literal;

use crate::connect::Session;
use crate::error::Error;
use crate::introspect::Snapshot;
use crate::journal::{Journal, JournalError};

/// What is astray in a database, by the order of the addresses. Without a session nothing is known of a journal,
/// and what would be ours is taken for claimed; so it is where the role may not read it.
///
/// # Errors
/// If the server cannot be asked.
pub async fn find(
    session: Option<&mut Session>,
    journal: &Journal,
    snapshot: &Snapshot,
) -> Result<Vec<(Address, Stray)>, Error> {
    let afoot = &snapshot.afoot;
    let mut unknown: Vec<&Shadow> = Vec::new();
    if let Some(session) = session.filter(|_| !afoot.is_empty()) {
        match journal.exists(session).await {
            Ok(true) => {
                for (shadow, _) in &afoot.columns {
                    if !journal.names(session, &shadow.mark()).await? {
                        unknown.push(shadow);
                    }
                }
            }
            Ok(false) => unknown.extend(afoot.columns.iter().map(|(shadow, _)| shadow)),
            Err(JournalError::Server(error)) => return Err(error),
            Err(_) => {}
        }
    }
    Ok(strays(&snapshot.catalog, afoot, |shadow| !unknown.contains(&shadow)))
}

impl Journal {
    /// Whether a step of any run has a text in its statement.
    async fn names(&self, session: &mut Session, text: &str) -> Result<bool, Error> {
        let sql = format!(
            "SELECT EXISTS (SELECT FROM {} WHERE position({} IN sql) > 0)",
            self.sql_name("step"),
            quote_literal(text)
        );
        let rows = session.send(&sql).await?;
        Ok(rows.first().and_then(|row| row.at(0)) == Some("t"))
    }
}
