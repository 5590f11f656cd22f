//! An UPDATE of a whole table, in pieces that nobody has to wait for.
//!
//! A piece is a range of the table's blocks in a short transaction of its own, which notes in the journal
//! how far it is. Ranges of blocks need no key and are read in the order in which they lie on the disk. They
//! reach every row that was there when the trigger came: from then on a row that moves is written by
//! somebody, and the trigger sees to it. Only a rewrite of the table (VACUUM FULL, CLUSTER) moves rows unseen;
//! it gives the table another file, and the pieces begin again.
//!
//! Invariant: between two pieces nothing is locked, and before the next one [`throttle`] has looked whether
//! anybody who follows this server could be harmed by it.

use std::time::Duration;

use reconcile_kinds::Pieces;
use reconcile_plan::{Batch, Step};
use reconcile_sql::{LockLevel, QName, quote_literal};
use tokio::time::Instant;

use super::{Applying, Cause, Event, interrupt, message};
use crate::blockers::{Blocker, blockers};
use crate::error::Error;
use crate::failpoint;
use crate::journal::JournalError;

mod pace;
mod sight;
mod throttle;
mod vacuum;

use pace::{PIECE, Pace};
use throttle::{Memory, pauses};
use vacuum::Sweep;

pub use throttle::{Bounds, Pause};

/// A piece that takes so long rolls back and is made smaller.
const LONGEST: Duration = Duration::from_secs(5);
/// So often the pieces begin again because the table was rewritten meanwhile.
const REWRITES: u32 = 3;
/// How often is looked whether anybody lags behind, and how far it is said.
const LOOK: Duration = Duration::from_secs(1);
/// How long those are left alone who wait for a lock on the table.
const YIELD: Duration = Duration::from_millis(500);
/// How often the journal is told what is waited for.
const NOTE: Duration = Duration::from_secs(10);

/// The table as it is on the disk.
struct File {
    /// Which column of which file: another one has other pieces.
    name: String,
    /// Its blocks.
    blocks: u64,
    /// Its rows, as far as they were counted.
    rows: Option<u64>,
}

/// A step that is done in pieces.
#[derive(Clone, Copy)]
struct Work<'w> {
    step: &'w Step,
    pieces: &'w Pieces,
    file: &'w File,
    /// So many blocks there are to do.
    all: u64,
}

/// What a piece did.
struct Done {
    /// How many rows it wrote.
    rows: u64,
    /// How many sessions waited for its rows.
    waiting: u64,
}

impl Applying<'_> {
    /// Does a step that is done in pieces.
    pub(super) async fn pieces(&mut self, number: usize, batch: &Batch) -> Result<(), Cause> {
        self.watch.event(Event::BatchStarts { number, batch, tries: 0 });
        failpoint::reach(&format!("batch.{number}.before"));
        for step in &batch.steps {
            let Some(pieces) = &step.pieces else { continue };
            let running = self.job.journal.step_is(
                self.run,
                step.number,
                "running",
                Some("clock_timestamp()"),
            );
            self.small(vec![self.unchanged(), running]).await?;
            for _ in 0..REWRITES {
                let file = self.file(pieces).await?;
                self.all_pieces(number, step, pieces, &file).await?;
                if self.file(pieces).await?.name == file.name {
                    break;
                }
            }
            let done = self.job.journal.step_is(self.run, step.number, "done", None);
            self.small(vec![done]).await?;
            self.done.push(step.number);
            self.mark = self.mark.again(self.session).await.map_err(Cause::Connection)?;
            self.watch.event(Event::StepDone { step });
        }
        failpoint::reach(&format!("batch.{number}.after"));
        let (lock_wait, hold) = (Duration::ZERO, Duration::ZERO);
        self.watch.event(Event::BatchDone { number, lock_wait, hold });
        Ok(())
    }

    async fn all_pieces(
        &mut self,
        number: usize,
        step: &Step,
        pieces: &Pieces,
        file: &File,
    ) -> Result<(), Cause> {
        let known = self.job.journal.pieces_done(self.session, &file.name).await;
        let known = known.map_err(|error| match error {
            JournalError::Server(error) => Cause::Connection(error),
            error => Cause::Journal(error),
        })?;
        // Blocks that came since have no row that the trigger has not seen.
        let (mut done, all) = known.unwrap_or((0, file.blocks));
        let work = Work { step, pieces, file, all };
        let (mut pace, mut memory) = (Pace::new(done), Memory::default());
        let mut sweep = Sweep::new(file.rows, file.blocks);
        let mut refused = Duration::ZERO;
        let mut looked = Instant::now();
        if done < all {
            let note = self.job.journal.pieces_are(self.run, step.number, &file.name, done, all);
            self.small(vec![note]).await?;
            self.look(work, &mut memory, &mut pace).await?;
        }
        while done < all {
            if self.interrupt.is_raised() {
                return Err(Cause::Interrupted);
            }
            let end = (done + pace.size).min(all);
            let started = Instant::now();
            let looks = looked.elapsed() >= LOOK;
            let piece = match self.piece(work, done, end, looks).await {
                Ok(piece) => piece,
                Err(Some(cause)) => return Err(cause),
                Err(None) => {
                    refused += started.elapsed() + PIECE;
                    pace.refused();
                    self.refused(work, refused).await?;
                    continue;
                }
            };
            (done, refused) = (end, Duration::ZERO);
            failpoint::reach(&format!("batch.{number}.piece"));
            let took = started.elapsed();
            pace.took(took);
            sweep.wrote(piece.rows);
            // At most half of the time is ours.
            if self.job.settings.throttle && done < all && !self.interrupt.sleep(took).await {
                return Err(Cause::Interrupted);
            }
            if looks && done < all {
                looked = Instant::now();
                let left = pace.left(done, all - done);
                self.watch.event(Event::Pieces { step, done, of: all, left });
                pace.waited_for(piece.waiting);
                self.look(work, &mut memory, &mut pace).await?;
            }
            if sweep.is_due() && done < all {
                self.sweep(&pieces.relation, &mut sweep).await?;
            }
        }
        self.watch.event(Event::Pieces { step, done, of: all, left: Duration::ZERO });
        Ok(())
    }

    /// One piece; `Err(None)` if it has to be tried again. `looks` says that it shall also count who
    /// waits for its rows: that is only known while it has them.
    async fn piece(
        &mut self,
        work: Work<'_>,
        from: u64,
        to: u64,
        looks: bool,
    ) -> Result<Done, Option<Cause>> {
        let Work { step, pieces, file, all } = work;
        let update = format!("{} AND ctid >= '({from},0)' AND ctid < '({to},0)'", step.sql);
        let mut after =
            vec![self.job.journal.pieces_are(self.run, step.number, &file.name, to, all)];
        if looks {
            after.push(WAITING.to_owned());
        }
        let statements = (step.number, self.lease.check(), update, after);
        let sql = message::piece(self.session.preamble(), LONGEST, &pieces.note, statements);
        let sent = interrupt::send(self.session, &sql.sql(), &mut self.interrupt).await;
        let server = match sent {
            Ok(sets) => {
                let waiting =
                    sets.iter().flat_map(|set| &set.rows).find_map(|row| row.at(0)?.parse().ok());
                return Ok(Done { rows: sql.written(&sets), waiting: waiting.unwrap_or(0) });
            }
            Err(Error::Server(server)) => server,
            Err(error) => return Err(Some(self.failed(error, &sql).await)),
        };
        let again = matches!(server.sqlstate.as_str(), "55P03" | "40P01" | "40001")
            || server.sqlstate == "57014" && !self.interrupt.is_raised();
        let cause = self.failed(Error::Server(server), &sql).await;
        Err(if again && !matches!(cause, Cause::Lost { .. }) { None } else { Some(cause) })
    }

    /// Somebody has rows of a piece: a smaller one, a little later, but not for ever.
    async fn refused(&mut self, work: Work<'_>, waited: Duration) -> Result<(), Cause> {
        let over = waited > self.job.settings.wait;
        if over || waited.as_secs() != waited.saturating_sub(PIECE * 3).as_secs() {
            let blockers = self.writers(&work.pieces.relation).await?;
            if over {
                return Err(Cause::Locked { blockers, waited });
            }
            self.watch.event(Event::Waiting { blockers: &blockers, waited, retry_in: PIECE });
        }
        match self.interrupt.sleep(PIECE).await {
            true => Ok(()),
            false => Err(Cause::Interrupted),
        }
    }

    /// Who has written rows of a table, the oldest transaction first: one of them has a row that we
    /// want. Which one only the server knows, and only while we wait for it.
    async fn writers(&mut self, relation: &QName) -> Result<Vec<Blocker>, Cause> {
        let wanted = [(relation.clone(), LockLevel::Share)];
        match blockers(self.session, &wanted, &[]).await {
            Ok(mut who) => {
                who.retain(|blocker| !blocker.waiting);
                Ok(who)
            }
            Err(Error::Lost { reason, .. }) => Err(self.lost(reason, None).await),
            Err(_) => Ok(Vec::new()),
        }
    }

    /// Looks around, and waits until nobody has to be waited for.
    async fn look(
        &mut self,
        work: Work<'_>,
        memory: &mut Memory,
        pace: &mut Pace,
    ) -> Result<(), Cause> {
        let began = Instant::now();
        let (mut noted, mut kinds): (Option<Instant>, Vec<_>) = (None, Vec::new());
        loop {
            let sight = self.sight(&work.pieces.relation).await?;
            let now = Instant::now();
            memory.note(&sight, now);
            let why = pauses(&sight, memory, &self.job.settings.bounds, now);
            if why.is_empty() {
                if noted.is_some() {
                    let note = self.job.journal.step_waits(self.run, work.step.number, None);
                    self.small(vec![note]).await?;
                }
                return self.yields(sight.waiting, pace).await;
            }
            let what: Vec<_> = why.iter().map(std::mem::discriminant).collect();
            if noted.is_none_or(|at| at.elapsed() >= NOTE) || what != kinds {
                (noted, kinds) = (Some(now), what);
                let note = self.job.journal.step_waits(self.run, work.step.number, Some(&why));
                self.small(vec![note]).await?;
            }
            self.watch.event(Event::Paused { step: work.step, why: &why, paused: began.elapsed() });
            if !self.interrupt.sleep(LOOK).await {
                return Err(Cause::Interrupted);
            }
        }
    }

    /// Leaves those alone for a moment who wait for a lock on the table.
    async fn yields(&mut self, waiting: u64, pace: &mut Pace) -> Result<(), Cause> {
        if waiting == 0 || !self.job.settings.throttle {
            return Ok(());
        }
        pace.waited_for(waiting);
        match self.interrupt.sleep(YIELD).await {
            true => Ok(()),
            false => Err(Cause::Interrupted),
        }
    }

    async fn file(&mut self, pieces: &Pieces) -> Result<File, Cause> {
        let Pieces { relation, note } = pieces;
        let name = quote_literal(&relation.to_string());
        let sql = format!(
            "SELECT c.oid || '/' || pg_catalog.pg_relation_filenode(c.oid) || '/' || a.attnum AS name, \
             (pg_catalog.pg_relation_size(c.oid) + b.size - 1) / b.size AS blocks, \
             CASE WHEN c.reltuples > 0 THEN c.reltuples::int8 END AS rows \
             FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = {} \
             CROSS JOIN (SELECT pg_catalog.current_setting('block_size')::bigint AS size) b \
             WHERE c.oid = {name}::pg_catalog.regclass",
            quote_literal(note)
        );
        let rows = self.session.send(&sql).await.map_err(Cause::Connection)?;
        let row = rows.first();
        let text = |column: &str| row.and_then(|r| r.get(column)).unwrap_or_default().to_owned();
        Ok(File {
            name: text("name"),
            blocks: text("blocks").parse().unwrap_or(0),
            rows: text("rows").parse().ok(),
        })
    }
}

/// How many sessions wait for the end of this transaction, which is how a row is waited for.
const WAITING: &str = "SELECT count(*) FROM pg_catalog.pg_locks WHERE NOT granted AND locktype = 'transactionid' \
    AND transactionid = pg_catalog.pg_current_xact_id()::text::pg_catalog.xid";
