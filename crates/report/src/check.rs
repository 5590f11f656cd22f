//! What `check` shows: a line a fact, in text and in JSON.

use std::collections::BTreeMap;

use serde_json::json;

use crate::findings::{Finding, Standing};
use crate::page::Page;
use crate::style::{Style, Tone};
use crate::words::one_line;

/// The findings as text; `quiet` leaves out what is right. The last line counts.
pub fn check_text(
    findings: &[Finding],
    unmanaged: &BTreeMap<String, usize>,
    quiet: bool,
    style: Style,
) -> String {
    let mut page = Page::new(style);
    for finding in findings.iter().filter(|f| !quiet || !f.is_ok()) {
        let tone = match finding.standing {
            Standing::Ok => Tone::Good,
            Standing::Missing | Standing::Differs => Tone::Bad,
            Standing::Extra | Standing::Unproven => Tone::Warn,
        };
        let word = style.paint(tone, &format!("{:<9}", finding.standing.word()));
        let sentence = style.paint(Tone::Plain, &one_line(&finding.sentence()));
        page.raw(&format!("{word}{sentence}"));
        for difference in finding.differences() {
            page.prose("           ", Tone::Plain, &difference);
        }
    }
    if !quiet {
        page.gap();
        page.prose("", Tone::Plain, &summary(findings, unmanaged));
    }
    page.finish()
}

fn summary(findings: &[Finding], unmanaged: &BTreeMap<String, usize>) -> String {
    let number = |standing| findings.iter().filter(|f| f.standing == standing).count();
    let others = [Standing::Missing, Standing::Differs, Standing::Extra, Standing::Unproven];
    let mut parts = vec![format!("{} ok", number(Standing::Ok))];
    parts.extend(
        others
            .into_iter()
            .filter(|s| number(*s) > 0)
            .map(|s| format!("{} {}", number(s), s.word())),
    );
    let left: Vec<String> =
        unmanaged.iter().map(|(plural, number)| format!("{plural} ({number})")).collect();
    let left = match left.is_empty() {
        true => String::new(),
        false => format!(" The model does not speak of {}.", left.join(", ")),
    };
    format!("{}.{left}", parts.join(", "))
}

/// The findings as JSON.
pub fn check_json(
    target: &str,
    findings: &[Finding],
    unmanaged: &BTreeMap<String, usize>,
    quiet: bool,
) -> serde_json::Value {
    let finding = |f: &Finding| {
        let properties: Vec<_> = f
            .properties
            .iter()
            .map(|p| json!({ "name": p.name, "live": p.live.to_string(), "desired": p.desired.to_string(), "proven": p.proven }))
            .collect();
        json!({
            "address": f.address,
            "standing": f.standing.word(),
            "live": f.live,
            "desired": f.desired,
            "live_name": f.called,
            "properties": properties,
            "text": one_line(&f.sentence()),
        })
    };
    let shown: Vec<_> = findings.iter().filter(|f| !quiet || !f.is_ok()).map(finding).collect();
    json!({
        "format": 1,
        "target": target,
        "in_sync": findings.iter().all(Finding::is_ok),
        "findings": shown,
        "unmanaged": unmanaged,
    })
}
