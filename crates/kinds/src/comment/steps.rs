//! Setting and removing comments.

use std::sync::Arc;

use reconcile_catalog::{Address, Definition, Object};
use reconcile_sql::{LockLevel, ServerVersion, quote_literal};

use super::{Comment, NAME, read};
use crate::model::ModelPart;
use crate::read::{ReadError, Reader, Row};
use crate::registry;
use crate::step::{Action, Refusal, Sql, Stage};
use crate::table::relation;
use crate::{Alteration, Cx, Disturbance, How, Kind, Reaction};

/// The kind.
pub struct CommentKind;

fn set(address: &Address, text: Option<&str>, cx: &Cx<'_>) -> Vec<Stage> {
    let Some(target) = address.target() else { return Vec::new() };
    let Some(kind) = registry::kind(target.kind()) else { return Vec::new() };
    let value = text.map_or_else(|| "NULL".to_owned(), quote_literal);
    let sql = format!("COMMENT ON {} IS {value}", kind.designation(&target));
    let verb = if text.is_some() { "comment on" } else { "remove the comment on" };
    let mut action =
        Action::new(address, format!("{verb} {}", target.short()), Sql::Statement(sql));
    let on = relation(&target);
    let path = target.path();
    if path.len() >= 2 && !on.name.is_empty() && cx.live.has_top(&path[..2]) {
        action = action.locking(on, LockLevel::ShareUpdateExclusive);
    }
    vec![Stage::transaction(vec![action])]
}

impl Kind for CommentKind {
    fn name(&self) -> &'static str {
        NAME
    }

    fn plural(&self) -> &'static str {
        "comments"
    }

    fn model(&self) -> Option<&'static dyn ModelPart> {
        Some(&super::model::CommentModel)
    }

    fn queries(&self, _version: ServerVersion) -> Vec<String> {
        vec![read::query()]
    }

    fn read(&self, row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
        read::read(row, reader)
    }

    fn decode(&self, json: serde_json::Value) -> Result<Arc<dyn Definition>, serde_json::Error> {
        Ok(Arc::new(serde_json::from_value::<Comment>(json)?))
    }

    fn designation(&self, address: &Address) -> String {
        format!("COMMENT ON {}", address.dotted())
    }

    fn describe(&self, object: &Object) -> String {
        object.get::<Comment>().map_or_else(String::new, |c| quote_literal(&c.text))
    }

    fn create(&self, object: &Object, _how: How, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        Ok(set(&object.address, object.get::<Comment>().map(|c| c.text.as_str()), cx))
    }

    fn drop(&self, object: &Object, _how: How, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        Ok(set(&object.address, None, cx))
    }

    fn alter(&self, change: &Alteration<'_>, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        self.create(change.desired, How::Within, cx)
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
