//! Constraints of tables: primary keys, unique, check, foreign key and exclusion constraints.

mod data;
mod exclusion;
mod in_place;
pub mod model;
mod online;
mod read;
mod sql;
mod steps;
mod target;

use std::any::Any;
use std::sync::Arc;

use reconcile_catalog::{
    Address, Catalog, Definition, Expression, Property, Renames, Retypes, Scope, Value,
};
use reconcile_sql::QName;
use serde::{Deserialize, Serialize};

use crate::inheritance::Inheritance;
use crate::renaming;
use crate::storage::{self, Settings};
use crate::{column, table};

pub use sql::definition;
pub use steps::ConstraintKind;
pub(crate) use steps::SUCCESSOR;

/// The name of the kind.
pub const NAME: &str = "constraint";

/// A constraint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Constraint {
    /// What it demands.
    pub rule: Rule,
    /// DEFERRABLE, and if so whether INITIALLY DEFERRED.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deferrable: Option<Deferred>,
    /// Whether all rows are known to satisfy it: false for NOT VALID.
    pub validated: bool,
    /// Whether it comes from a parent table and cannot be altered here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inherited: bool,
    /// Whether an inherited constraint is the table's own besides: it stays when the parent's goes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub local: bool,
    /// NOT ENFORCED: it is there, and no row is held to it (18).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub not_enforced: bool,
    /// Storage parameters of its index; `None` where the model does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<Settings>,
    /// The tablespace of its index, empty for the database's own; `None` where the model does not
    /// say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tablespace: Option<String>,
}

/// When a deferrable constraint is checked unless told otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deferred {
    /// At the end of each statement.
    InitiallyImmediate,
    /// At the end of the transaction.
    InitiallyDeferred,
}

/// What a constraint demands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "snake_case")]
pub enum Rule {
    /// PRIMARY KEY
    PrimaryKey {
        /// Key columns in order.
        columns: Vec<String>,
        /// INCLUDE columns.
        #[serde(default)]
        include: Vec<String>,
        /// Whether the last column is a range that must not overlap (18)
        #[serde(default)]
        without_overlaps: bool,
    },
    /// UNIQUE
    Unique {
        /// Key columns in order.
        columns: Vec<String>,
        /// INCLUDE columns.
        #[serde(default)]
        include: Vec<String>,
        /// NULLS NOT DISTINCT (15)
        #[serde(default)]
        nulls_not_distinct: bool,
        /// Whether the last column is a range that must not overlap (18)
        #[serde(default)]
        without_overlaps: bool,
    },
    /// CHECK
    Check {
        /// The condition.
        expression: String,
        /// NO INHERIT
        #[serde(default)]
        no_inherit: bool,
    },
    /// FOREIGN KEY
    ForeignKey {
        /// Referencing columns.
        columns: Vec<String>,
        /// The referenced table.
        references: QName,
        /// Referenced columns.
        referenced: Vec<String>,
        /// ON UPDATE
        on_update: ReferentialAction,
        /// ON DELETE
        on_delete: ReferentialAction,
        /// The columns of ON DELETE SET NULL (…) (15)
        #[serde(default)]
        set_columns: Vec<String>,
        /// MATCH FULL
        #[serde(default)]
        match_full: bool,
        /// Whether the last columns are ranges that have to be covered: PERIOD (18)
        #[serde(default)]
        period: bool,
    },
    /// EXCLUDE
    Other {
        /// The definition as `pg_get_constraintdef` writes it, or in its manner.
        definition: String,
    },
}

/// What a foreign key does to the referencing rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReferentialAction {
    /// NO ACTION
    #[default]
    NoAction,
    /// RESTRICT
    Restrict,
    /// CASCADE
    Cascade,
    /// SET NULL
    SetNull,
    /// SET DEFAULT
    SetDefault,
}

impl ReferentialAction {
    /// As SQL.
    pub fn sql(self) -> &'static str {
        match self {
            Self::NoAction => "NO ACTION",
            Self::Restrict => "RESTRICT",
            Self::Cascade => "CASCADE",
            Self::SetNull => "SET NULL",
            Self::SetDefault => "SET DEFAULT",
        }
    }
}

impl Constraint {
    /// A valid constraint that is not deferrable.
    pub fn new(rule: Rule) -> Self {
        Self {
            rule,
            deferrable: None,
            validated: true,
            inherited: false,
            local: false,
            not_enforced: false,
            with: None,
            tablespace: None,
        }
    }

    /// Whether it stands on an index of its own.
    pub fn has_index(&self) -> bool {
        match self.rule {
            Rule::PrimaryKey { .. } | Rule::Unique { .. } | Rule::Other { .. } => true,
            Rule::Check { .. } | Rule::ForeignKey { .. } => false,
        }
    }

    /// Whether it is a check.
    pub fn is_check(&self) -> bool {
        matches!(self.rule, Rule::Check { .. })
    }

    /// The address of a constraint.
    pub fn address(table: &Address, name: &str) -> Address {
        table.child(NAME, name)
    }
}

/// The table that a constraint's or column's address is in.
pub(crate) fn table_of(address: &Address) -> Address {
    Address::new(table::NAME, &address.path()[..2])
}

impl Definition for Constraint {
    fn properties(&self) -> Vec<Property> {
        let Self {
            rule,
            deferrable,
            validated,
            inherited: _,
            local: _,
            not_enforced,
            with,
            tablespace,
        } = self;
        let mut out = match rule {
            Rule::PrimaryKey { columns, include, without_overlaps } => vec![
                Property::new("rule", "primary key"),
                Property::new("columns", Value::words(columns)),
                Property::new("include", Value::words(include)),
                Property::new("without_overlaps", *without_overlaps),
            ],
            Rule::Unique { columns, include, nulls_not_distinct, without_overlaps } => vec![
                Property::new("rule", "unique"),
                Property::new("columns", Value::words(columns)),
                Property::new("include", Value::words(include)),
                Property::new("nulls_not_distinct", *nulls_not_distinct),
                Property::new("without_overlaps", *without_overlaps),
            ],
            Rule::Check { expression, no_inherit } => vec![
                Property::new("rule", "check"),
                Property::new("expression", Expression::new(expression)),
                Property::new("no_inherit", *no_inherit),
            ],
            Rule::ForeignKey {
                columns,
                references,
                referenced,
                on_update,
                on_delete,
                set_columns,
                match_full,
                period,
            } => vec![
                Property::new("rule", "foreign key"),
                Property::new("columns", Value::words(columns)),
                Property::new("references", references.to_string()),
                Property::new("referenced", Value::words(referenced)),
                Property::new("on_update", on_update.sql()),
                Property::new("on_delete", on_delete.sql()),
                Property::new("set_columns", Value::words(set_columns)),
                Property::new("match_full", *match_full),
                Property::new("period", *period),
            ],
            Rule::Other { definition } => exclusion::properties(definition),
        };
        out.push(Property::new(
            "deferrable",
            Value::option(deferrable.map(|d| match d {
                Deferred::InitiallyImmediate => "initially immediate",
                Deferred::InitiallyDeferred => "initially deferred",
            })),
        ));
        out.push(Property::new("not_enforced", *not_enforced));
        // Nobody asks the rows about what is not enforced.
        let valid = if *not_enforced { Value::Unstated } else { Value::Flag(*validated) };
        out.push(Property::state("validated", valid));
        if self.has_index() {
            let with = with.as_ref().map_or(Value::Unstated, storage::value);
            out.push(Property::state("with", with));
            let tablespace = tablespace.clone().map_or(Value::Unstated, Value::Text);
            out.push(Property::state("tablespace", tablespace));
        }
        out
    }

    fn section(&self) -> &'static str {
        match self.rule {
            Rule::PrimaryKey { .. } => "primary_key",
            Rule::Unique { .. } => "unique",
            Rule::Check { .. } => "checks",
            Rule::ForeignKey { .. } => "foreign_keys",
            Rule::Other { .. } => "exclusions",
        }
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn scope(&self, address: &Address, catalogs: &[&Catalog]) -> Option<Scope> {
        matches!(self.rule, Rule::Check { .. } | Rule::Other { .. })
            .then(|| table::scope(&table_of(address), catalogs))
    }

    fn retyped(&self, address: &Address, retypes: &Retypes) -> Option<Arc<dyn Definition>> {
        let retyped = |text: &str| column::retyped_expression(text, &table_of(address), retypes);
        let rule = match &self.rule {
            Rule::Check { expression, no_inherit } => {
                Rule::Check { expression: retyped(expression)?, no_inherit: *no_inherit }
            }
            Rule::Other { definition } => Rule::Other { definition: retyped(definition)? },
            Rule::PrimaryKey { .. } | Rule::Unique { .. } | Rule::ForeignKey { .. } => return None,
        };
        Some(Arc::new(Self { rule, ..self.clone() }))
    }

    fn completed(&self) -> Option<Arc<dyn Definition>> {
        let open = self.with.is_none() || self.tablespace.is_none();
        (open && self.has_index()).then(|| {
            let with = Some(self.with.clone().unwrap_or_default());
            let tablespace = Some(self.tablespace.clone().unwrap_or_default());
            Arc::new(Self { with, tablespace, ..self.clone() }) as Arc<dyn Definition>
        })
    }

    fn known_by_definition(&self) -> bool {
        true
    }

    fn is_single(&self) -> bool {
        matches!(self.rule, Rule::PrimaryKey { .. })
    }

    fn is_implied(&self) -> bool {
        self.inherited && !self.local
    }

    /// What `inspect` writes of a primary key has no name if PostgreSQL chose it.
    fn has_usual_name(&self) -> bool {
        self.is_single() && !self.inherited
    }

    fn implied_by(&self, address: &Address) -> Option<Address> {
        Some(Inheritance::address(&table_of(address)))
    }

    fn renamed(&self, address: &Address, renames: &Renames) -> Option<Arc<dyn Definition>> {
        let own = table::relation(address);
        let columns = |of: &QName, names: &[String]| renames.columns(of, names);
        let rule = match self.rule.clone() {
            Rule::PrimaryKey { columns: keys, include, without_overlaps } => Rule::PrimaryKey {
                columns: columns(&own, &keys),
                include: columns(&own, &include),
                without_overlaps,
            },
            Rule::Unique { columns: keys, include, nulls_not_distinct, without_overlaps } => {
                Rule::Unique {
                    columns: columns(&own, &keys),
                    include: columns(&own, &include),
                    nulls_not_distinct,
                    without_overlaps,
                }
            }
            Rule::Check { expression, no_inherit } => {
                Rule::Check { expression: renames.text(&expression, Some(&own)), no_inherit }
            }
            Rule::ForeignKey {
                columns: keys,
                references,
                referenced,
                on_update,
                on_delete,
                set_columns,
                match_full,
                period,
            } => Rule::ForeignKey {
                columns: columns(&own, &keys),
                referenced: columns(&references, &referenced),
                references: renames.name(&references),
                on_update,
                on_delete,
                set_columns: columns(&own, &set_columns),
                match_full,
                period,
            },
            Rule::Other { definition } => {
                Rule::Other { definition: renames.text(&definition, Some(&own)) }
            }
        };
        renaming::changed(self, Self { rule, ..self.clone() })
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
