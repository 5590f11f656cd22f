//! Cancels what a session is running, from a second connection.
//!
//! Invariant: only the session's own statement is ever cancelled. A process number can be reused,
//! and behind a pooler it belongs to somebody else a moment later, so the process is named
//! together with the time of its start, or found by the comment that the session puts before
//! everything it sends.

use std::time::Duration;

use sqlx::Connection as _;

use crate::connect::Session;
use crate::error::Error;
use crate::login::open;
use crate::rows;
use crate::target::Target;

/// Cancels the statements of one session; it outlives the session and may be cloned.
#[derive(Debug, Clone)]
pub struct Canceller {
    target: Target,
    connect_timeout: Duration,
    sql: String,
}

impl Session {
    /// A handle that cancels what this session is running.
    pub fn canceller(&self) -> Canceller {
        let cancel = "SELECT pg_catalog.pg_cancel_backend(pid) FROM pg_catalog.pg_stat_activity";
        let sql = match (&self.tag, &self.backend_start) {
            (Some(tag), _) => format!(
                "{cancel} WHERE state = 'active' AND pid <> pg_catalog.pg_backend_pid() \
                 AND pg_catalog.starts_with(query, '{tag}')"
            ),
            (None, Some(start)) => {
                format!("{cancel} WHERE pid = {} AND backend_start = '{start}'", self.backend_pid)
            }
            (None, None) => format!("SELECT pg_catalog.pg_cancel_backend({})", self.backend_pid),
        };
        Canceller { target: self.target.clone(), connect_timeout: self.connect_timeout, sql }
    }
}

impl Canceller {
    /// Sends the signal; false if the session is gone, or on a pooled connection idle.
    ///
    /// The session's own call then ends with SQLSTATE 57014, unless it was done before.
    pub async fn cancel(&self) -> Result<bool, Error> {
        let mut conn = open(&self.target, self.connect_timeout, None).await?;
        let sets = rows::send(&mut conn, &self.target, &self.sql, 0).await?;
        let _ = conn.close().await;
        Ok(sets.iter().flat_map(|set| &set.rows).any(|row| row.at(0) == Some("t")))
    }
}
