//! tmp
use crate::args::Global;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use clap::Args;
/// Show
#[derive(Debug, Args)]
pub(crate) struct Status {}
pub(crate) async fn run(_: &Status, _: &Global, _: &Output) -> Result<Exit, Failure> { Ok(Exit::Done) }
