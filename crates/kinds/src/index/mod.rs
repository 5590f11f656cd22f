//! Indexes that no constraint owns.
//!
//! Invariant: an [`Index`] has everything that the server knows of it, so that CREATE INDEX made
//! from it and `pg_get_indexdef` say the same.

mod key;
pub mod model;
mod names;
mod read;
mod sql;
mod steps;

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use reconcile_catalog::{
    Address, Catalog, Definition, Expression, Property, Renames, Retypes, Scope, Value,
};
use reconcile_sql::QName;
use serde::{Deserialize, Serialize};

use crate::model::settings;
use crate::renaming;
use crate::{column, inheritance, table};

pub use key::{Key, KeyPart};
pub(crate) use sql::bare;
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
    /// Storage parameters, `name=value`: compared as a set, kept in the order in which they were set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// The tablespace, if it is not the database's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tablespace: Option<String>,
    /// Statistics targets of keys that are expressions, by the number of the key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub statistics: BTreeMap<u16, i32>,
    /// Whether it can be used: false for what a failed concurrent build left.
    pub valid: bool,
    /// The index of the partitioned parent that it is a part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attached_to: Option<Attached>,
    /// Live side: whether CLUSTER goes by it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub clustered: bool,
    /// Live side: whether it is the replica identity of its table.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replica_identity: bool,
}

/// An index of a partitioned table, seen from a partition's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Attached {
    /// The partitioned table.
    pub table: QName,
    /// The name of its index.
    pub index: String,
}

impl Attached {
    /// The address of the parent's index.
    pub fn address(&self) -> Address {
        Index::address(&table::Table::address(&self.table), &self.index)
    }
}

impl Index {
    /// The address of an index: the table's with the index's name, although PostgreSQL keeps
    /// index names by namespace.
    pub fn address(relation: &Address, name: &str) -> Address {
        relation.child(NAME, name)
    }

    /// Whether it says nothing that the index of the parent does not say for it.
    fn follows(&self, parent: &Self) -> bool {
        // An attached index has the same columns under the same names; the parent's validity and
        // roles are the parent's.
        let plain = |index: &Self| Self {
            valid: true,
            attached_to: None,
            clustered: false,
            replica_identity: false,
            ..index.clone()
        };
        let (mine, theirs) = (plain(self), plain(parent));
        mine.statistics.is_empty() && Self { statistics: BTreeMap::new(), ..theirs } == mine
    }
}

/// The relation that an index's address is in.
pub(crate) fn table_of(address: &Address) -> Address {
    Address::new(table::NAME, &address.path()[..2])
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
            tablespace,
            statistics,
            valid,
            attached_to,
            clustered: _,
            replica_identity: _,
        } = self;
        let targets = statistics.iter().map(|(key, target)| format!("{key}={target}"));
        vec![
            Property::new("method", method.as_str()),
            Property::new("unique", *unique),
            Property::new("nulls_not_distinct", *nulls_not_distinct),
            Property::new("columns", Value::List(keys.iter().map(Key::value).collect())),
            Property::new("include", Value::words(include)),
            Property::new("where", Value::option(predicate.clone().map(Expression::new))),
            Property::new("with", Value::words(settings::sorted(options))),
            Property::new("tablespace", Value::option(tablespace.clone())),
            Property::new("statistics", Value::words(targets)),
            // Its name is not compared: the parent's index may be renamed.
            Property::state("attached", attached_to.is_some()),
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
        Some(table::scope(&table_of(address), catalogs))
    }

    fn retyped(&self, address: &Address, retypes: &Retypes) -> Option<Arc<dyn Definition>> {
        let relation = table_of(address);
        let retype = |text: &String| column::retyped_expression(text, &relation, retypes);
        let predicate = self.predicate.as_ref().map(|p| retype(p).unwrap_or_else(|| p.clone()));
        let keys = self.keys.iter().map(|key| match &key.what {
            KeyPart::Expression(text) => {
                let text = retype(text).unwrap_or_else(|| text.clone());
                Key { what: KeyPart::Expression(text), ..key.clone() }
            }
            KeyPart::Column(_) => key.clone(),
        });
        let retyped = Self { predicate, keys: keys.collect(), ..self.clone() };
        (retyped != *self).then(|| Arc::new(retyped) as Arc<dyn Definition>)
    }

    fn known_by_definition(&self) -> bool {
        true
    }

    fn is_implied(&self) -> bool {
        self.attached_to.is_some()
    }

    fn part_of(&self) -> Option<Address> {
        self.attached_to.as_ref().map(Attached::address)
    }

    fn has_usual_name(&self) -> bool {
        self.attached_to.is_some()
    }

    fn implied_by(&self, address: &Address) -> Option<Address> {
        let table = Address::new(table::NAME, &address.path()[..2]);
        Some(crate::inheritance::Inheritance::address(&table))
    }

    fn renamed(&self, address: &Address, renames: &Renames) -> Option<Arc<dyn Definition>> {
        let own = table::relation(address);
        let spelt = |name: &Option<String>| name.as_ref().map(|n| renames.names().of_spelt(n));
        let key = |key: &Key| Key {
            what: match &key.what {
                KeyPart::Column(name) => KeyPart::Column(renames.names().of_column(&own, name)),
                KeyPart::Expression(text) => KeyPart::Expression(renames.text(text, Some(&own))),
            },
            collation: spelt(&key.collation),
            operator_class: spelt(&key.operator_class),
            own_collation: spelt(&key.own_collation),
            own_class: spelt(&key.own_class),
            ..key.clone()
        };
        let attached = |attached: &Attached| Attached {
            table: renames.name(&attached.table),
            index: renaming::name_of(&attached.address(), renames),
        };
        let renamed = Self {
            keys: self.keys.iter().map(key).collect(),
            include: renames.columns(&own, &self.include),
            predicate: renaming::text(self.predicate.as_ref(), Some(&own), renames),
            attached_to: self.attached_to.as_ref().map(attached),
            ..self.clone()
        };
        renaming::changed(self, renamed)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The table that a table is a partition of.
fn partition_of<'c>(table: &Address, catalog: &'c Catalog) -> Option<&'c QName> {
    inheritance::of(table, catalog).filter(|i| i.is_partition())?.parents.first()
}

/// The partitions of a table.
fn partitions(table: &Address, catalog: &Catalog) -> Vec<Address> {
    let name = table::relation(table);
    let found = catalog.dependents(table).filter_map(|o| o.address.target());
    let mut found: Vec<Address> =
        found.filter(|child| partition_of(child, catalog) == Some(&name)).collect();
    found.sort();
    found.dedup();
    found
}

/// The name of the index as SQL.
pub(crate) fn qualified(address: &Address) -> QName {
    QName::new(address.namespace(), address.name())
}
