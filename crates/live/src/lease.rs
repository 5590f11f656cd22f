//! The lease: at most one apply at a time.
//!
//! Two things make it. A session-level advisory lock says whether the holder lives: the server
//! gives it back when the session ends, however it ends. A number in the journal, the fence, goes
//! up with each holder; every transaction of an apply first locks the row and demands its own
//! number. Invariant: nothing of an old holder is committed once a new one has the lease, even if
//! the old one's last message still runs.

use std::time::Duration;

use reconcile_sql::literal::dollar_quote;
use reconcile_sql::quote_literal;
use sea_query::{Expr, ExprTrait, PostgresQueryBuilder, Query};

use crate::apply::Interrupt;
use crate::connect::Session;
use crate::error::Error;
use crate::journal::{Journal, JournalError};

/// The SQLSTATE with which a transaction ends whose lease is lost.
pub(crate) const LOST: &str = "RC001";

/// How long a step's row lock of an older holder is waited for.
const ROW_WAIT: &str = "5s";

/// Why the lease was not had, or not kept.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LeaseError {
    /// Somebody has it.
    #[error(
        "another apply is at work on this database: {holder}, process {pid}{}. Wait for it; if it \
         is what a killed program left behind, end it with SELECT pg_terminate_backend({pid})",
        since.as_ref().map(|s| format!(", since {s}")).unwrap_or_default()
    )]
    Held {
        /// Who, in words.
        holder: String,
        /// Its process on the server.
        pid: i32,
        /// Since when, in UTC.
        since: Option<String>,
    },
    /// The last message of an earlier holder still runs.
    #[error(
        "the last transaction of an earlier apply still runs on the server{}; wait for its end, \
         or end it with pg_terminate_backend",
        pid.map(|pid| format!(", as process {pid}")).unwrap_or_default()
    )]
    StillRunning {
        /// Its process on the server.
        pid: Option<i32>,
    },
    /// Somebody asked to stop while it was waited for.
    #[error("interrupted")]
    Interrupted,
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The server or the connection.
    #[error(transparent)]
    Server(#[from] Error),
}

/// The right to change the database, for as long as the session lives.
#[derive(Debug, Clone)]
pub(crate) struct Lease {
    journal: Journal,
    fence: i64,
    /// The number of the next run.
    pub(crate) next_run: i64,
}

impl Lease {
    /// Takes the lease, making the journal if it is not there; waits up to `patience` for the
    /// session of a killed program to end.
    pub(crate) async fn take(
        session: &mut Session,
        journal: &Journal,
        tool: &str,
        patience: Duration,
        interrupt: &mut Interrupt,
    ) -> Result<Self, LeaseError> {
        if interrupt.is_raised() {
            return Err(LeaseError::Interrupted);
        }
        // A server that looks after its client ends our session soon after we were killed.
        if session.version >= 140_000 {
            let sql = "SET client_connection_check_interval = '1s'";
            // Not every platform has it ("must be set to 0 on platforms that lack POLLRDHUP").
            match session.send(sql).await {
                Ok(_) | Err(Error::Server(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let key = key(journal);
        let begin = tokio::time::Instant::now();
        while !advisory(session, &format!("pg_try_advisory_lock({key})")).await? {
            if begin.elapsed() >= patience {
                if let Some(held) = holder(session, journal, key).await? {
                    return Err(held);
                }
                // The holder went between the two questions.
                continue;
            }
            if !interrupt.sleep(Duration::from_millis(100)).await {
                return Err(LeaseError::Interrupted);
            }
        }
        let lease = Self::raise_fence(session, journal, tool).await;
        if lease.is_err() {
            let _ = advisory(session, &format!("pg_advisory_unlock({key})")).await;
        }
        lease
    }

    async fn raise_fence(
        session: &mut Session,
        journal: &Journal,
        tool: &str,
    ) -> Result<Self, LeaseError> {
        journal.open(session).await?;
        let application = "pg_catalog.current_setting('application_name')";
        let client = "coalesce(pg_catalog.host(pg_catalog.inet_client_addr()), 'a local client')";
        let holder = format!(
            "session_user || ' (' || {application} || ' {}) from ' || {client}",
            tool.replace('\'', "''")
        );
        let update = Query::update()
            .table(journal.table("lease"))
            .value("fence", Expr::cust("fence + 1"))
            .value("holder", Expr::cust(holder))
            .value("pid", Expr::cust("pg_catalog.pg_backend_pid()"))
            .value("since", Expr::cust("pg_catalog.clock_timestamp()"))
            .and_where(Expr::col("id").eq(1))
            .returning_col("fence")
            .to_string(PostgresQueryBuilder);
        let sql = format!(
            "BEGIN; SET LOCAL lock_timeout = '{ROW_WAIT}'; {update}; \
             SELECT coalesce(max(id), 0) + 1 AS next_run FROM {}; COMMIT",
            journal.sql_name("run")
        );
        let rows = match session.send(&sql).await {
            Ok(rows) => rows,
            Err(error) => {
                session.rollback().await?;
                let in_time = error.server().is_none_or(|server| !server.is_lock_timeout());
                if in_time {
                    return Err(error.into());
                }
                let sql = format!("SELECT pid FROM {}", journal.sql_name("lease"));
                let rows = session.send(&sql).await?;
                let pid = rows.first().and_then(|row| row.get("pid")).and_then(|p| p.parse().ok());
                return Err(LeaseError::StillRunning { pid });
            }
        };
        let number = |row: usize| rows.get(row).and_then(|row| row.at(0)?.parse().ok());
        match (number(0), number(1)) {
            (Some(fence), Some(next_run)) => Ok(Self { journal: journal.clone(), fence, next_run }),
            _ => Err(journal.without_lease_row().into()),
        }
    }

    /// A statement that locks the row of the lease and fails if it is not ours any more.
    pub(crate) fn check(&self) -> String {
        let body = format!(
            " BEGIN UPDATE {} SET fence = fence WHERE id = 1 AND fence = {}; \
             IF NOT FOUND THEN RAISE EXCEPTION USING ERRCODE = '{LOST}', \
             MESSAGE = 'another apply took the lease'; END IF; END ",
            self.journal.sql_name("lease"),
            self.fence
        );
        format!("DO {}", dollar_quote(&body))
    }

    /// Raises the fence over an own session that was lost: afterwards its last transaction is
    /// either committed or never will be. False if it still runs.
    pub(crate) async fn shut_out(&self, session: &mut Session) -> Result<bool, Error> {
        let update = Query::update()
            .table(self.journal.table("lease"))
            .value("fence", Expr::cust("fence + 1"))
            .and_where(Expr::col("id").eq(1))
            .and_where(Expr::col("fence").eq(Expr::cust(self.fence.to_string())))
            .to_string(PostgresQueryBuilder);
        let sql = format!("BEGIN; SET LOCAL lock_timeout = '{ROW_WAIT}'; {update}; COMMIT");
        match session.send(&sql).await {
            Ok(_) => Ok(true),
            Err(error) => {
                session.rollback().await?;
                match error.server().is_some_and(crate::error::ServerError::is_lock_timeout) {
                    true => Ok(false),
                    false => Err(error),
                }
            }
        }
    }

    /// Gives the lease back. Whatever fails here, the end of the session gives it back too.
    pub(crate) async fn release(&self, session: &mut Session) {
        let update = Query::update()
            .table(self.journal.table("lease"))
            .value("holder", Expr::cust("NULL"))
            .value("pid", Expr::cust("NULL"))
            .value("since", Expr::cust("NULL"))
            .and_where(Expr::col("fence").eq(Expr::cust(self.fence.to_string())))
            .to_string(PostgresQueryBuilder);
        let sql = format!("BEGIN; SET LOCAL lock_timeout = '1s'; {update}; COMMIT");
        if session.send(&sql).await.is_err() {
            let _ = session.rollback().await;
        }
        let unlock = format!("pg_advisory_unlock({})", key(&self.journal));
        let _ = advisory(session, &unlock).await;
    }
}

/// The key of the advisory lock; such locks are each database's own.
fn key(journal: &Journal) -> i64 {
    let digest = reconcile_catalog::digest(&format!("reconcile lease {}", journal.schema()));
    let bits = u64::from_str_radix(&digest[..16], 16).expect("a digest is hexadecimal");
    bits.cast_signed()
}

async fn advisory(session: &mut Session, call: &str) -> Result<bool, Error> {
    let rows = session.send(&format!("SELECT pg_catalog.{call}")).await?;
    Ok(rows.first().and_then(|row| row.at(0)) == Some("t"))
}

/// The process that has the lease.
pub(crate) async fn holder_pid(
    session: &mut Session,
    journal: &Journal,
) -> Result<Option<i32>, JournalError> {
    match holder(session, journal, key(journal)).await {
        Ok(Some(LeaseError::Held { pid, .. })) => Ok(Some(pid)),
        Ok(_) => Ok(None),
        Err(LeaseError::Journal(error)) => Err(error),
        Err(LeaseError::Server(error)) => Err(error.into()),
        // Nobody is waited for here.
        Err(_) => Ok(None),
    }
}

/// Who holds the advisory lock, and since when.
async fn holder(
    session: &mut Session,
    journal: &Journal,
    key: i64,
) -> Result<Option<LeaseError>, LeaseError> {
    let bits = key.cast_unsigned();
    let sql = format!(
        "SELECT l.pid, coalesce(a.usename || ' (' || a.application_name || ')', 'somebody') AS who \
         FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
         WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 \
         AND l.classid::text = '{}' AND l.objid::text = '{}' AND l.database = \
         (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())",
        bits >> 32,
        bits & 0xffff_ffff,
    );
    let rows = session.send(&sql).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let Some(pid) = row.get("pid").and_then(|pid| pid.parse::<i32>().ok()) else { return Ok(None) };
    let mut held = (row.get("who").unwrap_or_default().to_owned(), None);
    // The row says more, if it is that process's and we may read it.
    let row_of = format!(
        "SELECT holder, to_char(since AT TIME ZONE 'UTC', {}) AS since FROM {} WHERE pid = {pid} \
         AND holder IS NOT NULL",
        quote_literal("YYYY-MM-DD\"T\"HH24:MI:SS\"Z\""),
        journal.sql_name("lease"),
    );
    match session.send(&row_of).await {
        Ok(rows) => {
            if let Some(row) = rows.first() {
                let text = |column: &str| row.get(column).map(str::to_owned);
                held = (text("holder").unwrap_or(held.0), text("since"));
            }
        }
        Err(Error::Server(_)) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(Some(LeaseError::Held { holder: held.0, pid, since: held.1 }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn each_journal_has_its_own_key() {
        let of = |schema: &str| key(&Journal::named(schema).unwrap());
        assert_eq!(of("reconcile"), of("reconcile"));
        assert_ne!(of("reconcile"), of("other"));
    }
}
