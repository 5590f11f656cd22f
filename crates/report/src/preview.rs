//! A plan for a person to read before it runs.

use std::collections::{BTreeMap, BTreeSet};

use reconcile_catalog::Catalog;
use reconcile_diff::{Change, Difference};
use reconcile_kinds::Facts;
use reconcile_kinds::online::Workload;
use reconcile_plan::{Plan, Space};
use reconcile_sql::ServerVersion;

use crate::definition::definition_diff;
use crate::page::Page;
use crate::style::{Style, Tone};
use crate::units::{bytes, count, duration};
use crate::{after, steps};

/// Everything that a report about a plan is made of.
#[derive(Clone, Copy, Debug)]
pub struct Preview<'a> {
    /// The database in words, without a password.
    pub target: &'a str,
    /// The server's version.
    pub version: ServerVersion,
    /// The role that the steps run as.
    pub role: &'a str,
    /// The model's files.
    pub model: &'a [String],
    /// What is there.
    pub live: &'a Catalog,
    /// What shall be there.
    pub desired: &'a Catalog,
    /// How the two differ.
    pub difference: &'a Difference,
    /// What is to be done about it.
    pub plan: &'a Plan,
    /// What is known of the server beside its objects.
    pub facts: &'a Facts,
    /// What the desired side has and no model can state, by what it is called.
    pub not_compared: &'a BTreeMap<String, BTreeSet<String>>,
    /// Statements of the application that the plan makes fail, if somebody has looked.
    pub workload: Option<&'a Workload>,
}

impl Preview<'_> {
    /// The unified diff of the definitions.
    pub fn diff(&self) -> String {
        let further: Vec<Change> = self
            .plan
            .changes
            .iter()
            .filter(|c| !self.difference.changes.contains(c))
            .cloned()
            .collect();
        definition_diff(self.difference, &further, self.live, self.desired)
    }
}

/// The preview as text.
pub fn preview(of: &Preview<'_>, style: Style) -> String {
    let mut page = Page::new(style);
    let server = format!("PostgreSQL {}, as role {}", of.version, of.role);
    page.labelled(0, "Database", 10, &format!("{} ({server})", of.target));
    page.labelled(0, "Model", 10, &of.model.join(", "));

    let diff = of.diff();
    if !diff.is_empty() {
        page.heading("Difference");
        page.diff(2, &diff);
    }
    if of.plan.batches.is_empty() {
        page.gap();
        if of.plan.refusals.is_empty() {
            page.prose("", Tone::Good, "Nothing to do: the database is as the model says.");
        }
    } else {
        steps::steps(&mut page, of.plan, of.facts);
        page.gap();
        page.prose("", Tone::Strong, &headline(of.plan));
        if let Some(needs) = space(of.plan) {
            page.prose("", Tone::Warn, &followed(of.plan, &needs, &of.facts.followers));
        }
    }
    after::after(&mut page, of);
    page.finish()
}

/// What a plan needs on disk and in the log: `about 1.6 GB more on disk and writes …`.
pub fn space(plan: &Plan) -> Option<Needs> {
    let sum = |of: fn(&Space) -> u64| plan.space.iter().map(of).sum();
    let (disk, wal) = (sum(|space| space.disk_bytes), sum(|space| space.wal_bytes));
    (!plan.space.is_empty()).then(|| Needs { disk: bytes(disk), wal: bytes(wal) })
}

/// Sizes in words.
#[derive(Clone, Debug)]
pub struct Needs {
    /// How much more on disk until the old column goes.
    pub disk: String,
    /// How much write-ahead log.
    pub wal: String,
}

fn followed(plan: &Plan, needs: &Needs, followers: &[String]) -> String {
    let Needs { disk, wal } = needs;
    let until = if plan.online.is_empty() { "" } else { " until `reconcile contract`" };
    let by = match followers {
        [] => String::new(),
        followers => format!(", all of which these have to take: {}", followers.join(", ")),
    };
    format!("It needs about {disk} more on disk{until}, and writes about {wal} of WAL{by}.")
}

fn headline(plan: &Plan) -> String {
    let steps = count(plan.steps().count() as u64, "step", "steps");
    let (inside, outside): (Vec<_>, Vec<_>) = plan.batches.iter().partition(|b| b.transaction);
    let inside = count(inside.len() as u64, "transaction", "transactions");
    let outside = match outside.len() {
        0 => String::new(),
        1 => " and 1 step outside of one".to_owned(),
        many => format!(" and {many} steps outside of one"),
    };
    let worst = plan.batches.iter().map(|b| b.stall).max().unwrap_or_default();
    let worst = match worst.is_zero() {
        true => "nobody has to wait".to_owned(),
        false => format!("a client waits {} at the most", duration(worst)),
    };
    let irreversible = plan.steps().filter(|s| s.irreversible.is_some()).count();
    let undo = match irreversible {
        0 => "all of it can be rolled back".to_owned(),
        1 => "1 step cannot be rolled back".to_owned(),
        many => format!("{many} steps cannot be rolled back"),
    };
    format!("{steps} in {inside}{outside}; {worst}; {undo}.")
}
