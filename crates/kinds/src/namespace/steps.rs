//! Making and removing namespaces.

use std::sync::Arc;

use reconcile_catalog::{Address, Definition, Object};
use reconcile_sql::{ServerVersion, quote_ident};

use super::{NAME, Namespace, read};
use crate::model::ModelPart;
use crate::read::{ReadError, Reader, Row};
use crate::step::{Action, Refusal, Sql, Stage};
use crate::{Cx, Disturbance, How, Kind, Reaction};

/// The kind.
pub struct NamespaceKind;

impl Kind for NamespaceKind {
    fn name(&self) -> &'static str {
        NAME
    }

    fn plural(&self) -> &'static str {
        "namespaces"
    }

    fn model(&self) -> Option<&'static dyn ModelPart> {
        Some(&super::model::NamespaceModel)
    }

    fn queries(&self, _version: ServerVersion) -> Vec<String> {
        vec![read::query()]
    }

    fn read(&self, row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
        read::read(row, reader)
    }

    fn decode(&self, json: serde_json::Value) -> Result<Arc<dyn Definition>, serde_json::Error> {
        Ok(Arc::new(serde_json::from_value::<Namespace>(json)?))
    }

    fn designation(&self, address: &Address) -> String {
        format!("SCHEMA {}", address.dotted())
    }

    fn grant_class(&self) -> &'static str {
        "SCHEMA"
    }

    fn describe(&self, _object: &Object) -> String {
        String::new()
    }

    fn create(&self, object: &Object, _how: How, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let address = &object.address;
        let sql = Sql::Statement(format!("CREATE SCHEMA {}", address.dotted()));
        Ok(vec![Stage::transaction(vec![Action::new(
            address,
            format!("make namespace {}", address.dotted()),
            sql,
        )])])
    }

    fn rename(&self, live: &Object, to: &str, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let address = &live.address;
        let sql = format!("ALTER {} RENAME TO {}", self.designation(address), quote_ident(to));
        let summary = format!("rename namespace {} to {to}", address.dotted());
        let action = Action::new(address, summary, Sql::Statement(sql));
        Ok(vec![Stage::transaction(vec![action])])
    }

    fn drop(&self, object: &Object, _how: How, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let address = &object.address;
        let sql = Sql::Statement(format!("DROP SCHEMA {}", address.dotted()));
        Ok(vec![Stage::transaction(vec![Action::new(
            address,
            format!("drop namespace {}", address.dotted()),
            sql,
        )])])
    }

    fn react(
        &self,
        _object: &Object,
        _disturbed: &Object,
        _by: &Disturbance,
        _cx: &Cx<'_>,
    ) -> Reaction {
        Reaction::Keep
    }
}
