//! How an apply ends before its end.

use std::fmt;
use std::time::Duration;

use reconcile_sql::QName;

use crate::blockers::Blocker;
use crate::error::{Error, ServerError};
use crate::journal::JournalError;
use crate::lease::LeaseError;
use crate::stamp::StampError;

/// An apply that did not do everything, and what it did.
#[derive(Debug)]
pub struct Stopped {
    /// Why.
    pub cause: Cause,
    /// The number of the run in the journal, if it got one.
    pub run: Option<i64>,
    /// The numbers of the steps that are done and stay done.
    pub done: Vec<usize>,
    /// How many steps the plan has.
    pub of: usize,
    /// Whether the database is as it was before.
    pub nothing_done: bool,
    /// What a step outside of a transaction left behind.
    pub leftovers: Vec<Leftover>,
}

impl Stopped {
    /// Whether it was a refusal rather than a failure: something was in the way, and it was seen
    /// before anything was lost.
    pub fn is_refusal(&self) -> bool {
        !matches!(
            self.cause,
            Cause::Step { .. }
                | Cause::Exhausted { .. }
                | Cause::Lost { .. }
                | Cause::Connection(_)
                | Cause::Cancelled { .. }
        )
    }
}

/// Something that a step outside of a transaction left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// The number of the step.
    pub step: usize,
    /// The relation.
    pub relation: QName,
    /// What is wrong with it, and what to do.
    pub words: String,
}

/// Why an apply stopped.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(JournalError),
    /// The lease was not had.
    #[error(transparent)]
    Lease(LeaseError),
    /// Somebody else has the lease now.
    #[error("another apply took the lease; this one does nothing more")]
    LeaseLost,
    /// The definitions are not those that the plan was made for.
    #[error("the definitions that the plan is about were changed since it was made; make it again")]
    Changed,
    /// A count that has to be 0 inside the transaction is not.
    #[error("{count} {complaint}")]
    Guard {
        /// The number of the step.
        step: usize,
        /// What is counted.
        complaint: String,
        /// How many there are.
        count: i64,
        /// The approval that lifts it, if one does.
        lifted_by: Option<&'static str>,
    },
    /// What has to be the same before and after is not.
    #[error(
        "{what} would not be the same after step {step} (before: {before}, after: {after}), so it \
         was rolled back"
    )]
    Proof {
        /// The number of the step.
        step: usize,
        /// What is compared.
        what: String,
        /// The value before.
        before: String,
        /// The value after.
        after: String,
    },
    /// A lock was not had in time.
    #[error(
        "a lock was not had within {} s{}",
        waited.as_secs(),
        blockers.iter().map(|b| format!("; {b}")).collect::<String>()
    )]
    Locked {
        /// Who has it, as far as the role may see.
        blockers: Vec<Blocker>,
        /// How long was waited.
        waited: Duration,
    },
    /// The locks would have been held for too long.
    #[error(
        "batch {batch} took longer than the {} ms for which its locks may be held and was rolled \
         back, {tries} times: the estimate of {} ms was wrong. Allow more with --max-stall, or try \
         at a quieter time",
        bound.as_millis(), estimate.as_millis()
    )]
    TooLong {
        /// The number of the batch, from 1.
        batch: usize,
        /// The bound.
        bound: Duration,
        /// What had been estimated.
        estimate: Duration,
        /// How often it was tried.
        tries: u32,
    },
    /// A table that is worked through in pieces never kept its files for long enough.
    #[error(
        "{relation} was given other files {times} times while its rows were carried over (VACUUM FULL or \
         CLUSTER): go on when nobody does that"
    )]
    Rewritten {
        /// The table.
        relation: QName,
        /// How often.
        times: u32,
    },
    /// A statement failed.
    #[error("step {number} failed: {error}")]
    Step {
        /// The number of the step.
        number: usize,
        /// What the server says.
        error: Box<ServerError>,
    },
    /// The server ran out of disk, memory or whatever else it has a limit of.
    #[error("the server ran out of what {} needs: {error}", step_or_journal(*number))]
    Exhausted {
        /// The number of the step, if it was the step that needed it.
        number: Option<usize>,
        /// What the server says.
        error: Box<ServerError>,
    },
    /// Something of ours around the steps failed.
    #[error(transparent)]
    Connection(Error),
    /// Somebody asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// Somebody on the server cancelled the statement.
    #[error("somebody cancelled the statement on the server: {error}")]
    Cancelled {
        /// What the server says.
        error: Box<ServerError>,
    },
    /// The connection was lost.
    #[error("the connection was lost: {reason}{}", if *certain { "" } else {
        "; whether the transaction that ran was committed could not be found out"
    })]
    Lost {
        /// The server's last words or the network's.
        reason: String,
        /// Whether what is done was found out on a new connection.
        certain: bool,
    },
    /// The stamp cannot be moved.
    #[error(transparent)]
    Stamp(StampError),
    /// The stamp was moved by somebody else meanwhile.
    #[error("the revision was moved by somebody else meanwhile")]
    StampMoved,
}

fn step_or_journal(number: Option<usize>) -> String {
    number.map_or_else(|| "the journal".to_owned(), |number| format!("step {number}"))
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.cause)?;
        match self.done.as_slice() {
            [] if self.nothing_done => f.write_str(" (nothing was changed)"),
            [] => Ok(()),
            done => {
                let done: Vec<String> = done.iter().map(ToString::to_string).collect();
                write!(f, " (of {} steps these are done: {})", self.of, done.join(", "))
            }
        }
    }
}

impl std::error::Error for Stopped {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}
