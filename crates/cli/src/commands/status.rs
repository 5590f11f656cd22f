//! `reconcile status`.

use clap::{Args, ValueEnum};
use reconcile_live::connect::Session;
use reconcile_live::journal::{Journal, Run, RunState, StepState};
use reconcile_report::{RunLine, StepLine, status_text};
use serde_json::json;

use crate::args::Global;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::side::{Opened, Side};
use crate::trouble::Trouble;

/// Show what was applied: by whom, when, and how far an unfinished apply got
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// How many runs to show, the latest first
    #[arg(long, short = 'n', value_name = "NUMBER", default_value_t = 10)]
    limit: usize,

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

pub(crate) async fn run(args: &Status, global: &Global, output: &Output) -> Result<Exit, Failure> {
    let journal = Journal::named(&global.journal_schema).map_err(Trouble::from)?;
    let target = Side::live(global, output)?.database("status")?;
    let mut opened = Opened::new(target, global, true).await?;
    let session = &mut opened.session;
    let mut runs = Vec::new();
    if journal.exists(session).await.map_err(Trouble::from)? {
        for run in journal.runs(session).await.map_err(Trouble::from)?.into_iter().take(args.limit)
        {
            runs.push(line(&journal, session, run).await?);
        }
    }
    match args.format {
        Form::Text => output.result(&status_text(&opened.label, &runs, output.style))?,
        Form::Json => output.json(&json!({ "format": 1, "target": opened.label, "runs": runs }))?,
    }
    opened.session.close().await;
    Ok(Exit::Done)
}

async fn line(journal: &Journal, session: &mut Session, run: Run) -> Result<RunLine, Failure> {
    let steps = journal.steps(session, run.id).await.map_err(Trouble::from)?;
    let details = steps.into_iter().map(|step| StepLine {
        number: step.number,
        state: match step.state {
            StepState::Planned => "planned",
            StepState::Running => "running",
            StepState::Done => "done",
            StepState::Failed => "failed",
        }
        .to_owned(),
        summary: step.summary,
        lock_wait_ms: step.lock_wait_ms,
        hold_ms: step.hold_ms,
        pieces: step.pieces,
    });
    let acting = match run.role == run.login {
        true => run.login.clone(),
        false => format!("{} as {}", run.login, run.role),
    };
    Ok(RunLine {
        id: run.id,
        state: match run.state {
            RunState::Running => "running",
            RunState::Done => "done",
            RunState::Stopped => "stopped",
            RunState::RolledBack => "rolled back",
        }
        .to_owned(),
        unfinished: run.is_unfinished(),
        by: format!("{acting} from {} with reconcile {}", run.client, run.tool),
        started: run.started,
        finished: run.finished,
        undoes: run.undoes,
        ends: run.ends,
        continues: run.continues,
        stamp: run.stamp,
        error: run.error,
        steps: run.steps,
        steps_done: run.steps_done,
        details: details.collect(),
    })
}
