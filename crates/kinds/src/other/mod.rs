//! Objects that are not modelled but depend on something that is: rules, publications of single
//! columns, extended statistics.
//!
//! They are known by PostgreSQL's own description of them. They are in the catalog so that no
//! change is planned over their heads.

mod read;
mod steps;

use std::any::Any;

use reconcile_catalog::{Definition, Property, Pruned};
use serde::{Deserialize, Serialize};

pub use steps::OtherKind;

/// The name of the kind.
pub const NAME: &str = "other";

/// An object that is not modelled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Other {
    /// `pg_describe_object`: `rule r on table t`.
    pub description: String,
    /// The catalog that it is in: `pg_statistic_ext`.
    pub class: String,
}

impl Definition for Other {
    fn properties(&self) -> Vec<Property> {
        let Self { description, class } = self;
        vec![
            Property::new("description", description.as_str()),
            Property::new("class", class.as_str()),
        ]
    }

    fn section(&self) -> &'static str {
        "others"
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn pruned(&self, _: &reconcile_catalog::Address) -> Pruned {
        Pruned::Never
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
