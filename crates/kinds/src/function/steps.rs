//! Functions are read and left alone.

use std::sync::Arc;

use reconcile_catalog::{Address, Definition, Object};
use reconcile_sql::{QName, ServerVersion};

use super::{Function, NAME, read};
use crate::online::is_ours;
use crate::read::{ReadError, Reader, Row};
use crate::step::{Action, Refusal, Sql, Stage};
use crate::{Cx, Disturbance, How, Kind, Reaction};

/// The kind.
pub struct FunctionKind;

fn unmanaged(object: &Object) -> Refusal {
    Refusal::new(&object.address, "functions are not managed")
}

impl Kind for FunctionKind {
    fn name(&self) -> &'static str {
        NAME
    }

    fn plural(&self) -> &'static str {
        "functions"
    }

    fn queries(&self, version: ServerVersion) -> Vec<String> {
        vec![read::query(version)]
    }

    fn read(&self, row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
        read::read(row, reader)
    }

    fn decode(&self, json: serde_json::Value) -> Result<Arc<dyn Definition>, serde_json::Error> {
        Ok(Arc::new(serde_json::from_value::<Function>(json)?))
    }

    fn designation(&self, address: &Address) -> String {
        format!("FUNCTION {}", address.dotted())
    }

    fn describe(&self, _object: &Object) -> String {
        String::new()
    }

    /// Only where a whole database is built again elsewhere: no model declares functions.
    fn create(&self, object: &Object, _how: How, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let definition = object.get::<Function>().and_then(|f| f.definition.clone());
        let Some(sql) = definition else { return Err(unmanaged(object)) };
        let address = &object.address;
        let action =
            Action::new(address, format!("make function {}", address.short()), Sql::Statement(sql));
        Ok(vec![Stage::transaction(vec![action])])
    }

    /// Only what an online change made: no model speaks of functions.
    fn drop(&self, object: &Object, _how: How, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let address = &object.address;
        let Some((name, arguments)) = address.name().split_once('(').filter(|_| is_ours(address))
        else {
            return Err(unmanaged(object));
        };
        let name = QName::new(address.namespace(), name);
        let sql = Sql::Statement(format!("DROP FUNCTION {name}({arguments}"));
        let summary = format!("drop function {}", name.name);
        Ok(vec![Stage::transaction(vec![Action::new(address, summary, sql)])])
    }

    fn react(
        &self,
        object: &Object,
        disturbed: &Object,
        by: &Disturbance,
        _cx: &Cx<'_>,
    ) -> Reaction {
        let name = &object.address;
        match by {
            Disturbance::Retyped(_) if disturbed.get::<crate::column::Column>().is_some() => {
                Reaction::Refuse(format!(
                    "{name} has a body that PostgreSQL has parsed (BEGIN ATOMIC) and reads it; drop the function first and \
                 make it again afterwards"
                ))
            }
            // The row type of a table follows its columns.
            Disturbance::Retyped(_) => Reaction::Keep,
            Disturbance::Rebuilt if disturbed.definition.is_type() => Reaction::Refuse(format!(
                "{name} has {} in its signature or its body, and another type takes its place; drop the function first \
                 and make it again afterwards",
                disturbed.address
            )),
            Disturbance::Rebuilt => Reaction::Refuse(format!(
                "{name} takes or returns rows of {}, which would have to be dropped and made again; drop the function \
                 first and make it again afterwards",
                disturbed.address
            )),
            Disturbance::Dropped => {
                Reaction::Refuse(format!("{name} depends on {}", disturbed.address))
            }
        }
    }
}
