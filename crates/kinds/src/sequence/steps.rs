//! Making, altering and removing sequences.

use std::sync::Arc;

use reconcile_catalog::{Address, Definition, Object};
use reconcile_sql::{LockLevel, QName, ServerVersion, quote_ident, quote_literal};

use super::recount::{Manner, recount};
use super::{NAME, Sequence, goes_along, read};
use crate::column::identity::{PREDECESSOR, succeeded};
use crate::constraint::table_of;
use crate::gate::{Gap, GateCx};
use crate::model::ModelPart;
use crate::read::{ReadError, Reader, Row};
use crate::step::{Action, Refusal, Sql, Stage};
use crate::table::relation;
use crate::{Alteration, Cx, Disturbance, How, Kind, Reaction};

/// The kind.
pub struct SequenceKind;

fn sequence_of(object: &Object) -> Result<&Sequence, Refusal> {
    object.get().ok_or_else(|| Refusal::new(&object.address, "is no sequence"))
}

impl Kind for SequenceKind {
    fn name(&self) -> &'static str {
        NAME
    }

    fn plural(&self) -> &'static str {
        "sequences"
    }

    fn model(&self) -> Option<&'static dyn ModelPart> {
        Some(&super::model::SequenceModel)
    }

    fn queries(&self, _version: ServerVersion) -> Vec<String> {
        vec![read::query()]
    }

    fn read(&self, row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
        read::read(row, reader)
    }

    fn decode(&self, json: serde_json::Value) -> Result<Arc<dyn Definition>, serde_json::Error> {
        Ok(Arc::new(serde_json::from_value::<Sequence>(json)?))
    }

    fn designation(&self, address: &Address) -> String {
        format!("SEQUENCE {}", address.dotted())
    }

    fn describe(&self, object: &Object) -> String {
        object.get::<Sequence>().map_or_else(String::new, |Sequence { ty, counting, unlogged }| {
            let clauses = counting.clauses(ty);
            let unlogged = if unlogged.value { ", unlogged" } else { "" };
            let clauses: String =
                clauses.iter().map(|c| format!(", {}", c.to_lowercase())).collect();
            format!("{ty}{clauses}{unlogged}")
        })
    }

    fn create(&self, object: &Object, _how: How, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let address = &object.address;
        let Sequence { ty, counting, unlogged } = sequence_of(object)?;
        if unlogged.value && !cx.version.at_least(15) {
            return Err(Refusal::new(address, "an unlogged sequence needs PostgreSQL 15"));
        }
        let name = relation(address);
        let word = if unlogged.value { "UNLOGGED " } else { "" };
        let mut sql = format!("CREATE {word}SEQUENCE {name}");
        if ty.name != "bigint" {
            sql.push_str(&format!(" AS {ty}"));
        }
        for clause in counting.clauses(ty) {
            sql.push_str(&format!(" {clause}"));
        }
        let statement = |summary: String, sql: String| {
            Action::new(address, summary, Sql::Statement(sql))
                .locking(name.clone(), LockLevel::AccessExclusive)
        };
        let make = statement(format!("make sequence {}", address.short()), sql);
        let Some((column, old)) = succeeded(address, cx) else {
            return Ok(vec![Stage::transaction(vec![make])]);
        };
        // In the transaction in which the column stops being an identity: no value comes twice.
        let mut actions = Vec::new();
        let mut from = old.clone();
        if *old == name {
            from.name = reconcile_sql::ident::fit(&old.name, PREDECESSOR);
            actions.push(statement(
                format!("make way for sequence {}: rename the identity's", address.short()),
                format!("ALTER SEQUENCE {old} RENAME TO {}", quote_ident(&from.name)),
            ));
        }
        actions.push(make);
        actions.push(statement(
            format!("let {} go on where {} stands", address.short(), column.short()),
            format!(
                "SELECT setval({}, s.last_value, s.is_called) FROM {from} AS s",
                quote_literal(&name.to_string())
            ),
        ));
        Ok(vec![Stage::with(&table_of(&column), actions)])
    }

    fn drop(&self, object: &Object, _how: How, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let address = &object.address;
        if goes_along(address, cx) {
            return Ok(Vec::new());
        }
        let name = relation(address);
        let sql = Sql::Statement(format!("DROP SEQUENCE {name}"));
        let mut action = Action::new(address, format!("drop sequence {}", address.short()), sql)
            .locking(name.clone(), LockLevel::AccessExclusive);
        action.loses = Some(format!("the place of sequence {name}"));
        action.irreversible = Some("its place is gone".to_owned());
        Ok(vec![Stage::transaction(vec![action])])
    }

    fn alter(&self, change: &Alteration<'_>, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let address = &change.live.address;
        let (live, desired) = (sequence_of(change.live)?, sequence_of(change.desired)?);
        let name = relation(address);
        let mut stages = Vec::new();
        if change.of("type").is_some() || change.of("counting").is_some() {
            stages.push(recount(
                address,
                &name,
                Manner { ty: &live.ty, counting: live.counting },
                Manner { ty: &desired.ty, counting: desired.counting },
            ));
        }
        if change.of("unlogged").is_some() {
            if !cx.version.at_least(15) {
                return Err(Refusal::new(address, "an unlogged sequence needs PostgreSQL 15"));
            }
            let word = if desired.unlogged.value { "UNLOGGED" } else { "LOGGED" };
            let sql = Sql::Statement(format!("ALTER SEQUENCE {name} SET {word}"));
            let summary = format!("let sequence {} be {}", address.short(), word.to_lowercase());
            let action =
                Action::new(address, summary, sql).locking(name, LockLevel::AccessExclusive);
            stages.push(Stage::transaction(vec![action]));
        }
        Ok(stages)
    }

    fn rename(&self, live: &Object, to: &str, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let name: QName = relation(&live.address);
        let sql = Sql::Statement(format!("ALTER SEQUENCE {name} RENAME TO {}", quote_ident(to)));
        let summary = format!("rename sequence {} to {to}", live.address.short());
        let action =
            Action::new(&live.address, summary, sql).locking(name, LockLevel::AccessExclusive);
        Ok(vec![Stage::transaction(vec![action])])
    }

    fn gate(&self, gap: Gap<'_>, _cx: &GateCx<'_>) -> Option<String> {
        match gap {
            Gap::Missing(_) => Some("it is missing".to_owned()),
            Gap::Different { .. } | Gap::Extra(_) => None,
        }
    }

    fn relation_names(&self, object: &Object) -> Vec<QName> {
        vec![relation(&object.address)]
    }

    fn react(
        &self,
        object: &Object,
        disturbed: &Object,
        by: &Disturbance,
        _cx: &Cx<'_>,
    ) -> Reaction {
        match by {
            Disturbance::Dropped => {
                Reaction::Refuse(format!("{} depends on {}", object.address, disturbed.address))
            }
            Disturbance::Retyped(_) | Disturbance::Rebuilt => Reaction::Keep,
        }
    }
}
