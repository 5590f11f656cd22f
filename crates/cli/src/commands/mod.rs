//! One file a command; the doc comment of its arguments is its help.

pub(crate) mod apply;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod gate;
pub(crate) mod inspect;
pub(crate) mod online;
pub(crate) mod plan;
pub(crate) mod rollback;
pub(crate) mod schema;
pub(crate) mod status;

use crate::args::{Cli, Command};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::Output;

/// Runs a command.
pub(crate) async fn run(cli: Cli, output: &Output) -> Result<Exit, Failure> {
    let interrupt = Interrupt::install()?;
    let global = &cli.global;
    match &cli.command {
        Command::Plan(args) => interrupt.or(plan::run(args, global, output)).await,
        Command::Apply(args) => apply::run(args, global, output, &interrupt).await,
        Command::Check(args) => interrupt.or(check::run(args, global, output)).await,
        Command::Gate(args) => interrupt.or(gate::run(args, global, output)).await,
        Command::Inspect(args) => interrupt.or(inspect::run(args, global, output)).await,
        Command::Status(args) => interrupt.or(status::run(args, global, output)).await,
        Command::Rollback(args) => rollback::run(args, global, output, &interrupt).await,
        Command::Contract(args) => online::contract(args, global, output, &interrupt).await,
        Command::Abort(args) => online::abort(args, global, output, &interrupt).await,
        Command::Schema(args) => schema::run(args, output),
        Command::Completions(args) => completions::run(args, output),
    }
}
