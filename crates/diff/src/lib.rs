//! The difference of two catalogs.
//!
//! A pure function that knows no kinds: what the desired side calls otherwise is renamed first, then
//! objects are matched by address or, where a kind allows it, by an equal definition; properties are compared by value. What only
//! the server can decide is collected as questions; a second comparison takes the answers.

mod compare;
mod matching;
mod renaming;
mod retyping;

pub use compare::{Change, Difference, compare};
pub use matching::Matches;
