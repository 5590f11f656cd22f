//! Range types, each with its multirange type (14).

pub mod model;
mod read;
mod steps;

use std::any::Any;
use std::sync::Arc;

use reconcile_catalog::{Address, Definition, Property, Renames, Value};
use reconcile_sql::ident::{MAX_IDENT_BYTES, fit};
use reconcile_sql::{QName, SqlType};
use serde::{Deserialize, Serialize};

use crate::renaming;

pub use steps::RangeKind;
pub(crate) use steps::multirange_of;

/// The name of the kind.
pub const NAME: &str = "range";

/// A range type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// The type of its bounds.
    pub subtype: SqlType,
    /// The operator class that orders them, if it is not their type's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opclass: Option<QName>,
    /// The collation that orders them, if it is not their type's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collation: Option<QName>,
    /// The function that gives a range its one spelling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canonical: Option<QName>,
    /// The function that tells how far two bounds are apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subtype_diff: Option<QName>,
    /// The name of its multirange type, in the same namespace (14).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multirange: Option<QName>,
}

impl Range {
    /// The address of a range type.
    pub fn address(name: &QName) -> Address {
        Address::new(NAME, [&name.namespace, &name.name])
    }
}

/// The name that PostgreSQL gives to the multirange type of a range type (`makeMultirangeTypeName`,
/// `src/backend/catalog/pg_type.c`).
pub(crate) fn multirange_name(range: &str) -> String {
    let name = if range.contains("range") {
        range.replacen("range", "multirange", 1)
    } else {
        fit(range, "_multirange")
    };
    let mut end = name.len().min(MAX_IDENT_BYTES);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name[..end].to_owned()
}

impl Definition for Range {
    fn properties(&self) -> Vec<Property> {
        let Self { subtype, opclass, collation, canonical, subtype_diff, multirange } = self;
        let name = |name: &Option<QName>| Value::option(name.as_ref().map(ToString::to_string));
        vec![
            Property::new("subtype", subtype.clone()),
            Property::new("opclass", name(opclass)),
            Property::new("collation", name(collation)),
            Property::new("canonical", name(canonical)),
            Property::new("subtype_diff", name(subtype_diff)),
            Property::new("multirange", name(multirange)),
        ]
    }

    fn section(&self) -> &'static str {
        "ranges"
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn is_type(&self) -> bool {
        true
    }

    fn renamed(&self, _: &Address, renames: &Renames) -> Option<Arc<dyn Definition>> {
        let elsewhere =
            |name: &Option<QName>| name.as_ref().map(|n| renaming::elsewhere(n, renames));
        let renamed = Self {
            subtype: renames.ty(&self.subtype),
            opclass: elsewhere(&self.opclass),
            collation: elsewhere(&self.collation),
            canonical: elsewhere(&self.canonical),
            subtype_diff: elsewhere(&self.subtype_diff),
            multirange: elsewhere(&self.multirange),
        };
        renaming::changed(self, renamed)
    }

    fn renames_with_it(&self, address: &Address, to: &str) -> Vec<(QName, QName)> {
        let here = |name: &str| QName::new(address.namespace(), name);
        let multirange = |range: &str| here(&multirange_name(range));
        let own = (here(address.name()), here(to));
        match &self.multirange {
            Some(_) => vec![own],
            None => vec![own, (multirange(address.name()), multirange(to))],
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::multirange_name;

    #[test]
    fn names_multiranges_as_the_server_does() {
        assert_eq!(multirange_name("floatrange"), "floatmultirange");
        assert_eq!(multirange_name("span"), "span_multirange");
        assert_eq!(multirange_name("range_range"), "multirange_range");
    }
}
