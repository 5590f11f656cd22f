//! How a change stands that is under way, as another process sees it.
//!
//! Invariant: it only reads, waits for nobody, and says nothing that it did not see: what the role may not
//! see is missing. The journal says what was reached, the server what is done at this moment.

use std::time::Duration;

use crate::apply::Pause;
use crate::blockers::{Blocker, blockers_of};
use crate::connect::Session;
use crate::error::Error;
use crate::journal::{Journal, JournalError};
use crate::lease;
use crate::rows::TextRow;

/// How a run stands that has not come to its end.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Its number.
    pub run: i64,
    /// The process on the server that works on it; none if nobody does.
    pub pid: Option<i32>,
    /// The step that is next, or at work.
    pub step: Option<AtWork>,
    /// What the server does for it, where it says.
    pub build: Option<Build>,
    /// Whom it waits for at this moment.
    pub blockers: Vec<Blocker>,
    /// Who follows the server, and how far behind.
    pub followers: Vec<Follower>,
}

/// A step that is not done.
#[derive(Debug, Clone)]
pub struct AtWork {
    /// Its number in the plan, from 1.
    pub number: usize,
    /// What it does, a line each.
    pub summary: String,
    /// How long ago it began, if it did.
    pub since: Option<Duration>,
    /// How far it is, where it is done in pieces.
    pub pieces: Option<Done>,
    /// What it waits for by its own decision, and for how long.
    pub waits: Option<(Vec<Pause>, Duration)>,
}

/// How far a step is that is done in pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// The blocks that are done.
    pub done: u64,
    /// The blocks that there are.
    pub of: u64,
    /// The blocks that earlier runs had done.
    pub before: u64,
    /// The rows of the relation, as far as they were counted.
    pub rows: Option<u64>,
}

impl Done {
    /// How many rows of the relation are done, and how many there are: by the blocks.
    pub fn rows(&self) -> Option<(u64, u64)> {
        let rows = self.rows?;
        Some((self.share(rows, self.done), rows))
    }

    /// How many rows of it are done in a second, if it took so long.
    pub fn rate(&self, took: Duration) -> Option<u64> {
        let rows = self.share(self.rows?, self.done.saturating_sub(self.before));
        let millis = u64::try_from(took.as_millis()).ok().filter(|millis| *millis > 0)?;
        Some(rows.saturating_mul(1000) / millis)
    }

    /// How long the rest takes at the pace so far, if there is one.
    pub fn left(&self, took: Duration) -> Option<Duration> {
        let (ours, rest) = (self.done.checked_sub(self.before)?, self.of.saturating_sub(self.done));
        let millis = u64::try_from(took.as_millis()).ok()?;
        Some(Duration::from_millis(millis.saturating_mul(rest).checked_div(ours)?))
    }

    fn share(&self, rows: u64, blocks: u64) -> u64 {
        let share = u128::from(rows) * u128::from(blocks) / u128::from(self.of.max(1));
        u64::try_from(share).unwrap_or(rows)
    }
}

/// What the server says of a long statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// In its own words.
    pub phase: String,
    /// How much of the phase is done, in its units.
    pub done: u64,
    /// Of how much; 0 if it does not say.
    pub of: u64,
}

/// Who follows the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Follower {
    /// What it calls itself.
    pub name: String,
    /// How long ago what it has applied was written; the server's word.
    pub lag: Option<Duration>,
    /// How much of the log it has not applied.
    pub bytes: Option<u64>,
}

/// How the latest run stands, if it did not come to its end.
///
/// # Errors
/// If the journal cannot be read, or the server cannot be asked.
pub async fn standing(
    session: &mut Session,
    journal: &Journal,
) -> Result<Option<Standing>, JournalError> {
    let Some(run) = journal.runs(session).await?.into_iter().next() else { return Ok(None) };
    if !run.is_unfinished() {
        return Ok(None);
    }
    let pid = lease::holder_pid(session, journal).await?;
    let step = journal.at_work(session, run.id).await?;
    let mut standing = Standing {
        run: run.id,
        pid,
        step,
        build: None,
        blockers: Vec::new(),
        followers: followers(session).await?,
    };
    if pid.is_none() {
        // Nobody waits, whatever was noted.
        standing.step.iter_mut().for_each(|step| (step.since, step.waits) = (None, None));
    }
    if let Some(pid) = pid {
        standing.blockers = blockers_of(session, pid).await?;
        standing.build = build(session, pid).await?;
    }
    Ok(Some(standing))
}

/// What the server says of the long statement of a process.
pub(crate) async fn build(session: &mut Session, pid: i32) -> Result<Option<Build>, Error> {
    // Each phase counts something else (the documentation's chapter 27.4 on progress reporting).
    let waits = "phase LIKE 'waiting for%'";
    let sql = format!(
        "SELECT 'index: ' || phase AS phase, \
         CASE WHEN {waits} THEN lockers_done WHEN blocks_total > 0 THEN blocks_done ELSE tuples_done END AS done, \
         CASE WHEN {waits} THEN lockers_total WHEN blocks_total > 0 THEN blocks_total ELSE tuples_total END AS of \
         FROM pg_catalog.pg_stat_progress_create_index WHERE pid = {pid} \
         UNION ALL SELECT 'vacuum: ' || phase, heap_blks_scanned, heap_blks_total \
         FROM pg_catalog.pg_stat_progress_vacuum WHERE pid = {pid}"
    );
    let rows = session.send(&sql).await?;
    let number = |row: &TextRow, column| row.get(column).and_then(|n| n.parse().ok()).unwrap_or(0);
    Ok(rows.first().and_then(|row| {
        let phase = row.get("phase")?.to_owned();
        Some(Build { phase, done: number(row, "done"), of: number(row, "of") })
    }))
}

async fn followers(session: &mut Session) -> Result<Vec<Follower>, Error> {
    if session.in_recovery {
        return Ok(Vec::new());
    }
    let sql = "SELECT coalesce(nullif(application_name, ''), pg_catalog.host(client_addr), 'process ' || pid) AS name, \
        (extract(epoch FROM replay_lag) * 1000)::int8 AS lag, \
        greatest(pg_catalog.pg_current_wal_lsn() - replay_lsn, 0)::int8 AS bytes \
        FROM pg_catalog.pg_stat_replication WHERE state IS DISTINCT FROM 'backup' ORDER BY name, pid";
    let rows = session.send(sql).await?;
    let follower = |row: &TextRow| {
        let number = |column: &str| row.get(column).and_then(|n| n.parse().ok());
        Follower {
            name: row.get("name").unwrap_or_default().to_owned(),
            lag: number("lag").map(Duration::from_millis),
            bytes: number("bytes"),
        }
    };
    Ok(rows.iter().map(follower).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_earlier_runs_did_is_no_pace_of_this_one() {
        let done = Done { done: 600, of: 1000, before: 500, rows: Some(10_000) };
        let took = Duration::from_secs(10);
        assert_eq!(done.rows(), Some((6_000, 10_000)));
        assert_eq!(done.rate(took), Some(100));
        assert_eq!(done.left(took), Some(Duration::from_secs(40)));
        let begun = Done { done: 500, ..done };
        assert_eq!((begun.rate(took), begun.left(took)), (Some(0), None));
        let unknown = Done { rows: None, ..done };
        assert_eq!((unknown.rows(), unknown.rate(took)), (None, None));
    }
}
