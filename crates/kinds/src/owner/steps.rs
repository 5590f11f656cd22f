//! Giving objects to their owners.

use std::sync::Arc;

use reconcile_catalog::{Address, Definition, Object};
use reconcile_sql::{LockLevel, ServerVersion, quote_ident};

use super::{NAME, Owner, read};
use crate::model::ModelPart;
use crate::read::{ReadError, Reader, Row};
use crate::registry;
use crate::step::{Action, Refusal, Sql, Stage};
use crate::table::relation;
use crate::{Alteration, Cx, Disturbance, How, Kind, Reaction};

/// The kind.
pub struct OwnerKind;

impl Kind for OwnerKind {
    fn name(&self) -> &'static str {
        NAME
    }

    fn plural(&self) -> &'static str {
        "owners"
    }

    fn model(&self) -> Option<&'static dyn ModelPart> {
        Some(&super::model::OwnerModel)
    }

    fn queries(&self, _version: ServerVersion) -> Vec<String> {
        vec![read::query()]
    }

    fn read(&self, row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
        read::read(row, reader)
    }

    fn decode(&self, json: serde_json::Value) -> Result<Arc<dyn Definition>, serde_json::Error> {
        Ok(Arc::new(serde_json::from_value::<Owner>(json)?))
    }

    fn designation(&self, address: &Address) -> String {
        format!("OWNER OF {}", address.dotted())
    }

    fn describe(&self, object: &Object) -> String {
        object.get::<Owner>().map_or_else(String::new, |o| quote_ident(&o.role))
    }

    /// Whoever makes an object owns it: only another owner takes a step.
    fn create(&self, object: &Object, _how: How, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let address = &object.address;
        let Some((owner, target)) = object.get::<Owner>().zip(address.target()) else {
            return Ok(Vec::new());
        };
        let Some(kind) =
            registry::kind(target.kind()).filter(|_| owner.role != cx.facts.current_role)
        else {
            return Ok(Vec::new());
        };
        let sql =
            format!("ALTER {} OWNER TO {}", kind.designation(&target), quote_ident(&owner.role));
        let mut action = Action::new(
            address,
            format!("give {} to {}", target.short(), owner.role),
            Sql::Statement(sql),
        );
        if cx.live.contains(&target) && kind.grant_class() == "TABLE" {
            action = action.locking(relation(&target), LockLevel::AccessExclusive);
        }
        Ok(vec![Stage::transaction(vec![action])])
    }

    /// Ownership goes with its object.
    fn drop(&self, _object: &Object, _how: How, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        Ok(Vec::new())
    }

    fn alter(&self, change: &Alteration<'_>, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let address: &Address = &change.desired.address;
        let mut stages = self.create(change.desired, How::Within, cx)?;
        if stages.is_empty() {
            // The current role takes it over from somebody else.
            let facts = crate::Facts { current_role: String::new(), ..cx.facts.clone() };
            stages = self.create(change.desired, How::Within, &Cx { facts: &facts, ..*cx })?;
        }
        if stages.is_empty() {
            return Err(Refusal::new(address, "has no owner"));
        }
        Ok(stages)
    }

    fn react(
        &self,
        _object: &Object,
        _disturbed: &Object,
        by: &Disturbance,
        _cx: &Cx<'_>,
    ) -> Reaction {
        match by {
            Disturbance::Dropped => Reaction::Goes,
            Disturbance::Rebuilt => Reaction::Rebuild { warnings: Vec::new() },
            Disturbance::Retyped(_) => Reaction::Keep,
        }
    }
}
