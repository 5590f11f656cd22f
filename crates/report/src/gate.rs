//! What `gate` shows: whether the application may run, and what stops it.

use reconcile_catalog::Address;
use reconcile_plan::Obstacle;
use serde_json::json;

use crate::page::Page;
use crate::style::{Style, Tone};

/// Everything that was found out.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Differences on which the application can fail.
    pub obstacles: Vec<Obstacle>,
    /// Statements that the server does not accept, and privileges that are missing.
    pub failures: Vec<ProbeFailure>,
    /// Differences that do not matter.
    pub harmless: Vec<Address>,
    /// How many statements and privileges were asked for.
    pub asked: usize,
    /// Live objects that the model does not speak of.
    pub unmanaged: usize,
}

/// A statement that the server does not accept.
#[derive(Clone, Debug)]
pub struct ProbeFailure {
    /// What it is: `insert into messages`.
    pub what: String,
    /// What the server says; absent if a privilege is missing.
    pub error: Option<String>,
    /// The statement, if there is one.
    pub statement: Option<String>,
}

impl Verdict {
    /// Whether the application may run.
    pub fn passes(&self) -> bool {
        self.obstacles.is_empty() && self.failures.is_empty()
    }
}

/// The verdict for people.
pub fn gate_text(verdict: &Verdict, style: Style) -> String {
    let mut page = Page::new(style);
    let bad = |word: &str| style.paint(Tone::Bad, &format!("{word:<9}"));
    for Obstacle { address, reason } in &verdict.obstacles {
        page.raw(&format!("{}{address}: {reason}", bad("breaks")));
    }
    for failure in &verdict.failures {
        match &failure.error {
            Some(error) => page.raw(&format!("{}{}: {error}", bad("fails"), failure.what)),
            None => page.raw(&format!("{}{}: no", bad("denied"), failure.what)),
        }
        if let Some(statement) = &failure.statement {
            page.block(11, Tone::Code, statement);
        }
    }
    for address in &verdict.harmless {
        page.raw(&format!(
            "{}{address} differs, and no statement of the application fails on it",
            style.paint(Tone::Warn, "passes   ")
        ));
    }
    page.gap();
    let last = if verdict.passes() {
        style.paint(Tone::Good, "The application may run on this database.")
    } else {
        style.paint(Tone::Bad, "The application must not run on this database.")
    };
    let asked = format!(
        "{} statements and privileges were tried, none executed; {} objects are not in the model.",
        verdict.asked, verdict.unmanaged
    );
    page.raw(&format!("{last} {asked}"));
    page.finish()
}

/// The verdict for programs.
pub fn gate_json(target: &str, verdict: &Verdict) -> serde_json::Value {
    let failure =
        |f: &ProbeFailure| json!({ "what": f.what, "error": f.error, "statement": f.statement });
    json!({
        "format": 1,
        "target": target,
        "passes": verdict.passes(),
        "breaks": verdict.obstacles,
        "fails": verdict.failures.iter().map(failure).collect::<Vec<_>>(),
        "harmless": verdict.harmless,
        "asked": verdict.asked,
        "unmanaged": verdict.unmanaged,
    })
}
