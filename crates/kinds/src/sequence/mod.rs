//! Sequences, those of identity columns excepted: these are part of their column.

mod counting;
pub mod model;
mod read;
pub(crate) mod recount;
mod steps;

use std::any::Any;

use reconcile_catalog::{Address, Complete, Definition, Property, Tuned, Value};
use reconcile_sql::{QName, SqlType};
use serde::{Deserialize, Serialize};

use crate::Cx;

pub use counting::Counting;
pub use steps::SequenceKind;

/// The name of the kind.
pub const NAME: &str = "sequence";

/// A sequence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sequence {
    /// The type of its values: smallint, integer or bigint.
    #[serde(rename = "type")]
    pub ty: SqlType,
    /// How it counts.
    pub counting: Counting,
    /// Whether it is UNLOGGED (15).
    #[serde(default, skip_serializing_if = "Tuned::is_default")]
    pub unlogged: Tuned<bool>,
}

impl Sequence {
    /// The address of a sequence.
    pub fn address(name: &QName) -> Address {
        Address::new(NAME, [&name.namespace, &name.name])
    }
}

impl Definition for Sequence {
    fn properties(&self) -> Vec<Property> {
        let Self { ty, counting, unlogged } = self;
        vec![
            // Not as a type: nobody's values are of the sequence's type.
            Property::new("type", ty.to_string()),
            Property::new("counting", counting.words()),
            Property::new("unlogged", unlogged.compared(|u| Value::Flag(*u))),
        ]
    }

    fn section(&self) -> &'static str {
        "sequences"
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Whether a live object goes with this plan: the model says so, or is complete without it.
pub(crate) fn goes(address: &Address, cx: &Cx<'_>) -> bool {
    if cx.desired.contains(address) || !cx.live.contains(address) {
        return false;
    }
    let former = |o: &reconcile_catalog::Object| {
        o.address.kind() == address.kind()
            && o.renamed_from.as_deref() == Some(address.name())
            && o.address.renamed(address.name()) == *address
    };
    if cx.desired.objects().any(former) {
        return false;
    }
    cx.desired.absent().any(|absent| absent == address)
        || match cx.desired.complete() {
            Complete::Sections => false,
            Complete::Namespaces => cx.desired.names(address.namespace()),
            Complete::Database => true,
        }
}

/// Whether a sequence that goes does so with its column, or where an identity takes over.
pub(crate) fn goes_along(address: &Address, cx: &Cx<'_>) -> bool {
    let Some(column) = crate::owned_by::column_of(address, cx.live) else { return false };
    let wanted = cx.desired.definition::<crate::column::Column>(&column);
    let becomes_identity = wanted.is_some_and(|c| c.identity.is_some());
    let counts = cx.live.get(&column).is_some_and(|c| c.depends_on.contains(address));
    goes(&column, cx)
        || goes(&crate::constraint::table_of(&column), cx)
        || (becomes_identity && counts && goes(address, cx))
}
