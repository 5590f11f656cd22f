//! A step that cannot run in a transaction: CREATE or DROP INDEX CONCURRENTLY.
//!
//! Invariant: it is judged by the catalog, never by what the journal or the connection says. Its
//! lock keeps nobody from reading and writing, so it may wait: lock_timeout is off, since it would
//! also end the wait for old snapshots and leave an invalid index; a watchdog looks on from a
//! second connection instead.

use std::time::Duration;

use reconcile_plan::{Batch, Step};
use reconcile_sql::{QName, quote_literal};
use tokio::time::Instant;

use super::message::ends;
use super::{Applying, Cause, Event, Interrupt, Leftover, Watch, interrupt};
use crate::blockers::{self, Blocker};
use crate::connect::{ConnectOptions, Session, connect};
use crate::error::Error;
use crate::failpoint;
use crate::reading::{SETTINGS, search_path};
use crate::standing;

/// How often the watchdog looks.
const LOOK: Duration = Duration::from_millis(1000);

/// How the relation of such a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Missing,
    Invalid,
    Valid,
}

impl Applying<'_> {
    pub(super) async fn outside(&mut self, number: usize, batch: &Batch) -> Result<(), Cause> {
        if self.interrupt.is_raised() {
            return Err(Cause::Interrupted);
        }
        self.watch.event(Event::BatchStarts { number, batch, tries: 0 });
        failpoint::reach(&format!("batch.{number}.before"));
        for step in &batch.steps {
            self.outside_step(number, step).await?;
        }
        failpoint::reach(&format!("batch.{number}.after"));
        let (lock_wait, hold) = (Duration::ZERO, Duration::ZERO);
        self.watch.event(Event::BatchDone { number, lock_wait, hold });
        Ok(())
    }

    /// Demands that the definitions are those that the plan was made for.
    pub(super) fn unchanged(&self) -> String {
        let body = format!(
            " BEGIN IF {} IS DISTINCT FROM {} THEN RAISE EXCEPTION USING ERRCODE = '{}', \
             MESSAGE = 'the definitions were changed since the plan was made'; END IF; END ",
            self.mark.sql(),
            quote_literal(self.mark.digest()),
            ends::CHANGED
        );
        format!("DO {}", reconcile_sql::literal::dollar_quote(&body))
    }

    async fn outside_step(&mut self, number: usize, step: &Step) -> Result<(), Cause> {
        let journal = &self.job.journal;
        let running = journal.step_is(self.run, step.number, "running");
        self.small(vec![self.unchanged(), running]).await?;
        let before = self.state(step).await?;
        let result = self.send_outside(number, step, before).await;
        if let Err(Cause::Lost { .. }) = result {
            return result;
        }
        let after = self.state(step).await?;
        let is_done = result.is_ok() || (after != before && after != State::Invalid);
        if is_done {
            let done = self.job.journal.step_is(self.run, step.number, "done");
            self.done.push(step.number);
            self.small(vec![done]).await?;
            self.mark = self.mark.again(self.session).await.map_err(Cause::Connection)?;
            self.watch.event(Event::StepDone { step });
            // What was asked for is there; an interruption is seen before the next batch.
            return Ok(());
        }
        if before == State::Missing && after == State::Invalid {
            self.clear_up(step).await;
        }
        let failed = self.job.journal.step_is(self.run, step.number, "failed");
        let message = super::message::small(self.session.preamble(), [failed]);
        if self.session.send_sets(&message.sql()).await.is_err() {
            let _ = self.session.rollback().await;
        }
        result
    }

    /// Sends the statement alone, since several in one message are a transaction.
    async fn send_outside(
        &mut self,
        number: usize,
        step: &Step,
        before: State,
    ) -> Result<(), Cause> {
        let home = step.home();
        let mut set =
            vec!["SET lock_timeout = 0".to_owned(), "SET statement_timeout = 0".to_owned()];
        set.extend(SETTINGS.iter().map(|(name, value)| format!("SET {name} = {value}")));
        set.push(format!("SET search_path = {}", search_path(home)));
        let mut reset = vec!["RESET lock_timeout".to_owned(), "RESET statement_timeout".to_owned()];
        // The driver reads UTF-8, whatever the session began with.
        let others = SETTINGS.iter().filter(|(name, _)| *name != "client_encoding");
        reset.extend(others.map(|(name, _)| format!("RESET {name}")));
        reset.push("RESET search_path".to_owned());
        if let Err(error) = self.session.send(&set.join("; ")).await {
            return Err(self.outside_error(step, before, error, None).await);
        }
        #[cfg(feature = "failpoints")]
        if failpoint::is_wanted(&format!("batch.{number}.sent")) {
            let sending = self.session.send_sets(&step.sql);
            let _ = tokio::time::timeout(Duration::from_millis(150), sending).await;
            std::process::abort();
        }
        let _ = number;
        let mut verdict = None;
        let sent = {
            let options = ConnectOptions {
                connect_timeout: Duration::from_secs(5),
                ..ConnectOptions::default()
            };
            let target = self.session.target.clone();
            let pid = self.session.backend_pid;
            let (stop, mut stopped) = Interrupt::new();
            let sending = interrupt::send(self.session, &step.sql, &mut stopped);
            tokio::pin!(sending);
            let patience = self.job.settings.wait;
            let watch = &mut *self.watch;
            let watching = async {
                match connect(&target, &options).await {
                    Ok(mut eye) => watchdog(&mut eye, pid, patience, watch).await,
                    // Without an eye on it the statement still runs; only nobody is named.
                    Err(_) => std::future::pending().await,
                }
            };
            let answer = tokio::select! {
                biased;
                answer = &mut sending => Some(answer),
                () = self.interrupt.raised() => None,
                found = watching => { verdict = Some(found); None }
            };
            match answer {
                Some(answer) => answer,
                None => {
                    stop.raise();
                    sending.await
                }
            }
        };
        let result = match sent {
            Ok(_) => Ok(()),
            Err(error) => Err(self.outside_error(step, before, error, verdict).await),
        };
        if !matches!(result, Err(Cause::Lost { .. })) {
            let _ = self.session.send(&reset.join("; ")).await;
        }
        result
    }

    async fn outside_error(
        &mut self,
        step: &Step,
        before: State,
        error: Error,
        verdict: Option<(Vec<Blocker>, Duration)>,
    ) -> Cause {
        match (error, verdict) {
            (Error::Lost { reason, .. }, _) => self.lost(reason, Some((step, before))).await,
            (Error::Server(server), Some((blockers, waited))) if server.is_cancelled() => {
                Cause::Locked { blockers, waited }
            }
            (Error::Server(server), _) if server.is_cancelled() && self.interrupt.is_raised() => {
                Cause::Interrupted
            }
            (Error::Server(error), _) if error.is_cancelled() => Cause::Cancelled { error },
            (Error::Server(error), _) if error.is_exhausted() => {
                Cause::Exhausted { number: Some(step.number), error }
            }
            (Error::Server(error), _) => Cause::Step { number: step.number, error },
            (error, _) => Cause::Connection(error),
        }
    }

    /// After the connection was lost: says what the catalog says.
    pub(super) async fn judge(&mut self, step: &Step, before: State) -> Result<(), Error> {
        let after = state(self.session, step).await?;
        if after == before {
            return Ok(());
        }
        if after == State::Invalid {
            self.leftovers.push(leftover(step));
            return Ok(());
        }
        let done = self.job.journal.step_is(self.run, step.number, "done");
        let _ = self.session.send(&done).await;
        self.done.push(step.number);
        Ok(())
    }

    /// Drops what a failed build left; a short try, since nothing but space and time depends on it.
    async fn clear_up(&mut self, step: &Step) {
        let relation = relation(step);
        let drop = format!("DROP INDEX CONCURRENTLY IF EXISTS {relation}");
        for sql in ["SET lock_timeout = '5s'", &drop, "RESET lock_timeout"] {
            let _ = self.session.send(sql).await;
        }
        let _ = self.session.send("RESET lock_timeout").await;
        if !matches!(state(self.session, step).await, Ok(State::Missing)) {
            self.leftovers.push(leftover(step));
        }
    }

    async fn state(&mut self, step: &Step) -> Result<State, Cause> {
        state(self.session, step).await.map_err(Cause::Connection)
    }
}

/// Looks on until the process has waited for others for `patience` without a break.
async fn watchdog(
    eye: &mut Session,
    pid: i32,
    patience: Duration,
    watch: &mut (dyn Watch + Send),
) -> (Vec<Blocker>, Duration) {
    let mut since: Option<Instant> = None;
    let mut said: Option<Instant> = None;
    loop {
        tokio::time::sleep(LOOK).await;
        if let Ok(Some(build)) = standing::build(eye, pid).await {
            watch.event(Event::Building { build: &build });
        }
        let waits = format!("SELECT pg_catalog.cardinality(pg_catalog.pg_blocking_pids({pid}))");
        let waits = match eye.send(&waits).await {
            Ok(rows) => rows.first().and_then(|row| row.at(0)) != Some("0"),
            Err(_) => std::future::pending().await,
        };
        if !waits {
            since = None;
            continue;
        }
        let began = *since.get_or_insert_with(Instant::now);
        let waited = began.elapsed();
        let who = blockers::blockers_of(eye, pid).await.unwrap_or_default();
        if waited >= patience {
            return (who, waited);
        }
        if said.is_none_or(|at| at.elapsed() >= Duration::from_secs(5)) {
            said = Some(Instant::now());
            watch.event(Event::Waiting { blockers: &who, waited, retry_in: LOOK });
        }
    }
}

fn relation(step: &Step) -> QName {
    let address = step.addresses.first();
    address.map_or_else(|| QName::new("", ""), |a| QName::new(a.namespace(), a.name()))
}

fn leftover(step: &Step) -> Leftover {
    let relation = relation(step);
    let words = format!(
        "{relation} is there and invalid: it is kept up with every write and used by no query. Apply \
         again, or DROP INDEX CONCURRENTLY {relation}"
    );
    Leftover { step: step.number, relation, words }
}

async fn state(session: &mut Session, step: &Step) -> Result<State, Error> {
    let relation = relation(step);
    let sql = format!(
        "SELECT i.indisvalid AND i.indisready FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid \
         WHERE n.nspname = {} AND c.relname = {}",
        quote_literal(&relation.namespace),
        quote_literal(&relation.name)
    );
    let rows = session.send(&sql).await?;
    Ok(match rows.first().and_then(|row| row.at(0)) {
        None => State::Missing,
        Some("t") => State::Valid,
        Some(_) => State::Invalid,
    })
}
