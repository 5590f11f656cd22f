//! What an apply tells while it is at work.

use std::time::Duration;

use reconcile_plan::{Batch, Step};
use reconcile_sql::QName;

use super::Pause;
use crate::blockers::Blocker;

/// Something that happened.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The run has its number in the journal.
    RunStarts {
        /// The number.
        run: i64,
    },
    /// A batch is about to be sent, for the first time or again.
    BatchStarts {
        /// Its number, from 1.
        number: usize,
        /// The batch.
        batch: &'a Batch,
        /// How often it was tried before.
        tries: usize,
    },
    /// Somebody is in the way; nothing is held meanwhile.
    Waiting {
        /// Who, as far as the role may see.
        blockers: &'a [Blocker],
        /// How long has been waited so far.
        waited: Duration,
        /// When the next try is made.
        retry_in: Duration,
    },
    /// A step is done, and committed if it is in a transaction.
    StepDone {
        /// The step.
        step: &'a Step,
    },
    /// Some more pieces of a step are done.
    Pieces {
        /// The step.
        step: &'a Step,
        /// How many are done.
        done: u64,
        /// How many there are.
        of: u64,
        /// How long the rest takes at this pace.
        left: Duration,
    },
    /// A step that is done in pieces waits for others to catch up.
    Paused {
        /// The step.
        step: &'a Step,
        /// For what.
        why: &'a [Pause],
        /// How long has been waited so far.
        paused: Duration,
    },
    /// The room of old versions of rows is made free, beside readers and writers.
    Vacuum {
        /// Whose rows.
        relation: &'a QName,
    },
    /// A batch is committed.
    BatchDone {
        /// Its number, from 1.
        number: usize,
        /// How long it waited for its locks.
        lock_wait: Duration,
        /// How long it held them.
        hold: Duration,
    },
}

/// Somebody who listens.
pub trait Watch {
    /// Takes an event.
    fn event(&mut self, event: Event<'_>);
}

/// Nobody who listens.
impl Watch for () {
    fn event(&mut self, _event: Event<'_>) {}
}
