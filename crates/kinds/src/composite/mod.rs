//! Composite types: rows that are no table's.

pub mod model;
mod read;
mod steps;

use std::any::Any;
use std::sync::Arc;

use reconcile_catalog::{Address, Definition, Property, Renames, Value};
use reconcile_sql::{QName, SqlType, quote_ident};
use serde::{Deserialize, Serialize};

use crate::renaming;

pub use steps::CompositeKind;
pub(crate) use steps::{converted, is_another_row, lost};

/// The name of the kind.
pub const NAME: &str = "composite";

/// A composite type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Composite {
    /// Its attributes in order.
    pub attributes: Vec<Attribute>,
}

/// An attribute of a composite type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub ty: SqlType,
    /// Its collation, if it is not the type's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collation: Option<QName>,
    /// Desired side only: the name that it may still have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renamed_from: Option<String>,
}

impl Attribute {
    /// As CREATE TYPE and ADD ATTRIBUTE declare it.
    pub fn declaration(&self) -> String {
        format!("{} {}", quote_ident(&self.name), self.of_type())
    }

    /// Its type and collation as SQL.
    pub fn of_type(&self) -> String {
        let Self { name: _, ty, collation, renamed_from: _ } = self;
        let collation = collation.as_ref().map_or_else(String::new, |c| format!(" COLLATE {c}"));
        format!("{ty}{collation}")
    }
}

impl Composite {
    /// The address of a composite type.
    pub fn address(name: &QName) -> Address {
        Address::new(NAME, [&name.namespace, &name.name])
    }
}

impl Definition for Composite {
    fn properties(&self) -> Vec<Property> {
        let Self { attributes } = self;
        let attributes = attributes.iter().map(Attribute::declaration);
        vec![Property::new("attributes", Value::words(attributes))]
    }

    fn section(&self) -> &'static str {
        "composites"
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn is_type(&self) -> bool {
        true
    }

    fn renamed(&self, _: &Address, renames: &Renames) -> Option<Arc<dyn Definition>> {
        let attribute = |a: &Attribute| Attribute {
            ty: renames.ty(&a.ty),
            collation: a.collation.as_ref().map(|c| renaming::elsewhere(c, renames)),
            ..a.clone()
        };
        let renamed = Self { attributes: self.attributes.iter().map(attribute).collect() };
        renaming::changed(self, renamed)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
