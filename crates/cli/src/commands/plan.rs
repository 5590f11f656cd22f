//! `reconcile plan`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use reconcile_report::{document, preview, script};

use crate::args::{Approvals, Global, ModelPaths, Rehearsal, RehearseWhen};
use crate::derive;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::rehearsal;
use crate::side::Sides;
use crate::trouble::Trouble;

/// Show what would be done, and what it would lock and for how long
///
/// Nothing is changed. The exit status is 3 if something of the plan is refused, and with
/// --exit-code 2 if there is something to do.
#[derive(Debug, Args)]
pub(crate) struct Plan {
    #[command(flatten)]
    model: ModelPaths,

    /// The form of the output
    #[arg(long, value_enum, default_value_t = Form::Text)]
    format: Form,

    /// Save the plan for `apply --plan`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Also ask the rows whether they stand the plan, as `apply` does
    #[arg(long)]
    data: bool,

    /// Exit with status 2 if there is something to do
    #[arg(long)]
    exit_code: bool,

    #[command(flatten)]
    rehearsal: Rehearsal,

    #[command(flatten)]
    approvals: Approvals,
}

/// The form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people.
    Text,
    /// For programs: what --out saves.
    Json,
    /// A script for psql.
    Sql,
}

pub(crate) async fn run(args: &Plan, global: &Global, output: &Output) -> Result<Exit, Failure> {
    let mut sides = Sides::open(global, &args.model, output).await?;
    let options = derive::options(global, Some(&args.approvals))?;
    let derived = derive::between(&mut sides, &options, global).await?;
    let derived = derive::understood(derived, &sides.desired)?;
    let Sides { mut live, desired } = sides;
    let of = derive::preview(&live.label, &desired.names, &desired.not_compared, &derived);
    if let Some(path) = &args.out {
        save(path, &format!("{:#}\n", document(&of)))?;
    }
    match args.format {
        Form::Text => output.result(&preview(&of, output.style))?,
        Form::Json => output.json(&document(&of))?,
        Form::Sql => output.result(&script(&of, reconcile_live::reading::SETTINGS))?,
    }
    if args.rehearsal.rehearse == RehearseWhen::Always && derived.plan.refusals.is_empty() {
        rehearsal::demand(&derived, global, output).await?;
    }
    if args.data {
        let Some(session) = live.session() else {
            let message = format!("{} has no rows that could be asked", live.label);
            return Err(Trouble::new("no_rows", message).into());
        };
        if derive::rows_allow(session, &derived).await? {
            output.note("the rows stand the plan");
        }
    }
    live.close().await;
    Ok(match () {
        () if !derived.plan.refusals.is_empty() => Exit::Refused,
        () if args.exit_code && !derived.plan.is_empty() => Exit::Different,
        () => Exit::Done,
    })
}

fn save(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|error| {
        Trouble::new("out", format!("cannot write {}: {error}", path.display())).into()
    })
}
