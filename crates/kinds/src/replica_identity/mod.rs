//! What logical replication knows an old row by, where it is not the primary key.
//!
//! An object of its own, because it may name an index, which is there after its table.

pub mod model;
mod read;
mod steps;

use std::any::Any;
use std::sync::Arc;

use reconcile_catalog::{Address, Definition, Property, Renames};
use serde::{Deserialize, Serialize};

use crate::{Cx, constraint, index, renaming};

pub use steps::ReplicaIdentityKind;

/// The name of the kind.
pub const NAME: &str = "replica_identity";

/// A replica identity that is not the default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplicaIdentity {
    /// All columns.
    Full,
    /// None.
    Nothing,
    /// The columns of this index, which may be that of a constraint.
    Index(String),
}

impl ReplicaIdentity {
    /// The address of the replica identity of a table.
    pub fn address(table: &Address) -> Address {
        Address::belonging_to(NAME, table)
    }

    /// Whether logical replication is told each old row of a table as a whole.
    pub(crate) fn is_full(table: &Address, cx: &Cx<'_>) -> bool {
        cx.live.definition::<Self>(&Self::address(table)).is_some_and(|own| *own == Self::Full)
    }
}

impl Definition for ReplicaIdentity {
    fn properties(&self) -> Vec<Property> {
        let text = match self {
            Self::Full => "full".to_owned(),
            Self::Nothing => "nothing".to_owned(),
            Self::Index(name) => format!("index {name}"),
        };
        vec![Property::new("replica_identity", text)]
    }

    fn section(&self) -> &'static str {
        NAME
    }

    fn is_single(&self) -> bool {
        true
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn renamed(&self, address: &Address, renames: &Renames) -> Option<Arc<dyn Definition>> {
        let Self::Index(index) = self else { return None };
        let table = address.target()?;
        let places = [index::Index::address(&table, index), table.child(constraint::NAME, index)];
        let then = places.iter().map(|place| renaming::name_of(place, renames));
        let name = then.into_iter().find(|then| then != index)?;
        Some(Arc::new(Self::Index(name)))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
