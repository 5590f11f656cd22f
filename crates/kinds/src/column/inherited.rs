//! What a child does itself about a column that it has from its parents.

use reconcile_catalog::{Object, PropertyChange, Value};
use reconcile_sql::{LockLevel, quote_ident};

use super::declare::changed_settings;
use super::{Column, NotNull};
use crate::constraint::table_of;
use crate::inheritance::{self, implied};
use crate::step::{Action, Sql, Stage};
use crate::table::relation;
use crate::{Alteration, Cx};

/// The changes of a column that do not come with the same change of a parent's: PostgreSQL carries
/// those to the children.
pub(super) fn own_changes(change: &Alteration<'_>, cx: &Cx<'_>) -> Vec<PropertyChange> {
    let table = table_of(&change.live.address);
    let inherited = change.live.get::<Column>().is_some_and(|c| c.inherited)
        && inheritance::stays(&table, cx.live, cx.desired);
    if !inherited {
        return change.properties.to_vec();
    }
    let parents: Vec<_> = inheritance::parents(&table, cx.live)
        .iter()
        .map(|parent| {
            Column::address(&crate::table::Table::address(parent), change.live.address.name())
        })
        .collect();
    let value = |object: &Object, name: &str| -> Option<Value> {
        let mut properties = object.definition.properties().into_iter();
        properties.find(|p| p.name == name).map(|p| match p.value {
            Value::Usual(value) => *value,
            value => value,
        })
    };
    let carried = |property: &PropertyChange| {
        parents.iter().any(|parent| {
            let now = cx.live.get(parent).and_then(|o| value(o, property.name));
            let then = cx.desired.get(parent).and_then(|o| value(o, property.name));
            now != then && then.as_ref() == Some(&property.desired)
        })
    };
    change.properties.iter().filter(|p| !carried(p)).cloned().collect()
}

/// The NOT NULL of a partition under another name. PostgreSQL renames no constraint that is
/// inherited (`rename_constraint_internal`, `src/backend/commands/tablecmds.c`): the partition is
/// none for a moment.
pub(super) fn renamed_apart(
    change: &Alteration<'_>,
    properties: &[PropertyChange],
    cx: &Cx<'_>,
) -> Option<Stage> {
    let table = table_of(&change.live.address);
    let stays = inheritance::stays(&table, cx.live, cx.desired);
    let renamed = |name: &str| properties.iter().any(|p| p.name == name);
    if !stays || !renamed("not_null") || renamed("nullable") {
        return None;
    }
    let columns = change.live.get::<Column>().zip(change.desired.get::<Column>());
    let (live, desired) = columns.filter(|(live, _)| live.inherited)?;
    let (from, to) = live.not_null.as_ref().zip(desired.not_null.as_ref())?;
    let (from, to) = (quote_ident(&from.name.value), quote_ident(&to.name.value));
    let relation = relation(&table);
    let sql = format!("ALTER TABLE {relation} RENAME CONSTRAINT {from} TO {to}");
    let summary = format!("rename constraint {from} to {to}");
    let rename = Action::new(&change.live.address, summary, Sql::Statement(sql))
        .locking(relation, LockLevel::AccessExclusive);
    let (detach, attach) = inheritance::apart(&change.live.address, &table, cx)?;
    Some(Stage::transaction(vec![detach, rename, attach]))
}

/// What a child says differently from its parents, once it has the column from them.
pub(crate) fn overrides(object: &Object, column: &Column, cx: &Cx<'_>) -> Vec<Action> {
    let address = &object.address;
    let Some(theirs) = implied::column(&table_of(address), address.name(), cx.desired) else {
        return Vec::new();
    };
    let (table, name) = (relation(address), quote_ident(address.name()));
    let alter = |clause: String| {
        let summary = format!("alter column {}: {}", address.short(), clause.to_lowercase());
        let sql = Sql::alter_table(&table, format!("ALTER COLUMN {name} {clause}"));
        Action::new(address, summary, sql).locking(table.clone(), LockLevel::AccessExclusive)
    };
    let mut actions = Vec::new();
    if column.default != theirs.default {
        actions.push(alter(match &column.default {
            Some(default) => format!("SET DEFAULT {default}"),
            None => "DROP DEFAULT".to_owned(),
        }));
    }
    if !column.nullable && theirs.nullable {
        let named = column.not_null.as_ref().map(|c| &c.name.value);
        let unusual = named.filter(|n| **n != NotNull::usual_name(address));
        match unusual.filter(|_| cx.version.at_least(18)) {
            Some(own) => {
                let clause = format!("ADD CONSTRAINT {} NOT NULL {name}", quote_ident(own));
                let summary = format!("forbid nulls in {}", address.short());
                let add = Action::new(address, summary, Sql::alter_table(&table, clause));
                actions.push(add.locking(table.clone(), LockLevel::AccessExclusive));
            }
            None => actions.push(alter("SET NOT NULL".to_owned())),
        }
    }
    // Statistics targets and attribute options are no child's from its parent.
    let theirs = Column {
        storage: theirs.storage,
        compression: theirs.compression,
        ..Column::new(column.ty.clone())
    };
    actions.extend(changed_settings(address, &table, &theirs, column));
    actions
}
