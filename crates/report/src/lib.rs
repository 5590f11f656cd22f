//! What people and programs read: previews, findings, plan files and scripts.
//!
//! Everything here is a pure function from values to text: nothing is printed, nothing is asked,
//! and no kind of object is known but through the registry. The same input gives the same bytes.

mod after;
mod changes;
mod check;
mod definition;
mod document;
mod findings;
mod gate;
mod now;
mod page;
mod preview;
mod script;
mod status;
mod steps;
mod style;
mod units;
mod words;
mod workload;

pub use after::listed_names;
pub use changes::step_changes;
pub use check::{check_json, check_text};
pub use definition::definition_diff;
pub use document::{PlanFile, PlanFileError, document};
pub use findings::{Finding, Standing, findings};
pub use gate::{ProbeFailure, Verdict, gate_json, gate_text};
pub use now::{FollowerLine, Now, OnlineLine, WorkLine};
pub use preview::{Needs, Preview, preview, space};
pub use script::script;
pub use status::{RunLine, StepLine, status_text};
pub use style::{Style, Tone};
pub use units::{bytes, count, duration, rows};
pub use words::{called, noun};
