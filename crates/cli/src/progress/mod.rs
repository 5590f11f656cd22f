//! What an apply tells while it is at work, on standard error.

pub(crate) mod words;

use std::time::{Duration, Instant};

use reconcile_live::apply::{Event, Watch};
use reconcile_plan::{Plan, Step};
use reconcile_report::duration;

use crate::output::Output;

/// Says what happens.
#[derive(Debug)]
pub(crate) struct Progress<'a> {
    output: &'a Output,
    steps: usize,
    /// When something that is told again and again was told last.
    told: Option<Instant>,
}

/// How often the same is told again.
const AGAIN: Duration = Duration::from_secs(5);

impl<'a> Progress<'a> {
    pub(crate) fn new(output: &'a Output, plan: &Plan) -> Self {
        Self { output, steps: plan.steps().count(), told: None }
    }

    /// Whether it is time to tell again how it stands.
    fn is_time(&mut self) -> bool {
        let is_time = self.told.is_none_or(|at| at.elapsed() >= AGAIN);
        if is_time {
            self.told = Some(Instant::now());
        }
        is_time
    }

    fn step(&self, step: &Step) -> String {
        format!("[{}/{}] {}", step.number, self.steps, step.summary.join("; "))
    }
}

impl Watch for Progress<'_> {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::RunStarts { run } => self.output.progress(&format!("run {run} begins")),
            Event::BatchStarts { batch, tries, .. } => {
                // A transaction tells its steps when they are done, all at once.
                if let (false, Some(step)) = (batch.transaction, batch.steps.first()) {
                    let again = if tries > 0 { ", again" } else { "" };
                    self.output.progress(&format!("{} …{again}", self.step(step)));
                }
            }
            Event::Waiting { blockers, waited, retry_in } => {
                let who: Vec<String> = blockers.iter().map(ToString::to_string).collect();
                let who = match who.is_empty() {
                    true => "somebody was in the way, and is gone".to_owned(),
                    false => who.join("; "),
                };
                self.output.progress(&format!(
                    "waiting for a lock, {} so far, next try in {}: {who}",
                    duration(waited),
                    duration(retry_in)
                ));
            }
            Event::Pieces { step, done, of, left } if done == of || self.is_time() => {
                self.output.progress(&format!(
                    "[{}/{}] {} % of the table's blocks, {done} of {of}; about {} left",
                    step.number,
                    self.steps,
                    done * 100 / of.max(1),
                    duration(left)
                ));
            }
            Event::Paused { step, why, paused } if paused < AGAIN / 5 || self.is_time() => {
                self.told = Some(Instant::now());
                self.output.progress(&format!(
                    "[{}/{}] paused, {} so far: {}",
                    step.number,
                    self.steps,
                    duration(paused),
                    words::pauses(why)
                ));
            }
            Event::Vacuum { relation } => self.output.progress(&format!(
                "VACUUM {relation}, so that the rows that come next find the room of old ones"
            )),
            Event::StepDone { step } => self.output.done(&format!("{} done", self.step(step))),
            Event::BatchDone { lock_wait, hold, .. } => self.output.progress(&format!(
                "committed; waited {} for locks and held them for {}",
                duration(lock_wait),
                duration(hold)
            )),
            _ => {}
        }
    }
}
