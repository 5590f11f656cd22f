//! What `status` shows: the runs of a journal, and how far an unfinished one got.

use serde::Serialize;

use crate::now::{Now, write_now};
use crate::page::Page;
use crate::style::{Style, Tone};
use crate::units::{count, duration};

/// A run of the journal.
#[derive(Clone, Debug, Serialize)]
pub struct RunLine {
    /// Its number.
    pub id: i64,
    /// `done`, `stopped`, `running`, `rolled back`.
    pub state: String,
    /// Whether it began and did not get to its end.
    pub unfinished: bool,
    /// When it began.
    pub started: String,
    /// When it ended.
    pub finished: Option<String>,
    /// By whom, and from where.
    pub by: String,
    /// The run that it undid.
    pub undoes: Option<i64>,
    /// Whether it only ended an online change.
    pub ends: bool,
    /// The unfinished run that it went on with.
    pub continues: Option<i64>,
    /// Where its stamp moved from and to.
    pub stamp: Option<(String, String)>,
    /// Why it stopped.
    pub error: Option<String>,
    /// How many steps it has.
    pub steps: usize,
    /// How many of them are done.
    pub steps_done: usize,
    /// The steps, where they are shown.
    pub details: Vec<StepLine>,
}

/// A step of a run.
#[derive(Clone, Debug, Serialize)]
pub struct StepLine {
    /// Its number.
    pub number: usize,
    /// `planned`, `running`, `done`, `failed`.
    pub state: String,
    /// What it does, a line each.
    pub summary: String,
    /// How long its transaction waited for locks, in milliseconds.
    pub lock_wait_ms: Option<u64>,
    /// How long its transaction held them, in milliseconds.
    pub hold_ms: Option<u64>,
    /// Of a step that is done in pieces: how many are done, and how many there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pieces: Option<(u64, u64)>,
}

/// What is under way and the runs, the latest first, as text.
pub fn status_text(target: &str, now: &Now, runs: &[RunLine], style: Style) -> String {
    let mut page = Page::new(style);
    page.labelled(0, "Database", 10, target);
    write_now(&mut page, now);
    if runs.is_empty() {
        page.gap();
        page.prose("", Tone::Plain, "Nothing was applied with reconcile yet.");
    }
    for (at, run) in runs.iter().enumerate() {
        page.gap();
        // The steps of what is over and followed by something else are for programs.
        write_run(&mut page, run, at == 0 || run.unfinished);
    }
    page.finish()
}

fn write_run(page: &mut Page, run: &RunLine, with_steps: bool) {
    let style = page.style;
    let tone = match run.state.as_str() {
        "done" => Tone::Good,
        "rolled back" => Tone::Dim,
        _ => Tone::Warn,
    };
    let what = match run.undoes {
        Some(undone) => format!("rollback of run {undone}"),
        None if run.ends => "end of an online change".to_owned(),
        None => "apply".to_owned(),
    };
    let title = style.paint(Tone::Strong, &format!("Run {}: {what}", run.id));
    page.raw(&format!("{title}, {}", style.paint(tone, &run.state)));
    let until = run.finished.as_ref().map(|at| format!(" to {at}")).unwrap_or_default();
    page.labelled(2, "when", 8, &format!("{}{until}", run.started));
    page.labelled(2, "by", 8, &run.by);
    let steps = format!("{} of {} done", run.steps_done, count(run.steps as u64, "step", "steps"));
    page.labelled(2, "steps", 8, &steps);
    if let Some(before) = run.continues {
        page.labelled(2, "after", 8, &format!("run {before}, which it went on with"));
    }
    if let Some((from, to)) = &run.stamp {
        page.labelled(2, "stamp", 8, &format!("{from} to {to}"));
    }
    if let Some(error) = &run.error {
        page.labelled(2, "error", 8, error);
    }
    for step in run.details.iter().filter(|_| with_steps) {
        let word = match step.state.as_str() {
            "done" => style.paint(Tone::Good, "done   "),
            other => style.paint(Tone::Warn, &format!("{other:<7}")),
        };
        let times = match (step.lock_wait_ms, step.hold_ms) {
            _ if step.pieces.is_some() => {
                let (done, all) = step.pieces.unwrap_or_default();
                format!(" ({} % of the table: {done} of {all} blocks)", done * 100 / all.max(1))
            }
            (Some(wait), Some(hold)) => {
                let words = |ms| duration(std::time::Duration::from_millis(ms));
                format!(" (waited {}, held {})", words(wait), words(hold))
            }
            _ => String::new(),
        };
        for (at, line) in step.summary.lines().enumerate() {
            let (number, word, times) = match at {
                0 => (format!("{:>3}.", step.number), word.as_str(), times.as_str()),
                _ => ("    ".to_owned(), "       ", ""),
            };
            page.raw(&format!("  {number} {word} {}{times}", style.paint(Tone::Plain, line)));
        }
    }
}
