//! Objects that are not modelled: carried along by PostgreSQL, or a reason to refuse.

use std::sync::Arc;

use reconcile_catalog::{Address, Definition, Object};
use reconcile_sql::ServerVersion;

use super::{NAME, Other};
use crate::column::Column;
use crate::read::{ReadError, Reader, Row};
use crate::step::{Refusal, Stage};
use crate::{Cx, Disturbance, How, Kind, Reaction};

/// The kind.
pub struct OtherKind;

fn unmanaged(object: &Object) -> Refusal {
    Refusal::new(&object.address, "objects of this kind are not managed")
}

impl Kind for OtherKind {
    fn name(&self) -> &'static str {
        NAME
    }

    fn plural(&self) -> &'static str {
        "other objects that depend on these"
    }

    /// They come with the dependencies.
    fn queries(&self, _version: ServerVersion) -> Vec<String> {
        Vec::new()
    }

    fn read(&self, _row: &dyn Row, _reader: &mut Reader) -> Result<(), ReadError> {
        Ok(())
    }

    fn decode(&self, json: serde_json::Value) -> Result<Arc<dyn Definition>, serde_json::Error> {
        Ok(Arc::new(serde_json::from_value::<Other>(json)?))
    }

    fn designation(&self, address: &Address) -> String {
        address.name().to_owned()
    }

    fn describe(&self, object: &Object) -> String {
        object.get::<Other>().map_or_else(String::new, |o| o.description.clone())
    }

    fn create(&self, object: &Object, _how: How, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        Err(unmanaged(object))
    }

    fn drop(&self, object: &Object, _how: How, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        Err(unmanaged(object))
    }

    fn react(
        &self,
        object: &Object,
        disturbed: &Object,
        by: &Disturbance,
        _cx: &Cx<'_>,
    ) -> Reaction {
        let Some(other) = object.get::<Other>() else { return Reaction::Keep };
        let on_column = disturbed.get::<Column>().is_some();
        match (by, other.class.as_str()) {
            // ALTER TYPE carries statistics on plain columns along. An expression that names the old
            // type is left without an operator.
            (Disturbance::Retyped(change), "pg_statistic_ext") => {
                let names_type = object.depends_on.iter().any(|target| {
                    Some(target.namespace()) == change.from.namespace.as_deref()
                        && target.name() == change.from.name
                });
                if names_type && on_column {
                    Reaction::Refuse(format!(
                        "{} is over an expression that names the old type; drop it first and make it again afterwards",
                        other.description
                    ))
                } else {
                    Reaction::Keep
                }
            }
            // A whole table in a publication is no obstacle; a column list or row filter is.
            (Disturbance::Retyped(_), _) if !on_column => Reaction::Keep,
            (Disturbance::Retyped(_), "pg_publication_rel") => Reaction::Refuse(format!(
                "{} names the column in its column list or row filter; take the table out of the publication first",
                other.description
            )),
            (Disturbance::Dropped, "pg_statistic_ext") => Reaction::Goes,
            (_, _) => {
                Reaction::Refuse(format!("{} depends on {}", other.description, disturbed.address))
            }
        }
    }
}
