//! A run that did not end well: what to say, and the exit status.

use reconcile_model::Diagnostics;

use crate::exit::Exit;
use crate::trouble::Trouble;

/// Why a command ended without its result.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit status.
    pub(crate) exit: Exit,
    /// What to show, one after the other.
    pub(crate) reports: Vec<miette::Report>,
}

impl Failure {
    /// A refusal: nothing was changed.
    pub(crate) fn refused(trouble: Trouble) -> Self {
        Self { exit: Exit::Refused, reports: vec![trouble.into()] }
    }

    /// Something was changed, and not all of it, or the proof failed.
    pub(crate) fn partial(trouble: Trouble) -> Self {
        Self { exit: Exit::Partial, reports: vec![trouble.into()] }
    }

    /// Problems of the model.
    pub(crate) fn model(problems: Diagnostics) -> Self {
        Self { exit: Exit::Error, reports: problems.into_iter().map(Into::into).collect() }
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        Self { exit: Exit::Error, reports: vec![trouble.into()] }
    }
}
