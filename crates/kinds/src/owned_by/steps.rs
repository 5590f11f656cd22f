//! Giving a sequence to a column, and taking it back.

use std::sync::Arc;

use reconcile_catalog::{Address, Definition, Object};
use reconcile_sql::{LockLevel, ServerVersion, quote_ident};

use super::{NAME, OwnedBy, read};
use crate::model::ModelPart;
use crate::online::{Doubling, Twin};
use crate::read::{ReadError, Reader, Row};
use crate::sequence::goes;
use crate::step::{Action, Refusal, Sql, Stage};
use crate::table::relation;
use crate::{Alteration, Cx, Disturbance, How, Kind, Reaction};

/// The kind.
pub struct OwnedByKind;

fn give(address: &Address, column: Option<&Address>) -> Vec<Stage> {
    let Some(sequence) = address.target() else { return Vec::new() };
    let name = relation(&sequence);
    let (owner, summary) = match column {
        Some(column) => (
            format!("{}.{}", relation(column), quote_ident(column.name())),
            format!("let sequence {} go with {}", sequence.short(), column.short()),
        ),
        None => ("NONE".to_owned(), format!("let sequence {} stand alone", sequence.short())),
    };
    let sql = Sql::Statement(format!("ALTER SEQUENCE {name} OWNED BY {owner}"));
    let action = Action::new(address, summary, sql).locking(name, LockLevel::ShareRowExclusive);
    vec![Stage::transaction(vec![action])]
}

impl Kind for OwnedByKind {
    fn name(&self) -> &'static str {
        NAME
    }

    fn plural(&self) -> &'static str {
        "ownerships of sequences"
    }

    fn model(&self) -> Option<&'static dyn ModelPart> {
        Some(&super::model::OwnedByModel)
    }

    fn queries(&self, _version: ServerVersion) -> Vec<String> {
        vec![read::query()]
    }

    fn read(&self, row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
        read::read(row, reader)
    }

    fn decode(&self, json: serde_json::Value) -> Result<Arc<dyn Definition>, serde_json::Error> {
        Ok(Arc::new(serde_json::from_value::<OwnedBy>(json)?))
    }

    fn designation(&self, address: &Address) -> String {
        format!("OWNED BY OF {}", address.dotted())
    }

    fn describe(&self, object: &Object) -> String {
        object.get::<OwnedBy>().map_or_else(String::new, |o| o.column().dotted())
    }

    fn create(&self, object: &Object, _how: How, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let column = object.get::<OwnedBy>().map(OwnedBy::column);
        Ok(give(&object.address, column.as_ref()))
    }

    fn drop(&self, object: &Object, _how: How, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        // The sequence that goes takes this along.
        let gone = object.parent.as_ref().is_some_and(|sequence| goes(sequence, cx));
        Ok(if gone { Vec::new() } else { give(&object.address, None) })
    }

    fn alter(&self, change: &Alteration<'_>, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let column = change.desired.get::<OwnedBy>().map(OwnedBy::column);
        Ok(give(&change.desired.address, column.as_ref()))
    }

    /// The sequence goes over to the column that has the name by then.
    fn twin(
        &self,
        object: &Object,
        _doubling: &Doubling<'_>,
        _cx: &Cx<'_>,
    ) -> Result<Option<Twin>, Refusal> {
        let column = object.get::<OwnedBy>().map(OwnedBy::column);
        let stages = give(&object.address, column.as_ref());
        let after = stages.into_iter().flat_map(|stage| stage.actions).collect();
        Ok(Some(Twin { after, ..Twin::default() }))
    }

    fn react(
        &self,
        object: &Object,
        disturbed: &Object,
        by: &Disturbance,
        cx: &Cx<'_>,
    ) -> Reaction {
        match by {
            // A sequence of another column by then, or of none, is taken from it first.
            Disturbance::Dropped => Reaction::Goes,
            // It would go with the column that is dropped and made again.
            Disturbance::Rebuilt
                if object.get::<OwnedBy>().is_some_and(|o| o.column() == disturbed.address)
                    && object.parent.as_ref().is_some_and(|s| !goes(s, cx)) =>
            {
                Reaction::Rebuild { warnings: Vec::new() }
            }
            Disturbance::Rebuilt | Disturbance::Retyped(_) => Reaction::Keep,
        }
    }
}
