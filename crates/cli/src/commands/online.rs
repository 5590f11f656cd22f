//! `reconcile contract` and `reconcile abort`: the two ends of an online change.
//!
//! Both take away what it has made. What tells them apart is whether the columns have changed names: what goes
//! is the old column after that, and the new one before. A way back that was begun is given up like a change.

use std::time::Duration;

use clap::Args;
use reconcile_catalog::{Address, Object};
use reconcile_kinds::online::split;
use reconcile_live::apply::Bounds;
use reconcile_live::connect::Session;
use reconcile_live::derive::{DeriveOptions, Derived, derive_from};
use reconcile_live::introspect::introspect;
use reconcile_report::{count, preview};

use crate::args::{Approvals, Global};
use crate::derive;
use crate::execute::{self, Change, Doing};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::trouble::Trouble;

/// End an online change: drop the old column, which is the way back
///
/// After `apply` has changed a column's type online, the old column is kept up to date, so that
/// `rollback` only has to look at the rows and change the names back. This takes it away, with its
/// indexes, its trigger, and the type that nothing else uses.
#[derive(Debug, Args)]
pub(crate) struct Contract {
    #[command(flatten)]
    ending: Ending,
}

/// Give an online change up before the columns have changed names, and remove every trace of it
///
/// Of a `rollback` that was stopped before the columns changed names back, it takes away what that demands of
/// the old column, so that every value of the new type can be written again.
#[derive(Debug, Args)]
pub(crate) struct Abort {
    #[command(flatten)]
    ending: Ending,
}

/// What both ends take.
#[derive(Debug, Args)]
pub(crate) struct Ending {
    /// Do it without asking
    #[arg(long, short)]
    yes: bool,

    /// How long to go on trying where somebody else holds a lock
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = crate::duration::parse)]
    wait: Duration,

    #[command(flatten)]
    approvals: Approvals,
}

/// Which end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Contract,
    Abort,
}

impl End {
    fn command(self) -> &'static str {
        match self {
            Self::Contract => "contract",
            Self::Abort => "abort",
        }
    }
}

pub(crate) async fn contract(
    args: &Contract,
    global: &Global,
    output: &Output,
    interrupt: &Interrupt,
) -> Result<Exit, Failure> {
    run(End::Contract, &args.ending, global, output, interrupt).await
}

/// The same after an apply, which has asked already.
pub(crate) async fn contract_now(
    wait: Duration,
    approvals: &Approvals,
    global: &Global,
    output: &Output,
    interrupt: &Interrupt,
) -> Result<Exit, Failure> {
    let ending = Ending { yes: true, wait, approvals: approvals.clone() };
    run(End::Contract, &ending, global, output, interrupt).await
}

pub(crate) async fn abort(
    args: &Abort,
    global: &Global,
    output: &Output,
    interrupt: &Interrupt,
) -> Result<Exit, Failure> {
    run(End::Abort, &args.ending, global, output, interrupt).await
}

async fn run(
    end: End,
    args: &Ending,
    global: &Global,
    output: &Output,
    interrupt: &Interrupt,
) -> Result<Exit, Failure> {
    let mut opened = interrupt.or(execute::open(end.command(), global, output)).await?;
    let mut options = derive::options(global, Some(&args.approvals))?;
    options.read.whole = true;
    options.approvals.drop = vec!["all".to_owned()];
    options.exact = true;
    let session = &mut opened.session;
    let again = async |session: &mut Session| without(end, session, &options).await;
    let (derived, mark) =
        interrupt.or(execute::derive_marked(session, &options.read, again)).await?;
    if derived.plan.is_empty() {
        output.result(&nothing(end, &derived))?;
        return Ok(Exit::Done);
    }
    let from =
        [format!("what is there, without what the online change made (`{}`)", end.command())];
    let nothing = derive::Names::new();
    let of = derive::preview(&opened.label, &from, &nothing, &derived);
    output.result(&preview(&of, output.style))?;
    if !derived.plan.refusals.is_empty() {
        return Err(execute::refusals(&derived));
    }
    let session = &mut opened.session;
    interrupt.or(execute::allowed(session, &derived, global)).await?;
    let steps = derived.plan.steps().count() as u64;
    let question = match end {
        End::Contract => "End the online change with these",
        End::Abort => "Give the online change up with these",
    };
    let question = format!("{question} {}?", count(steps, "step", "steps"));
    interrupt.or(execute::confirm(&question, args.yes, output)).await?;
    let doing = Doing::End(end.command());
    let change = Change {
        derived: &derived,
        mark,
        model_digest: format!("{} of an online change", end.command()),
        stamp: None,
        doing,
        wait: args.wait,
        lifted: Vec::new(),
        throttle: true,
        bounds: Bounds::default(),
    };
    let applied = execute::execute(session, change, global, output, interrupt).await?;
    let again = async |session: &mut Session| without(end, session, &options).await;
    execute::prove(session, again, &applied, true).await?;
    output.result(&execute::closing(&applied, &derived.plan, doing))?;
    opened.session.close().await;
    Ok(Exit::Done)
}

fn nothing(end: End, derived: &Derived) -> String {
    let others: Vec<String> = derived
        .snapshot
        .afoot
        .columns
        .iter()
        .map(|(shadow, _)| shadow.column.to_string())
        .collect();
    let why = match (others.is_empty(), end) {
        (true, _) => "no online change is afoot".to_owned(),
        (false, End::Contract) => format!(
            "the columns have not changed names yet: `apply` goes on, `abort` gives up ({})",
            others.join(", ")
        ),
        (false, End::Abort) => format!(
            "the columns have changed names already: `contract` ends it, `rollback` changes them back ({})",
            others.join(", ")
        ),
    };
    format!("Nothing to do: {why}.\n")
}

/// Derives the plan that takes away what online changes of this end have made.
async fn without(
    end: End,
    session: &mut Session,
    options: &DeriveOptions,
) -> Result<Derived, Failure> {
    let mut snapshot = introspect(session, &options.read).await.map_err(Trouble::from)?;
    let (mut desired, afoot) = split(snapshot.catalog.clone());
    let ending: Vec<_> = afoot
        .columns
        .iter()
        .filter(|(_, swapped)| *swapped == (end == End::Contract))
        .map(|(shadow, _)| shadow)
        .collect();
    let mut gone: Vec<Address> = Vec::new();
    let mut kept: Vec<Object> = Vec::new();
    // Nothing needs them any more: every column that has changed names ends.
    let bridges: Vec<&Address> = match end {
        End::Contract => afoot.bridges().map(|object| &object.address).collect(),
        End::Abort => Vec::new(),
    };
    for object in afoot.catalog.in_place() {
        let made = ending.iter().any(|shadow| shadow.made(&object.address));
        match made || bridges.contains(&&object.address) {
            true => gone.push(object.address.clone()),
            false => kept.push(object.clone()),
        }
    }
    if end == End::Abort {
        // A way back that was begun is given up too: the names stay as they are.
        for (shadow, _) in afoot.columns.iter().filter(|(_, swapped)| *swapped) {
            for (address, instead) in afoot.demands(shadow) {
                kept.retain(|object| object.address != address);
                match instead {
                    Some(object) => kept.push(object),
                    None => gone.push(address),
                }
            }
        }
    }
    for object in kept {
        // It is in no other catalog of the two.
        let _ = desired.insert(object);
    }
    for shadow in &ending {
        // Nobody writes the column any more when it goes, and its function tells until then whose it is.
        snapshot.catalog.depend(&shadow.trigger_address(), &shadow.address);
        if let Some(function) = gone.iter().find(|a| shadow.is_function(a)) {
            snapshot.catalog.depend(&shadow.address, function);
        }
        // What the trigger calls stays as long as the trigger does.
        for helper in gone.iter().filter(|a| shadow.is_helper(a)) {
            snapshot.catalog.depend(&shadow.trigger_address(), helper);
            snapshot.catalog.depend(helper, &shadow.address);
        }
        // Its type goes with it unless somebody else uses it: nothing says that it shall stay.
        let column = snapshot.catalog.get(&shadow.address);
        let types = column.into_iter().flat_map(|column| column.depends_on.iter().cloned());
        let types = types
            .filter(|a| snapshot.catalog.get(a).is_some_and(|object| object.definition.is_type()));
        types.for_each(|ty| desired.forget(&ty));
    }
    for address in gone {
        desired.forget(&address);
        desired.forbid(address);
    }
    let derived = derive_from(session, options, snapshot, desired).await;
    derived.map_err(|error| Trouble::from(error).into())
}
