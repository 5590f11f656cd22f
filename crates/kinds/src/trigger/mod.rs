//! Triggers that people made; the ones behind foreign keys belong to their constraint.

pub mod model;
mod read;
mod steps;

use std::any::Any;
use std::sync::Arc;

use reconcile_catalog::{Address, Definition, Property, Renames, Retypes, Value};
use reconcile_sql::retype::{ColumnRetype, retype};
use serde::{Deserialize, Serialize};

use crate::column::column_retypes;
use crate::renaming;
use crate::table;

pub use steps::TriggerKind;

/// The name of the kind.
pub const NAME: &str = "trigger";

/// A trigger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    /// `pg_get_triggerdef`
    pub definition: String,
    /// When it fires.
    pub enabled: Enabled,
    /// Whether it is the clone of a partitioned parent's trigger.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inherited: bool,
}

/// When a trigger fires (`pg_trigger.tgenabled`), or a rule acts (`pg_rewrite.ev_enabled`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Enabled {
    /// In sessions that are no replicas.
    Origin,
    /// Never.
    Disabled,
    /// Only in replicas.
    Replica,
    /// Always.
    Always,
}

impl Enabled {
    /// As the catalog says it.
    pub fn from_catalog(letter: &str) -> Self {
        match letter {
            "D" => Self::Disabled,
            "R" => Self::Replica,
            "A" => Self::Always,
            _ => Self::Origin,
        }
    }

    /// Whether it fires in a session that is a replica, or is none.
    pub fn fires(self, replica: bool) -> bool {
        match self {
            Self::Always => true,
            Self::Origin => !replica,
            Self::Replica => replica,
            Self::Disabled => false,
        }
    }

    /// As ALTER TABLE spells it.
    pub fn sql(self) -> &'static str {
        match self {
            Self::Origin => "ENABLE",
            Self::Disabled => "DISABLE",
            Self::Replica => "ENABLE REPLICA",
            Self::Always => "ENABLE ALWAYS",
        }
    }
}

impl Trigger {
    /// The address of a trigger.
    pub fn address(relation: &Address, name: &str) -> Address {
        relation.child(NAME, name)
    }
}

/// What the WHEN of a trigger calls a changing column: `old.role`, `new.role`.
fn retyped_definition(definition: &str, address: &Address, retypes: &Retypes) -> String {
    let own = table::relation(address);
    let changes: Vec<ColumnRetype> =
        column_retypes(retypes).into_iter().filter(|c| c.relation == own).collect();
    // Row variables are relations of that name to the rewriting.
    let rows = ["old", "new"].iter().flat_map(|row| {
        changes.iter().map(|c| {
            let mut c = c.clone();
            (*row).clone_into(&mut c.relation.name);
            c
        })
    });
    let mut text = definition.to_owned();
    for change in rows {
        let own = change.relation.clone();
        text = retype(&text, Some(&own), std::slice::from_ref(&change)).text;
    }
    text
}

/// The statement of a trigger with another name.
fn called(definition: &str, name: &str) -> String {
    let tokens = reconcile_sql::lex::significant(definition);
    let at = tokens.iter().position(|t| t.is("trigger"));
    match at.and_then(|at| tokens.get(at + 1)) {
        Some(old) => {
            let (before, after) =
                (&definition[..old.start], &definition[old.start + old.text.len()..]);
            format!("{before}{}{after}", reconcile_sql::quote_ident(name))
        }
        None => definition.to_owned(),
    }
}

impl Definition for Trigger {
    fn properties(&self) -> Vec<Property> {
        let Self { definition, enabled, inherited: _ } = self;
        vec![
            Property::new("definition", Value::Statement(definition.clone())),
            Property::new("enabled", enabled.sql()),
        ]
    }

    fn section(&self) -> &'static str {
        "triggers"
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn retyped(&self, address: &Address, retypes: &Retypes) -> Option<Arc<dyn Definition>> {
        let definition = retyped_definition(&self.definition, address, retypes);
        (definition != self.definition)
            .then(|| Arc::new(Self { definition, ..self.clone() }) as Arc<dyn Definition>)
    }

    fn is_implied(&self) -> bool {
        self.inherited
    }

    fn renamed(&self, address: &Address, renames: &Renames) -> Option<Arc<dyn Definition>> {
        let own = table::relation(address);
        let definition = renames.text(&self.definition, Some(&own));
        let name = renaming::name_of(address, renames);
        let definition =
            if name == address.name() { definition } else { called(&definition, &name) };
        renaming::changed(self, Self { definition, ..self.clone() })
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
