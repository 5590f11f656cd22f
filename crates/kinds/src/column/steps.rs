//! Making, altering and removing columns.

use std::sync::Arc;

use reconcile_catalog::{Address, Definition, Object, Retypes};
use reconcile_sql::{LockLevel, QName, ServerVersion, quote_ident};

use super::alter::Steps;
use super::casts::{Conversion, conversion, is_free_at_utc};
use super::{Column, NAME, formula, generated, inherited, read};
use crate::constraint::{Constraint, Rule, table_of};
use crate::gate::{Gap, GateCx};
use crate::index::Index;
use crate::inheritance;
use crate::model::ModelPart;
use crate::online::Shadow;
use crate::read::{ReadError, Reader, Row};
use crate::step::{Action, Guard, Refusal, Sql, Stage};
use crate::table::relation;
use crate::{Alteration, Cx, Disturbance, How, Kind, Reaction, Replacement};

/// The kind.
pub struct ColumnKind;

impl Kind for ColumnKind {
    fn name(&self) -> &'static str {
        NAME
    }

    fn plural(&self) -> &'static str {
        "columns"
    }

    fn model(&self) -> Option<&'static dyn ModelPart> {
        Some(&super::model::ColumnModel)
    }

    fn queries(&self, version: ServerVersion) -> Vec<String> {
        vec![read::query(version)]
    }

    fn read(&self, row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
        read::read(row, reader)
    }

    fn decode(&self, json: serde_json::Value) -> Result<Arc<dyn Definition>, serde_json::Error> {
        Ok(Arc::new(serde_json::from_value::<Column>(json)?))
    }

    fn designation(&self, address: &Address) -> String {
        format!("COLUMN {}", address.dotted())
    }

    fn describe(&self, object: &Object) -> String {
        let Some(column) = object.get::<Column>() else { return String::new() };
        let mut text = column.ty.to_string();
        if let Some(collation) = &column.collation.value {
            text.push_str(&format!(" collate {collation}"));
        }
        text.push_str(if column.nullable { ", nullable" } else { ", not null" });
        if let Some(default) = &column.default {
            text.push_str(&format!(", default {default}"));
        }
        if let Some(identity) = column.identity {
            text.push_str(&format!(", {}", identity.sql().to_lowercase()));
        }
        if let Some(expression) = &column.generated {
            let how = if column.is_virtual { "virtual" } else { "stored" };
            text.push_str(&format!(", generated always as ({expression}) {how}"));
        }
        if let Some(counting) = &column.counting {
            let clauses = counting.value.clauses(&column.ty);
            text.extend(clauses.iter().map(|c| format!(", {}", c.to_lowercase())));
        }
        let target = column.statistics.value.map(|n| format!(", statistics {n}"));
        let storage = column.storage.value.map(|s| format!(", storage {}", s.word()));
        let method = column.compression.value.as_ref().map(|c| format!(", compression {c}"));
        text.extend([target, storage, method].into_iter().flatten());
        text.extend(column.options.value.iter().map(|(key, value)| format!(", {key} = {value}")));
        text
    }

    fn create(&self, object: &Object, how: How, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        super::create::stages(object, how, cx)
    }

    fn drop(&self, object: &Object, _how: How, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let address = &object.address;
        if object.get::<Column>().is_some_and(|c| !c.is_own())
            && inheritance::stays(&table_of(address), cx.live, cx.desired)
        {
            return Ok(Vec::new()); // It goes with the parent's.
        }
        let (table, name) = (relation(address), quote_ident(address.name()));
        let sql = Sql::alter_table(&table, format!("DROP COLUMN {name}"));
        let mut action = Action::new(address, format!("drop column {}", address.short()), sql)
            .locking(table.clone(), LockLevel::AccessExclusive);
        // What is computed from other columns is computed again.
        if object.get::<Column>().is_none_or(|c| c.generated.is_none()) {
            action.loses = Some(format!("all values of {}", address.short()));
            action.irreversible = Some("its values are gone".to_owned());
            action.guards.push(Guard {
                sql: format!("SELECT count({name}) FROM {table}"),
                complaint: format!("values of {} would be lost", address.short()),
                lifted_by: Some("--allow-data-loss"),
                by_index: false,
            });
        }
        Ok(vec![Stage::transaction(vec![action])])
    }

    fn alter(&self, change: &Alteration<'_>, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let properties = inherited::own_changes(change, cx);
        if properties.is_empty() {
            return Ok(Vec::new()); // It follows its parent's.
        }
        let apart = inherited::renamed_apart(change, &properties, cx);
        let rest: Vec<_> =
            properties.into_iter().filter(|p| apart.is_none() || p.name != "not_null").collect();
        let mut stages: Vec<Stage> = apart.into_iter().collect();
        if !rest.is_empty() {
            let change = Alteration { properties: &rest, ..change.clone() };
            stages.extend(Steps::new(&change, cx)?.stages()?);
        }
        Ok(stages)
    }

    fn rename(&self, live: &Object, to: &str, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let table = relation(&live.address);
        let from = quote_ident(live.address.name());
        let sql = Sql::Statement(format!(
            "ALTER TABLE {table} RENAME COLUMN {from} TO {}",
            quote_ident(to)
        ));
        let summary = format!("rename column {} to {to}", live.address.short());
        let mut action =
            Action::new(&live.address, summary, sql).locking(table, LockLevel::AccessExclusive);
        action.warnings.push(
            "an application that still uses the old name fails from this moment on".to_owned(),
        );
        Ok(vec![Stage::transaction(vec![action])])
    }

    fn replacement(&self, change: &Alteration<'_>, cx: &Cx<'_>) -> Replacement {
        generated::replacement(change, cx)
    }

    fn rewrites(&self, change: &Alteration<'_>, cx: &Cx<'_>) -> Vec<Address> {
        let types = change.live.get::<Column>().zip(change.desired.get::<Column>());
        let Some((live, desired)) = types else { return Vec::new() };
        if generated::replacement(change, cx) == Replacement::Rebuilt {
            return Vec::new();
        }
        let converted = live.ty != desired.ty
            && convert(&change.live.address, live, desired, cx) == Conversion::Rewrite;
        let converted = converted && !cx.online.contains_key(&change.live.address);
        if converted || generated::rewrites(change, cx) {
            vec![table_of(&change.live.address)]
        } else {
            Vec::new()
        }
    }

    fn online(&self, change: &Alteration<'_>, cx: &Cx<'_>) -> Option<Result<Shadow, Refusal>> {
        super::online::shadow(change, cx)
    }

    fn gate(&self, gap: Gap<'_>, cx: &GateCx<'_>) -> Option<String> {
        super::gate::judge(gap, cx)
    }

    fn refilled(&self, change: &Alteration<'_>, cx: &Cx<'_>) -> Vec<Address> {
        let table = table_of(&change.live.address);
        let typed = ["type", "collation"].iter().any(|name| change.of(name).is_some());
        let read = typed && crate::table::is_key(&change.live.address, cx);
        read.then_some(table).into_iter().collect()
    }

    fn comes_before_rows(&self) -> bool {
        true
    }

    /// What it has from a parent changes once the table is no child any more.
    fn waits_for(&self, object: &Object, gone: &Object, cx: &Cx<'_>) -> bool {
        let inherits = inheritance::Inheritance::address(&table_of(&object.address));
        gone.address == inherits && !cx.desired.contains(&inherits)
    }

    /// Values that are converted or filled in come from what is there before.
    fn reads(&self, object: &Object, gone: &Object, cx: &Cx<'_>) -> bool {
        let column = object.get::<Column>();
        column.is_some_and(|column| formula::reads(&object.address, column, gone, cx))
    }

    fn waits_for_change(&self, object: &Object, user: &Object, cx: &Cx<'_>) -> bool {
        let wanted = cx.fates.desired.get(&user.address).and_then(|a| cx.desired.get(a));
        let lets_go = wanted.is_some_and(|wanted| !wanted.depends_on.contains(&object.address));
        let nullable = object.get::<Column>().is_some_and(|column| column.nullable);
        nullable && lets_go && user.get::<Constraint>().is_some()
    }

    fn relation_names(&self, object: &Object) -> Vec<QName> {
        let sequence = object.get::<Column>().and_then(|c| c.sequence.as_ref());
        sequence.map(|s| s.value.clone()).into_iter().collect()
    }

    fn react(
        &self,
        object: &Object,
        disturbed: &Object,
        by: &Disturbance,
        cx: &Cx<'_>,
    ) -> Reaction {
        let Some(column) = object.get::<Column>() else { return Reaction::Keep };
        let follows = |change: &reconcile_catalog::Retype| {
            column.inherited && disturbed.get::<Column>().is_some() && change.from == column.ty
        };
        match by {
            Disturbance::Retyped(change) if follows(change) => {
                Reaction::Follow(Box::new(reconcile_catalog::Retype {
                    address: object.address.clone(),
                    through: object.address.clone(),
                    ..(**change).clone()
                }))
            }
            Disturbance::Rebuilt if disturbed.definition.is_type() => {
                super::exchange::react(object, column, cx)
            }
            Disturbance::Retyped(_) | Disturbance::Rebuilt
                if column.generated.is_some() && in_one_table(object, disturbed) =>
            {
                generated::react(object, column, by, cx)
            }
            // It is dropped and made again with its parent's.
            Disturbance::Rebuilt if column.inherited && disturbed.get::<Column>().is_some() => {
                Reaction::Rebuild { warnings: Vec::new() }
            }
            // Its default is another one by then, or the sequence stays.
            Disturbance::Rebuilt | Disturbance::Dropped if is_forgotten(object, disturbed, cx) => {
                Reaction::Keep
            }
            Disturbance::Retyped(_) | Disturbance::Rebuilt => Reaction::Refuse(format!(
                "{} has the row type of {}, which PostgreSQL does not alter while a column uses it",
                object.address, disturbed.address
            )),
            Disturbance::Dropped if column.inherited => Reaction::Goes,
            Disturbance::Dropped => {
                Reaction::Refuse(format!("{} depends on {}", object.address, disturbed.address))
            }
        }
    }
}

fn in_one_table(one: &Object, other: &Object) -> bool {
    other.get::<Column>().is_some() && table_of(&one.address) == table_of(&other.address)
}

/// Whether a column only needs another object for its default, and the model gives it another one.
fn is_forgotten(object: &Object, needed: &Object, cx: &Cx<'_>) -> bool {
    let columns = object.get::<Column>().zip(cx.desired.definition::<Column>(&object.address));
    let stays = cx.desired.get(&object.address).map(|o| o.depends_on.contains(&needed.address));
    columns.is_some_and(|(live, desired)| {
        live.default.is_some()
            && live.ty == desired.ty
            && (live.default != desired.default || desired.identity.is_some())
    }) && stays == Some(false)
}

/// What a change of type does to the rows. A domain is what it is over, but only the server knows
/// that: a change between a user's type and a built-in one counts as a rewrite.
pub(super) fn convert(
    address: &Address,
    live: &Column,
    desired: &Column,
    cx: &Cx<'_>,
) -> Conversion {
    let (from, to) = (&live.ty, &desired.ty);
    let heirs = heirs(address, cx).into_iter().map(|(o, _)| &o.address);
    let indexed = |column: &Address| {
        cx.live.dependents(column).any(|o| {
            let key = o.get::<Constraint>().is_some_and(|c| match &c.rule {
                Rule::PrimaryKey { .. } | Rule::Unique { .. } | Rule::Other { .. } => true,
                Rule::Check { .. } | Rule::ForeignKey { .. } => false,
            });
            key || o.get::<Index>().is_some()
        })
    };
    match desired.using.is_some() {
        true => Conversion::Rewrite,
        // An index that is built anew takes as long as the rows do.
        false if is_free_at_utc(from, to) && !heirs.chain([address]).any(indexed) => {
            Conversion::Catalog
        }
        false => conversion(from, to),
    }
}

/// The tables of the children that a change of this column reaches, with the column in each.
pub(super) fn heirs<'a>(address: &Address, cx: &Cx<'a>) -> Vec<(&'a Object, &'a Column)> {
    let mut out: Vec<(&Object, &Column)> = Vec::new();
    let mut queue = vec![address.clone()];
    while let Some(parent) = queue.pop() {
        for child in cx.live.dependents(&parent) {
            if let Some(column) = child.get::<Column>().filter(|c| c.inherited)
                && out.iter().all(|(o, _)| o.address != child.address)
            {
                out.push((child, column));
                queue.push(child.address.clone());
            }
        }
    }
    out.sort_by(|a, b| a.0.address.cmp(&b.0.address));
    out
}

/// A column's definition after the type changes.
pub(super) fn retyped_default(object: &Object, retypes: &Retypes) -> Option<String> {
    let definition = object.definition.retyped(&object.address, retypes);
    let column = definition
        .as_ref()
        .and_then(|d| d.as_any().downcast_ref::<Column>())
        .or_else(|| object.get::<Column>());
    column.and_then(|c| c.default.clone())
}

/// The relation of an address, for locks.
pub(super) fn name_of(object: &Object) -> QName {
    relation(&object.address)
}
