//! OWNED BY: that a sequence goes with a column.
//!
//! An object of its own, because the two need each other: the column counts with the sequence,
//! which is made before, and belongs to the column, which is said after.

mod model;
mod read;
mod steps;

use std::any::Any;
use std::sync::Arc;

use reconcile_catalog::{Address, Catalog, Definition, Property, Renames};
use serde::{Deserialize, Serialize};

use crate::column::{self, Column};
use crate::renaming;

pub use steps::OwnedByKind;

/// The name of the kind.
pub const NAME: &str = "owned_by";

/// To which column a sequence belongs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnedBy {
    /// The path of the column: namespace, table, name.
    pub column: Vec<String>,
}

impl OwnedBy {
    /// The address of the ownership of a sequence.
    pub fn address(sequence: &Address) -> Address {
        Address::belonging_to(NAME, sequence)
    }

    /// The column.
    pub fn column(&self) -> Address {
        Address::new(column::NAME, &self.column)
    }
}

/// The column that a sequence belongs to.
pub(crate) fn column_of(sequence: &Address, catalog: &Catalog) -> Option<Address> {
    catalog.definition::<OwnedBy>(&OwnedBy::address(sequence)).map(OwnedBy::column)
}

/// The sequence that belongs to a column and that it counts with.
pub(crate) fn sequence_of(column: &Address, catalog: &Catalog) -> Option<Address> {
    let counts = &catalog.get(column).filter(|c| c.get::<Column>().is_some())?.depends_on;
    let own = catalog.dependents(column).filter(|o| o.get::<OwnedBy>().is_some());
    own.filter_map(|o| o.parent.clone()).find(|sequence| counts.contains(sequence))
}

impl Definition for OwnedBy {
    fn properties(&self) -> Vec<Property> {
        let Self { column: _ } = self;
        vec![Property::new("owned_by", self.column().dotted())]
    }

    fn section(&self) -> &'static str {
        "owned_by"
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn renamed(&self, _: &Address, renames: &Renames) -> Option<Arc<dyn Definition>> {
        let column = renames.address(&self.column()).path().to_vec();
        renaming::changed(self, Self { column })
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
