//! Domains: a type with a default and rules of its own.

pub mod model;
mod read;
mod steps;

use std::any::Any;
use std::sync::Arc;

use reconcile_catalog::{
    Address, Catalog, Definition, Expression, Property, Renames, Scope, Value,
};
use reconcile_sql::{QName, SqlType};
use serde::{Deserialize, Serialize};

use crate::renaming;

pub use steps::DomainKind;
pub(crate) use steps::{columns_of, is_inside_others, lock_users};

/// The name of the kind.
pub const NAME: &str = "domain";

/// A domain. Its checks are objects of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Domain {
    /// The type that it is over.
    #[serde(rename = "type")]
    pub ty: SqlType,
    /// Whether a value may be null.
    pub nullable: bool,
    /// Its default, as SQL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// Its collation, if it is not the type's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collation: Option<QName>,
    /// The name of its NOT NULL constraint (17), if it is not PostgreSQL's own choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_null_name: Option<String>,
}

impl Domain {
    /// The address of a domain.
    pub fn address(name: &QName) -> Address {
        Address::new(NAME, [&name.namespace, &name.name])
    }
}

impl Definition for Domain {
    fn properties(&self) -> Vec<Property> {
        let Self { ty, nullable, default, collation, not_null_name } = self;
        vec![
            Property::new("type", ty.clone()),
            Property::new("nullable", *nullable),
            Property::new("default", Value::option(default.clone().map(Expression::new))),
            Property::new("collation", Value::option(collation.as_ref().map(ToString::to_string))),
            Property::new("not_null_name", Value::option(not_null_name.clone())),
        ]
    }

    fn section(&self) -> &'static str {
        "domains"
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn scope(&self, address: &Address, _catalogs: &[&Catalog]) -> Option<Scope> {
        Some(Scope {
            namespace: address.namespace().to_owned(),
            assigned_to: Some(self.ty.clone()),
            ..Scope::default()
        })
    }

    fn is_type(&self) -> bool {
        true
    }

    fn renamed(&self, _: &Address, renames: &Renames) -> Option<Arc<dyn Definition>> {
        let renamed = Self {
            ty: renames.ty(&self.ty),
            default: renaming::text(self.default.as_ref(), None, renames),
            collation: self.collation.as_ref().map(|c| renaming::elsewhere(c, renames)),
            ..self.clone()
        };
        renaming::changed(self, renamed)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
