//! Checks of domains.

pub mod model;
mod read;
mod steps;

use std::any::Any;
use std::sync::Arc;

use reconcile_catalog::{Address, Catalog, Definition, Expression, Property, Renames, Scope};
use reconcile_sql::QName;
use serde::{Deserialize, Serialize};

use crate::domain::{self, Domain};
use crate::renaming;

pub use steps::DomainCheckKind;

/// The name of the kind.
pub const NAME: &str = "domain_check";

/// A check of a domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainCheck {
    /// The condition on VALUE.
    pub expression: String,
    /// Whether all values are known to satisfy it: false for NOT VALID.
    pub validated: bool,
}

impl DomainCheck {
    /// The address of a check.
    pub fn address(domain: &Address, name: &str) -> Address {
        domain.child(NAME, name)
    }
}

/// The domain that a check's address is in.
pub(crate) fn domain_of(check: &Address) -> Address {
    Address::new(domain::NAME, &check.path()[..2])
}

/// The name of the domain that an address is of or in.
pub(crate) fn domain_name(address: &Address) -> QName {
    QName::new(address.namespace(), address.path().get(1).map_or("", String::as_str))
}

impl Definition for DomainCheck {
    fn properties(&self) -> Vec<Property> {
        let Self { expression, validated } = self;
        vec![
            Property::new("expression", Expression::new(expression)),
            Property::state("validated", *validated),
        ]
    }

    fn section(&self) -> &'static str {
        "checks"
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn scope(&self, address: &Address, catalogs: &[&Catalog]) -> Option<Scope> {
        let domain = domain_of(address);
        let over = catalogs.iter().find_map(|c| c.definition::<Domain>(&domain))?;
        Some(Scope {
            namespace: address.namespace().to_owned(),
            columns: vec![("value".to_owned(), over.ty.clone())],
            ..Scope::default()
        })
    }

    fn known_by_definition(&self) -> bool {
        true
    }

    fn renamed(&self, _: &Address, renames: &Renames) -> Option<Arc<dyn Definition>> {
        let expression = renames.text(&self.expression, None);
        renaming::changed(self, Self { expression, ..self.clone() })
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
