//! A plan for a person to read before it runs.

use std::collections::{BTreeMap, BTreeSet};

use reconcile_catalog::Catalog;
use reconcile_diff::{Change, Difference};
use reconcile_kinds::Facts;
use reconcile_plan::Plan;
use reconcile_sql::ServerVersion;

use crate::definition::definition_diff;
use crate::page::Page;
use crate::style::{Style, Tone};
use crate::units::{count, duration};
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
    }
    after::after(&mut page, of);
    page.finish()
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
