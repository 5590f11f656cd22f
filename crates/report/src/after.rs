//! What stands below the steps: refusals, what is left alone, warnings.

use crate::page::Page;
use crate::preview::Preview;
use crate::style::Tone;
use crate::words::called;

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
        .filter(|(_, n)| **n > 0)
        .map(|(name, n)| counted(name, *n))
        .collect();
    if !excluded.is_empty() {
        out.push(format!("{}: not compared by this version", excluded.join(", ")));
    }
    out
}

fn counted(plural: &str, number: u64) -> String {
    format!("{plural} ({number})")
}
