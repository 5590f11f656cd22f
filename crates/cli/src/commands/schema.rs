//! `reconcile schema`.

use clap::Args;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;

/// Print the JSON Schema of a model file, for editors
///
/// Save it beside the model and begin each file with
/// `# yaml-language-server: $schema=./reconcile.schema.json`.
#[derive(Debug, Args)]
pub(crate) struct Schema {}

pub(crate) fn run(_: &Schema, output: &Output) -> Result<Exit, Failure> {
    output.result(&reconcile_model::json_schema())?;
    Ok(Exit::Done)
}
