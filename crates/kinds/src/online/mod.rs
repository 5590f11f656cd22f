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
mod phase;
mod strays;
mod twins;

use reconcile_catalog::{Address, Definition, Object, Renames, digest};
use reconcile_sql::ident::fit;
use std::sync::Arc;

use crate::step::{Action, Stage};
use crate::trigger::Trigger;

pub use afoot::{Afoot, split};
pub use phase::Phase;
pub use strays::{Stray, strays};
pub use twins::Doubling;

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

/// A name that begins with ours; the end of the name that it is made from tells less than its
/// beginning.
fn named(id: &str, name: &str) -> String {
    fit(&format!("{PREFIX}{id}_{name}"), "")
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
    /// What is done beside readers and writers, once the rows are carried over.
    pub prepare: Vec<Stage>,
    /// What is done in the transaction in which the columns change names, before they do.
    pub before: Vec<Action>,
    /// What is done in it afterwards.
    pub after: Vec<Action>,
    /// What is done once that is committed, beside readers and writers.
    pub finish: Vec<Stage>,
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
        for other in ["_rc_new", "_rc_12345678x", "_rc_1234567g_a", "rc_12345678_a", "role"] {
            assert_eq!(id_of(other), None, "{other}");
        }
    }
}
