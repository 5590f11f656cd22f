//! `reconcile gate`.

use clap::{Args, ValueEnum};

use crate::args::{Global, ModelPaths};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::trouble::Trouble;

/// Tell whether the application that the model describes may run on this database now
///
/// Compatible is enough. The exit status is 2 if a statement of the application could fail.
#[derive(Debug, Args)]
pub(crate) struct Gate {
    #[command(flatten)]
    model: ModelPaths,

    /// The role that the application logs in as
    #[arg(long, value_name = "ROLE")]
    app_role: Option<String>,

    /// How the application's driver binds its values
    #[arg(long, value_enum, default_value_t = Binding::Typed)]
    binding: Binding,

    /// The form of the output
    #[arg(long, value_enum, default_value_t = Form::Text)]
    format: Form,
}

/// How a driver binds values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Binding {
    /// With the model's types: asyncpg, psycopg 3, JDBC.
    Typed,
    /// As text of no type: psycopg2.
    Untyped,
}

/// The form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people.
    Text,
    /// For programs.
    Json,
}

pub(crate) async fn run(args: &Gate, _global: &Global, _output: &Output) -> Result<Exit, Failure> {
    let _ = (&args.model, &args.app_role, args.binding, args.format);
    Err(Trouble::new("gate", "not there yet").into())
}
