//! `reconcile status`.

use std::time::Duration;

use clap::{Args, ValueEnum};
use reconcile_kinds::online::{Phase, Shadow};
use reconcile_live::connect::Session;
use reconcile_live::error::Error;
use reconcile_live::introspect::introspect;
use reconcile_live::journal::{Journal, Run, RunState, StepState};
use reconcile_live::standing::{Follower, Standing, standing};
use reconcile_live::strays;
use reconcile_report::{
    FollowerLine, Now, OnlineLine, RunLine, StepLine, WorkLine, called, status_text,
};
use serde_json::json;

use crate::args::Global;
use crate::derive;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::words;
use crate::side::{Opened, Side};
use crate::trouble::Trouble;

/// Show what was applied, by whom and when, and what is under way: how far it is, what it waits for
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
    let (mut runs, mut now) = (Vec::new(), Now::default());
    if journal.exists(session).await.map_err(Trouble::from)? {
        let standing = standing(session, &journal).await.map_err(Trouble::from)?;
        now.work = standing.map(work);
        for run in journal.runs(session).await.map_err(Trouble::from)?.into_iter().take(args.limit)
        {
            runs.push(line(&journal, session, run).await?);
        }
    }
    (now.online, now.strays) = online(session, &journal, &runs, global).await?;
    match args.format {
        Form::Text => output.result(&status_text(&opened.label, &now, &runs, output.style))?,
        Form::Json => output.json(
            &json!({ "format": 1, "target": opened.label, "online": now.online, "strays": now.strays, "work": now.work, "runs": runs }),
        )?,
    }
    opened.session.close().await;
    Ok(Exit::Done)
}

/// The online changes that are not at their end. While the columns change names nobody can look.
async fn online(
    session: &mut Session,
    journal: &Journal,
    runs: &[RunLine],
    global: &Global,
) -> Result<(Vec<OnlineLine>, Vec<String>), Failure> {
    let options = derive::options(global, None)?;
    let snapshot = match introspect(session, &options.read).await {
        Ok(snapshot) => snapshot,
        Err(Error::Blocked { .. } | Error::Moving { .. }) => return Ok(<_>::default()),
        Err(error) => return Err(Trouble::from(error).into()),
    };
    let strays = strays::find(Some(session), journal, &snapshot).await.map_err(Trouble::from)?;
    let strays = strays.iter().map(|(address, why)| format!("{}: {why}", called(address)));
    let afoot = &snapshot.afoot;
    let steps = runs.iter().take(1).flat_map(|run| &run.details);
    let mut pieces = steps.filter(|step| step.pieces.is_some()).peekable();
    // What the catalog does not tell: whether the rows are carried over.
    let carried = pieces.peek().is_some() && pieces.all(|step| step.state == "done");
    let now = |phase: Phase| if carried { phase.max(Phase::Preparing) } else { phase };
    let phases = afoot.phases().into_iter().map(|(shadow, phase)| (shadow, now(phase)));
    let line = |(shadow, phase): (&Shadow, Phase)| {
        OnlineLine {
        column: shadow.column.to_string(),
        phase: phase.to_string(),
        next: match phase {
            Phase::Changed => {
                "`reconcile contract` drops the old column, `reconcile rollback` changes the names back"
            }
            Phase::GoingBack => {
                "`reconcile rollback` goes on, `reconcile abort` gives the way back up"
            }
            Phase::CarryingOver | Phase::Preparing | Phase::Proving | Phase::Ready => {
                "`reconcile apply` goes on, `reconcile abort` gives it up"
            }
        }
        .to_owned(),
    }
    };
    Ok((phases.map(line).collect(), strays.collect()))
}

/// A run that is not at its end, in words and figures.
fn work(standing: Standing) -> WorkLine {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let follower = |follower: Follower| FollowerLine {
        name: follower.name,
        lag_ms: follower.lag.map(millis),
        behind_bytes: follower.bytes,
    };
    let mut out = WorkLine {
        run: standing.run,
        process: standing.pid,
        server: standing.build.map(|build| match build.of {
            0 => build.phase,
            of => format!("{}, {} of {of}", build.phase, build.done),
        }),
        blocked_by: standing.blockers.iter().map(ToString::to_string).collect(),
        followers: standing.followers.into_iter().map(follower).collect(),
        ..WorkLine::default()
    };
    let Some(step) = standing.step else { return out };
    (out.step, out.summary) = (Some(step.number), Some(step.summary));
    out.since_ms = step.since.map(millis);
    if let Some((why, waited)) = &step.waits {
        out.waits_for = why.iter().map(words::pause).collect();
        out.waited_ms = Some(millis(*waited));
    }
    if let Some(done) = step.pieces {
        (out.blocks, out.rows) = (Some((done.done, done.of)), done.rows());
        out.rows_per_second = step.since.and_then(|since| done.rate(since));
        out.left_ms = step.since.and_then(|since| done.left(since)).map(millis);
    }
    out
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
