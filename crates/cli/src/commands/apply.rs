//! `reconcile apply`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use reconcile_live::backup::backup;
use reconcile_live::connect::Session;
use reconcile_live::derive::Derived;
use reconcile_live::stamp::{Stamp, StampError};
use reconcile_report::{Needs, PlanFile, Preview, preview, space, step_changes};
use reconcile_sql::{QName, ServerVersion};

use crate::args::{Approvals, Bridge, Global, ModelPaths, Pacing, Rehearsal, RehearseWhen};
use crate::commands::online;
use crate::derive;
use crate::execute::{self, Change, Doing};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::rehearsal;
use crate::side::Wish;
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

    /// First save the definitions, and the rows of the touched tables, there with pg_dump
    #[arg(long, value_name = "DIR")]
    backup: Option<PathBuf>,

    /// The pg_dump to use for --backup
    #[arg(long, value_name = "FILE")]
    pg_dump: Option<PathBuf>,

    /// Move a migration tool's revision with the last step: alembic=OLD..NEW
    #[arg(long, value_name = "TOOL=OLD..NEW")]
    stamp: Option<String>,

    /// How long to go on trying where somebody else holds a lock
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = crate::duration::parse)]
    wait: Duration,

    #[command(flatten)]
    pacing: Pacing,

    /// End an online change at once: drop the old column, which is the way back
    #[arg(long)]
    contract: bool,

    #[command(flatten)]
    bridge: Bridge,

    #[command(flatten)]
    rehearsal: Rehearsal,

    #[command(flatten)]
    approvals: Approvals,
}

pub(crate) async fn run(
    args: &Apply,
    global: &Global,
    output: &Output,
    interrupt: &Interrupt,
) -> Result<Exit, Failure> {
    let stamp = args.stamp.as_deref().map(Stamp::parse).transpose().map_err(stamp_error)?;
    let saved = args.plan.as_deref().map(read_plan).transpose()?;
    let wish = Wish::read(&args.model, output)?;
    let mut options = derive::options(global, Some(&args.approvals))?;
    options.bridge = args.bridge.bridge || saved.as_ref().is_some_and(|saved| saved.bridge);

    let mut opened = interrupt.or(execute::open("apply", global, output)).await?;
    let session = &mut opened.session;
    let version = ServerVersion(session.version);
    let opening = wish.open(global, Some(version.major()), Some(session), output);
    let desired = interrupt.or(opening).await?;
    desired.compare_versions(Some(version), output);
    let session = &mut opened.session;
    let again =
        async |session: &mut Session| derive::derive(session, &desired, &options, global).await;
    let (mut derived, mark) =
        interrupt.or(execute::derive_marked(session, &options.read, again)).await?;
    interrupt.or(derive::look_at_statements(session, &mut derived)).await?;
    let stamp_to_move = match &stamp {
        Some(stamp) => !stamp.look(session).await.map_err(stamp_error)?.already,
        None => false,
    };
    let of = derive::preview(&opened.label, &desired.names, &desired.not_compared, &derived);
    if let Some(saved) = &saved {
        same_steps(saved, &of, output)?;
    }
    output.result(&preview(&of, output.style))?;
    if !derived.plan.refusals.is_empty() {
        return Err(execute::refusals(&derived));
    }
    if let Some(stamp) = stamp.as_ref().filter(|_| stamp_to_move) {
        output.result(&execute::moves(stamp))?;
    }
    if derived.plan.batches.is_empty() && !stamp_to_move {
        return Ok(Exit::Done);
    }
    let session = &mut opened.session;
    interrupt.or(execute::allowed(session, &derived, global)).await?;
    interrupt.or(derive::rows_allow(session, &derived)).await?;
    if args.rehearsal.rehearse != RehearseWhen::Never {
        interrupt.or(rehearsal::demand(&derived, global, output)).await?;
    }
    let moving = stamp.as_ref().filter(|_| stamp_to_move);
    interrupt.or(execute::confirm(&question(&derived, moving), args.yes, output)).await?;
    if let Some(dir) = &args.backup {
        interrupt.or(save(session, dir, args, global, &derived, output)).await?;
    }
    let change = Change {
        derived: &derived,
        mark,
        model_digest: desired.model.digest(),
        stamp,
        doing: Doing::Apply,
        wait: args.wait,
        lifted: Vec::new(),
        throttle: args.pacing.throttles(),
        bounds: args.pacing.bounds(),
    };
    let applied = execute::execute(session, change, global, output, interrupt).await?;
    execute::prove(session, again, &applied, false).await?;
    output.result(&execute::closing(&applied, &derived.plan, Doing::Apply))?;
    opened.session.close().await;
    match args.contract {
        true => online::contract_now(args.wait, &args.approvals, global, output, interrupt).await,
        false => Ok(Exit::Done),
    }
}

fn read_plan(path: &Path) -> Result<PlanFile, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Trouble::new("plan_file", format!("cannot read {}: {error}", path.display()))
    })?;
    let plan = PlanFile::read(&text).map_err(Trouble::from);
    plan.map_err(|trouble| trouble.because(&path.display().to_string()).into())
}

/// Demands that the plan is still the saved one, or what is left of it.
fn same_steps(saved: &PlanFile, now: &Preview<'_>, output: &Output) -> Result<(), Failure> {
    let plan = now.plan;
    if plan.batches.is_empty() && plan.refusals.is_empty() {
        output.note("nothing of the saved plan is left to do");
        return Ok(());
    }
    if saved.digest == plan.digest() {
        if saved.fingerprint != reconcile_catalog::fingerprint(now.live, &plan.touched) {
            output.note(
                "what the plan touches was changed since it was saved; the steps are the same",
            );
        }
        return Ok(());
    }
    if saved.ends_with(plan) {
        output.note("the beginning of the saved plan is done; this is the rest of it");
        return Ok(());
    }
    let trouble = Trouble::new(
        "stale_plan",
        format!(
            "the saved plan is stale: today other steps lead to the model\n{}",
            step_changes(saved, plan).trim_end()
        ),
    );
    Err(Failure::refused(
        trouble.help("Nothing was changed. Look at it again with `reconcile plan --out`."),
    ))
}

fn question(derived: &Derived, stamp: Option<&Stamp>) -> String {
    let steps = derived.plan.steps().count();
    let moving =
        stamp.map(|stamp| format!("move the revision from {} to {}", stamp.from, stamp.to));
    let steps = match steps {
        0 => None,
        1 => Some("apply this step".to_owned()),
        many => Some(format!("apply these {many} steps")),
    };
    let words: Vec<String> = steps.into_iter().chain(moving).collect();
    let mut text = words.join(" and ");
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    if let Some(Needs { disk, wal }) = space(&derived.plan) {
        text.push_str(&format!(
            ", which needs about {disk} more on disk and writes about {wal} of WAL"
        ));
    }
    format!("{text}?")
}

async fn save(
    session: &mut Session,
    dir: &Path,
    args: &Apply,
    global: &Global,
    derived: &Derived,
    output: &Output,
) -> Result<(), Failure> {
    let relations: std::collections::BTreeSet<QName> = derived
        .plan
        .touched
        .iter()
        .filter_map(|address| match address.path() {
            [namespace, name, ..] => Some(QName::new(namespace, name)),
            _ => None,
        })
        .collect();
    let relations: Vec<QName> = relations.into_iter().collect();
    let beside =
        global.pg_bin.as_ref().map(|bin| bin.join("pg_dump")).filter(|path| path.is_file());
    let program = args.pg_dump.clone().or(beside);
    output.progress("saving a backup with pg_dump");
    let files = backup(session, dir, &relations, program.as_deref()).await.map_err(|error| {
        let trouble = Trouble::new("backup", error.to_string());
        Failure::refused(trouble.help("Nothing was changed: without the backup, nothing is."))
    })?;
    for file in files {
        output.progress(&format!("saved {}", file.display()));
    }
    Ok(())
}

fn stamp_error(error: StampError) -> Failure {
    match error {
        StampError::Server(error) => Trouble::from(error).into(),
        StampError::Malformed { .. } | StampError::UnknownTool { .. } => {
            Trouble::new("stamp", error.to_string()).into()
        }
        other => Failure::refused(Trouble::new("stamp", other.to_string())),
    }
}
