//! What an apply tells while it is at work, on standard error.
//!
//! Invariant: on a terminal the last line is how it stands at this moment, and no other line is written into
//! it; elsewhere every line stays, and how it stands is one of them every few seconds.

mod bar;
pub(crate) mod words;

use std::time::{Duration, Instant};

use reconcile_live::apply::{Event, Watch};
use reconcile_live::blockers::Blocker;
use reconcile_plan::{Plan, Step};
use reconcile_report::duration;

use crate::output::Output;
use bar::Bar;

/// How often how it stands is a line of its own, where there is no terminal.
const AGAIN: Duration = Duration::from_secs(5);

/// Says what happens.
#[derive(Debug)]
pub(crate) struct Progress<'a> {
    output: &'a Output,
    bar: Bar,
    steps: usize,
    /// When something that is told again and again was told last, and of which sort it was.
    told: Option<(Instant, Sort)>,
}

/// What is told again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Pieces,
    Pause,
    Lock,
    Build,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(output: &'a Output, plan: &Plan) -> Self {
        Self { output, bar: Bar::new(), steps: plan.steps().count(), told: None }
    }

    fn place(&self, step: &Step) -> String {
        format!("[{}/{}]", step.number, self.steps)
    }

    fn step(&self, step: &Step) -> String {
        format!("{} {}", self.place(step), step.summary.join("; "))
    }

    /// A line that stays.
    fn line(&self, text: &str) {
        self.bar.apart(|| self.output.progress(text));
    }

    /// How it stands at this moment; `share` is how much is done, of how much.
    fn stands(&mut self, sort: Sort, share: Option<(u64, u64)>, text: &str) {
        if self.bar.show(share, text) {
            return;
        }
        let told = self.told.filter(|(_, of)| *of == sort);
        if told.is_none_or(|(at, _)| at.elapsed() >= AGAIN) {
            self.told = Some((Instant::now(), sort));
            self.output.progress(text);
        }
    }

    fn waiting(&mut self, blockers: &[Blocker], waited: Duration, retry_in: Duration) {
        let who: Vec<String> = blockers.iter().map(ToString::to_string).collect();
        let who = match who.is_empty() {
            true => "somebody was in the way, and is gone".to_owned(),
            false => who.join("; "),
        };
        let text = format!(
            "waiting for a lock, {} so far, next try in {}: {who}",
            duration(waited),
            duration(retry_in)
        );
        self.stands(Sort::Lock, None, &text);
    }
}

impl Watch for Progress<'_> {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::RunStarts { run } => self.line(&format!("run {run} begins")),
            Event::BatchStarts { batch, tries, .. } => {
                // A transaction tells its steps when they are done, all at once.
                if let (false, Some(step)) = (batch.transaction, batch.steps.first()) {
                    let again = if tries > 0 { ", again" } else { "" };
                    self.line(&format!("{} …{again}", self.step(step)));
                }
            }
            Event::Waiting { blockers, waited, retry_in } => {
                self.waiting(blockers, waited, retry_in);
            }
            Event::Pieces { step, done, of, left } => {
                let text = format!(
                    "{} {} % of the table's blocks, {done} of {of}; about {} left",
                    self.place(step),
                    done * 100 / of.max(1),
                    duration(left)
                );
                match done == of {
                    true => self.line(&text),
                    false => self.stands(Sort::Pieces, Some((done, of)), &text),
                }
            }
            Event::Paused { step, why, paused } => {
                let text = format!(
                    "{} paused, {} so far: {}",
                    self.place(step),
                    duration(paused),
                    words::pauses(why)
                );
                self.stands(Sort::Pause, None, &text);
            }
            Event::Vacuum { relation } => {
                self.line(&format!("VACUUM {relation}: the rows that come next find room then"));
            }
            Event::StepDone { step } => {
                self.bar.clear();
                self.output.done(&format!("{} done", self.step(step)));
            }
            Event::Building { build } => {
                let share = (build.of > 0).then_some((build.done, build.of));
                let percent = share.map(|(done, of)| format!(", {} %", done * 100 / of));
                let text = format!("{}{}", build.phase, percent.unwrap_or_default());
                self.stands(Sort::Build, share, &text);
            }
            Event::BatchDone { lock_wait, hold, .. } => {
                self.bar.clear();
                self.output.progress(&format!(
                    "committed; waited {} for locks and held them for {}",
                    duration(lock_wait),
                    duration(hold)
                ));
            }
            _ => {}
        }
    }
}
