//! Making, updating, moving and removing extensions.

use std::sync::Arc;

use reconcile_catalog::{Address, Definition, Object};
use reconcile_sql::{ServerVersion, quote_ident, quote_literal};

use super::{Extension, NAME, read};
use crate::gate::{Gap, GateCx};
use crate::model::ModelPart;
use crate::read::{ReadError, Reader, Row};
use crate::step::{Action, Refusal, Sql, Stage};
use crate::{Alteration, Cx, Disturbance, How, Kind, Reaction};

/// The kind.
pub struct ExtensionKind;

fn extension_of(object: &Object) -> Result<&Extension, Refusal> {
    object.get().ok_or_else(|| Refusal::new(&object.address, "is no extension"))
}

impl Kind for ExtensionKind {
    fn name(&self) -> &'static str {
        NAME
    }

    fn plural(&self) -> &'static str {
        "extensions"
    }

    fn model(&self) -> Option<&'static dyn ModelPart> {
        Some(&super::model::ExtensionModel)
    }

    fn queries(&self, _version: ServerVersion) -> Vec<String> {
        read::queries()
    }

    fn read(&self, row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
        read::read(row, reader)
    }

    fn decode(&self, json: serde_json::Value) -> Result<Arc<dyn Definition>, serde_json::Error> {
        Ok(Arc::new(serde_json::from_value::<Extension>(json)?))
    }

    fn designation(&self, address: &Address) -> String {
        format!("EXTENSION {}", address.dotted())
    }

    fn describe(&self, object: &Object) -> String {
        object.get::<Extension>().map_or_else(String::new, |e| {
            let version = e.version.as_ref().map(|v| format!("version {v}"));
            let place = e.namespace.as_ref().map(|n| format!("in {n}"));
            version.into_iter().chain(place).collect::<Vec<_>>().join(", ")
        })
    }

    fn create(&self, object: &Object, _how: How, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let address = &object.address;
        let Extension { namespace, version } = extension_of(object)?;
        // With an empty search_path PostgreSQL has no place for it of its own.
        let namespace = namespace.as_deref().unwrap_or("public");
        let mut sql =
            format!("CREATE EXTENSION {} SCHEMA {}", address.dotted(), quote_ident(namespace));
        if let Some(version) = version {
            sql.push_str(&format!(" VERSION {}", quote_literal(version)));
        }
        let summary = format!("make extension {}", address.dotted());
        Ok(vec![Stage::transaction(vec![Action::new(address, summary, Sql::Statement(sql))])])
    }

    fn drop(&self, object: &Object, _how: How, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let address = &object.address;
        let sql = Sql::Statement(format!("DROP EXTENSION {}", address.dotted()));
        let mut action = Action::new(address, format!("drop extension {}", address.dotted()), sql);
        action.loses = Some(format!("all that belongs to extension {}", address.dotted()));
        action.irreversible = Some("what its own tables hold is gone".to_owned());
        Ok(vec![Stage::transaction(vec![action])])
    }

    fn alter(&self, change: &Alteration<'_>, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let address = &change.live.address;
        let name = address.dotted();
        let Extension { namespace, version } = extension_of(change.desired)?;
        let mut actions = Vec::new();
        if let Some(version) = version.as_ref().filter(|_| change.of("version").is_some()) {
            let sql = format!("ALTER EXTENSION {name} UPDATE TO {}", quote_literal(version));
            let summary = format!("update extension {name} to {version}");
            let mut action = Action::new(address, summary, Sql::Statement(sql));
            action.irreversible =
                Some("an extension can be updated only as its author provides for".to_owned());
            actions.push(action);
        }
        if let Some(namespace) = namespace.as_ref().filter(|_| change.of("schema").is_some()) {
            let sql = format!("ALTER EXTENSION {name} SET SCHEMA {}", quote_ident(namespace));
            let summary = format!("move extension {name} to namespace {namespace}");
            actions.push(Action::new(address, summary, Sql::Statement(sql)));
        }
        Ok(actions.into_iter().map(|action| Stage::transaction(vec![action])).collect())
    }

    fn comes_first(&self) -> bool {
        true
    }

    fn gate(&self, gap: Gap<'_>, _cx: &GateCx<'_>) -> Option<String> {
        match gap {
            Gap::Missing(_) => Some("it is missing".to_owned()),
            Gap::Different { .. } | Gap::Extra(_) => None,
        }
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
