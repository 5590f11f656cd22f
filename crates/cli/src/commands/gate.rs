//! `reconcile gate`.

use clap::{Args, ValueEnum};

use reconcile_kinds::gate::Test;
use reconcile_live::connect::Session;
use reconcile_live::probe::Failed;
use reconcile_report::{ProbeFailure, Verdict, gate_json, gate_text};
use reconcile_sql::quote_literal;

use crate::args::{Global, ModelPaths};
use crate::derive;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::side::Sides;
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

impl From<Binding> for reconcile_kinds::gate::Binding {
    fn from(binding: Binding) -> Self {
        match binding {
            Binding::Typed => Self::Typed,
            Binding::Untyped => Self::Untyped,
        }
    }
}

pub(crate) async fn run(args: &Gate, global: &Global, output: &Output) -> Result<Exit, Failure> {
    let mut sides = Sides::open(global, &args.model, output).await?;
    let options = derive::options(global, None)?;
    let derived = derive::between(&mut sides, &options, global).await?;
    let mut live = sides.live;
    let role = match (&args.app_role, live.session()) {
        (Some(role), Some(session)) => known_role(session, role).await?,
        _ => derived.snapshot.facts.current_role.clone(),
    };
    let judged = reconcile_plan::gate(
        &derived.difference,
        &derived.desired,
        &derived.difference.live,
        args.binding.into(),
        &role,
    );
    let mut probes = judged.probes;
    if live.session().is_none() {
        output.note("a snapshot has no roles: privileges are not asked about");
        probes.retain(|probe| matches!(probe.test, Test::Prepare { .. }));
    }
    let failed = match live.stand_in() {
        Some(session) => {
            reconcile_live::probe::probe(session, &probes).await.map_err(Trouble::from)?
        }
        None => {
            output.note("there is no server on which the statements could be tried");
            probes.clear();
            Vec::new()
        }
    };
    let verdict = Verdict {
        asked: probes.len(),
        obstacles: judged.broken,
        harmless: judged.harmless,
        failures: failed.into_iter().map(failure).collect(),
        unmanaged: derived.plan.unmanaged.values().sum(),
    };
    match args.format {
        Form::Text => output.result(&gate_text(&verdict, output.style))?,
        Form::Json => output.json(&gate_json(&live.label, &verdict))?,
    }
    live.close().await;
    Ok(if verdict.passes() { Exit::Done } else { Exit::Different })
}

fn failure(failed: Failed) -> ProbeFailure {
    let statement = match failed.probe.test {
        Test::Prepare { sql, .. } => Some(sql),
        Test::Holds(_) => None,
    };
    ProbeFailure {
        what: failed.probe.what,
        error: failed.error.map(|e| format!("{} ({})", e.message, e.sqlstate)),
        statement,
    }
}

/// Demands that a role exists: a privilege of a role that does not is no question.
async fn known_role(session: &mut Session, role: &str) -> Result<String, Failure> {
    let sql = format!("SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = {}", quote_literal(role));
    let rows = session.send(&sql).await.map_err(Trouble::from)?;
    if rows.is_empty() {
        let trouble =
            Trouble::new("role", format!("there is no role {role} in this database's server"));
        return Err(trouble
            .help("--app-role takes the role that the application logs in as, as \\du shows it.")
            .into());
    }
    Ok(role.to_owned())
}
