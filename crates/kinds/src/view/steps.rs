//! Making and removing views, and how everything with a query reacts to a change below it.

use std::sync::Arc;

use reconcile_catalog::{Address, Definition, Object};
use reconcile_sql::{LockLevel, QName, ServerVersion, quote_ident};

use super::{NAME, View, read, relation_query};
use crate::column;
use crate::grant;
use crate::model::ModelPart;
use crate::read::{ReadError, Reader, Row};
use crate::step::{Action, Refusal, Sql, Stage};
use crate::table::relation;
use crate::{Alteration, Cx, Disturbance, How, Kind, Reaction, Replacement};

/// The kind.
pub struct ViewKind;

/// How a relation with a query reacts.
pub(crate) fn react_to_query(
    address: &Address,
    query: &str,
    by: &Disturbance,
    cx: &Cx<'_>,
) -> Reaction {
    if *by == Disturbance::Dropped {
        return Reaction::Refuse(format!("{address} reads it; drop that first"));
    }
    let changes = column::column_retypes(cx.retypes);
    let read = reconcile_sql::retype::retype(query, None, &changes);
    let order_changes = cx.retypes.changes.iter().any(|c| column::order_changes(&c.from, &c.to));
    if order_changes && read.compares_order {
        return Reaction::Refuse(format!(
            "{address} compares by the order of the old type (<, >, min, max), and the order of the new one is another; \
             drop it, or write its query anew"
        ));
    }
    if read.meets_other {
        return Reaction::Refuse(format!(
            "{address} compares the column with another one that keeps the old type, and there is no operator for the \
             two; give the other column its new type too, drop it, or write its query anew"
        ));
    }
    let mut warnings = Vec::new();
    if order_changes && read.sorts {
        warnings.push(
            "it sorts by the column, and the order of the old type becomes that of the new one"
                .to_owned(),
        );
    }
    Reaction::Rebuild { warnings }
}

/// `WITH (…)` for options as the catalog keeps them.
pub(crate) fn with_options(options: &[String]) -> String {
    if options.is_empty() { String::new() } else { format!(" WITH ({})", options.join(", ")) }
}

impl Kind for ViewKind {
    fn name(&self) -> &'static str {
        NAME
    }

    fn plural(&self) -> &'static str {
        "views"
    }

    fn model(&self) -> Option<&'static dyn ModelPart> {
        Some(&super::model::ViewModel)
    }

    fn queries(&self, _version: ServerVersion) -> Vec<String> {
        vec![relation_query(NAME, 'v')]
    }

    fn read(&self, row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
        read::read(row, reader)
    }

    fn decode(&self, json: serde_json::Value) -> Result<Arc<dyn Definition>, serde_json::Error> {
        Ok(Arc::new(serde_json::from_value::<View>(json)?))
    }

    fn designation(&self, address: &Address) -> String {
        format!("VIEW {}", address.dotted())
    }

    fn describe(&self, object: &Object) -> String {
        object.get::<View>().map_or_else(String::new, |v| {
            let query = v.query.split_whitespace().collect::<Vec<_>>().join(" ");
            format!(
                "{}{query}",
                with_options(&v.options).trim_start().to_owned()
                    + if v.options.is_empty() { "" } else { " " }
            )
        })
    }

    fn create(&self, object: &Object, how: How, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let address = &object.address;
        let Some(view) = object.get::<View>() else { return Ok(Vec::new()) };
        let name = relation(address);
        let sql = format!("CREATE VIEW {name}{} AS\n{}", with_options(&view.options), view.query);
        let mut actions = vec![Action::new(
            address,
            format!("make view {}", address.short()),
            Sql::Statement(sql),
        )];
        for (column, default) in &view.defaults {
            let sql = format!(
                "ALTER VIEW {name} ALTER COLUMN {} SET DEFAULT {default}",
                quote_ident(column)
            );
            let summary = format!("let {}.{column} default to {default}", address.short());
            actions.push(Action::new(address, summary, Sql::Statement(sql)));
        }
        if how == How::Within {
            actions.extend(grant::nothing(address, cx));
        }
        Ok(vec![Stage::transaction(actions)])
    }

    fn rename(&self, live: &Object, to: &str, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let address = &live.address;
        let sql = format!("ALTER {} RENAME TO {}", self.designation(address), quote_ident(to));
        let summary = format!("rename view {} to {to}", address.short());
        let action = Action::new(address, summary, Sql::Statement(sql))
            .locking(relation(address), LockLevel::AccessExclusive);
        Ok(vec![Stage::transaction(vec![action])])
    }

    fn drop(&self, object: &Object, _how: How, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let address = &object.address;
        let name = relation(address);
        let action = Action::new(
            address,
            format!("drop view {}", address.short()),
            Sql::Statement(format!("DROP VIEW {name}")),
        )
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
            .get::<View>()
            .map_or(Reaction::Keep, |v| react_to_query(&object.address, &v.query, by, cx))
    }
}
