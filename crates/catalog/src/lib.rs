//! The value that both sides become: objects with addresses, parents and dependencies.
//!
//! No I/O and no kinds. A [`Catalog`] holds names only, never OIDs, so that two databases compare
//! by value; what is true of one kind of object is behind [`Definition`].

mod address;
mod addresses;
mod catalog;
mod change;
mod definition;
mod expression;
mod fingerprint;
mod renames;
mod retypes;
mod tuned;

pub use address::{Address, AddressMap};
pub use catalog::{Catalog, Complete, Object};
pub use change::PropertyChange;
pub use definition::{Definition, Property, Pruned, Value};
pub use expression::{Equivalences, Expression, Question, Scope};
pub use fingerprint::{digest, fingerprint};
pub use renames::{RenameStep, Renames};
pub use retypes::{Retype, Retypes};
pub use tuned::Tuned;
