//! What stands below the steps: refusals, what is left alone, warnings.

use std::collections::BTreeSet;

use crate::page::Page;
use crate::preview::Preview;
use crate::style::Tone;
use crate::words::called;
use crate::workload::workload;

/// Writes what there is to say beside the steps.
pub(crate) fn after(page: &mut Page, of: &Preview<'_>) {
    let plan = of.plan;
    if !plan.refusals.is_empty() {
        page.heading("Refused");
        for refusal in &plan.refusals {
            page.prose("  ✗ ", Tone::Bad, &refusal.address.to_string());
            page.prose("    ", Tone::Plain, &refusal.reason);
        }
    }
    if !plan.warnings.is_empty() {
        page.heading("Worth knowing");
        for warning in &plan.warnings {
            let about =
                warning.address.as_ref().map(|a| format!("{}: ", called(a))).unwrap_or_default();
            page.prose("  ! ", Tone::Warn, &format!("{about}{}", warning.text));
        }
    }
    if let Some(statements) = of.workload {
        workload(page, statements);
    }
    let left = left_alone(of);
    if !left.is_empty() {
        page.heading("Left alone");
        for line in left {
            page.prose("  · ", Tone::Plain, &line);
        }
    }
}

/// What the plan does not touch, and why.
pub(crate) fn left_alone(of: &Preview<'_>) -> Vec<String> {
    let mut out = Vec::new();
    for address in &of.plan.extra {
        out.push(format!("{}: not in the model, which states this section in full; that is drift, and `absent: true` removes it", called(address)));
    }
    let listed: Vec<String> =
        of.plan.unmanaged.iter().map(|(plural, number)| counted(plural, *number as u64)).collect();
    if !listed.is_empty() {
        out.push(format!("{}: the model does not speak of them", listed.join(", ")));
    }
    let excluded: Vec<String> = of
        .facts
        .exclusions
        .iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(name, names)| counted(name, names.len() as u64))
        .collect();
    if !excluded.is_empty() {
        out.push(format!("{}: not compared by this version", excluded.join(", ")));
    }
    for (plural, names) in of.not_compared {
        out.push(format!(
            "{}: not compared, because no model can state them; the desired side has {}",
            counted(plural, names.len() as u64),
            listed_names(names)
        ));
    }
    out
}

fn counted(plural: &str, number: u64) -> String {
    format!("{plural} ({number})")
}

/// The most names that a list shows.
const SHOWN: usize = 20;

/// Names as a list, the first of them if there are many.
pub fn listed_names(names: &BTreeSet<String>) -> String {
    let shown: Vec<&str> = names.iter().take(SHOWN).map(String::as_str).collect();
    let more = match names.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", shown.join(", "))
}
