//! Making, altering and removing extended statistics. All of it only touches the catalog: their
//! numbers come with the next ANALYZE.

use std::sync::Arc;

use reconcile_catalog::{Address, Definition, Object};
use reconcile_sql::{LockLevel, QName, ServerVersion, quote_ident};

use super::{NAME, Statistics, qualified, read, relation_of};
use crate::model::ModelPart;
use crate::online::{Doubling, Twin};
use crate::read::{ReadError, Reader, Row};
use crate::step::{Action, Refusal, Sql, Stage};
use crate::table::relation;
use crate::{Alteration, Cx, Disturbance, How, Kind, Reaction, Replacement};

/// The kind.
pub struct StatisticsKind;

fn statistics_of(object: &Object) -> Result<&Statistics, Refusal> {
    object.get().ok_or_else(|| Refusal::new(&object.address, "is no statistics object"))
}

/// CREATE STATISTICS, and what it cannot say.
fn make(address: &Address, statistics: &Statistics, cx: &Cx<'_>) -> Vec<Action> {
    let (name, on) = (qualified(address), relation(address));
    let summary = format!("make statistics {} of {}", address.name(), relation_of(address).short());
    let mut create = Action::new(address, summary, Sql::Statement(statistics.sql(&name, &on)));
    if cx.live.has_top(&address.path()[..2]) {
        create = create.locking(on, LockLevel::ShareUpdateExclusive);
    }
    let target = statistics.target.map(|target| set_target(address, &name, Some(target)));
    std::iter::once(create).chain(target).collect()
}

fn set_target(address: &Address, name: &QName, target: Option<i32>) -> Action {
    let number = target.unwrap_or(-1);
    let sql = Sql::Statement(format!("ALTER STATISTICS {name} SET STATISTICS {number}"));
    let what = target.map_or_else(|| "the usual one".to_owned(), |t| t.to_string());
    let summary = format!("let the target of statistics {} be {what}", address.name());
    Action::new(address, summary, sql)
}

fn drop(address: &Address, if_exists: bool) -> Action {
    // A column takes the statistics over it along.
    let maybe = if if_exists { "IF EXISTS " } else { "" };
    let sql = Sql::Statement(format!("DROP STATISTICS {maybe}{}", qualified(address)));
    Action::new(address, format!("drop statistics {}", address.name()), sql)
}

impl Kind for StatisticsKind {
    fn name(&self) -> &'static str {
        NAME
    }

    fn plural(&self) -> &'static str {
        "statistics"
    }

    fn model(&self) -> Option<&'static dyn ModelPart> {
        Some(&super::model::StatisticsModel)
    }

    fn queries(&self, _version: ServerVersion) -> Vec<String> {
        vec![read::query()]
    }

    fn read(&self, row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
        read::read(row, reader)
    }

    fn decode(&self, json: serde_json::Value) -> Result<Arc<dyn Definition>, serde_json::Error> {
        Ok(Arc::new(serde_json::from_value::<Statistics>(json)?))
    }

    fn designation(&self, address: &Address) -> String {
        format!("STATISTICS {}", qualified(address))
    }

    fn describe(&self, object: &Object) -> String {
        let Some(statistics) = object.get::<Statistics>() else { return String::new() };
        let Statistics { columns, expressions, kinds, target } = statistics;
        let keys: Vec<&str> = columns.iter().chain(expressions).map(String::as_str).collect();
        let mut out = format!("on ({})", keys.join(", "));
        if !statistics.is_single() && kinds.len() < super::KINDS.len() {
            out = format!("{} {out}", kinds.join(", "));
        }
        if let Some(target) = target {
            out.push_str(&format!(", target {target}"));
        }
        out
    }

    fn create(&self, object: &Object, _how: How, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        Ok(vec![Stage::transaction(make(&object.address, statistics_of(object)?, cx))])
    }

    fn drop(&self, object: &Object, _how: How, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        Ok(vec![Stage::transaction(vec![drop(&object.address, false)])])
    }

    fn replacement(&self, change: &Alteration<'_>, _cx: &Cx<'_>) -> Replacement {
        let only_target = change.properties.iter().all(|p| p.name == "target");
        if only_target { Replacement::None } else { Replacement::Replaced }
    }

    fn alter(&self, change: &Alteration<'_>, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let address = &change.desired.address;
        let desired = statistics_of(change.desired)?;
        if self.replacement(change, cx) == Replacement::None {
            let action = set_target(address, &qualified(address), desired.target);
            return Ok(vec![Stage::transaction(vec![action])]);
        }
        let mut actions = vec![drop(address, true)];
        actions.extend(make(address, desired, cx));
        Ok(vec![Stage::transaction(actions)])
    }

    /// They are made again: ANALYZE fills them soon enough.
    fn twin(
        &self,
        object: &Object,
        doubling: &Doubling<'_>,
        cx: &Cx<'_>,
    ) -> Result<Option<Twin>, Refusal> {
        let wanted = doubling.wanted(object, cx);
        let before = vec![drop(&object.address, false)];
        let after = make(&object.address, statistics_of(&wanted)?, cx);
        Ok(Some(Twin { before, after, ..Twin::default() }))
    }

    fn rename(&self, live: &Object, to: &str, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let name = qualified(&live.address);
        let sql = Sql::Statement(format!("ALTER STATISTICS {name} RENAME TO {}", quote_ident(to)));
        let summary = format!("rename statistics {} to {to}", live.address.name());
        Ok(vec![Stage::transaction(vec![Action::new(&live.address, summary, sql)])])
    }

    fn react(
        &self,
        object: &Object,
        _disturbed: &Object,
        by: &Disturbance,
        cx: &Cx<'_>,
    ) -> Reaction {
        let Some(statistics) = object.get::<Statistics>() else { return Reaction::Keep };
        match by {
            Disturbance::Dropped => Reaction::Goes,
            Disturbance::Rebuilt => Reaction::Rebuild { warnings: Vec::new() },
            // ALTER TYPE makes them again, and forgets their target (tried on 14 to 18); an
            // expression with a cast to the old type has no operator any more.
            Disturbance::Retyped(_) => {
                let reads_anew = object.definition.retyped(&object.address, cx.retypes).is_some()
                    || (!statistics.expressions.is_empty()
                        && shall_read_anew(object, statistics, cx));
                if statistics.target.is_some() || reads_anew {
                    Reaction::Rebuild { warnings: Vec::new() }
                } else {
                    Reaction::Keep
                }
            }
        }
    }
}

/// Whether the model has other expressions, which the new type may need.
fn shall_read_anew(object: &Object, live: &Statistics, cx: &Cx<'_>) -> bool {
    let desired = cx.fates.desired.get(&object.address);
    let desired = desired.and_then(|d| cx.desired.definition::<Statistics>(d));
    desired.is_some_and(|desired| {
        desired.expressions.len() != live.expressions.len()
            || !desired
                .expressions
                .iter()
                .zip(&live.expressions)
                .all(|(a, b)| reconcile_sql::spelling::same(a, b))
    })
}
