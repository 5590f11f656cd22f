//! `reconcile check`.

use clap::{Args, ValueEnum};
use reconcile_report::{Finding, Standing, check_json, check_text, findings};

use crate::args::{Global, ModelPaths};
use crate::derive;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::side::Sides;

/// Tell whether the database is as the model says, fact by fact
///
/// Nothing is changed. The exit status is 2 if something is missing, differs, is extra or stays
/// unproven, and if an online change has left something that no journal knows.
#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    model: ModelPaths,

    /// Show differences only
    #[arg(long, short)]
    quiet: bool,

    /// Take what is extra in a section that the model states in full for no difference
    #[arg(long)]
    allow_extra: bool,

    /// The form of the output
    #[arg(long, value_enum, default_value_t = Form::Text)]
    format: Form,
}

/// The form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people.
    Text,
    /// For programs.
    Json,
}

pub(crate) async fn run(args: &Check, global: &Global, output: &Output) -> Result<Exit, Failure> {
    let mut sides = Sides::open(global, &args.model, output).await?;
    let options = derive::options(global, None)?;
    let derived = derive::between(&mut sides, &options, global).await?;
    let mut live = sides.live;
    let mut found = findings(&derived.difference, &derived.desired);
    for (address, why) in derive::astray(live.session(), &derived, global).await? {
        found.retain(|finding| finding.address != address);
        found.push(Finding::stray(&address, &why.to_string()));
    }
    let unmanaged = &derived.plan.unmanaged;
    match args.format {
        Form::Text => output.result(&check_text(&found, unmanaged, args.quiet, output.style))?,
        Form::Json => output.json(&check_json(&live.label, &found, unmanaged, args.quiet))?,
    }
    live.close().await;
    let differs = found.iter().any(|finding| match finding.standing {
        Standing::Ok => false,
        Standing::Extra => finding.forbidden || !args.allow_extra,
        Standing::Missing | Standing::Differs | Standing::Unproven => true,
    });
    Ok(if differs { Exit::Different } else { Exit::Done })
}
