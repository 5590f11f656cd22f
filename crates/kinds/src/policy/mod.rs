//! Row-security policies.

pub mod model;
mod read;
mod steps;

use std::any::Any;
use std::sync::Arc;

use reconcile_catalog::{
    Address, Catalog, Definition, Expression, Property, Renames, Retypes, Scope, Value,
};
use serde::{Deserialize, Serialize};

use crate::constraint::table_of;
use crate::renaming;
use crate::{column, table};

pub use steps::PolicyKind;

/// The name of the kind.
pub const NAME: &str = "policy";

/// A row-security policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// ALL, SELECT, INSERT, UPDATE or DELETE.
    pub command: String,
    /// PERMISSIVE or RESTRICTIVE.
    pub permissive: bool,
    /// The roles that it is for, in order; `public` for everybody.
    pub roles: Vec<String>,
    /// USING
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub using: Option<String>,
    /// WITH CHECK
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
}

impl Policy {
    /// The address of a policy.
    pub fn address(table: &Address, name: &str) -> Address {
        table.child(NAME, name)
    }
}

impl Definition for Policy {
    fn properties(&self) -> Vec<Property> {
        let Self { command, permissive, roles, using, check } = self;
        // In which order they were named means nothing.
        let mut roles = roles.clone();
        roles.sort();
        vec![
            Property::new("command", command.as_str()),
            Property::new("permissive", *permissive),
            Property::new("roles", Value::words(roles)),
            Property::new("using", Value::option(using.clone().map(Expression::new))),
            Property::new("check", Value::option(check.clone().map(Expression::new))),
        ]
    }

    fn section(&self) -> &'static str {
        "policies"
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn scope(&self, address: &Address, catalogs: &[&Catalog]) -> Option<Scope> {
        Some(table::scope(&table_of(address), catalogs))
    }

    fn retyped(&self, address: &Address, retypes: &Retypes) -> Option<Arc<dyn Definition>> {
        let table = table_of(address);
        // It may read other tables.
        let changes = column::column_retypes(retypes);
        let relation = table::relation(&table);
        let retype = |text: &Option<String>| {
            let retyped =
                |t: &String| reconcile_sql::retype::retype(t, Some(&relation), &changes).text;
            text.as_ref().map(retyped)
        };
        let retyped =
            Self { using: retype(&self.using), check: retype(&self.check), ..self.clone() };
        (retyped != *self).then(|| Arc::new(retyped) as Arc<dyn Definition>)
    }

    fn renamed(&self, address: &Address, renames: &Renames) -> Option<Arc<dyn Definition>> {
        let own = table::relation(address);
        let text = |text: &Option<String>| renaming::text(text.as_ref(), Some(&own), renames);
        let renamed = Self { using: text(&self.using), check: text(&self.check), ..self.clone() };
        renaming::changed(self, renamed)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
