//! Extended statistics: what ANALYZE finds out of several columns together, or of an expression.

pub mod model;
mod read;
mod steps;

use std::any::Any;
use std::sync::Arc;

use reconcile_catalog::{
    Address, Catalog, Definition, Expression, Property, Renames, Retypes, Scope, Value,
};
use reconcile_sql::{QName, quote_ident};
use serde::{Deserialize, Serialize};

use crate::renaming;
use crate::{column, table};

pub use steps::StatisticsKind;

/// The name of the kind.
pub const NAME: &str = "statistics";

/// What a statistics object can find out of several columns.
pub const KINDS: [&str; 3] = ["dependencies", "mcv", "ndistinct"];

/// A statistics object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statistics {
    /// Columns, in the order of their names: PostgreSQL keeps no order of them.
    #[serde(default)]
    pub columns: Vec<String>,
    /// Expressions, in order, without parentheses around them.
    #[serde(default)]
    pub expressions: Vec<String>,
    /// Of [`KINDS`], in order; none for a single expression.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// Its statistics target, if it has one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<i32>,
}

impl Statistics {
    /// The address of a statistics object: it is a part of the relation, and says where it is if
    /// that is elsewhere.
    pub fn address(relation: &Address, name: &QName) -> Address {
        if name.namespace == relation.namespace() {
            return relation.child(NAME, &name.name);
        }
        let inside = [name.namespace.clone(), name.name.clone()];
        Address::new(NAME, relation.path().iter().cloned().chain(inside))
    }

    /// Whether it is over one expression, which has statistics of one kind only.
    fn is_single(&self) -> bool {
        self.columns.is_empty() && self.expressions.len() == 1
    }

    /// CREATE STATISTICS
    fn sql(&self, name: &QName, on: &QName) -> String {
        let columns = self.columns.iter().map(|c| quote_ident(c));
        let expressions = self.expressions.iter().map(|e| format!("({e})"));
        let keys: Vec<String> = columns.chain(expressions).collect();
        let all = self.is_single() || self.kinds.len() == KINDS.len();
        let kinds = if all { String::new() } else { format!(" ({})", self.kinds.join(", ")) };
        format!("CREATE STATISTICS {name}{kinds} ON {} FROM {on}", keys.join(", "))
    }
}

/// The relation that it is on.
fn relation_of(address: &Address) -> Address {
    Address::new(table::NAME, &address.path()[..2])
}

/// Its name as SQL.
fn qualified(address: &Address) -> QName {
    match address.path() {
        [_, _, namespace, name] => QName::new(namespace, name),
        _ => QName::new(address.namespace(), address.name()),
    }
}

impl Definition for Statistics {
    fn properties(&self) -> Vec<Property> {
        let Self { columns, expressions, kinds, target } = self;
        let texts = expressions.iter().map(|e| Value::Expression(Expression::new(e)));
        vec![
            Property::new("columns", Value::words(columns)),
            Property::new("expressions", Value::List(texts.collect())),
            Property::new("kinds", Value::words(kinds)),
            Property::new("target", Value::option(target.map(|t| Value::Number(t.into())))),
        ]
    }

    fn section(&self) -> &'static str {
        NAME
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn scope(&self, address: &Address, catalogs: &[&Catalog]) -> Option<Scope> {
        Some(table::scope(&relation_of(address), catalogs))
    }

    fn retyped(&self, address: &Address, retypes: &Retypes) -> Option<Arc<dyn Definition>> {
        let relation = relation_of(address);
        let retyped = |e: &String| column::retyped_expression(e, &relation, retypes);
        let expressions =
            self.expressions.iter().map(|e| retyped(e).unwrap_or_else(|| e.clone())).collect();
        let retyped = Self { expressions, ..self.clone() };
        (retyped != *self).then(|| Arc::new(retyped) as Arc<dyn Definition>)
    }

    fn known_by_definition(&self) -> bool {
        true
    }

    fn renamed(&self, address: &Address, renames: &Renames) -> Option<Arc<dyn Definition>> {
        let own = table::relation(&relation_of(address));
        let renamed = Self {
            columns: renames.columns(&own, &self.columns),
            expressions: renaming::texts(&self.expressions, Some(&own), renames),
            ..self.clone()
        };
        renaming::changed(self, renamed)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
