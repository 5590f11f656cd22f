//! Casts to text that an online change makes: the bridge for statements that still name the old type.
//!
//! After such a change `role = $1::mood` has no operator, `varchar = mood`, and an application that was built
//! for the enum type fails until it is deployed anew. An implicit cast from the type to text makes such
//! statements work. A cast has no name, so its comment tells whose it is; casts of somebody else are
//! counted and left alone.

mod read;
mod steps;

use std::any::Any;

use reconcile_catalog::{Address, Definition, Property, Pruned};
use serde::{Deserialize, Serialize};

pub use steps::CastKind;

/// The name of the kind.
pub const NAME: &str = "cast";

/// What the comment on a cast of ours begins with.
const MARK: &str = "_rc_bridge";

/// An implicit cast of ours from a type to text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cast {}

impl Cast {
    /// The address of the cast from a type.
    pub fn address(from: &Address) -> Address {
        Address::new(NAME, from.path().iter().cloned())
    }
}

/// The condition that a cast is one of ours, by its OID.
pub(crate) fn is_ours(oid: &str) -> String {
    format!(
        "coalesce(pg_catalog.obj_description({oid}, 'pg_cast') LIKE '{}%', false)",
        MARK.replace('_', "\\_")
    )
}

impl Definition for Cast {
    fn properties(&self) -> Vec<Property> {
        let Self {} = self;
        vec![Property::new("to", "text")]
    }

    fn section(&self) -> &'static str {
        "casts"
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
