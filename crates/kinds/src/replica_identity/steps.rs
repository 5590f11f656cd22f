//! ALTER TABLE … REPLICA IDENTITY.

use std::sync::Arc;

use reconcile_catalog::{Address, Definition, Object};
use reconcile_sql::{LockLevel, ServerVersion, quote_ident};

use super::{NAME, ReplicaIdentity, read};
use crate::model::ModelPart;
use crate::read::{ReadError, Reader, Row};
use crate::step::{Action, Refusal, Sql, Stage};
use crate::table::relation;
use crate::{Alteration, Cx, Disturbance, How, Kind, Reaction};

/// The kind.
pub struct ReplicaIdentityKind;

fn set(address: &Address, identity: Option<&ReplicaIdentity>) -> Vec<Stage> {
    let word = match identity {
        None => "DEFAULT".to_owned(),
        Some(ReplicaIdentity::Full) => "FULL".to_owned(),
        Some(ReplicaIdentity::Nothing) => "NOTHING".to_owned(),
        Some(ReplicaIdentity::Index(name)) => format!("USING INDEX {}", quote_ident(name)),
    };
    let table = relation(address);
    let summary = format!("let the replica identity of {table} be {}", word.to_lowercase());
    // A statement of its own: it names an index, which another clause may just make.
    let sql = Sql::Statement(format!("ALTER TABLE {table} REPLICA IDENTITY {word}"));
    let action = Action::new(address, summary, sql).locking(table, LockLevel::AccessExclusive);
    vec![Stage::transaction(vec![action])]
}

impl Kind for ReplicaIdentityKind {
    fn name(&self) -> &'static str {
        NAME
    }

    fn plural(&self) -> &'static str {
        "replica identities"
    }

    fn model(&self) -> Option<&'static dyn ModelPart> {
        Some(&super::model::ReplicaIdentityModel)
    }

    fn queries(&self, _version: ServerVersion) -> Vec<String> {
        vec![read::query()]
    }

    fn read(&self, row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
        read::read(row, reader)
    }

    fn decode(&self, json: serde_json::Value) -> Result<Arc<dyn Definition>, serde_json::Error> {
        Ok(Arc::new(serde_json::from_value::<ReplicaIdentity>(json)?))
    }

    fn designation(&self, address: &Address) -> String {
        format!("TABLE {}", address.dotted())
    }

    fn describe(&self, object: &Object) -> String {
        match object.get::<ReplicaIdentity>() {
            None => String::new(),
            Some(ReplicaIdentity::Full) => "full".to_owned(),
            Some(ReplicaIdentity::Nothing) => "nothing".to_owned(),
            Some(ReplicaIdentity::Index(name)) => format!("index {}", quote_ident(name)),
        }
    }

    fn create(&self, object: &Object, _how: How, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        Ok(set(&object.address, object.get()))
    }

    fn drop(&self, object: &Object, _how: How, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        Ok(set(&object.address, None))
    }

    fn alter(&self, change: &Alteration<'_>, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        Ok(set(&change.desired.address, change.desired.get()))
    }

    fn react(
        &self,
        _object: &Object,
        _disturbed: &Object,
        by: &Disturbance,
        _cx: &Cx<'_>,
    ) -> Reaction {
        match by {
            Disturbance::Rebuilt => Reaction::Rebuild { warnings: Vec::new() },
            Disturbance::Dropped => Reaction::Goes,
            Disturbance::Retyped(_) => Reaction::Keep,
        }
    }
}
