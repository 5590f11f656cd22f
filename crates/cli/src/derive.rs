//! From arguments to a plan: the way that every command goes.

use reconcile_catalog::Address;
use reconcile_live::connect::Session;
use reconcile_live::derive::{DeriveError, DeriveOptions, Derived, Live, derive_with};
use reconcile_live::introspect::ReadOptions;
use reconcile_live::journal::Journal;
use reconcile_live::preflight::Found;
use reconcile_plan::{Limits, Strategy};
use reconcile_report::{Preview, count};

use crate::args::{Approvals, Global, StrategyArg};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::rehearsal;
use crate::side::{Desired, Sides};
use crate::trouble::Trouble;

/// Names by what several of their kind are called.
pub(crate) type Names = std::collections::BTreeMap<String, std::collections::BTreeSet<String>>;

/// How to derive a plan, with what was approved.
pub(crate) fn options(
    global: &Global,
    approvals: Option<&Approvals>,
) -> Result<DeriveOptions, Failure> {
    // The namespace is passed over, so it must not be one that holds something else.
    Journal::named(&global.journal_schema).map_err(Trouble::from)?;
    let mut options = DeriveOptions {
        read: ReadOptions {
            hidden_namespace: Some(global.journal_schema.clone()),
            ..ReadOptions::default()
        },
        ..DeriveOptions::default()
    };
    if let Some(approvals) = approvals {
        let usual = Limits::default();
        options.limits = Limits {
            lock_timeout: approvals.lock_timeout,
            max_stall: approvals.max_stall.unwrap_or(usual.max_stall),
            max_rewrite: approvals.max_stall.unwrap_or(usual.max_rewrite),
        };
        options.strategy = match approvals.strategy {
            StrategyArg::Auto => Strategy::Auto,
            StrategyArg::Direct => Strategy::Direct,
            StrategyArg::Online => Strategy::Online,
        };
        options.approvals.stall.clone_from(&approvals.allow_stall);
        options.approvals.drop.clone_from(&approvals.allow_drop);
        options.approvals.trigger.clone_from(&approvals.allow_trigger);
    }
    Ok(options)
}

/// Derives the plan that leads from one side to the other.
pub(crate) async fn between(
    sides: &mut Sides,
    options: &DeriveOptions,
    global: &Global,
) -> Result<Derived, Failure> {
    let (snapshot, mut live) = sides.live.read(&options.read).await?;
    let desired = sides.desired.catalog(&snapshot.facts).map_err(Failure::model)?;
    let derived = derive_with(live.again(), options, snapshot, desired).await;
    let derived = derived.map_err(Trouble::from)?;
    rehearsal::settle_texts(live, &sides.desired, options, global, derived).await
}

/// Derives the plan for a database that can be changed.
pub(crate) async fn derive(
    session: &mut Session,
    desired: &Desired,
    options: &DeriveOptions,
    global: &Global,
) -> Result<Derived, Failure> {
    let catalog = |facts: &reconcile_kinds::Facts| desired.catalog(facts);
    match reconcile_live::derive::derive(session, options, catalog).await {
        Ok(derived) => {
            let live = Live::There(session);
            let derived = rehearsal::settle_texts(live, desired, options, global, derived).await?;
            understood(derived, desired)
        }
        Err(DeriveError::Model(problems)) => Err(Failure::model(problems)),
        Err(DeriveError::Live(error)) => Err(Trouble::from(error).into()),
    }
}

/// Refuses expressions that the server does not understand, at their places in the model.
pub(crate) fn understood(derived: Derived, desired: &Desired) -> Result<Derived, Failure> {
    let reports = derived.faults.iter().map(|fault| {
        let address = desired_address(&derived, &fault.formula.address);
        let message = format!(
            "`{}:` of {} cannot be used: {}",
            fault.formula.key,
            address.short(),
            fault.reason
        );
        desired.model.report_at("conversion", &message, address, fault.formula.key)
    });
    let reports: Vec<miette::Report> = reports.map(miette::Report::new).collect();
    if reports.is_empty() { Ok(derived) } else { Err(Failure { exit: Exit::Error, reports }) }
}

/// The address under which the model declares an object.
fn desired_address<'d>(derived: &'d Derived, live: &'d Address) -> &'d Address {
    derived.difference.matched.desired_of(live).unwrap_or(live)
}

/// What a report about a derived plan is made of.
pub(crate) fn preview<'a>(
    label: &'a str,
    model: &'a [String],
    not_compared: &'a Names,
    derived: &'a Derived,
) -> Preview<'a> {
    Preview {
        target: label,
        version: derived.snapshot.version,
        role: &derived.snapshot.facts.current_role,
        model,
        live: &derived.snapshot.catalog,
        desired: &derived.desired,
        difference: &derived.difference,
        plan: &derived.plan,
        facts: &derived.snapshot.facts,
        not_compared,
    }
}

/// Asks the rows whether they stand the plan, and refuses it if they do not; false if
/// there is nothing to ask.
pub(crate) async fn rows_allow(session: &mut Session, derived: &Derived) -> Result<bool, Failure> {
    let checks: Vec<_> = derived.plan.steps().flat_map(|s| s.preflights.iter().cloned()).collect();
    if checks.is_empty() {
        return Ok(false);
    }
    let found = reconcile_live::preflight::preflight(session, &checks).await.map_err(|error| {
        match error {
            // What cannot be seen cannot be promised.
            reconcile_live::error::Error::Unreadable(_) => Failure::refused(error.into()),
            other => Trouble::from(other).into(),
        }
    })?;
    if found.is_empty() {
        return Ok(true);
    }
    let lines: Vec<String> = found.iter().flat_map(lines).collect();
    Err(Failure::refused(
        Trouble::new("rows", format!("rows are in the way:\n{}", lines.join("\n")))
            .help("Nothing was changed. Correct these rows, or the model, and try again."),
    ))
}

/// What was found, a line each.
fn lines(found: &Found) -> Vec<String> {
    let total: u64 = found.values.iter().map(|(_, number)| number).sum();
    let least = if found.more { "at least " } else { "" };
    let head = format!("  {}: {least}{}", found.preflight.complaint, count(total, "row", "rows"));
    let values = found.values.iter().map(|(value, number)| {
        let short: String = value.chars().take(60).collect();
        let more = if short.len() < value.len() { "…" } else { "" };
        format!("    {short}{more} in {}", count(*number, "row", "rows"))
    });
    let rest = found.more.then(|| "    and others".to_owned());
    std::iter::once(head).chain(values).chain(rest).collect()
}
