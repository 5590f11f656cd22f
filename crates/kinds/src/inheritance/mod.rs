//! What a table inherits from: its parents, or the partitioned table that it is a partition of.
//!
//! It is an object of its own, because a table can get and lose it: ATTACH and DETACH, INHERIT and
//! NO INHERIT. What follows from it in the child (columns, checks) is implied: a model need not
//! state it, and [`implied`] says what it is.

mod bound;
mod elsewhere;
pub(crate) mod implied;
pub(crate) mod known;
pub mod model;
mod read;
mod steps;

use std::any::Any;
use std::sync::Arc;

use reconcile_catalog::{Address, Catalog, Definition, Property, Renames, Value};
use reconcile_sql::QName;
use serde::{Deserialize, Serialize};

use crate::renaming;

pub(crate) use elsewhere::taken_over;
pub use steps::InheritanceKind;
pub(crate) use steps::apart;

/// The name of the kind.
pub const NAME: &str = "inheritance";

/// The parents of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inheritance {
    /// The parents in order; one for a partition.
    pub parents: Vec<QName>,
    /// The bound of a partition, as `pg_get_expr` writes it: `FOR VALUES FROM … TO …`, `DEFAULT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound: Option<String>,
}

impl Inheritance {
    /// The address of what a table inherits.
    pub fn address(table: &Address) -> Address {
        Address::belonging_to(NAME, table)
    }

    /// Whether it makes a partition.
    pub fn is_partition(&self) -> bool {
        self.bound.is_some()
    }
}

/// What a table inherits in a catalog.
pub(crate) fn of<'a>(table: &Address, catalog: &'a Catalog) -> Option<&'a Inheritance> {
    catalog.definition(&Inheritance::address(table))
}

/// The parents of a table in a catalog.
pub(crate) fn parents<'a>(table: &Address, catalog: &'a Catalog) -> &'a [QName] {
    of(table, catalog).map_or(&[], |i| &i.parents)
}

/// Whether a live table has the parents that it shall have: what it has from them is then theirs to
/// make, alter and drop.
pub(crate) fn stays(table: &Address, live: &Catalog, desired: &Catalog) -> bool {
    let (now, then) = (parents(table, live), parents(table, desired));
    // A model that does not speak of it leaves it alone.
    let silent = then.is_empty() && desired.complete() == reconcile_catalog::Complete::Sections;
    !now.is_empty() && (now == then || silent)
}

impl Definition for Inheritance {
    fn properties(&self) -> Vec<Property> {
        let Self { parents, bound } = self;
        vec![
            Property::new("parents", Value::words(parents.iter().map(ToString::to_string))),
            Property::new("bound", bound.as_deref().map_or(Value::None, bound::value)),
        ]
    }

    fn section(&self) -> &'static str {
        "inherits"
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn renamed(&self, _: &Address, renames: &Renames) -> Option<Arc<dyn Definition>> {
        let renamed = Self {
            parents: self.parents.iter().map(|parent| renames.name(parent)).collect(),
            bound: renaming::text(self.bound.as_ref(), None, renames),
        };
        renaming::changed(self, renamed)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
