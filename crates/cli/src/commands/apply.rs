//! `reconcile apply`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::args::{Approvals, Global, ModelPaths};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::trouble::Trouble;

/// Show the plan, ask, do it, and prove that nothing is left to do
///
/// Every transaction is short and gives up rather than hold others up for longer than it says.
/// What was there before is kept in a journal for `rollback`. Again is a no-op; after an end part
/// way, again goes on.
#[derive(Debug, Args)]
pub(crate) struct Apply {
    #[command(flatten)]
    model: ModelPaths,

    /// Do exactly what this saved plan says, or nothing
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,

    /// Do it without asking
    #[arg(long, short)]
    yes: bool,

    /// First save the schema and the rows of the touched tables there, with pg_dump
    #[arg(long, value_name = "DIR")]
    backup: Option<PathBuf>,

    /// Move a migration tool's revision with the last step: alembic=OLD..NEW
    #[arg(long, value_name = "TOOL=OLD..NEW")]
    stamp: Option<String>,

    /// How long to go on trying where somebody else holds a lock
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = crate::duration::parse)]
    wait: Duration,

    #[command(flatten)]
    approvals: Approvals,
}

pub(crate) async fn run(args: &Apply, _global: &Global, _output: &Output, _: &Interrupt) -> Result<Exit, Failure> {
    let _ = (&args.model, &args.plan, args.yes, &args.backup, &args.stamp, args.wait, &args.approvals);
    Err(Trouble::new("apply", "not there yet").into())
}
