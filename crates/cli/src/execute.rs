//! What `apply` and `rollback` have in common: asking, doing, proving.

use std::time::Duration;

use reconcile_catalog::fingerprint;
use reconcile_diff::Change as DiffChange;
use reconcile_live::apply::{Applied, Bounds, Cause, Job, Settings, Stopped, apply};
use reconcile_live::connect::{Engine, Session};
use reconcile_live::derive::Derived;
use reconcile_live::introspect::{ReadOptions, introspect};
use reconcile_live::journal::{Journal, JournalError};
use reconcile_live::marks::Mark;
use reconcile_live::pooler::{Pooled, is_pooled};
use reconcile_live::privileges::lacking;
use reconcile_live::stamp::Stamp;
use reconcile_plan::Plan;
use reconcile_report::{count, duration};

use crate::args::Global;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::progress::Progress;
use crate::side::{Opened, Side};
use crate::trouble::Trouble;

/// How often a plan is made again while the definitions move under it.
const ATTEMPTS: usize = 3;

/// Opens the database for a change: directly, and only if it can be changed.
pub(crate) async fn open(
    command: &str,
    global: &Global,
    output: &Output,
) -> Result<Opened, Failure> {
    let target = Side::live(global, output)?.database(command)?;
    let timeout = Duration::from_secs(15);
    if let Pooled::Pooled { why } = is_pooled(&target, timeout).await.map_err(Trouble::from)? {
        let direct = match target.direct_host() {
            Some(host) => format!("Connect to the server itself: {host}"),
            None => "Connect to the server itself instead of its pooler.".to_owned(),
        };
        let message =
            format!("`{command}` needs a session of its own, and this connection is pooled: {why}");
        return Err(Failure::refused(Trouble::new("pooled", message).help(direct)));
    }
    let opened = Opened::new(target, global, false).await?;
    let session = &opened.session;
    let unfit = |message: String, help: &str| {
        Err(Failure::refused(Trouble::new("unfit_server", message).help(help)))
    };
    if session.engine != Engine::PostgreSql {
        return unfit(
            format!("{} is {}, not PostgreSQL itself", opened.label, session.engine.name()),
            "Its locks and transactions are others than those that a plan counts on; `plan` and `check` work.",
        );
    }
    if session.in_recovery {
        return unfit(
            format!("{} is a standby: it cannot be changed", opened.label),
            "Connect to the primary.",
        );
    }
    if session.read_only {
        return unfit(
            format!("transactions on {} are read-only", opened.label),
            "Look at default_transaction_read_only of the server, the database and the role.",
        );
    }
    Ok(opened)
}

/// Derives a plan, and takes the mark of what it touches from the same state.
pub(crate) async fn derive_marked(
    session: &mut Session,
    read: &ReadOptions,
    derive: impl AsyncFn(&mut Session) -> Result<Derived, Failure>,
) -> Result<(Derived, Mark), Failure> {
    for _ in 0..ATTEMPTS {
        let derived = derive(session).await?;
        let touched = &derived.plan.touched;
        let mark = Mark::take(session, touched).await.map_err(Trouble::from)?;
        // The mark is of the state that the plan was made for only if nothing moved in between.
        let now = introspect(session, read).await.map_err(Trouble::from)?;
        if fingerprint(&now.catalog, touched) == fingerprint(&derived.snapshot.catalog, touched) {
            return Ok((derived, mark));
        }
    }
    let message = "the definitions that the plan is about keep changing while it is made";
    Err(Failure::refused(
        Trouble::new("moving", message).help("Try again when nobody changes them."),
    ))
}

/// Demands that the role may do what the plan needs, and may keep the journal.
pub(crate) async fn allowed(
    session: &mut Session,
    derived: &Derived,
    global: &Global,
) -> Result<(), Failure> {
    let lacking = lacking(session, &derived.plan).await.map_err(Trouble::from)?;
    if !lacking.is_empty() {
        let lines: Vec<String> = lacking.iter().map(|lacking| format!("  {lacking}")).collect();
        let message = format!("privileges are missing:\n{}", lines.join("\n"));
        return Err(Failure::refused(Trouble::new("privileges", message).help(
            "Nothing was changed. (There is no GRANT ALTER in PostgreSQL: owning is what counts.)",
        )));
    }
    let journal = Journal::named(&global.journal_schema).map_err(Trouble::from)?;
    match journal.readiness(session).await {
        Ok(_) => Ok(()),
        Err(JournalError::Server(error)) => Err(Trouble::from(error).into()),
        Err(error) => Err(Failure::refused(Trouble::from(error).also("Nothing was changed."))),
    }
}

/// Says that a revision moves, and when.
pub(crate) fn moves(stamp: &Stamp) -> String {
    format!(
        "\nThe last transaction also moves alembic_version from {} to {}.",
        stamp.from, stamp.to
    )
}

/// Asks whether to go on, unless that has been said.
pub(crate) async fn confirm(question: &str, yes: bool, output: &Output) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !output.can_ask() {
        let trouble = Trouble::new("no_answer", "nobody can be asked: this is no terminal");
        return Err(Failure::refused(
            trouble.help("Nothing was changed. With --yes nobody is asked."),
        ));
    }
    match output.ask(question).await {
        true => Ok(()),
        false => Err(Failure::refused(Trouble::new("denied", "nothing was changed"))),
    }
}

/// Says that a plan is not carried out because of its refusals.
pub(crate) fn refusals(derived: &Derived) -> Failure {
    let number = derived.plan.refusals.len() as u64;
    Failure::refused(
        Trouble::new("refused", format!("{}: see above", count(number, "refusal", "refusals")))
            .help("Nothing was changed, and nothing will be until each of them is dealt with."),
    )
}

/// What a change is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    /// It brings a database to its model.
    Apply,
    /// It undoes a run.
    Rollback(i64),
    /// It ends an online change, and is this command.
    End(&'static str),
}

/// Something that is to be done.
#[derive(Debug)]
pub(crate) struct Change<'a> {
    /// The plan, and what it was made from.
    pub(crate) derived: &'a Derived,
    /// The mark of what it touches.
    pub(crate) mark: Mark,
    /// By which the same model is known again.
    pub(crate) model_digest: String,
    /// The revision to move.
    pub(crate) stamp: Option<Stamp>,
    /// Which command it is of.
    pub(crate) doing: Doing,
    /// How long to try where somebody holds a lock.
    pub(crate) wait: Duration,
    /// Guards that are lifted.
    pub(crate) lifted: Vec<String>,
    /// Whether work in pieces leaves half of the time to others.
    pub(crate) throttle: bool,
    /// How far others may fall behind before it waits for them.
    pub(crate) bounds: Bounds,
}

/// Does it.
pub(crate) async fn execute(
    session: &mut Session,
    change: Change<'_>,
    global: &Global,
    output: &Output,
    interrupt: &Interrupt,
) -> Result<Applied, Failure> {
    let Change { derived, mark, model_digest, stamp, doing, wait, lifted, throttle, bounds } =
        change;
    let job = Job {
        plan: &derived.plan,
        live: &derived.snapshot.catalog,
        mark,
        journal: Journal::named(&global.journal_schema).map_err(Trouble::from)?,
        fingerprint: fingerprint(&derived.snapshot.catalog, &derived.plan.touched),
        model_digest,
        tool: env!("CARGO_PKG_VERSION").to_owned(),
        stamp,
        undoes: if let Doing::Rollback(run) = doing { Some(run) } else { None },
        ends: matches!(doing, Doing::End(_)),
        settings: Settings { wait, lifted, throttle, bounds, ..Settings::default() },
    };
    let mut progress = Progress::new(output, &derived.plan);
    let result = apply(session, &job, &mut progress, &interrupt.raised()).await;
    result.map_err(|stopped| failure(&stopped, &derived.plan, doing))
}

/// What a stop means for the user: the exit status, what is done, what to do now.
fn failure(stopped: &Stopped, plan: &Plan, doing: Doing) -> Failure {
    let trouble = match &stopped.cause {
        Cause::Step { number, error } => {
            Trouble::server(error).because(&format!("step {number} failed"))
        }
        Cause::Exhausted { number, error } => {
            let what = number.map_or("the journal".to_owned(), |number| format!("step {number}"));
            let what = format!("the server ran out of what {what} needs");
            Trouble::server(error).because(&what).also(room(&error.sqlstate))
        }
        cause @ Cause::Guard { lifted_by: Some(by), .. } => {
            Trouble::new("guard", cause.to_string()).help(format!("{by} approves it."))
        }
        Cause::Connection(error) => Trouble::from(error.clone()),
        cause => Trouble::new("stopped", cause.to_string()),
    };
    if stopped.nothing_done {
        let trouble = trouble.also("Nothing was changed.");
        return match stopped.is_refusal() {
            true => Failure::refused(trouble),
            false => trouble.into(),
        };
    }
    let mut words = Vec::new();
    if !stopped.done.is_empty() {
        words.push(format!(
            "Done, and kept: {} of {}",
            stopped.done.len(),
            count(stopped.of as u64, "step", "steps")
        ));
        for step in plan.steps().filter(|step| stopped.done.contains(&step.number)) {
            words.push(format!("  {}. {}", step.number, step.summary.join("; ")));
        }
    }
    for leftover in &stopped.leftovers {
        words
            .push(format!("Step {} left {}: {}", leftover.step, leftover.relation, leftover.words));
    }
    words.push(match doing {
        Doing::End(command) => format!("`reconcile {command}` again goes on from here."),
        Doing::Rollback(_) => {
            "`reconcile rollback` again goes on from here; `reconcile apply` does what the model says."
                .to_owned()
        }
        Doing::Apply => {
            "`reconcile apply` again goes on from here; `reconcile rollback` undoes what is done."
                .to_owned()
        }
    });
    if is_online(plan) {
        words.extend(match doing {
            Doing::Apply => {
                Some("`reconcile abort` gives an online change up that is half done.".to_owned())
            }
            Doing::Rollback(_) => Some(
                "`reconcile abort` gives the way back of an online change up before the columns have changed names; \
                 until then writes of values that the old type cannot hold may fail (`reconcile status`)."
                    .to_owned(),
            ),
            Doing::End(_) => None,
        });
    }
    Failure::partial(trouble.also(&words.join("\n")))
}

/// The way out where the server ran out of something; what ran was rolled back.
fn room(sqlstate: &str) -> &'static str {
    match sqlstate {
        "53100" => {
            "A disk of the server is full, and what ran was rolled back. Make room on it: the log that a replication \
             slot keeps (pg_replication_slots) and temporary files are worth a look; VACUUM gives the rows that come \
             next the room of old ones."
        }
        "53200" => {
            "What ran was rolled back. The hint names the setting if it is locks (max_locks_per_transaction); else the \
             machine is short of memory."
        }
        _ => {
            "What ran was rolled back. It is a limit that somebody has set on the server, or for this role."
        }
    }
}

/// Derives the plan once more and demands that nothing is left to do.
///
/// What is put back to the letter may be spelt anew by the server (it deparses some expressions in
/// another way once it has read its own text), so a difference that nothing proves is none here.
pub(crate) async fn prove(
    session: &mut Session,
    derive: impl AsyncFn(&mut Session) -> Result<Derived, Failure>,
    applied: &Applied,
    exact: bool,
) -> Result<(), Failure> {
    let derived =
        derive(session).await.map_err(|failure| Failure { exit: Exit::Partial, ..failure })?;
    let proven = |change: &DiffChange| match change {
        DiffChange::Alter { desired, live, properties } => {
            desired != live || properties.iter().any(|property| property.proven)
        }
        DiffChange::Create(_) | DiffChange::Drop(_) | DiffChange::Rename { .. } => true,
    };
    let respelt =
        |plan: &Plan| (exact || plan.refusals.is_empty()) && !plan.changes.iter().any(proven);
    if derived.plan.is_empty() || respelt(&derived.plan) {
        return Ok(());
    }
    let steps = derived.plan.steps().map(|step| format!("  {}", step.summary.join("; ")));
    let refusals = derived.plan.refusals.iter().map(|refusal| format!("  {refusal}"));
    let left: Vec<String> = steps.chain(refusals).collect();
    let message = format!(
        "{} done, and the proof failed: this is left to do\n{}",
        count(applied.steps as u64, "step is", "steps are"),
        left.join("\n")
    );
    Err(Failure::partial(
        Trouble::new("proof", message).help(
            "Somebody else may have changed the database meanwhile: `reconcile plan` shows it.",
        ),
    ))
}

/// What to say when all is done.
pub(crate) fn closing(applied: &Applied, plan: &Plan, doing: Doing) -> String {
    let run = applied.run.map(|run| format!(" in run {run}")).unwrap_or_default();
    let hold = match applied.longest_hold.is_zero() {
        true => String::new(),
        false => format!("; locks were held for {} at the most", duration(applied.longest_hold)),
    };
    let done = match doing {
        Doing::Apply | Doing::End(_) => "Done".to_owned(),
        Doing::Rollback(run) => format!("Run {run} is undone"),
    };
    let stamp = if applied.stamped { " The revision is moved." } else { "" };
    let mut out = format!(
        "{done}: {}{run}{hold}.{stamp}\nProven: read again, the database needs no further step.\n",
        count(applied.steps as u64, "step", "steps")
    );
    if applied.steps > 0 && !matches!(doing, Doing::End(_)) {
        out.push_str(
            "Next: restart the application, or recycle its connection pools: open connections may hold \
             plans\nand types from before (`cached plan must not change result type`).\n",
        );
    }
    out.push_str(match doing {
        Doing::Apply => "`reconcile status` shows this run, `reconcile rollback` undoes it.\n",
        Doing::Rollback(_) | Doing::End(_) => "`reconcile status` shows this run.\n",
    });
    if is_online(plan) {
        out.push_str(
            "The old column is kept up to date for the way back, until `reconcile contract` drops it.\n",
        );
    }
    out
}

/// Whether a plan changes a column online.
fn is_online(plan: &Plan) -> bool {
    plan.steps().any(|step| step.pieces.is_some())
}
