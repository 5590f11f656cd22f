//! Namespaces (what SQL calls schemas).

pub mod model;
mod read;
mod steps;

use std::any::Any;

use reconcile_catalog::{Address, Definition, Property, Pruned};
use serde::{Deserialize, Serialize};

pub use steps::NamespaceKind;

/// The name of the kind.
pub const NAME: &str = "namespace";

/// A namespace: it has nothing but its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {}

impl Namespace {
    /// The address of a namespace.
    pub fn address(name: &str) -> Address {
        Address::new(NAME, [name])
    }
}

impl Definition for Namespace {
    fn properties(&self) -> Vec<Property> {
        let Self {} = self;
        Vec::new()
    }

    fn section(&self) -> &'static str {
        "namespaces"
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::json!({})
    }

    fn pruned(&self, _: &Address) -> Pruned {
        Pruned::InDatabase
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
