//! What goes wrong while a column's type changes online, under writers that know what every row has to
//! be: the next apply finishes, or abort clears up; nothing is lost and nothing of ours is left.

#![allow(clippy::unwrap_used)]

mod busy;
#[path = "../common/mod.rs"]
mod common;
mod deadlocks;
mod ends;
mod others;
mod program;
mod servers;
