//! Extensions. What belongs to one is its business and never a difference.

pub mod model;
mod read;
mod steps;

use std::any::Any;
use std::sync::Arc;

use reconcile_catalog::{Address, Definition, Property, Pruned, Renames, Value};
use serde::{Deserialize, Serialize};

use crate::renaming;

pub use steps::ExtensionKind;

/// The name of the kind.
pub const NAME: &str = "extension";

/// An extension.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extension {
    /// The namespace of what belongs to it; none where the model does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its version; none where the model does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

impl Extension {
    /// The address of an extension.
    pub fn address(name: &str) -> Address {
        Address::new(NAME, [name])
    }
}

impl Definition for Extension {
    fn properties(&self) -> Vec<Property> {
        let Self { namespace, version } = self;
        let stated = |value: &Option<String>| value.clone().map_or(Value::Unstated, Value::Text);
        vec![Property::new("schema", stated(namespace)), Property::new("version", stated(version))]
    }

    fn section(&self) -> &'static str {
        "extensions"
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn pruned(&self, _: &Address) -> Pruned {
        self.namespace.clone().map_or(Pruned::InDatabase, Pruned::In)
    }

    fn renamed(&self, _: &Address, renames: &Renames) -> Option<Arc<dyn Definition>> {
        let namespace = self.namespace.as_ref().map(|n| renames.names().in_namespace(n));
        renaming::changed(self, Self { namespace, ..self.clone() })
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
