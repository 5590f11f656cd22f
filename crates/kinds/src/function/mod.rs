//! Functions and procedures, as far as others need to know them: what they use, and what their
//! bodies name.

mod read;
mod steps;

use std::any::Any;
use std::sync::Arc;

use reconcile_catalog::{Address, Definition, Property, Pruned, Renames, Value};
use reconcile_sql::QName;
use reconcile_sql::lex::significant;
use serde::{Deserialize, Serialize};

use crate::renaming;

pub use steps::FunctionKind;

/// The name of the kind.
pub const NAME: &str = "function";

/// A function, procedure or aggregate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    /// The body as a string; empty for a body that PostgreSQL has parsed (BEGIN ATOMIC).
    pub body: String,
    /// The whole statement that makes it; absent for an aggregate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
}

impl Function {
    /// Whether the body names a type: as an identifier, outside strings and comments, or inside a
    /// string (dynamic SQL). What a body means is known only when it runs.
    pub fn mentions(&self, name: &QName) -> bool {
        let tokens = significant(&self.body);
        let by_name = tokens.iter().any(|t| t.ident().as_ref() == Some(&name.name));
        by_name
            || tokens
                .iter()
                .any(|t| t.text.starts_with(['\'', '$', 'E']) && t.text.contains(&name.name))
    }
}

impl Definition for Function {
    fn properties(&self) -> Vec<Property> {
        let Self { body, definition } = self;
        vec![
            Property::new("body", Value::Text(body.clone())),
            Property::new("definition", Value::option(definition.clone())),
        ]
    }

    fn section(&self) -> &'static str {
        "functions"
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn pruned(&self, _: &reconcile_catalog::Address) -> Pruned {
        Pruned::Never
    }

    fn renamed(&self, _: &Address, renames: &Renames) -> Option<Arc<dyn Definition>> {
        // A body in a string stays as it is written.
        let definition = renaming::text(self.definition.as_ref(), None, renames);
        renaming::changed(self, Self { definition, ..self.clone() })
    }

    /// A function is called by the types of its arguments.
    fn renamed_name(&self, address: &Address, renames: &Renames) -> Option<String> {
        Some(renames.text(address.name(), None))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
