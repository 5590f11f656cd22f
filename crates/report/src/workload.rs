//! The statements of the application that a plan makes fail.

use reconcile_kinds::online::{Doomed, Workload};

use crate::page::Page;
use crate::style::Tone;
use crate::units::count;

/// Writes them, or why nobody has looked.
pub(crate) fn workload(page: &mut Page, workload: &Workload) {
    let Workload { not_looked, found, more, hidden } = workload;
    if let Some(why) = not_looked {
        page.gap();
        let text = format!(
            "Statements that name an old type, or no columns, were not looked for in pg_stat_statements: {why}."
        );
        page.prose("", Tone::Dim, &text);
        return;
    }
    if !found.is_empty() {
        page.heading("Statements that will not survive (pg_stat_statements)");
    }
    for Doomed { calls, role, statement, reasons } in found {
        let calls = count(*calls, "call", "calls");
        page.prose("  ! ", Tone::Warn, &format!("{calls} by {role}: {statement}"));
        page.prose("    ", Tone::Plain, &reasons.join("; "));
    }
    if *more > 0 {
        page.prose("  ! ", Tone::Warn, &format!("and {more} more, called less often"));
    }
    if *hidden > 0 {
        if found.is_empty() {
            page.gap();
        }
        let text = format!(
            "{} of other roles cannot be seen in pg_stat_statements: that takes pg_read_all_stats.",
            count(*hidden, "statement", "statements")
        );
        page.prose("", Tone::Dim, &text);
    }
}
