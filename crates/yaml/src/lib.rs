//! One YAML file as a tree whose every key and value knows its place in the file.
//!
//! The tree keeps what a model needs and serde loses: the text of a scalar as it was written
//! (`1.50`, `0755`), whether it stood in quotes, the order of keys, and byte spans. Nothing is
//! read in part: a file is a tree or a list of problems. No SQL and no kinds.

mod nearest;
mod node;
mod parse;
mod problem;
mod scalar;
mod write;

pub use nearest::nearest;
pub use node::{Entry, Key, Node, Span, Value};
pub use parse::parse;
pub use problem::{Label, Problem};
pub use scalar::{Meaning, Scalar, Style};
pub use write::Out;
