//! Views.

pub mod model;
mod read;
mod steps;

use std::any::Any;
use std::sync::Arc;

use reconcile_catalog::{Address, Definition, Property, Renames, Retype, Retypes, Value};
use reconcile_sql::{QName, SqlType};
use serde::{Deserialize, Serialize};

use crate::column;
use crate::model::settings;
use crate::renaming;

pub(crate) use read::{add, output_columns, relation_query};
pub use steps::ViewKind;
pub(crate) use steps::{react_to_query, with_options};

/// The name of the kind.
pub const NAME: &str = "view";

/// A view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Its query, without a semicolon.
    pub query: String,
    /// Options as `name=value`: `security_invoker=true`.
    #[serde(default)]
    pub options: Vec<String>,
    /// Output columns and their types, in order.
    #[serde(default)]
    pub columns: Vec<(String, SqlType)>,
    /// Output columns with a default of their own.
    #[serde(default)]
    pub defaults: Vec<(String, String)>,
}

impl View {
    /// The address of a view.
    pub fn address(name: &QName) -> Address {
        Address::new(NAME, [&name.namespace, &name.name])
    }
}

/// A query as it reads after the type changes; `None` if it stays.
pub(crate) fn retyped_query(query: &str, retypes: &Retypes) -> Option<String> {
    let text = reconcile_sql::retype::retype(query, None, &column::column_retypes(retypes)).text;
    (text != query).then_some(text)
}

/// The output columns of a query whose types change with the types of what it reads.
pub(crate) fn passed_on(address: &Address, query: &str, retypes: &Retypes) -> Vec<Retype> {
    let outputs = reconcile_sql::retype::passed_on(query, &column::column_retypes(retypes));
    outputs
        .into_iter()
        .map(|(name, change)| Retype {
            address: address.child(column::NAME, name),
            through: address.clone(),
            from: change.from,
            to: change.to,
        })
        .filter(|change| retypes.of(&change.address).is_none())
        .collect()
}

impl Definition for View {
    fn properties(&self) -> Vec<Property> {
        let Self { query, options, columns: _, defaults } = self;
        vec![
            Property::new("query", Value::Statement(query.clone())),
            Property::new("options", Value::words(settings::sorted(options))),
            Property::new(
                "defaults",
                Value::words(defaults.iter().map(|(c, d)| format!("{c} {d}"))),
            ),
        ]
    }

    fn section(&self) -> &'static str {
        "views"
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn retyped(&self, _address: &Address, retypes: &Retypes) -> Option<Arc<dyn Definition>> {
        let query = retyped_query(&self.query, retypes)?;
        Some(Arc::new(Self { query, ..self.clone() }))
    }

    fn passes_on(&self, address: &Address, retypes: &Retypes) -> Vec<Retype> {
        passed_on(address, &self.query, retypes)
    }

    fn renamed(&self, _: &Address, renames: &Renames) -> Option<Arc<dyn Definition>> {
        let columns = self.columns.iter().map(|(name, ty)| (name.clone(), renames.ty(ty)));
        let defaults = self.defaults.iter().map(|(c, d)| (c.clone(), renames.text(d, None)));
        let renamed = Self {
            query: renames.text(&self.query, None),
            columns: columns.collect(),
            defaults: defaults.collect(),
            ..self.clone()
        };
        renaming::changed(self, renamed)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
