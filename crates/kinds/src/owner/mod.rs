//! The role that owns an object.

pub mod model;
mod read;
mod steps;

use std::any::Any;

use reconcile_catalog::{Address, Definition, Property, Pruned};
use serde::{Deserialize, Serialize};

pub use steps::OwnerKind;

/// The name of the kind.
pub const NAME: &str = "owner";

/// The owner of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The role.
    pub role: String,
}

impl Owner {
    /// The address of the ownership of an object.
    pub fn address(target: &Address) -> Address {
        Address::belonging_to(NAME, target)
    }
}

impl Definition for Owner {
    fn properties(&self) -> Vec<Property> {
        let Self { role } = self;
        vec![Property::new("owner", role.as_str())]
    }

    fn section(&self) -> &'static str {
        "owners"
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn pruned(&self, _: &Address) -> Pruned {
        Pruned::Never
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
