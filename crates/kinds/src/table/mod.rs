//! Tables, partitioned ones and partitions included.

mod alter;
mod create;
mod gate;
pub mod model;
pub(crate) mod partition_key;
pub(crate) mod read;
mod steps;

use std::any::Any;
use std::collections::BTreeSet;
use std::sync::Arc;

use reconcile_catalog::{Address, Catalog, Definition, Property, Renames, Scope, Value};
use reconcile_sql::QName;
use serde::{Deserialize, Serialize};

use crate::column::Column;
use crate::renaming;
use crate::storage::{self, Settings};

pub use steps::TableKind;
pub(crate) use steps::{is_inline, is_second};

/// The name of the kind.
pub const NAME: &str = "table";

/// A table without what stands in it: its columns, constraints, indexes, policies and triggers
/// are objects of their own, and so is what it inherits from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// The partition key as `pg_get_partkeydef` writes it: `RANGE (created_at)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition_key: Option<String>,
    /// Whether it is UNLOGGED.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unlogged: Option<bool>,
    /// Storage parameters, those of its TOAST table with `toast.` in front.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<Settings>,
    /// The tablespace, if it is not the database's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tablespace: Option<String>,
    /// The access method, if it is not `heap`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_method: Option<String>,
    /// Whether row security is enabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row_security: Option<bool>,
    /// Whether row security holds for the owner too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force_row_security: Option<bool>,
    /// Whether that is all: what is left out is as PostgreSQL makes it by default. Otherwise it is
    /// somebody else's business, as in a model that is not complete.
    #[serde(default = "yes")]
    pub whole: bool,
}

fn yes() -> bool {
    true
}

/// The tablespace of a database whose own is not another one.
pub(crate) const DEFAULT_TABLESPACE: &str = "pg_default";

/// PostgreSQL's own access method, which a table has unless it says otherwise.
pub(crate) const HEAP: &str = "heap";

impl Table {
    /// The address of a table.
    pub fn address(name: &QName) -> Address {
        Address::new(NAME, [&name.namespace, &name.name])
    }
}

/// The qualified name of the relation at (or around) an address: the first two names of its path.
pub fn relation(address: &Address) -> QName {
    QName::new(address.namespace(), address.path().get(1).map_or("", String::as_str))
}

/// The columns of a table as a row source; the first catalog that knows a column decides.
pub fn scope(table: &Address, catalogs: &[&Catalog]) -> Scope {
    let mut seen = BTreeSet::new();
    let mut columns = Vec::new();
    for catalog in catalogs {
        for object in catalog.children(table) {
            if let Some(column) = object.get::<Column>()
                && seen.insert(object.address.name().to_owned())
            {
                columns.push((object.address.name().to_owned(), column.ty.clone()));
            }
        }
    }
    Scope {
        namespace: table.namespace().to_owned(),
        relation: table.name().to_owned(),
        columns,
        assigned_to: None,
    }
}

impl Definition for Table {
    fn properties(&self) -> Vec<Property> {
        let Self {
            partition_key,
            unlogged,
            with,
            tablespace,
            access_method,
            row_security,
            force_row_security,
            whole,
        } = self;
        // What is not stated is the default, or nobody's business.
        let or = |value: Option<Value>, default: Value| {
            value.unwrap_or(if *whole { default } else { Value::Unstated })
        };
        let flag = |value: &Option<bool>| or(value.map(Value::Flag), Value::Flag(false));
        let word = |value: &Option<String>| value.clone().map(Value::Text);
        vec![
            Property::new(
                "partition_by",
                or(partition_key.as_deref().map(partition_key::value), Value::None),
            ),
            Property::new("unlogged", flag(unlogged)),
            Property::new("with", or(with.as_ref().map(storage::value), Value::List(Vec::new()))),
            Property::new("tablespace", or(word(tablespace), Value::from(DEFAULT_TABLESPACE))),
            Property::new("access_method", or(word(access_method), Value::from(HEAP))),
            Property::new("row_security", flag(row_security)),
            Property::new("force_row_security", flag(force_row_security)),
        ]
    }

    fn scope(&self, address: &Address, catalogs: &[&Catalog]) -> Option<Scope> {
        self.partition_key.is_some().then(|| scope(address, catalogs))
    }

    fn completed(&self) -> Option<Arc<dyn Definition>> {
        (!self.whole).then(|| Arc::new(Self { whole: true, ..self.clone() }) as Arc<dyn Definition>)
    }

    fn section(&self) -> &'static str {
        "tables"
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn renamed(&self, address: &Address, renames: &Renames) -> Option<Arc<dyn Definition>> {
        let own = relation(address);
        let partition_key = renaming::text(self.partition_key.as_ref(), Some(&own), renames);
        renaming::changed(self, Self { partition_key, ..self.clone() })
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
