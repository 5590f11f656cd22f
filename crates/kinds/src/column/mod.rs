//! Columns of tables.

mod alter;
mod builtin_casts;
mod casts;
mod create;
pub(crate) mod data;
mod declare;
mod exchange;
mod formula;
mod gate;
mod generated;
pub(crate) mod identity;
mod inherited;
pub mod model;
mod not_null;
pub(crate) mod online;
mod read;
pub(crate) mod refill;
mod retype;
mod steps;

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use reconcile_catalog::{
    Address, Catalog, Definition, Expression, Property, Renames, Retype, Retypes, Scope, Tuned,
    Value,
};
use reconcile_sql::retype::ColumnRetype;
use reconcile_sql::{QName, SqlType};
use serde::{Deserialize, Serialize};

use crate::constraint::table_of;
use crate::inheritance::Inheritance;
use crate::model::object_name;
use crate::renaming;
use crate::sequence::Counting;
use crate::table;

pub(crate) use casts::using;
pub use declare::declaration;
pub(crate) use exchange::exchange;
pub(crate) use inherited::overrides;
pub use steps::ColumnKind;

/// The name of the kind.
pub const NAME: &str = "column";

/// A column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its type.
    #[serde(rename = "type")]
    pub ty: SqlType,
    /// Whether it may be null.
    pub nullable: bool,
    /// The constraint behind NOT NULL (18); nothing where there is no such constraint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_null: Option<NotNull>,
    /// Its default, as SQL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// Whether and how it is an identity column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// How the sequence of an identity column counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counting: Option<Tuned<Counting>>,
    /// The sequence of an identity column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<Tuned<QName>>,
    /// The expression of a generated column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generated: Option<String>,
    /// Whether a generated column is VIRTUAL (18) and not STORED.
    #[serde(default, rename = "virtual", skip_serializing_if = "std::ops::Not::not")]
    pub is_virtual: bool,
    /// Its collation, if it is not the type's own.
    #[serde(default, skip_serializing_if = "Tuned::is_default")]
    pub collation: Tuned<Option<QName>>,
    /// The statistics target, if it is not the server's.
    #[serde(default, skip_serializing_if = "Tuned::is_default")]
    pub statistics: Tuned<Option<i32>>,
    /// How long values are stored, if not as the type says.
    #[serde(default, skip_serializing_if = "Tuned::is_default")]
    pub storage: Tuned<Option<Storage>>,
    /// The compression method, if it is not the server's.
    #[serde(default, skip_serializing_if = "Tuned::is_default")]
    pub compression: Tuned<Option<String>>,
    /// Attribute options: `n_distinct`.
    #[serde(default, skip_serializing_if = "Tuned::is_default")]
    pub options: Tuned<BTreeMap<String, String>>,
    /// How the values that are there become the column's: an expression over the old row. It says what is
    /// done on the way and is no property of the column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub using: Option<String>,
    /// How the old values come back from the new ones, on the way back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<String>,
    /// Live side: how the type itself wants long values stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub type_storage: Option<Storage>,
    /// Whether it comes from a parent and cannot be altered here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inherited: bool,
    /// Whether an inherited column is the table's own besides: it stays when the parent's goes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub local: bool,
    /// Its number (`attnum`), or its place in the model: where a new table puts it.
    #[serde(default)]
    pub position: i32,
}

/// NOT NULL as a constraint (18).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotNull {
    /// Its name.
    pub name: Tuned<String>,
    /// NO INHERIT
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_inherit: bool,
    /// Whether all rows are known to satisfy it: false for NOT VALID.
    pub validated: bool,
}

impl NotNull {
    /// The name that PostgreSQL gives it (`ChooseConstraintName`, `src/backend/catalog/pg_constraint.c`).
    pub fn usual_name(column: &Address) -> String {
        let table = column.path().get(1).map_or("", String::as_str);
        object_name(table, Some(column.name()), "not_null")
    }

    /// The constraint of a column that says nothing about it.
    pub fn usual(column: &Address) -> Self {
        let name = Tuned::silent(Self::usual_name(column));
        Self { name, no_inherit: false, validated: true }
    }
}

/// How long values are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Storage {
    /// In the row, as they are.
    Plain,
    /// Out of the row, as they are.
    External,
    /// Compressed, out of the row if they must.
    Extended,
    /// Compressed, in the row if they can.
    Main,
}

impl Storage {
    /// As a word of SQL in lower case.
    pub fn word(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::External => "external",
            Self::Extended => "extended",
            Self::Main => "main",
        }
    }
}

/// How an identity column takes its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// GENERATED ALWAYS
    Always,
    /// GENERATED BY DEFAULT
    ByDefault,
}

impl Identity {
    /// As SQL.
    pub fn sql(self) -> &'static str {
        match self {
            Self::Always => "GENERATED ALWAYS AS IDENTITY",
            Self::ByDefault => "GENERATED BY DEFAULT AS IDENTITY",
        }
    }
}

impl Column {
    /// A nullable column without a default.
    pub fn new(ty: SqlType) -> Self {
        Self {
            ty,
            nullable: true,
            not_null: None,
            default: None,
            identity: None,
            counting: None,
            sequence: None,
            generated: None,
            is_virtual: false,
            collation: Tuned::silent(None),
            statistics: Tuned::silent(None),
            storage: Tuned::silent(None),
            compression: Tuned::silent(None),
            options: Tuned::silent(BTreeMap::new()),
            using: None,
            back: None,
            type_storage: None,
            inherited: false,
            local: false,
            position: 0,
        }
    }

    /// Whether the table states it itself, whatever it has from its parents.
    pub fn is_own(&self) -> bool {
        !self.inherited || self.local
    }

    /// The name that PostgreSQL gives to the sequence of an identity column.
    pub fn usual_sequence(address: &Address) -> QName {
        let table = address.path().get(1).map_or("", String::as_str);
        QName::new(address.namespace(), object_name(table, Some(address.name()), "seq"))
    }

    /// The address of a column.
    pub fn address(table: &Address, name: &str) -> Address {
        table.child(NAME, name)
    }
}

/// The type changes of a plan as changes of columns of relations.
pub fn column_retypes(retypes: &Retypes) -> Vec<ColumnRetype> {
    retypes.changes.iter().map(column_retype).collect()
}

fn column_retype(change: &Retype) -> ColumnRetype {
    ColumnRetype {
        relation: table::relation(&change.address),
        column: change.address.name().to_owned(),
        from: change.from.clone(),
        to: change.to.clone(),
    }
}

/// An expression of a table as it reads after the type changes; `None` if it stays. It sees the
/// columns of that table and of no other.
pub fn retyped_expression(source: &str, table: &Address, retypes: &Retypes) -> Option<String> {
    let own = retypes.changes.iter().filter(|c| c.address.path().starts_with(table.path()));
    let own: Vec<ColumnRetype> = own.map(column_retype).collect();
    if own.is_empty() {
        return None;
    }
    let retyped = reconcile_sql::retype::retype(source, Some(&table::relation(table)), &own);
    (retyped.text != source).then_some(retyped.text)
}

/// What tells one NOT NULL from another; nothing before 18, where it is no constraint.
fn not_null_properties(nullable: bool, not_null: Option<&NotNull>) -> [Property; 3] {
    let (name, no_inherit, validated) = match (nullable, not_null) {
        (false, Some(NotNull { name, no_inherit, validated })) => (
            name.compared(|n| Value::Text(n.clone())),
            Value::Flag(*no_inherit),
            Value::Flag(*validated),
        ),
        (true, _) | (false, None) => (Value::Unstated, Value::Unstated, Value::Unstated),
    };
    [
        Property::new("not_null", name),
        Property::new("no_inherit", no_inherit),
        Property::state("not_null_validated", validated),
    ]
}

impl Definition for Column {
    fn properties(&self) -> Vec<Property> {
        let Self {
            ty,
            nullable,
            not_null,
            default,
            identity,
            counting,
            sequence,
            generated,
            is_virtual,
            collation,
            statistics,
            storage,
            compression,
            options,
            using: _,
            back: _,
            type_storage: _,
            inherited,
            local: _,
            position: _,
        } = self;
        let word = identity.map(|i| match i {
            Identity::Always => "always",
            Identity::ByDefault => "by default",
        });
        // From 17 on a partition shares its parent's, and before that it has none.
        let shared = |value: Value| if *inherited { Value::Unstated } else { value };
        let counts = |counting: &Counting| Value::Text(counting.words());
        let counting = match (identity, counting) {
            (None, _) => Value::None,
            (Some(_), Some(counting)) => counting.compared(counts),
            (Some(_), None) => Value::Usual(Box::new(counts(&Counting::usual(ty, 1)))),
        };
        let text = |text: &Option<String>| Value::option(text.as_deref());
        let mut out = vec![
            Property::new("type", ty.clone()),
            Property::new("nullable", *nullable),
            Property::new("default", Value::option(default.clone().map(Expression::new))),
            Property::new("identity", shared(Value::option(word))),
            Property::new("counting", shared(counting)),
            Property::new(
                "sequence",
                shared(match (identity, sequence) {
                    (None, _) => Value::None,
                    (Some(_), None) => Value::Unstated,
                    (Some(_), Some(name)) => name.compared(|n| Value::Text(n.to_string())),
                }),
            ),
            Property::new("generated", Value::option(generated.clone().map(Expression::new))),
            Property::new("virtual", *is_virtual),
            Property::new(
                "collation",
                collation.compared(|c| Value::option(c.as_ref().map(ToString::to_string))),
            ),
            Property::new(
                "statistics",
                statistics.compared(|s| Value::option(s.map(|n| Value::Number(n.into())))),
            ),
            Property::new("storage", storage.compared(|s| Value::option(s.map(Storage::word)))),
            Property::new("compression", compression.compared(text)),
            Property::new(
                "options",
                options.compared(|o| Value::words(o.iter().map(|(k, v)| format!("{k}={v}")))),
            ),
        ];
        out.extend(not_null_properties(*nullable, not_null.as_ref()));
        out
    }

    fn section(&self) -> &'static str {
        "columns"
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn scope(&self, address: &Address, catalogs: &[&Catalog]) -> Option<Scope> {
        // A default sees no columns, a generated column sees its table's.
        let table = Address::new(table::NAME, &address.path()[..2]);
        let mut scope = if self.generated.is_some() {
            table::scope(&table, catalogs)
        } else {
            Scope::default()
        };
        address.namespace().clone_into(&mut scope.namespace);
        scope.assigned_to = Some(self.ty.clone());
        Some(scope)
    }

    fn retyped(&self, address: &Address, retypes: &Retypes) -> Option<Arc<dyn Definition>> {
        let text = self.generated.as_ref();
        let computed = text.and_then(|e| retyped_expression(e, &table_of(address), retypes));
        let Some(change) = retypes.of(address) else {
            return computed.map(|text| {
                Arc::new(Self { generated: Some(text), ..self.clone() }) as Arc<dyn Definition>
            });
        };
        let own = column_retype(change);
        // A default is compared with nothing, but takes the column's type as if it were.
        let default = self.default.as_ref().map(|d| {
            let (open, close) =
                (format!("COALESCE({}, ", reconcile_sql::quote_ident(&own.column)), ")");
            let probe = format!("{open}{d}{close}");
            let text = reconcile_sql::retype::retype(
                &probe,
                Some(&own.relation),
                std::slice::from_ref(&own),
            )
            .text;
            text[open.len()..text.len() - close.len()].to_owned()
        });
        let generated = computed.or_else(|| self.generated.clone());
        Some(Arc::new(Self { default, generated, ..self.clone() }))
    }

    fn passes_on(&self, address: &Address, retypes: &Retypes) -> Vec<Retype> {
        // Columns of children follow the parent's: their dependency on it says so.
        if !self.inherited || retypes.of(address).is_some() {
            return Vec::new();
        }
        let parent = retypes
            .changes
            .iter()
            .find(|c| c.address.name() == address.name() && c.from == self.ty);
        parent
            .map(|c| Retype { address: address.clone(), through: address.clone(), ..c.clone() })
            .into_iter()
            .collect()
    }

    fn is_implied(&self) -> bool {
        !self.is_own()
    }

    fn implied_by(&self, address: &Address) -> Option<Address> {
        Some(Inheritance::address(&Address::new(table::NAME, &address.path()[..2])))
    }

    fn renamed(&self, address: &Address, renames: &Renames) -> Option<Arc<dyn Definition>> {
        let own = table::relation(address);
        let text = |text: &Option<String>| renaming::text(text.as_ref(), Some(&own), renames);
        let collation = self.collation.value.as_ref().map(|c| renaming::elsewhere(c, renames));
        let sequence = self.sequence.clone().map(|mut name| {
            name.value = renames.name(&name.value);
            name
        });
        let renamed = Self {
            ty: renames.ty(&self.ty),
            default: text(&self.default),
            sequence,
            generated: text(&self.generated),
            using: text(&self.using),
            back: text(&self.back),
            collation: Tuned { value: collation, ..self.collation.clone() },
            ..self.clone()
        };
        renaming::changed(self, renamed)
    }

    /// Who comes back takes the way that was meant for it, and can go forth again.
    fn way_back(&self, desired: &dyn Definition) -> Option<Arc<dyn Definition>> {
        let desired = desired.as_any().downcast_ref::<Self>()?;
        let converts = desired.using.is_some() || desired.back.is_some();
        (converts && self.ty != desired.ty).then(|| {
            let (using, back) = (desired.back.clone(), desired.using.clone());
            Arc::new(Self { using, back, ..self.clone() }) as Arc<dyn Definition>
        })
    }

    fn come_by(&self, said: &dyn Definition) -> Option<Arc<dyn Definition>> {
        let Self { using, back, .. } = said.as_any().downcast_ref::<Self>()?;
        let (using, back) = (using.clone(), back.clone());
        (using.is_some() || back.is_some())
            .then(|| Arc::new(Self { using, back, ..self.clone() }) as Arc<dyn Definition>)
    }

    fn is_column(&self) -> bool {
        true
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Whether values sort differently after a change of type: an enum sorts by its labels' places, a
/// text by its letters.
pub(crate) fn order_changes(from: &SqlType, to: &SqlType) -> bool {
    !from.sorts_like(to)
}
