//! What logical replication knows an old row by, where it is not the primary key.
//!
//! An object of its own, because it may name an index, which is there after its table.

pub mod model;
mod read;
mod steps;

use std::any::Any;

use reconcile_catalog::{Address, Definition, Property};
use serde::{Deserialize, Serialize};

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

    fn as_any(&self) -> &dyn Any {
        self
    }
}
