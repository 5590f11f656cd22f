//! The privileges on an object, all of them as one object: an access control list.

pub mod model;
mod read;
mod statements;
mod steps;

use std::any::Any;
use std::sync::Arc;

use reconcile_catalog::{Address, Definition, Property, Pruned, Renames, Value};
use reconcile_sql::QName;
use reconcile_sql::quote_ident;
use serde::{Deserialize, Serialize};

use crate::renaming;

pub(crate) use statements::{closed, nothing, on_column};
pub use steps::GrantKind;

/// The name of the kind.
pub const NAME: &str = "grant";

/// The privileges on an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grants {
    /// One entry a privilege, in the order of the catalog. The owner's own stand here only if he
    /// has not just what an owner has by default.
    pub items: Vec<Privilege>,
    /// Whether the owner has what an owner has by default.
    #[serde(default = "yes")]
    pub owner_has_all: bool,
}

fn yes() -> bool {
    true
}

/// One privilege of one role.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Privilege {
    /// Who has it; `None` for everybody (PUBLIC).
    pub grantee: Option<String>,
    /// SELECT, UPDATE, USAGE, …
    pub privilege: String,
    /// The column that it is limited to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// WITH GRANT OPTION
    #[serde(default)]
    pub grantable: bool,
    /// Who gave it, if not the owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grantor: Option<String>,
}

impl Privilege {
    /// The grantee as SQL.
    pub fn to_whom(&self) -> String {
        self.grantee.as_ref().map_or_else(|| "PUBLIC".to_owned(), |role| quote_ident(role))
    }

    /// The privilege as GRANT names it: `SELECT (role)`.
    pub fn what(&self) -> String {
        let column =
            self.column.as_ref().map_or_else(String::new, |c| format!(" ({})", quote_ident(c)));
        format!("{}{column}", self.privilege)
    }
}

impl Grants {
    /// The address of the privileges on an object.
    pub fn address(target: &Address) -> Address {
        Address::belonging_to(NAME, target)
    }
}

impl Definition for Grants {
    fn properties(&self) -> Vec<Property> {
        let Self { items, owner_has_all } = self;
        let shown = items.iter().map(|item| {
            let Privilege { grantee: _, privilege: _, column: _, grantable, grantor } = item;
            let option = if *grantable { " with grant option" } else { "" };
            let by =
                grantor.as_ref().map_or_else(String::new, |g| format!(" by {}", quote_ident(g)));
            format!("{} to {}{option}{by}", item.what(), item.to_whom())
        });
        // The order of the list says when each was given, which changes nothing.
        let mut shown: Vec<String> = shown.collect();
        shown.sort();
        vec![
            Property::new("grants", Value::words(shown)),
            Property::new("owner_has_all", *owner_has_all),
        ]
    }

    fn section(&self) -> &'static str {
        "grants"
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn pruned(&self, _: &Address) -> Pruned {
        Pruned::Never
    }

    fn renamed(&self, address: &Address, renames: &Renames) -> Option<Arc<dyn Definition>> {
        let target = address.target()?;
        let [namespace, relation, ..] = target.path() else { return None };
        let relation = QName::new(namespace, relation);
        let item = |item: &Privilege| Privilege {
            column: item.column.as_ref().map(|c| renames.names().of_column(&relation, c)),
            ..item.clone()
        };
        let items = self.items.iter().map(item).collect();
        renaming::changed(self, Self { items, ..self.clone() })
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
