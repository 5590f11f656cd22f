//! Does what a plan says, and notes it.
//!
//! Invariant: whatever happens, the journal and [`Stopped`] say truly which steps are done; no
//! transaction, lock or lease of ours stays behind; and nothing is changed unless the definitions
//! are, under our locks, the ones that the plan was made for.

mod batch;
mod event;
mod interrupt;
mod lost;
mod message;
mod outside;
mod pieces;
mod stopped;
mod tempo;
mod wait;

use std::time::Duration;

use reconcile_catalog::Catalog;
use reconcile_plan::Plan;
use reconcile_sql::{QName, ServerVersion};

use crate::connect::Session;
use crate::error::Error;
use crate::failpoint;
use crate::journal::{self, Journal, JournalError, Record};
use crate::lease::{Lease, LeaseError};
use crate::marks::Mark;
use crate::stamp::{Stamp, StampError};

pub use event::{Event, Watch};
pub use interrupt::{Interrupt, Interrupter};
pub use pieces::{Bounds, Pause};
pub use stopped::{Cause, Leftover, Stopped};

/// How patient an apply is.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long the locks of one batch are tried for, all tries and pauses together.
    pub wait: Duration,
    /// How long the lease is waited for; a killed program's session needs about a second to end.
    pub lease_wait: Duration,
    /// The approvals that lift guards (`Guard::lifted_by`).
    pub lifted: Vec<String>,
    /// Whether work in pieces leaves half of the time to others.
    pub throttle: bool,
    /// How far others may fall behind before work in pieces waits for them, whatever its pace.
    pub bounds: Bounds,
}

impl Default for Settings {
    fn default() -> Self {
        let (wait, lease_wait) = (Duration::from_secs(60), Duration::from_secs(3));
        Self { wait, lease_wait, lifted: Vec::new(), throttle: true, bounds: Bounds::default() }
    }
}

/// What is to be done.
#[derive(Debug, Clone)]
pub struct Job<'a> {
    /// The steps.
    pub plan: &'a Plan,
    /// The database as the plan was made for it: what `rollback` goes back to.
    pub live: &'a Catalog,
    /// The mark of what the plan touches, taken right after it was made.
    pub mark: Mark,
    /// Where to note it.
    pub journal: Journal,
    /// The fingerprint that the plan was made for.
    pub fingerprint: String,
    /// A digest of the model, by which a second try knows the first.
    pub model_digest: String,
    /// The version of the program.
    pub tool: String,
    /// The revision to move with the last step.
    pub stamp: Option<Stamp>,
    /// The run that this plan undoes.
    pub undoes: Option<i64>,
    /// Whether it only ends an online change.
    pub ends: bool,
    /// How patient to be.
    pub settings: Settings,
}

/// Everything is done.
#[derive(Debug, Clone)]
pub struct Applied {
    /// The number of the run in the journal; none if there was nothing to do.
    pub run: Option<i64>,
    /// How many steps were done.
    pub steps: usize,
    /// Whether the revision was moved by this run.
    pub stamped: bool,
    /// The longest that a batch held its locks.
    pub longest_hold: Duration,
}

/// Applies a plan.
///
/// # Errors
/// If it stopped before its end: why, and what is done.
pub async fn apply(
    session: &mut Session,
    job: &Job<'_>,
    watch: &mut (dyn Watch + Send),
    interrupt: &Interrupt,
) -> Result<Applied, Box<Stopped>> {
    let of = job.plan.steps().count();
    let early = |cause: Cause| {
        let (done, leftovers) = (Vec::new(), Vec::new());
        Box::new(Stopped { cause, run: None, done, of, nothing_done: true, leftovers })
    };
    let stamp = match &job.stamp {
        Some(stamp) => match stamp.look(session).await {
            Ok(found) if found.already => None,
            Ok(found) => Some((stamp, found.table)),
            Err(StampError::Server(error)) => return Err(early(Cause::Connection(error))),
            Err(error) => return Err(early(Cause::Stamp(error))),
        },
        None => None,
    };
    let stamped = stamp.is_some();
    // An undoing is noted even where nothing is left to do for it.
    if of == 0 && !stamped && job.undoes.is_none() {
        return Ok(Applied { run: None, steps: 0, stamped, longest_hold: Duration::ZERO });
    }
    let mut interrupt = interrupt.clone();
    let patience = job.settings.lease_wait;
    let taken = Lease::take(session, &job.journal, &job.tool, patience, &mut interrupt).await;
    let lease = taken.map_err(|error| early(refused(error)))?;
    failpoint::reach("lease");
    let mut applying = Applying {
        session,
        job,
        watch,
        interrupt,
        run: lease.next_run,
        lease,
        stamp,
        begun: false,
        mark: job.mark.clone(),
        done: Vec::new(),
        leftovers: Vec::new(),
        longest_hold: Duration::ZERO,
        released: false,
    };
    let result = applying.all().await;
    if let Err(cause) = &result {
        applying.note_stop(cause).await;
    }
    failpoint::reach("end");
    if !applying.released {
        applying.lease.release(applying.session).await;
    }
    let run = applying.begun.then_some(applying.run);
    let (done, leftovers) = (applying.done, applying.leftovers);
    match result {
        Ok(()) => {
            let longest_hold = applying.longest_hold;
            Ok(Applied { run, steps: done.len(), stamped, longest_hold })
        }
        Err(cause) => {
            let unknown = matches!(cause, Cause::Lost { certain: false, .. });
            let nothing_done = done.is_empty() && leftovers.is_empty() && !unknown;
            Err(Box::new(Stopped { cause, run, done, of, nothing_done, leftovers }))
        }
    }
}

fn refused(error: LeaseError) -> Cause {
    match error {
        LeaseError::Server(error) | LeaseError::Journal(JournalError::Server(error)) => {
            Cause::Connection(error)
        }
        LeaseError::Journal(error) => Cause::Journal(error),
        LeaseError::Interrupted => Cause::Interrupted,
        error => Cause::Lease(error),
    }
}

/// An apply at work.
struct Applying<'a> {
    session: &'a mut Session,
    job: &'a Job<'a>,
    watch: &'a mut (dyn Watch + Send),
    interrupt: Interrupt,
    lease: Lease,
    run: i64,
    /// The revision that is still to be moved, and its table.
    stamp: Option<(&'a Stamp, QName)>,
    /// Whether the run stands in the journal.
    begun: bool,
    mark: Mark,
    done: Vec<usize>,
    leftovers: Vec<Leftover>,
    longest_hold: Duration,
    /// Whether the lease is gone already, with the session that had it.
    released: bool,
}

impl Applying<'_> {
    async fn all(&mut self) -> Result<(), Cause> {
        self.begin().await?;
        let batches = &self.job.plan.batches;
        for (index, batch) in batches.iter().enumerate() {
            let last = index + 1 == batches.len();
            if batch.transaction {
                self.batch(index + 1, batch, last).await?;
            } else if batch.steps.iter().any(|step| step.pieces.is_some()) {
                self.pieces(index + 1, batch).await?;
            } else {
                self.outside(index + 1, batch).await?;
            }
        }
        if batches.last().is_none_or(|batch| !batch.transaction) {
            let closing = self.closing();
            self.small(closing).await?;
        }
        Ok(())
    }

    /// Notes the run, its steps and what is there before them.
    async fn begin(&mut self) -> Result<(), Cause> {
        let continues = self.continues().await?;
        let stamp = self.stamp.as_ref();
        let saved = journal::saved(self.job.plan, self.job.live);
        let record = Record {
            plan: self.job.plan,
            saved: &saved,
            fingerprint: &self.job.fingerprint,
            model_digest: &self.job.model_digest,
            tool: &self.job.tool,
            stamp: stamp.map(|(stamp, _)| (stamp.from.as_str(), stamp.to.as_str())),
            undoes: self.job.undoes,
            ends: self.job.ends,
        };
        let begin = self.job.journal.begin_run(self.run, continues, &record);
        self.small(vec![begin]).await?;
        self.begun = true;
        failpoint::reach("run");
        self.watch.event(Event::RunStarts { run: self.run });
        Ok(())
    }

    /// The unfinished run that this one goes on with: the latest, of the same model.
    async fn continues(&mut self) -> Result<Option<i64>, Cause> {
        let runs = self.job.journal.runs(self.session).await.map_err(|error| match error {
            JournalError::Server(error) => Cause::Connection(error),
            error => Cause::Journal(error),
        })?;
        let same = runs.first().filter(|run| {
            run.is_unfinished()
                && run.undoes == self.job.undoes
                && run.model_digest == self.job.model_digest
                && (run.steps_done > 0 || run.continues.is_some())
        });
        Ok(same.map(|run| run.id))
    }

    /// What the last transaction does besides its steps.
    fn closing(&self) -> Vec<String> {
        let stamp = self.stamp.as_ref().map(|(stamp, table)| stamp.sql(table));
        let done = self.job.journal.run_is_done(self.run, self.job.undoes);
        stamp.into_iter().chain([done]).collect()
    }

    /// A short transaction that writes the journal, under the lease.
    async fn small(&mut self, statements: Vec<String>) -> Result<(), Cause> {
        let statements = [self.lease.check()].into_iter().chain(statements);
        let message = message::small(self.session.preamble(), statements);
        let sent = interrupt::send(self.session, &message.sql(), &mut self.interrupt).await;
        match sent {
            Ok(_) => Ok(()),
            Err(error) => Err(self.failed(error, &message).await),
        }
    }

    /// What an error outside of the tries of a batch means; nothing of its transaction is left.
    async fn failed(&mut self, error: Error, message: &message::Message) -> Cause {
        let server = match error {
            Error::Server(server) => server,
            Error::Lost { reason, .. } => return self.lost(reason, None).await,
            error => return Cause::Connection(error),
        };
        if let Err(Error::Lost { reason, .. }) = self.session.rollback().await {
            return self.lost(reason, None).await;
        }
        batch::cause(&server, message, self.interrupt.is_raised())
    }

    /// Notes why the run stopped. Whatever fails here, a later run closes it.
    async fn note_stop(&mut self, cause: &Cause) {
        if !self.begun {
            return;
        }
        let stop = self.job.journal.run_stopped(self.run, &cause.to_string());
        let message = message::small(self.session.preamble(), [stop]);
        if self.session.send_sets(&message.sql()).await.is_err() {
            let _ = self.session.rollback().await;
        }
    }

    fn version(&self) -> ServerVersion {
        ServerVersion(self.session.version)
    }
}
