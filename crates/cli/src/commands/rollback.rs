//! `reconcile rollback`.

use std::collections::BTreeSet;
use std::time::Duration;

use clap::Args;
use reconcile_catalog::{Address, Catalog, Object};
use reconcile_diff::renames;
use reconcile_kinds::Formula;
use reconcile_live::connect::Session;
use reconcile_live::derive::{DeriveOptions, Derived, derive_from};
use reconcile_live::introspect::introspect;
use reconcile_live::journal::{Journal, Run, RunState, Saved};
use reconcile_live::stamp::Stamp;
use reconcile_report::{count, preview};

use crate::args::{Approvals, Global, Pacing};
use crate::derive;
use crate::execute::{self, Change, Doing};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::trouble::Trouble;

/// The approval that lifts the guards of drops.
const DATA_LOSS: &str = "--allow-data-loss";

/// Undo the last apply, finished or not, from the journal
///
/// What was changed gets its former definition back, what was made goes, and a revision that was
/// moved moves back. Columns that were added go only if they hold no data.
#[derive(Debug, Args)]
pub(crate) struct Rollback {
    /// Do it without asking
    #[arg(long, short)]
    yes: bool,

    /// Let what was added go with the data that it holds
    #[arg(long)]
    allow_data_loss: bool,

    /// The run to undo, which has to be the last; for scripts that know which one they mean
    #[arg(long, value_name = "NUMBER")]
    run: Option<i64>,

    /// How long to go on trying where somebody else holds a lock
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = crate::duration::parse)]
    wait: Duration,

    #[command(flatten)]
    pacing: Pacing,

    #[command(flatten)]
    approvals: Approvals,
}

pub(crate) async fn run(
    args: &Rollback,
    global: &Global,
    output: &Output,
    interrupt: &Interrupt,
) -> Result<Exit, Failure> {
    let journal = Journal::named(&global.journal_schema).map_err(Trouble::from)?;
    let mut opened = interrupt.or(execute::open("rollback", global, output)).await?;
    let session = &mut opened.session;
    let Some(run) = interrupt.or(find(&journal, session, args.run)).await? else {
        output.result("Nothing to undo: the journal knows no apply that is not undone.")?;
        return Ok(Exit::Done);
    };
    let saved = journal.saved_objects(session, run.id).await.map_err(Trouble::from)?;
    let mut options = derive::options(global, Some(&args.approvals))?;
    options.approvals.drop = vec!["all".to_owned()];
    options.approvals.only_if_empty = !args.allow_data_loss;
    options.exact = true;

    let again = async |session: &mut Session| back(session, &options, &saved).await;
    let (derived, mark) =
        interrupt.or(execute::derive_marked(session, &options.read, again)).await?;
    let from = [format!("the journal: what was there before run {} of {}", run.id, run.started)];
    let nothing = derive::Names::new();
    let of = derive::preview(&opened.label, &from, &nothing, &derived);
    output.result(&preview(&of, output.style))?;
    let stamp = run.stamp.as_ref().map(|(from, to)| Stamp { from: to.clone(), to: from.clone() });
    if let Some(stamp) = &stamp {
        output.result(&execute::moves(stamp))?;
    }
    if !derived.plan.refusals.is_empty() {
        return Err(execute::refusals(&derived));
    }
    let half = derived.snapshot.afoot.columns.iter().find(|(_, swapped)| !swapped);
    if let Some((shadow, _)) = half {
        let message = format!("an online change of {} is half done", shadow.column);
        return Err(Failure::refused(
            Trouble::new("half_done", message)
                .help("Nothing was changed. `reconcile abort` takes it away; `rollback` then undoes the rest."),
        ));
    }
    let session = &mut opened.session;
    interrupt.or(execute::allowed(session, &derived, global)).await?;
    interrupt.or(derive::rows_allow(session, &derived)).await?;
    if !args.allow_data_loss {
        interrupt.or(nothing_lost(session, &derived)).await?;
    }
    let steps = derived.plan.steps().count() as u64;
    let question = format!("Undo run {} with these {}?", run.id, count(steps, "step", "steps"));
    interrupt.or(execute::confirm(&question, args.yes, output)).await?;
    let lifted = if args.allow_data_loss { vec![DATA_LOSS.to_owned()] } else { Vec::new() };
    let doing = Doing::Rollback(run.id);
    let change = Change {
        derived: &derived,
        mark,
        model_digest: format!("rollback of run {}", run.id),
        stamp,
        doing,
        wait: args.wait,
        lifted,
        throttle: args.pacing.throttles(),
        bounds: args.pacing.bounds(),
    };
    let applied = execute::execute(session, change, global, output, interrupt).await?;
    let asked = DeriveOptions { exact: false, ..options.clone() };
    let again = async |session: &mut Session| back(session, &asked, &saved).await;
    execute::prove(session, again, &applied, true).await?;
    output.result(&execute::closing(&applied, &derived.plan, doing))?;
    opened.session.close().await;
    Ok(Exit::Done)
}

/// The run to undo.
async fn find(
    journal: &Journal,
    session: &mut Session,
    wanted: Option<i64>,
) -> Result<Option<Run>, Failure> {
    if !journal.exists(session).await.map_err(Trouble::from)? {
        return Ok(None);
    }
    let last = journal.last_to_undo(session).await.map_err(Trouble::from)?;
    let Some(wanted) = wanted else { return Ok(last) };
    if last.as_ref().is_some_and(|run| run.id == wanted) {
        return Ok(last);
    }
    let runs = journal.runs(session).await.map_err(Trouble::from)?;
    let why = match runs.iter().find(|run| run.id == wanted) {
        None => "the journal has no such run",
        Some(run) if run.state == RunState::RolledBack => "it is undone already",
        Some(run) if run.undoes.is_some() => "it is a rollback itself",
        Some(run) if run.ends => {
            "it ended an online change, and the values that it dropped are gone"
        }
        Some(_) => "it is not the last one, and what came later builds on it",
    };
    let help = match last {
        Some(run) => format!("The run that can be undone is {}.", run.id),
        None => "There is no run that can be undone.".to_owned(),
    };
    let message = format!("run {wanted} cannot be undone: {why}");
    Err(Failure::refused(Trouble::new("rollback", message).help(help)))
}

/// Derives the way back: what is there now, with what was touched as it was before.
async fn back(
    session: &mut Session,
    options: &DeriveOptions,
    saved: &[Saved],
) -> Result<Derived, Failure> {
    let snapshot = introspect(session, &options.read).await.map_err(Trouble::from)?;
    let desired = overlaid(&snapshot.catalog, saved);
    let derived = derive_from(session, options, snapshot, desired).await.map_err(Trouble::from)?;
    let Some(fault) = derived.faults.first() else { return Ok(derived) };
    let Formula { address, text, .. } = &fault.formula;
    let message = format!("the way back of {address} ({text}) cannot be used: {}", fault.reason);
    Err(Failure::refused(Trouble::new("rollback", message).help("Nothing was changed.")))
}

/// A catalog with some of its objects as they were before, under the names that they had; what was
/// not there is forbidden, unless it is one of them under a new name.
fn overlaid(live: &Catalog, saved: &[Saved]) -> Catalog {
    let live = &live.renamed(&renames(&named_as_before(saved), live));
    let replaced: BTreeSet<&Address> = saved.iter().map(|saved| &saved.address).collect();
    let mut desired = Catalog::new();
    let kept = live.objects().filter(|object| !replaced.contains(&object.address)).cloned();
    let mut renamed = BTreeSet::new();
    let before = named_as_before(saved);
    let restored = before.in_place().cloned().map(|mut object| {
        if let Some(now) = present_name(&object, live, saved) {
            object.renamed_from = Some(now.name().to_owned());
            renamed.insert(now);
        }
        object
    });
    for object in kept.chain(restored) {
        // Addresses are unique on both sides, and the two have none in common.
        let _ = desired.insert(object);
    }
    for gone in
        saved.iter().filter(|saved| saved.object.is_none() && !renamed.contains(&saved.address))
    {
        desired.forbid(gone.address.clone());
    }
    desired
}

/// What was there before, with the names that the run gave to it.
fn named_as_before(saved: &[Saved]) -> Catalog {
    let mut out = Catalog::new();
    for Saved { address: _, object, renamed_to } in saved {
        if let Some(mut object) = object.clone() {
            object.renamed_from = renamed_to.as_ref().map(|after| after.name().to_owned());
            // Each address is saved once.
            let _ = out.insert(object);
        }
    }
    out
}

/// The address that an object has today, if it was renamed: what was not there before, stands
/// beside it and is the same to the letter, can only be it.
fn present_name(before: &Object, live: &Catalog, saved: &[Saved]) -> Option<Address> {
    if live.contains(&before.address) || before.parent.is_none() {
        return None;
    }
    let definition = before.definition.to_json();
    let mut same =
        saved.iter().filter(|s| s.object.is_none()).filter_map(|s| live.get(&s.address)).filter(
            |now| {
                now.address.kind() == before.address.kind()
                    && now.parent == before.parent
                    && now.definition.to_json() == definition
            },
        );
    let found = same.next()?.address.clone();
    same.next().is_none().then_some(found)
}

/// Asks the guards of the drops before anything is touched; each is asked again under its lock.
async fn nothing_lost(session: &mut Session, derived: &Derived) -> Result<(), Failure> {
    let mut lines = Vec::new();
    let today = derived.plan.renames.former_names();
    for guard in derived.plan.steps().flat_map(|step| &step.guards) {
        let sql = format!("SELECT ({}) AS number", today.of_text(&guard.sql, None));
        let rows = session.send(&sql).await.map_err(Trouble::from)?;
        let number = rows.first().and_then(|row| row.get("number")).unwrap_or("0").to_owned();
        if number != "0" {
            lines.push(format!("  {number} {}", guard.complaint));
        }
    }
    if lines.is_empty() {
        return Ok(());
    }
    let message = format!("data would be lost:\n{}", lines.join("\n"));
    Err(Failure::refused(
        Trouble::new("data_loss", message)
            .help(format!("Nothing was changed. Save them, or approve the loss with {DATA_LOSS}.")),
    ))
}
