//! An UPDATE of a whole table, in pieces that nobody has to wait for.
//!
//! A piece is a range of the table's blocks in a short transaction of its own, which notes in the journal
//! how far it is. Ranges of blocks need no key and are read in the order in which they lie on the disk. They
//! reach every row that was there when the trigger came: from then on a row that moves is written by
//! somebody, and the trigger sees to it. Only a rewrite of the table (VACUUM FULL, CLUSTER) moves rows unseen;
//! it gives the table another file, and the pieces begin again.
//!
//! Each range is gone through in rounds, a transaction each, which take their share of the rows of every
//! block. The new versions of the first round find no room in a full block and go elsewhere, with new
//! entries in every index. By the second round what they left is pruned, and the other rows find room
//! beside their old versions, which no index has to know of ("HOT", `src/backend/access/heap/README.HOT`).
//! Measured on 18 with three indexes, four rounds instead of one: 0.6 times the processor time, and the table
//! grows by 35 % instead of 97 %.
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

/// A piece that takes so long rolls back and is made smaller: before the `deadlock_timeout` of whoever
/// waits for a row of it and has one that it waits for, since he would be the victim.
const LONGEST: Duration = Duration::from_millis(900);
/// In so many rounds are the rows of a range written; a power of two. Twice as many cost more in
/// pruning than they spare.
const ROUNDS: u64 = 4;
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

/// Blocks that are done together.
#[derive(Clone, Copy)]
struct Range {
    from: u64,
    to: u64,
}

/// What pieces did.
#[derive(Default)]
struct Done {
    /// How many rows they wrote.
    rows: u64,
    /// How many sessions waited for their rows.
    waiting: u64,
    /// How long the longest of them took.
    longest: Duration,
}

impl Applying<'_> {
    /// Does a step that is done in pieces.
    pub(super) async fn pieces(&mut self, number: usize, batch: &Batch) -> Result<(), Cause> {
        self.watch.event(Event::BatchStarts { number, batch, tries: 0 });
        failpoint::reach(&format!("batch.{number}.before"));
        for step in &batch.steps {
            let Some(pieces) = &step.pieces else { continue };
            let running = self.job.journal.step_is(self.run, step.number, "running");
            self.small(vec![self.unchanged(), running]).await?;
            let mut rewrites = 0;
            loop {
                let file = self.file(pieces).await?;
                self.all_pieces(number, step, pieces, &file).await?;
                if self.file(pieces).await?.name == file.name {
                    break;
                }
                rewrites += 1;
                if rewrites > REWRITES {
                    let relation = pieces.relation.clone();
                    return Err(Cause::Rewritten { relation, times: rewrites });
                }
            }
            let done = self.job.journal.step_is(self.run, step.number, "done");
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
            let range = Range { from: done, to: (done + pace.size).min(all) };
            let started = Instant::now();
            let looks = looked.elapsed() >= LOOK;
            let piece = match self.rounds(work, range, looks).await {
                Ok(piece) => piece,
                Err(Some(cause)) => return Err(cause),
                Err(None) => {
                    refused += started.elapsed() + PIECE;
                    pace.refused();
                    self.refused(work, refused).await?;
                    continue;
                }
            };
            (done, refused) = (range.to, Duration::ZERO);
            failpoint::reach(&format!("batch.{number}.piece"));
            pace.took(piece.longest);
            sweep.wrote(piece.rows);
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

    /// All rounds of a range; `Err(None)` if it has to be tried again. `looks` says that the last one shall
    /// also count who waits for its rows: that is only known while it has them.
    async fn rounds(
        &mut self,
        work: Work<'_>,
        range: Range,
        looks: bool,
    ) -> Result<Done, Option<Cause>> {
        let mut all = Done::default();
        for round in 0..ROUNDS {
            let started = Instant::now();
            let last = round + 1 == ROUNDS;
            let done = self.piece(work, range, round, looks && last).await?;
            self.in_part = true;
            let took = started.elapsed();
            all.rows += done.rows;
            all.waiting = done.waiting;
            all.longest = took.max(all.longest);
            // At most half of the time is ours.
            let rest = self.job.settings.throttle && !(last && range.to == work.all);
            if rest && !self.interrupt.sleep(took).await {
                return Err(Some(Cause::Interrupted));
            }
        }
        Ok(all)
    }

    /// One round of a range.
    async fn piece(
        &mut self,
        work: Work<'_>,
        range: Range,
        round: u64,
        looks: bool,
    ) -> Result<Done, Option<Cause>> {
        let Work { step, pieces, file, all } = work;
        let Range { from, to } = range;
        let mut update = format!("{} AND ctid >= '({from},0)' AND ctid < '({to},0)'", step.sql);
        let mut after = Vec::new();
        if round + 1 < ROUNDS {
            update.push_str(&format!(" AND hashtid(ctid) & {} = {round}", ROUNDS - 1));
        } else {
            // The last one leaves no row out, whatever has moved within its block meanwhile.
            after.push(self.job.journal.pieces_are(self.run, step.number, &file.name, to, all));
        }
        if looks {
            after.push(WAITING.to_owned());
        }
        let statements = (step, self.lease.check(), update, after);
        let sql = message::piece(self.session.preamble(), LONGEST, pieces, statements);
        let sent = interrupt::send(self.session, &sql.sql(), &mut self.interrupt).await;
        let server = match sent {
            Ok(sets) => {
                let waiting =
                    sets.iter().flat_map(|set| &set.rows).find_map(|row| row.at(0)?.parse().ok());
                let (rows, waiting) = (sql.written(&sets), waiting.unwrap_or(0));
                return Ok(Done { rows, waiting, ..Done::default() });
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
        let Pieces { relation, note, replica: _, alone: _, full_identity: _, fires: _ } = pieces;
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
