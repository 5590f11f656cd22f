//! An UPDATE of a whole table, in pieces that nobody has to wait for.
//!
//! A piece is a range of the table's blocks in a short transaction of its own, which notes in the journal
//! how far it is. Ranges of blocks need no key and are read in the order in which they lie on the disk. They
//! reach every row that was there when the trigger came: from then on a row that moves is written by
//! somebody, and the trigger sees to it. Only a rewrite of the table (VACUUM FULL, CLUSTER) moves rows unseen;
//! it gives the table another file, and the pieces begin again.

use std::time::Duration;

use reconcile_kinds::Pieces;
use reconcile_plan::{Batch, Step};
use reconcile_sql::quote_literal;
use tokio::time::Instant;

use super::{Applying, Cause, Event, interrupt, message};
use crate::error::Error;
use crate::failpoint;

/// How long a piece shall take: who waits for a row of it waits no longer.
const PIECE: Duration = Duration::from_millis(100);
/// A piece that takes so long rolls back and is made smaller: before the `deadlock_timeout` of whoever
/// waits for a row of it and has one that it waits for, since he would be the victim.
const LONGEST: Duration = Duration::from_millis(900);
/// The blocks of the first piece.
const FIRST: u64 = 16;
/// The most blocks of a piece.
const MOST: u64 = 4096;
/// So often the pieces begin again because the table was rewritten meanwhile.
const REWRITES: u32 = 3;
/// How long a standby may lag behind before the pieces wait for it.
const LAG: Duration = Duration::from_secs(10);
/// How often is looked whether anybody lags behind, and how far it is said.
const LOOK: Duration = Duration::from_secs(2);

/// The table as it is on the disk.
struct File {
    /// Which column of which file: another one has other pieces.
    name: String,
    /// Its blocks.
    blocks: u64,
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
            let mut rewrites = 0;
            loop {
                let file = self.file(pieces).await?;
                self.all_pieces(number, step, &file).await?;
                if self.file(pieces).await?.name == file.name {
                    break;
                }
                rewrites += 1;
                if rewrites > REWRITES {
                    return Err(Cause::Rewritten {
                        relation: pieces.relation.clone(),
                        times: rewrites,
                    });
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

    async fn all_pieces(&mut self, number: usize, step: &Step, file: &File) -> Result<(), Cause> {
        let known = self.job.journal.pieces_done(self.session, &file.name).await;
        let known = known.map_err(|error| match error {
            crate::journal::JournalError::Server(error) => Cause::Connection(error),
            error => Cause::Journal(error),
        })?;
        // Blocks that came since have no row that the trigger has not seen.
        let (mut done, all) = known.unwrap_or((0, file.blocks));
        let (mut size, mut refused) = (FIRST, Duration::ZERO);
        let (began, first) = (Instant::now(), done);
        let mut looked = Instant::now();
        while done < all {
            if self.interrupt.is_raised() {
                return Err(Cause::Interrupted);
            }
            let end = (done + size).min(all);
            let started = Instant::now();
            match self.piece(step, file, done, end, all).await {
                Ok(()) => {
                    done = end;
                    refused = Duration::ZERO;
                }
                Err(Some(cause)) => return Err(cause),
                Err(None) => {
                    // Somebody has rows of it: a smaller piece, a little later.
                    refused += started.elapsed() + PIECE;
                    size = (size / 2).max(1);
                    if refused > self.job.settings.wait {
                        return Err(Cause::Locked { blockers: Vec::new(), waited: refused });
                    }
                    if !self.interrupt.sleep(PIECE).await {
                        return Err(Cause::Interrupted);
                    }
                    continue;
                }
            }
            failpoint::reach(&format!("batch.{number}.piece"));
            let took = started.elapsed();
            size = next_size(size, took);
            // At most half of the time is ours.
            if self.job.settings.throttle && done < all && !self.interrupt.sleep(took).await {
                return Err(Cause::Interrupted);
            }
            if looked.elapsed() >= LOOK {
                looked = Instant::now();
                self.watch.event(Event::Pieces {
                    step,
                    done,
                    of: all,
                    left: left(began, done - first, all - done),
                });
                if self.job.settings.throttle {
                    self.followers().await?;
                }
            }
        }
        self.watch.event(Event::Pieces { step, done, of: all, left: Duration::ZERO });
        Ok(())
    }

    /// One piece; `Err(None)` if it has to be tried again.
    async fn piece(
        &mut self,
        step: &Step,
        file: &File,
        from: u64,
        to: u64,
        all: u64,
    ) -> Result<(), Option<Cause>> {
        let column = step.pieces.as_ref().map_or("", |pieces| pieces.note.as_str());
        let update = format!("{} AND ctid >= '({from},0)' AND ctid < '({to},0)'", step.sql);
        let note = self.job.journal.pieces_are(self.run, step.number, &file.name, to, all);
        let statements = [self.lease.check(), update, note];
        let sql = message::piece(self.session.preamble(), LONGEST, column, statements);
        let sent = interrupt::send(self.session, &sql.sql(), &mut self.interrupt).await;
        let server = match sent {
            Ok(_) => return Ok(()),
            Err(Error::Server(server)) => server,
            Err(error) => return Err(Some(self.failed(error, &sql).await)),
        };
        let again = matches!(server.sqlstate.as_str(), "55P03" | "40P01" | "40001")
            || server.sqlstate == "57014" && !self.interrupt.is_raised();
        let cause = self.failed(Error::Server(server), &sql).await;
        Err(if again && !matches!(cause, Cause::Lost { .. }) { None } else { Some(cause) })
    }

    /// Waits until the standbys that this role sees have caught up.
    async fn followers(&mut self) -> Result<(), Cause> {
        let sql = format!(
            "SELECT count(*) FROM pg_catalog.pg_stat_replication WHERE replay_lag > interval '{} s'",
            LAG.as_secs()
        );
        let began = Instant::now();
        while began.elapsed() < self.job.settings.wait {
            let rows = self.session.send(&sql).await.map_err(Cause::Connection)?;
            if rows.first().and_then(|row| row.at(0)).is_none_or(|count| count == "0") {
                return Ok(());
            }
            let (blockers, waited) = (&[], began.elapsed());
            self.watch.event(Event::Waiting { blockers, waited, retry_in: LOOK });
            if !self.interrupt.sleep(LOOK).await {
                return Err(Cause::Interrupted);
            }
        }
        Ok(())
    }

    async fn file(&mut self, pieces: &Pieces) -> Result<File, Cause> {
        let Pieces { relation, note } = pieces;
        let name = quote_literal(&relation.to_string());
        let sql = format!(
            "SELECT c.oid || '/' || pg_catalog.pg_relation_filenode(c.oid) || '/' || a.attnum AS name, \
             (pg_catalog.pg_relation_size(c.oid) + b.size - 1) / b.size AS blocks \
             FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = {} \
             CROSS JOIN (SELECT pg_catalog.current_setting('block_size')::bigint AS size) b \
             WHERE c.oid = {name}::pg_catalog.regclass",
            quote_literal(note)
        );
        let rows = self.session.send(&sql).await.map_err(Cause::Connection)?;
        let row = rows.first();
        let text = |column: &str| row.and_then(|r| r.get(column)).unwrap_or_default().to_owned();
        Ok(File { name: text("name"), blocks: text("blocks").parse().unwrap_or(0) })
    }
}

/// So many blocks that a piece takes as long as it shall; it grows and shrinks by at most a half.
fn next_size(size: u64, took: Duration) -> u64 {
    let next = match (took > PIECE * 3 / 2, took < PIECE / 2) {
        (true, _) => size / 2,
        (_, true) => size * 2,
        _ => size,
    };
    next.clamp(1, MOST)
}

/// How long the rest takes at the pace so far.
fn left(began: Instant, done: u64, rest: u64) -> Duration {
    let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(millis.saturating_mul(rest) / done.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_take_as_long_as_they_shall() {
        // A block takes 3 ms.
        let mut size = FIRST;
        for _ in 0..20 {
            size = next_size(size, Duration::from_millis(3 * size));
        }
        assert!((16..=48).contains(&size), "{size}");
        assert_eq!(next_size(1, Duration::from_secs(9)), 1);
        assert_eq!(next_size(MOST, Duration::ZERO), MOST);
    }
}
