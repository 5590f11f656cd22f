//! The difference of two catalogs.
//!
//! A pure function that knows no kinds: objects are matched by address, by a stated former name,
//! or, where a kind allows it, by an equal definition; properties are compared by value. What only
//! the server can decide is collected as questions; a second comparison takes the answers.

mod compare;
mod matching;
mod retyping;

pub use compare::{Change, Difference, compare};
pub use matching::Matches;
