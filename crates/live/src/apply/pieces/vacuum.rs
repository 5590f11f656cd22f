//! VACUUM between the pieces: the room of the rows' old versions serves the rows that come later.
//!
//! Invariant: nobody waits for it. It skips a table that somebody holds, gives up as soon as
//! somebody wants a lock that it is in the way of, and that it fails is no failure of the work.

use std::time::Duration;

use reconcile_sql::{QName, quote_literal};

use super::super::{Applying, Cause, Event, Interrupt, interrupt};
use crate::connect::{ConnectOptions, Session, connect};
use crate::error::Error;

/// After so many parts of a hundred of the rows were written anew.
const EVERY: u64 = 15;
/// Below so many blocks the VACUUM at the end does.
const SMALL: u64 = 2048;
/// How often is looked whether it is in somebody's way.
const LOOK: Duration = Duration::from_millis(500);

/// When the next one is due.
#[derive(Debug)]
pub(super) struct Sweep {
    /// The rows of the table, as far as they are known.
    rows: u64,
    blocks: u64,
    /// The versions that the pieces left since the last one.
    dead: u64,
    /// So many times as many are waited for, since the last ones could take nothing away.
    patience: u64,
}

impl Sweep {
    pub(super) fn new(rows: Option<u64>, blocks: u64) -> Self {
        // Nobody has counted them yet: rows of about 160 bytes.
        let rows = rows.unwrap_or(blocks * 50);
        Self { rows, blocks, dead: 0, patience: 1 }
    }

    /// The pieces wrote so many rows.
    pub(super) fn wrote(&mut self, rows: u64) {
        self.dead += rows;
    }

    pub(super) fn is_due(&self) -> bool {
        self.blocks >= SMALL && self.dead >= self.rows * EVERY * self.patience / 100
    }

    /// One was done, and so many dead rows stay, as far as the server knows. A transaction that
    /// began before us keeps them all: the next one is put off then.
    pub(super) fn done(&mut self, stay: u64) {
        self.patience = if stay > self.dead / 2 { self.patience * 2 } else { 1 };
        self.dead = 0;
    }
}

impl Applying<'_> {
    /// Cleans up behind the pieces.
    pub(super) async fn sweep(&mut self, relation: &QName, sweep: &mut Sweep) -> Result<(), Cause> {
        self.watch.event(Event::Vacuum { relation });
        let sent = self.vacuum(relation).await;
        // A setting of the session stays after an error; only a session that is there has some.
        let reset = "RESET lock_timeout; RESET statement_timeout; RESET vacuum_cost_delay";
        match sent {
            Ok(()) | Err(Error::Server(_)) => {}
            Err(Error::Lost { reason, .. }) => return Err(self.lost(reason, None).await),
            Err(error) => return Err(Cause::Connection(error)),
        }
        let stay = format!(
            "{reset}; SELECT pg_catalog.pg_stat_get_dead_tuples({}::pg_catalog.regclass)",
            quote_literal(&relation.to_string())
        );
        match self.session.send(&stay).await {
            Ok(rows) => {
                let stay = rows.first().and_then(|row| row.at(0)).and_then(|n| n.parse().ok());
                sweep.done(stay.unwrap_or(0));
                Ok(())
            }
            Err(Error::Lost { reason, .. }) => Err(self.lost(reason, None).await),
            Err(error) => Err(Cause::Connection(error)),
        }
    }

    async fn vacuum(&mut self, relation: &QName) -> Result<(), Error> {
        // As autovacuum goes about it since version 12.
        let delay = if self.job.settings.throttle { "2ms" } else { "0" };
        let set = format!(
            "SET lock_timeout = '100ms'; SET statement_timeout = 0; SET vacuum_cost_delay = '{delay}'"
        );
        self.session.send(&set).await?;
        let toast = if self.version().at_least(14) { ", PROCESS_TOAST false" } else { "" };
        let sql = format!("VACUUM (SKIP_LOCKED, TRUNCATE false, PARALLEL 0{toast}) {relation}");
        let options =
            ConnectOptions { connect_timeout: Duration::from_secs(5), ..ConnectOptions::default() };
        // Without an eye on it, it would not know whom it keeps waiting.
        let Ok(mut eye) = connect(&self.session.target, &options).await else { return Ok(()) };
        let pid = self.session.backend_pid;
        let (stop, mut stopped) = Interrupt::new();
        let answer = {
            let sending = interrupt::send(self.session, &sql, &mut stopped);
            tokio::pin!(sending);
            tokio::select! {
                biased;
                answer = &mut sending => Some(answer),
                () = self.interrupt.raised() => { stop.raise(); Some(sending.await) }
                () = in_the_way(&mut eye, pid) => { stop.raise(); Some(sending.await) }
            }
        };
        eye.close().await;
        answer.transpose().map(|_| ())
    }
}

/// Returns when somebody waits for a process.
async fn in_the_way(eye: &mut Session, pid: i32) {
    // Only who waits for a lock can be in the answer, and there are few of them.
    let sql = format!(
        "SELECT 1 FROM pg_catalog.pg_locks l WHERE NOT l.granted AND l.locktype = 'relation' \
         AND {pid} = ANY (pg_catalog.pg_blocking_pids(l.pid)) LIMIT 1"
    );
    loop {
        tokio::time::sleep(LOOK).await;
        match eye.send(&sql).await {
            Ok(rows) if rows.is_empty() => {}
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seventh_of_the_rows_makes_it_worth_while() {
        let mut sweep = Sweep::new(Some(1000), SMALL);
        sweep.wrote(149);
        assert!(!sweep.is_due());
        sweep.wrote(1);
        assert!(sweep.is_due());
        sweep.done(10);
        assert!(!sweep.is_due());
        assert!(!Sweep { dead: 1000, ..Sweep::new(Some(1000), SMALL - 1) }.is_due());
        assert!(!Sweep::new(None, SMALL).is_due());
    }

    #[test]
    fn what_an_old_transaction_keeps_is_asked_for_less_and_less() {
        let mut sweep = Sweep::new(Some(1000), SMALL);
        for expected in [150, 300, 600] {
            sweep.wrote(expected - 1);
            assert!(!sweep.is_due(), "{expected}");
            sweep.wrote(1);
            assert!(sweep.is_due(), "{expected}");
            sweep.done(expected);
        }
        sweep.wrote(1200);
        sweep.done(0);
        sweep.wrote(150);
        assert!(sweep.is_due());
    }
}
