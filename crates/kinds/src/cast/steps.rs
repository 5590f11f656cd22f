//! Making and removing the bridge.

use std::sync::Arc;

use reconcile_catalog::{Address, Definition, Object};
use reconcile_sql::{ServerVersion, quote_literal};

use super::{Cast, MARK, NAME, read};
use crate::read::{ReadError, Reader, Row};
use crate::step::{Action, Refusal, Sql, Stage};
use crate::{Cx, Disturbance, How, Kind, Reaction};

/// The kind.
pub struct CastKind;

/// `(public.mood AS text)`
fn signature(address: &Address) -> String {
    format!("({} AS text)", address.dotted())
}

impl Kind for CastKind {
    fn name(&self) -> &'static str {
        NAME
    }

    fn plural(&self) -> &'static str {
        "casts for old statements"
    }

    fn queries(&self, _version: ServerVersion) -> Vec<String> {
        vec![read::query()]
    }

    fn read(&self, row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
        read::read(row, reader)
    }

    fn decode(&self, json: serde_json::Value) -> Result<Arc<dyn Definition>, serde_json::Error> {
        Ok(Arc::new(serde_json::from_value::<Cast>(json)?))
    }

    fn designation(&self, address: &Address) -> String {
        format!("CAST {}", signature(address))
    }

    fn describe(&self, object: &Object) -> String {
        format!("implicit cast from {} to text", object.address.short())
    }

    fn create(&self, object: &Object, _how: How, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let address = &object.address;
        let (ty, cast) = (address.short(), signature(address));
        let make = Action::new(
            address,
            format!(
                "let values of the old type {ty} be taken for text, for statements that still name it"
            ),
            Sql::Statement(format!("CREATE CAST {cast} WITH INOUT AS IMPLICIT")),
        );
        let text = format!(
            "{MARK}: made by reconcile for statements that still name the type; reconcile contract drops it"
        );
        let mark = Action::new(
            address,
            "say whose cast it is".to_owned(),
            Sql::Statement(format!("COMMENT ON CAST {cast} IS {}", quote_literal(&text))),
        );
        let make = Action {
            warnings: vec![
                // Measured on 15 and 18.
                format!(
                    "the cast holds for the whole database until `reconcile contract`: wherever a text can stand, a value \
                     of {ty} can too, and what fits several operators or functions by that fails. Two values of \
                     the type cannot be compared with each other (`operator is not unique: {ty} = {ty}`), nor \
                     `value || 'text'` be joined, in the body of a function as well"
                ),
            ],
            ..make
        };
        Ok(vec![Stage::transaction(vec![make, mark])])
    }

    fn drop(&self, object: &Object, _how: How, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let address = &object.address;
        let summary = format!("let values of {} be taken for text no more", address.short());
        let sql = Sql::Statement(format!("DROP CAST {}", signature(address)));
        Ok(vec![Stage::transaction(vec![Action::new(address, summary, sql)])])
    }

    fn react(
        &self,
        _object: &Object,
        disturbed: &Object,
        _by: &Disturbance,
        _cx: &Cx<'_>,
    ) -> Reaction {
        Reaction::Refuse(format!(
            "statements that still name {} are helped by a cast of ours; `reconcile contract` takes it away",
            disturbed.address
        ))
    }
}
