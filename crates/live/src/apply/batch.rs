//! One batch that is a transaction: tries it until it is committed or there is no point.

use std::time::Duration;

use reconcile_plan::Batch;
use tokio::time::Instant;

use super::message::{self, Message, ends};
use super::wait::Waiting;
use super::{Applying, Cause, Event, interrupt};
use crate::error::{Error, ServerError};
use crate::rows::ResultSet;
use crate::{failpoint, lease, stamp};

/// How often a batch is tried whose locks are held for too long.
const LONG_TRIES: u32 = 2;

impl Applying<'_> {
    pub(super) async fn batch(
        &mut self,
        number: usize,
        batch: &Batch,
        last: bool,
    ) -> Result<(), Cause> {
        let mut waiting = Waiting::new(self.run, batch, self.job.settings.wait);
        let mut tempo = waiting.begin(self).await?;
        let (mut tries, mut too_long) = (0, 0);
        loop {
            if self.interrupt.is_raised() {
                return Err(Cause::Interrupted);
            }
            self.watch.event(Event::BatchStarts { number, batch, tries });
            tries += 1;
            failpoint::reach(&format!("batch.{number}.before"));
            let message = message::transaction(message::Inputs {
                journal: &self.job.journal,
                lease: &self.lease,
                run: self.run,
                number,
                batch,
                lock_timeout: tempo.next(waiting.jitter()),
                mark: &self.mark,
                version: self.version(),
                preamble: self.session.preamble(),
                lifted: &self.job.settings.lifted,
                closing: if last { self.closing() } else { Vec::new() },
            });
            let began = Instant::now();
            let server = match self.send_batch(number, &message).await {
                Ok(sets) => {
                    failpoint::reach(&format!("batch.{number}.after"));
                    self.committed(number, batch, &sets);
                    return Ok(());
                }
                Err(Error::Server(server)) => server,
                Err(Error::Lost { reason, .. }) => {
                    // transaction_timeout of 17 ends the session.
                    let over = reason.contains("25P04");
                    let lost = self.lost(reason, None).await;
                    let is_done = batch.steps.iter().any(|s| self.done.contains(&s.number));
                    let certain = matches!(lost, Cause::Lost { certain: true, .. });
                    return Err(match over && certain && !is_done {
                        true => too_long_cause(number, batch, too_long + 1),
                        false => lost,
                    });
                }
                Err(error) => return Err(Cause::Connection(error)),
            };
            if let Err(error) = self.session.rollback().await {
                let reason = error.to_string();
                return Err(self.lost(reason, None).await);
            }
            let raised = self.interrupt.is_raised();
            match server.sqlstate.as_str() {
                // lock_not_available, deadlock_detected, serialization_failure
                "55P03" | "40P01" | "40001" => waiting.pause(self).await?,
                ends::TOO_LONG => too_long += 1,
                // query_canceled: by whom, only the clock can tell.
                "57014" if !raised && !batch.hold.is_zero() && began.elapsed() >= batch.hold => {
                    too_long += 1;
                }
                _ => return Err(self.explained(batch, &server, &message, raised)),
            }
            if too_long >= LONG_TRIES {
                return Err(too_long_cause(number, batch, too_long));
            }
            if too_long > 0 && !self.interrupt.sleep(Duration::from_secs(1)).await {
                return Err(Cause::Interrupted);
            }
        }
    }

    async fn send_batch(
        &mut self,
        number: usize,
        message: &Message,
    ) -> Result<Vec<ResultSet>, Error> {
        let sql = message.sql();
        let sending = interrupt::send(self.session, &sql, &mut self.interrupt);
        #[cfg(feature = "failpoints")]
        if failpoint::is_wanted(&format!("batch.{number}.sent")) {
            let _ = tokio::time::timeout(Duration::from_millis(150), sending).await;
            std::process::abort();
        }
        let _ = number;
        sending.await
    }

    fn committed(&mut self, number: usize, batch: &Batch, sets: &[ResultSet]) {
        let report = sets
            .iter()
            .flat_map(|set| &set.rows)
            .rev()
            .find(|row| row.columns().iter().any(|column| column == "reconcile_mark"));
        let millis = |column: &str| {
            let text = report.and_then(|row| row.get(column));
            Duration::from_millis(text.and_then(|t| t.parse().ok()).unwrap_or(0))
        };
        let (lock_wait, hold) = (millis("lock_wait"), millis("hold"));
        if let Some(mark) = report.and_then(|row| row.get("reconcile_mark")) {
            self.mark = self.mark.moved(mark);
        }
        self.longest_hold = self.longest_hold.max(hold);
        for step in &batch.steps {
            self.done.push(step.number);
            self.watch.event(Event::StepDone { step });
        }
        self.watch.event(Event::BatchDone { number, lock_wait, hold });
    }

    /// The cause with the words of the plan, where the server only has numbers.
    fn explained(
        &self,
        batch: &Batch,
        server: &ServerError,
        message: &Message,
        interrupted: bool,
    ) -> Cause {
        let detail = server.detail.as_deref().unwrap_or_default();
        let step = |number: usize| batch.steps.iter().find(|step| step.number == number);
        let explained = match server.sqlstate.as_str() {
            ends::GUARD => guard_numbers(detail).and_then(|(number, at, count)| {
                let guard = step(number)?.guards.get(at)?;
                let (complaint, lifted_by) = (guard.complaint.clone(), guard.lifted_by);
                Some(Cause::Guard { step: number, complaint, count, lifted_by })
            }),
            ends::PROOF => proof_values(detail).and_then(|(number, at, before, after)| {
                let what = step(number)?.proofs.get(at)?.what.clone();
                Some(Cause::Proof { step: number, what, before, after })
            }),
            _ => None,
        };
        explained.unwrap_or_else(|| cause(server, message, interrupted))
    }
}

/// What an error of the server means.
pub(super) fn cause(server: &ServerError, message: &Message, interrupted: bool) -> Cause {
    let error = Box::new(server.clone());
    match server.sqlstate.as_str() {
        lease::LOST => Cause::LeaseLost,
        stamp::MOVED => Cause::StampMoved,
        ends::CHANGED => Cause::Changed,
        "57014" if interrupted => Cause::Interrupted,
        "57014" => Cause::Cancelled { error },
        _ if error.is_exhausted() => {
            let number = message.step_of(server.statement.as_deref(), server.statement_index);
            Cause::Exhausted { number, error }
        }
        _ => match message.step_of(server.statement.as_deref(), server.statement_index) {
            Some(number) => Cause::Step { number, error },
            None => Cause::Connection(Error::Server(error)),
        },
    }
}

fn too_long_cause(number: usize, batch: &Batch, tries: u32) -> Cause {
    Cause::TooLong { batch: number, bound: batch.hold, estimate: batch.estimate, tries }
}

fn guard_numbers(detail: &str) -> Option<(usize, usize, i64)> {
    let mut words = detail.split(' ');
    let mut next = || words.next();
    Some((next()?.parse().ok()?, next()?.parse().ok()?, next()?.parse().ok()?))
}

fn proof_values(detail: &str) -> Option<(usize, usize, String, String)> {
    let (number, at, before, after): (usize, usize, String, Option<String>) =
        serde_json::from_str(detail).ok()?;
    Some((number, at, before, after.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_read_back() {
        assert_eq!(guard_numbers("3 0 17"), Some((3, 0, 17)));
        assert_eq!(guard_numbers("3 0"), None);
        let json = "[2, 1, \"a\\\"b\", null]";
        assert_eq!(proof_values(json), Some((2, 1, "a\"b".to_owned(), String::new())));
    }
}
