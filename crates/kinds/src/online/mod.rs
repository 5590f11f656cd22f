//! Changes that are carried out beside readers and writers.
//!
//! A change that would rewrite a table under ACCESS EXCLUSIVE is done on a second column instead, its
//! shadow: a trigger keeps the shadow in step with every write while the rows that are there are
//! carried over in pieces; what reads the column and would be built again (indexes, constraints) gets a
//! twin on the shadow. Then both change names in one short transaction.
//!
//! Invariant: everything that such a change makes is called `_rc_` and eight digits that follow
//! from the column's name, before the change of names and after it. So the catalog alone tells how
//! far it is, in every process; and the two directions are one: who has changed names can change
//! them back.

mod afoot;
mod bridge;
mod phase;
mod readers;
mod statements;
mod strays;
mod twins;
mod way_back;

use reconcile_catalog::{Address, Definition, Object, Renames, digest};
use reconcile_sql::ident::{MAX_IDENT_BYTES, fit};
use std::sync::Arc;

use crate::step::{Action, Stage};
use crate::trigger::Trigger;

pub use crate::column::online::finish;
pub use afoot::{Afoot, split};
pub use bridge::{Bridges, Dropped, bridges, is_bridge};
pub use phase::Phase;
pub(crate) use readers::has_query;
pub use statements::{Doomed, Watch, Workload};
pub use strays::{Stray, strays};
pub use twins::Doubling;
pub(crate) use twins::wanted;

/// What the names begin with.
const PREFIX: &str = "_rc_";
/// What the name of the trigger begins with: it sorts behind every name in ASCII, and triggers
/// fire in the order of their names.
const TRIGGER: &str = "~rc_";
/// How many digits follow.
const DIGITS: usize = 8;

/// A column, and the second one that takes its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shadow {
    /// The column.
    pub column: Address,
    /// The second column, which is there or will be.
    pub address: Address,
    id: String,
}

impl Shadow {
    /// The shadow of a column.
    pub fn of(column: &Address) -> Self {
        let id: String = digest(&column.to_string()).chars().take(DIGITS).collect();
        let name = named(&id, column.name());
        Self { column: column.clone(), address: column.renamed(&name), id }
    }

    /// What the names of everything begin with that its change makes, but for the trigger.
    pub fn mark(&self) -> String {
        format!("{PREFIX}{}_", self.id)
    }

    /// What the twin of an object is called.
    pub fn twin(&self, of: &str) -> String {
        named(&self.id, of)
    }

    /// The trigger that keeps the shadow in step.
    pub fn trigger(&self) -> String {
        format!("{TRIGGER}{}", self.id)
    }

    /// Its function.
    pub fn function(&self) -> String {
        format!("{PREFIX}{}_sync", self.id)
    }

    /// The constraint that both columns agree.
    pub(crate) fn agreement(&self) -> String {
        self.twin(&format!("{}_same", self.column.name()))
    }

    /// The address of the trigger.
    pub fn trigger_address(&self) -> Address {
        Trigger::address(&crate::constraint::table_of(&self.column), &self.trigger())
    }

    /// Whether an address is that of the function.
    pub fn is_function(&self, address: &Address) -> bool {
        address.kind() == crate::function::NAME
            && address.name().strip_suffix("()") == Some(self.function().as_str())
    }

    /// Whether an address is that of a function that computes values for it.
    pub fn is_helper(&self, address: &Address) -> bool {
        address.kind() == crate::function::NAME && !self.is_function(address) && self.made(address)
    }

    /// Whether the change of this column made an object, or something that the object belongs to.
    pub fn made(&self, address: &Address) -> bool {
        address.path().iter().any(|name| id_of(name) == Some(self.id.as_str()))
    }

    /// A definition as it reads about the shadow.
    pub fn definition(&self, object: &Object, renames: &Renames) -> Arc<dyn Definition> {
        let renamed = object.definition.renamed(&object.address, renames);
        renamed.unwrap_or_else(|| object.definition.clone())
    }
}

/// A name that begins with ours. Of one that is too long the end is cut, which tells less than the beginning;
/// a digest tells two of them apart.
fn named(id: &str, name: &str) -> String {
    let whole = format!("{PREFIX}{id}_{name}");
    if whole.len() <= MAX_IDENT_BYTES {
        return whole;
    }
    let tail: String = digest(name).chars().take(DIGITS).collect();
    fit(&whole, &format!("_{tail}"))
}

/// The digits in a name that we gave.
fn id_of(name: &str) -> Option<&str> {
    let rest = name.strip_prefix(PREFIX).or_else(|| name.strip_prefix(TRIGGER))?;
    let id = rest.get(..DIGITS)?;
    let ends = rest.len() == DIGITS || rest[DIGITS..].starts_with('_');
    (ends && id.bytes().all(|b| b.is_ascii_hexdigit())).then_some(id)
}

/// Whether an object has a name that only an online change gives.
pub(crate) fn is_ours(address: &Address) -> bool {
    id_of(address.name()).is_some()
}

/// What the twin of an object on the shadow takes.
#[derive(Clone, Debug, Default)]
pub struct Twin {
    /// What is built beside readers and writers, once the rows are carried over.
    pub prepare: Vec<Stage>,
    /// What is demanded of new rows from then on, under a lock of a moment.
    pub demand: Vec<Action>,
    /// The proof that every row satisfies it, beside readers and writers.
    pub prove: Vec<Action>,
    /// What is done last of all before the columns change names, since it is out of date the sooner the
    /// earlier it is done.
    pub late: Vec<Stage>,
    /// What is done in the transaction in which the columns change names, before they do.
    pub before: Vec<Action>,
    /// What is done in it afterwards.
    pub after: Vec<Action>,
    /// What is done once that is committed, beside readers and writers.
    pub finish: Vec<Stage>,
    /// Whether it refers to the column as to a key: it goes before the key does and comes after it.
    pub refers: bool,
    /// Whether another object takes its place, so that what depends on it is made again.
    pub replaces: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_is_ours() {
        let column = Address::new("column", ["public", "messages", "role"]);
        let shadow = Shadow::of(&column);
        assert_eq!(id_of(shadow.address.name()), Some(shadow.id.as_str()));
        assert_eq!(id_of(&shadow.trigger()), Some(shadow.id.as_str()));
        assert_eq!(id_of(&shadow.function()), Some(shadow.id.as_str()));
        assert_eq!(id_of(&shadow.twin(&"x".repeat(63))).map(str::len), Some(DIGITS));
        assert!(shadow.twin(&"x".repeat(63)).len() <= 63);
        assert_ne!(shadow.twin(&"x".repeat(63)), shadow.twin(&"x".repeat(62)));
        for other in ["_rc_new", "_rc_12345678x", "_rc_1234567g_a", "rc_12345678_a", "role"] {
            assert_eq!(id_of(other), None, "{other}");
        }
    }
}
