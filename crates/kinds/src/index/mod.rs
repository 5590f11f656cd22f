//! Indexes that no constraint owns.

pub mod model;
mod read;
mod sql;
mod steps;

use std::any::Any;
use std::sync::Arc;

use reconcile_catalog::{
    Address, Catalog, Definition, Expression, Property, Retypes, Scope, Value,
};
use reconcile_sql::QName;
use serde::{Deserialize, Serialize};

use crate::{column, table};

pub use steps::IndexKind;

/// The name of the kind.
pub const NAME: &str = "index";

/// An index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// The access method: `btree`.
    pub method: String,
    /// UNIQUE
    #[serde(default)]
    pub unique: bool,
    /// NULLS NOT DISTINCT (15)
    #[serde(default)]
    pub nulls_not_distinct: bool,
    /// Keys in order.
    pub keys: Vec<Key>,
    /// INCLUDE columns.
    #[serde(default)]
    pub include: Vec<String>,
    /// The predicate of a partial index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicate: Option<String>,
    /// Storage parameters as `name=value`; `None` where the model does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<Vec<String>>,
    /// Whether it can be used: false for what a failed concurrent build left.
    pub valid: bool,
    /// Whether it belongs to the index of a partitioned parent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inherited: bool,
    /// Live side: whether CLUSTER goes by it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub clustered: bool,
    /// Live side: whether it is the replica identity of its table.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replica_identity: bool,
    /// Live side: `pg_get_indexdef`, which has everything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
}

/// A key of an index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// A column, or an expression.
    #[serde(flatten)]
    pub what: KeyPart,
    /// The collation, if it is not the column's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collation: Option<String>,
    /// The operator class, if it is not the type's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator_class: Option<String>,
    /// DESC
    #[serde(default)]
    pub descending: bool,
    /// NULLS FIRST; the default follows the direction.
    #[serde(default)]
    pub nulls_first: bool,
}

/// What a key is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyPart {
    /// A column, by its name verbatim.
    Column(String),
    /// An expression, without parentheses around it.
    Expression(String),
}

impl Index {
    /// The address of an index: the table's with the index's name, although PostgreSQL keeps
    /// index names by namespace.
    pub fn address(relation: &Address, name: &str) -> Address {
        relation.child(NAME, name)
    }
}

/// The relation that an index's address is in, as a row source.
fn relation_scope(address: &Address, catalogs: &[&Catalog]) -> Scope {
    table::scope(&Address::new(table::NAME, &address.path()[..2]), catalogs)
}

impl Definition for Index {
    fn properties(&self) -> Vec<Property> {
        let Self {
            method,
            unique,
            nulls_not_distinct,
            keys,
            include,
            predicate,
            options,
            valid,
            inherited: _,
            clustered: _,
            replica_identity: _,
            definition: _,
        } = self;
        let key = |key: &Key| {
            let Key { what, collation, operator_class, descending, nulls_first } = key;
            Value::List(vec![
                match what {
                    KeyPart::Column(name) => Value::Text(name.clone()),
                    KeyPart::Expression(text) => Value::Expression(Expression::new(text)),
                },
                Value::option(collation.clone()),
                Value::option(operator_class.clone()),
                Value::Flag(*descending),
                Value::Flag(*nulls_first),
            ])
        };
        vec![
            Property::new("method", method.as_str()),
            Property::new("unique", *unique),
            Property::new("nulls_not_distinct", *nulls_not_distinct),
            Property::new("columns", Value::List(keys.iter().map(key).collect())),
            Property::new("include", Value::words(include)),
            Property::new("where", Value::option(predicate.clone().map(Expression::new))),
            Property::new("with", options.as_ref().map_or(Value::Unstated, Value::words)),
            Property::state("valid", *valid),
        ]
    }

    fn section(&self) -> &'static str {
        "indexes"
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn scope(&self, address: &Address, catalogs: &[&Catalog]) -> Option<Scope> {
        Some(relation_scope(address, catalogs))
    }

    fn retyped(&self, address: &Address, retypes: &Retypes) -> Option<Arc<dyn Definition>> {
        let relation = Address::new(table::NAME, &address.path()[..2]);
        let retype = |text: &String| column::retyped_expression(text, &relation, retypes);
        let predicate = self.predicate.as_ref().map(|p| retype(p).unwrap_or_else(|| p.clone()));
        let keys = self.keys.iter().map(|key| match &key.what {
            KeyPart::Expression(text) => {
                let text = retype(text).unwrap_or_else(|| text.clone());
                Key { what: KeyPart::Expression(text), ..key.clone() }
            }
            KeyPart::Column(_) => key.clone(),
        });
        let keys: Vec<Key> = keys.collect();
        let definition = self.definition.as_ref().map(|d| retype(d).unwrap_or_else(|| d.clone()));
        let retyped = Self { predicate, keys, definition, ..self.clone() };
        (retyped != *self).then(|| Arc::new(retyped) as Arc<dyn Definition>)
    }

    fn known_by_definition(&self) -> bool {
        true
    }

    fn is_implied(&self) -> bool {
        self.inherited
    }

    fn implied_by(&self, address: &Address) -> Option<Address> {
        let table = Address::new(table::NAME, &address.path()[..2]);
        Some(crate::inheritance::Inheritance::address(&table))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The name of the index as SQL.
pub(crate) fn qualified(address: &Address) -> QName {
    QName::new(address.namespace(), address.name())
}
