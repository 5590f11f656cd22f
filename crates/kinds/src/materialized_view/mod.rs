//! Materialized views.

pub mod model;
mod read;
mod steps;

use std::any::Any;
use std::sync::Arc;

use reconcile_catalog::{Address, Definition, Property, Renames, Retype, Retypes, Value};
use reconcile_sql::{QName, SqlType};
use serde::{Deserialize, Serialize};

use crate::model::settings;
use crate::renaming;
use crate::view;

pub use steps::MaterializedViewKind;

/// The name of the kind.
pub const NAME: &str = "materialized_view";

/// A materialized view; its indexes are objects of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaterializedView {
    /// Its query, without a semicolon.
    pub query: String,
    /// Storage parameters as `name=value`.
    #[serde(default)]
    pub options: Vec<String>,
    /// Output columns and their types, in order.
    #[serde(default)]
    pub columns: Vec<(String, SqlType)>,
    /// What ANALYZE and the storage do with its output columns where that is not the usual: `STATISTICS 50`,
    /// `(n_distinct=5)`. A model says nothing of it, and it comes back with one that is made again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<(String, String)>,
    /// Desired side: whether the model says `*` for columns, whatever they are when it is read.
    #[serde(skip)]
    pub says_all: bool,
    /// Whether it holds rows; one made WITH NO DATA cannot be read.
    pub populated: bool,
    /// The access method, if it is not the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_method: Option<String>,
    /// The tablespace, if it is not the database's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tablespace: Option<String>,
}

impl MaterializedView {
    /// The address of a materialized view.
    pub fn address(name: &QName) -> Address {
        Address::new(NAME, [&name.namespace, &name.name])
    }
}

impl Definition for MaterializedView {
    fn properties(&self) -> Vec<Property> {
        let Self {
            query,
            options,
            columns: _,
            settings: _,
            says_all: _,
            populated,
            access_method,
            tablespace,
        } = self;
        vec![
            Property::new("query", Value::Statement(query.clone())),
            Property::new("options", Value::words(settings::sorted(options))),
            Property::new("populated", *populated),
            Property::new("access_method", Value::option(access_method.clone())),
            Property::new("tablespace", Value::option(tablespace.clone())),
        ]
    }

    fn section(&self) -> &'static str {
        "materialized_views"
    }

    fn settled(&self, written: Arc<dyn Definition>) -> Arc<dyn Definition> {
        let stored = written.as_any().downcast_ref::<Self>().cloned();
        stored.map_or(written, |stored| Arc::new(Self { says_all: self.says_all, ..stored }))
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn retyped(&self, _address: &Address, retypes: &Retypes) -> Option<Arc<dyn Definition>> {
        let query = view::retyped_query(&self.query, retypes)?;
        Some(Arc::new(Self { query, ..self.clone() }))
    }

    fn passes_on(&self, address: &Address, retypes: &Retypes) -> Vec<Retype> {
        view::passed_on(address, &self.query, retypes)
    }

    fn renamed(&self, _: &Address, renames: &Renames) -> Option<Arc<dyn Definition>> {
        let columns = self.columns.iter().map(|(name, ty)| (name.clone(), renames.ty(ty)));
        let renamed = Self {
            query: renames.text(&self.query, None),
            columns: columns.collect(),
            ..self.clone()
        };
        renaming::changed(self, renamed)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
