//! Enum types.

pub mod model;
mod read;
mod steps;

use std::any::Any;
use std::sync::Arc;

use reconcile_catalog::{Address, Definition, Property, Value};
use reconcile_sql::QName;
use serde::{Deserialize, Serialize};

pub use steps::EnumTypeKind;
pub(crate) use steps::{former_labels, names};

/// The name of the kind.
pub const NAME: &str = "enum";

/// An enum type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnumType {
    /// Its labels, in their order.
    pub labels: Vec<String>,
    /// Desired side only: labels with the names that they may still have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub renamed: Vec<(String, String)>,
}

impl EnumType {
    /// The address of an enum type.
    pub fn address(name: &QName) -> Address {
        Address::new(NAME, [&name.namespace, &name.name])
    }
}

impl Definition for EnumType {
    fn properties(&self) -> Vec<Property> {
        let Self { labels, renamed: _ } = self;
        vec![Property::new("labels", Value::words(labels))]
    }

    fn section(&self) -> &'static str {
        "enums"
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn is_type(&self) -> bool {
        true
    }

    fn renamed_values(&self, live: &dyn Definition) -> Vec<(String, String)> {
        let live = live.as_any().downcast_ref::<Self>();
        let now = live.map(|live| (live, steps::renamed_labels(live, self)));
        let labels = now.into_iter().flat_map(|(live, now)| live.labels.iter().cloned().zip(now));
        labels.filter(|(from, to)| from != to).collect()
    }

    fn way_back(&self, desired: &dyn Definition) -> Option<Arc<dyn Definition>> {
        let renamed: Vec<(String, String)> = desired.renamed_values(self);
        (!renamed.is_empty())
            .then(|| Arc::new(Self { renamed, ..self.clone() }) as Arc<dyn Definition>)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
