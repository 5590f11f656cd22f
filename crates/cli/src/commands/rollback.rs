//! `reconcile rollback`.

use clap::Args;

use crate::args::{Approvals, Global};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::trouble::Trouble;

/// Undo the last apply, finished or not, from the journal
///
/// What was changed gets its former definition back, what was made goes. Columns that were added
/// go only if they hold no data.
#[derive(Debug, Args)]
pub(crate) struct Rollback {
    /// Do it without asking
    #[arg(long, short)]
    yes: bool,

    /// Let added columns go with the data that they hold
    #[arg(long)]
    allow_data_loss: bool,

    /// The run to undo; by default the last one
    #[arg(long, value_name = "NUMBER")]
    run: Option<i64>,

    #[command(flatten)]
    approvals: Approvals,
}

pub(crate) async fn run(args: &Rollback, _global: &Global, _output: &Output, _: &Interrupt) -> Result<Exit, Failure> {
    let _ = (args.yes, args.allow_data_loss, args.run, &args.approvals);
    Err(Trouble::new("rollback", "not there yet").into())
}
