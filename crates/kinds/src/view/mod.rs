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

pub(crate) use read::{add, output_columns, pairs, relation_query};
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
    /// Desired side: whether the model says `*` for columns, whatever they are when it is read.
    #[serde(skip)]
    pub says_all: bool,
}

impl View {
    /// The address of a view.
    pub fn address(name: &QName) -> Address {
        Address::new(NAME, [&name.namespace, &name.name])
    }
}

/// Whether a query says `*` for the columns of something, and not for rows that are counted or a product.
pub(crate) fn says_all(query: &str) -> bool {
    let tokens = reconcile_sql::lex::significant(query);
    let stands_for_columns = |at: usize| {
        let before = at.checked_sub(1).and_then(|at| tokens.get(at));
        let list = ["select", "distinct", "all", ",", "."];
        let after = tokens.get(at + 1);
        before.is_some_and(|t| list.iter().any(|word| t.is(word)))
            || after.is_none_or(|t| t.is("from") || t.is(","))
    };
    (0..tokens.len()).any(|at| tokens[at].is("*") && stands_for_columns(at))
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
        let Self { query, options, columns: _, defaults, says_all: _ } = self;
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

    fn settled(&self, written: Arc<dyn Definition>) -> Arc<dyn Definition> {
        let view = written.as_any().downcast_ref::<Self>().cloned();
        view.map_or(written, |view| Arc::new(Self { says_all: self.says_all, ..view }))
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

#[cfg(test)]
mod tests {
    use super::says_all;

    #[test]
    fn a_star_that_stands_for_columns() {
        for query in [
            "select * from t",
            "SELECT t.*, 1 FROM t",
            "select distinct on (a) * from t",
            "table t union all select * from u",
        ] {
            assert!(says_all(query), "{query}");
        }
        for query in [
            "select count(*) from t",
            "select 2 * n from t",
            "select (a) * (b), c from t",
            "select '*' from t",
        ] {
            assert!(!says_all(query), "{query}");
        }
    }
}
