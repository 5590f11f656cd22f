//! Making and removing materialized views.

use std::sync::Arc;

use reconcile_catalog::{Address, Definition, Object};
use reconcile_sql::{LockLevel, QName, ServerVersion, quote_ident};

use super::{MaterializedView, NAME, read};
use crate::column;
use crate::grant;
use crate::model::ModelPart;
use crate::read::{ReadError, Reader, Row};
use crate::step::{Action, Refusal, Sql, Stage, Work};
use crate::table::relation;
use crate::view::{react_to_query, with_options};
use crate::{Alteration, Cx, Disturbance, How, Kind, Reaction, Replacement};

/// The kind.
pub struct MaterializedViewKind;

impl Kind for MaterializedViewKind {
    fn name(&self) -> &'static str {
        NAME
    }

    fn plural(&self) -> &'static str {
        "materialized views"
    }

    fn model(&self) -> Option<&'static dyn ModelPart> {
        Some(&super::model::MaterializedViewModel)
    }

    fn queries(&self, _version: ServerVersion) -> Vec<String> {
        vec![read::query()]
    }

    fn read(&self, row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
        read::read(row, reader)
    }

    fn decode(&self, json: serde_json::Value) -> Result<Arc<dyn Definition>, serde_json::Error> {
        Ok(Arc::new(serde_json::from_value::<MaterializedView>(json)?))
    }

    fn designation(&self, address: &Address) -> String {
        format!("MATERIALIZED VIEW {}", address.dotted())
    }

    fn describe(&self, object: &Object) -> String {
        object.get::<MaterializedView>().map_or_else(String::new, |v| {
            let data = if v.populated { "" } else { " (with no data)" };
            format!("{}{data}", v.query.split_whitespace().collect::<Vec<_>>().join(" "))
        })
    }

    fn create(&self, object: &Object, how: How, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let address = &object.address;
        let Some(view) = object.get::<MaterializedView>() else { return Ok(Vec::new()) };
        let name = relation(address);
        let method = view
            .access_method
            .as_ref()
            .map_or_else(String::new, |m| format!(" USING {}", quote_ident(m)));
        let space = view
            .tablespace
            .as_ref()
            .map_or_else(String::new, |t| format!(" TABLESPACE {}", quote_ident(t)));
        let data = if view.populated { "WITH DATA" } else { "WITH NO DATA" };
        let sql = format!(
            "CREATE MATERIALIZED VIEW {name}{method}{}{space} AS\n{}\n{data}",
            with_options(&view.options),
            view.query
        );
        let mut action = Action::new(
            address,
            format!("make materialized view {}", address.short()),
            Sql::Statement(sql),
        );
        if view.populated {
            action = action.working(Work::Refresh(name));
        }
        let mut actions = vec![action];
        actions.extend(settings(address, view, cx));
        if how == How::Within {
            actions.extend(grant::nothing(address, cx));
        }
        Ok(vec![Stage::transaction(actions)])
    }

    fn rename(&self, live: &Object, to: &str, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let address = &live.address;
        let sql = format!("ALTER {} RENAME TO {}", self.designation(address), quote_ident(to));
        let summary = format!("rename materialized view {} to {to}", address.short());
        let action = Action::new(address, summary, Sql::Statement(sql))
            .locking(relation(address), LockLevel::AccessExclusive);
        Ok(vec![Stage::transaction(vec![action])])
    }

    fn drop(&self, object: &Object, _how: How, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let address = &object.address;
        let name = relation(address);
        let sql = Sql::Statement(format!("DROP MATERIALIZED VIEW {name}"));
        let action =
            Action::new(address, format!("drop materialized view {}", address.short()), sql)
                .locking(name, LockLevel::AccessExclusive);
        Ok(vec![Stage::transaction(vec![action])])
    }

    fn replacement(&self, _change: &Alteration<'_>, _cx: &Cx<'_>) -> Replacement {
        Replacement::Rebuilt
    }

    fn relation_names(&self, object: &Object) -> Vec<QName> {
        vec![relation(&object.address)]
    }

    fn react(
        &self,
        object: &Object,
        _disturbed: &Object,
        by: &Disturbance,
        cx: &Cx<'_>,
    ) -> Reaction {
        object
            .get::<MaterializedView>()
            .map_or(Reaction::Keep, |v| react_to_query(&object.address, &v.query, by, cx))
    }
}

/// What is set for the columns of one that is made again, or is made as it was elsewhere. What a type is stored
/// like is another thing for another type.
fn settings(address: &Address, view: &MaterializedView, cx: &Cx<'_>) -> Vec<Action> {
    let live = cx.live.definition::<MaterializedView>(address);
    let reworded = cx.fates.altered.get(address).is_some_and(|names| names.contains(&"query"));
    let settings = live.filter(|_| !reworded).map_or(&view.settings, |live| &live.settings);
    let fits = |(column, setting): &&(String, String)| {
        let retyped = cx.retypes.of(&address.child(column::NAME, column)).is_some();
        !retyped || setting.starts_with("STATISTICS ") || setting.starts_with('(')
    };
    let set = settings.iter().filter(fits).map(|(column, setting)| {
        let sql = format!(
            "ALTER MATERIALIZED VIEW {} ALTER COLUMN {} SET {setting}",
            relation(address),
            quote_ident(column)
        );
        let summary =
            format!("set {} of {}.{column} as it was", setting.to_lowercase(), address.short());
        Action::new(address, summary, Sql::Statement(sql))
    });
    set.collect()
}
