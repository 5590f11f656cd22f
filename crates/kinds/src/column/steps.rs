//! Making, altering and removing columns.

use std::sync::Arc;

use reconcile_catalog::{Address, Definition, Object, Retypes};
use reconcile_sql::{LockLevel, QName, ServerVersion, SqlType, quote_ident};

use super::alter::Steps;
use super::casts::{Conversion, conversion};
use super::{Column, NAME, data, inherited, read};
use crate::constraint::table_of;
use crate::gate::{Gap, GateCx};
use crate::inheritance;
use crate::model::ModelPart;
use crate::read::{ReadError, Reader, Row};
use crate::step::{Action, Guard, Refusal, Sql, Stage, Work};
use crate::table::relation;
use crate::{Alteration, Cx, Disturbance, How, Kind, Reaction};

/// The kind.
pub struct ColumnKind;

/// A column as CREATE TABLE and ADD COLUMN declare it.
pub fn declaration(name: &str, column: &Column) -> String {
    let Column {
        ty,
        nullable,
        default,
        identity,
        generated,
        collation,
        inherited: _,
        local: _,
        position: _,
    } = column;
    let mut sql = format!("{} {ty}", quote_ident(name));
    if let Some(collation) = collation {
        sql.push_str(&format!(" COLLATE {collation}"));
    }
    if let Some(expression) = generated {
        sql.push_str(&format!(" GENERATED ALWAYS AS ({expression}) STORED"));
    }
    if let Some(identity) = identity {
        sql.push_str(&format!(" {}", identity.sql()));
    }
    if let Some(default) = default {
        sql.push_str(&format!(" DEFAULT {default}"));
    }
    if !nullable {
        sql.push_str(" NOT NULL");
    }
    sql
}

/// Whether ADD COLUMN with this default writes no row: the value is computed once.
fn is_constant(default: &str) -> bool {
    let tokens = reconcile_sql::lex::significant(default);
    let calls = tokens.windows(2).filter(|w| w[1].is("(")).filter_map(|w| w[0].ident());
    let stable = [
        "now",
        "current_timestamp",
        "localtimestamp",
        "current_time",
        "localtime",
        "transaction_timestamp",
    ];
    calls.into_iter().all(|name| stable.contains(&name.as_str()))
}

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

    fn queries(&self, _version: ServerVersion) -> Vec<String> {
        vec![read::query()]
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
        if let Some(collation) = &column.collation {
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
            text.push_str(&format!(", generated always as ({expression}) stored"));
        }
        text
    }

    fn create(&self, object: &Object, _how: How, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let address = &object.address;
        let Some(column) = object.get::<Column>() else { return Ok(Vec::new()) };
        let table = table_of(address);
        if cx.is_new(&table) {
            return Ok(Vec::new()); // CREATE TABLE declares it.
        }
        if column.inherited && inheritance::stays(&table, cx.live, cx.desired) {
            return Ok(vec![Stage::transaction(inherited::overrides(object, column, cx))]);
        }
        let name = relation(address);
        let clause = format!("ADD COLUMN {}", declaration(address.name(), column));
        let constant = column.default.as_deref().is_none_or(is_constant);
        let fills = column.identity.is_some() || column.generated.is_some() || !constant;
        let work = if fills { Work::Rewrite(name.clone()) } else { Work::Catalog };
        let mut action = Action::new(
            address,
            format!("add column {}", address.short()),
            Sql::alter_table(&name, clause),
        )
        .locking(name.clone(), LockLevel::AccessExclusive)
        .working(work);
        if !column.nullable && column.default.is_none() && !fills {
            let complaint =
                format!("rows of {name} would have no value in the new column {}", address.name());
            action.preflights.push(data::values_where(&name, "'any row'", "true", complaint));
        }
        Ok(vec![Stage::transaction(vec![action])])
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
        if object.get::<Column>().is_some_and(|c| c.generated.is_some()) {
            return Ok(vec![Stage::transaction(vec![action])]); // It can be computed again.
        }
        action.loses = Some(format!("all values of {}", address.short()));
        action.irreversible = Some("its values are gone".to_owned());
        action.guards.push(Guard {
            sql: format!("SELECT count({name}) FROM {table}"),
            complaint: format!("values of {} would be lost", address.short()),
            lifted_by: Some("--allow-data-loss"),
        });
        Ok(vec![Stage::transaction(vec![action])])
    }

    fn alter(&self, change: &Alteration<'_>, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let properties = inherited::own_changes(change, cx);
        if properties.is_empty() {
            return Ok(Vec::new()); // It follows its parent's.
        }
        let change = Alteration { properties: &properties, ..change.clone() };
        Steps::new(&change, cx)?.stages()
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

    fn rewrites(&self, change: &Alteration<'_>, cx: &Cx<'_>) -> Vec<Address> {
        let types = change.live.get::<Column>().zip(change.desired.get::<Column>());
        let Some((live, desired)) = types.filter(|(l, d)| l.ty != d.ty) else { return Vec::new() };
        match convert(&live.ty, &desired.ty, cx) {
            Conversion::Rewrite => vec![table_of(&change.live.address)],
            Conversion::Catalog => Vec::new(),
        }
    }

    fn gate(&self, gap: Gap<'_>, cx: &GateCx<'_>) -> Option<String> {
        super::gate::judge(gap, cx)
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
            Disturbance::Retyped(change)
                if column.generated.is_some() && change.from == change.to =>
            {
                Reaction::Rebuild { warnings: Vec::new() }
            }
            Disturbance::Retyped(_) if column.generated.is_some() => Reaction::Refuse(format!(
                "{} is generated from it, and PostgreSQL does not alter the type of a column that a generated column \
                 reads; drop the generated column first and add it again afterwards",
                object.address
            )),
            Disturbance::Rebuilt if disturbed.definition.is_type() => {
                super::exchange::react(object, column, cx)
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

/// What a change of type does to the rows. A domain is what it is over, but only the server knows
/// that: a change between a user's type and a built-in one counts as a rewrite.
pub(super) fn convert(from: &SqlType, to: &SqlType, _cx: &Cx<'_>) -> Conversion {
    conversion(from, to)
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
