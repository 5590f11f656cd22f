//! Tables, partitioned ones and partitions included.

mod gate;
pub mod model;
pub(crate) mod read;
mod steps;

use std::any::Any;
use std::collections::BTreeSet;

use reconcile_catalog::{Address, Catalog, Definition, Property, Scope, Value};
use reconcile_sql::QName;
use serde::{Deserialize, Serialize};

use crate::column::Column;

pub use steps::TableKind;
pub(crate) use steps::is_inline;

/// The name of the kind.
pub const NAME: &str = "table";

/// A table without what stands in it: its columns, constraints, indexes, policies and triggers
/// are objects of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// The partition key as `pg_get_partkeydef` writes it: `RANGE (created_at)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition_key: Option<String>,
    /// The tables that it inherits from, or is a partition of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inherits: Vec<QName>,
    /// The bound of a partition: `FOR VALUES FROM … TO …`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound: Option<String>,
    /// Whether it is UNLOGGED.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unlogged: bool,
    /// Whether row security is enabled; `None` where the model does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row_security: Option<bool>,
    /// Whether row security holds for the owner too; `None` where the model does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force_row_security: Option<bool>,
}

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
        let Self { partition_key, inherits, bound, unlogged, row_security, force_row_security } =
            self;
        // A model of this version does not speak of partitions and inheritance: what it leaves
        // out is left alone.
        let stated = |value: Option<String>| value.map_or(Value::Unstated, Value::Text);
        let flag = |value: Option<bool>| value.map_or(Value::Unstated, Value::Flag);
        let parents = inherits.iter().map(ToString::to_string).collect::<Vec<_>>();
        vec![
            Property::new("partition_by", stated(partition_key.clone())),
            Property::new(
                "inherits",
                if parents.is_empty() { Value::Unstated } else { Value::words(parents) },
            ),
            Property::new("bound", stated(bound.clone())),
            Property::new("unlogged", if *unlogged { Value::Flag(true) } else { Value::Unstated }),
            Property::new("row_security", flag(*row_security)),
            Property::new("force_row_security", flag(*force_row_security)),
        ]
    }

    fn section(&self) -> &'static str {
        "tables"
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
