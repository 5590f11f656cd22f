//! Giving and taking privileges.

use std::sync::Arc;

use reconcile_catalog::{Address, Definition, Object};
use reconcile_sql::ServerVersion;

use super::statements::{change, restore};
use super::{Grants, NAME, read};
use crate::model::ModelPart;
use crate::online::{Doubling, Twin};
use crate::read::{ReadError, Reader, Row};
use crate::step::{Refusal, Stage};
use crate::{Alteration, Cx, Disturbance, How, Kind, Reaction};

/// The kind.
pub struct GrantKind;

impl Kind for GrantKind {
    fn name(&self) -> &'static str {
        NAME
    }

    fn plural(&self) -> &'static str {
        "access control lists"
    }

    fn model(&self) -> Option<&'static dyn ModelPart> {
        Some(&super::model::GrantModel)
    }

    fn queries(&self, _version: ServerVersion) -> Vec<String> {
        vec![read::query()]
    }

    fn read(&self, row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
        read::read(row, reader)
    }

    fn decode(&self, json: serde_json::Value) -> Result<Arc<dyn Definition>, serde_json::Error> {
        Ok(Arc::new(serde_json::from_value::<Grants>(json)?))
    }

    fn designation(&self, address: &Address) -> String {
        format!("PRIVILEGES ON {}", address.dotted())
    }

    fn describe(&self, object: &Object) -> String {
        object
            .definition
            .properties()
            .into_iter()
            .map(|p| p.value.to_string())
            .collect::<Vec<_>>()
            .join("; ")
    }

    /// An object that is there has its usual privileges; a new one has what default privileges give.
    fn create(&self, object: &Object, how: How, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let there = object.address.target().is_some_and(|target| cx.live.contains(&target));
        Ok(if how == How::Online && there {
            change(&object.address, None, object.get(), cx)
        } else {
            restore(object, cx)
        })
    }

    /// Privileges go with their object; on one that stays the usual ones are left.
    fn drop(&self, object: &Object, how: How, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        Ok(match how {
            How::Online => change(&object.address, object.get(), None, cx),
            How::Within => Vec::new(),
        })
    }

    fn alter(&self, alteration: &Alteration<'_>, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let (live, desired) = (alteration.live, alteration.desired);
        Ok(change(&desired.address, live.get::<Grants>(), desired.get::<Grants>(), cx))
    }

    /// The privileges on the column are those of the one that takes its name.
    fn twin(
        &self,
        object: &Object,
        doubling: &Doubling<'_>,
        cx: &Cx<'_>,
    ) -> Result<Option<Twin>, Refusal> {
        let after = super::statements::of_column(object, doubling.shadow.column.name(), cx);
        Ok((!after.is_empty()).then(|| Twin { after, ..Twin::default() }))
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
