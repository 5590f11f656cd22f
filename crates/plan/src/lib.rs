//! From a difference to a plan: which steps, in which order, in which transactions.
//!
//! Pure and without kinds. Each kind says what its change takes; here the dependents are found,
//! the steps ordered and gathered into batches, and the worst stall of each batch is added up.

mod batch;
mod bridge;
mod demands;
mod disturb;
mod exchange;
mod gate;
mod graph;
mod names;
mod needs;
mod online;
mod order;
mod orphans;
mod planner;
mod refill;
mod renames;
mod space;
mod stall;
mod step;
mod suggest;

pub use gate::{Gate, Obstacle, gate};
pub use online::Strategy;
pub use planner::{Approvals, Inputs, plan};
pub use space::Space;
pub use stall::Limits;
pub use step::{Batch, Plan, Step, Warning};
