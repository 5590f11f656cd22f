//! Making, altering and removing tables.

use std::sync::Arc;

use reconcile_catalog::{Address, Definition, Object, Value};
use reconcile_sql::{LockLevel, ServerVersion, quote_ident};

use super::{NAME, Table, read, relation};
use crate::column::{self, Column};
use crate::constraint::{self, Constraint, Rule};
use crate::gate::{Gap, GateCx, Probe};
use crate::model::ModelPart;
use crate::read::{ReadError, Reader, Row};
use crate::step::{Action, Refusal, Sql, Stage};
use crate::{Alteration, Cx, Disturbance, How, Kind, Reaction};

/// The kind.
pub struct TableKind;

/// Whether a constraint of a new table stands in its CREATE TABLE. Foreign keys do not: they lock
/// the referenced table too.
pub(crate) fn is_inline(constraint: &Constraint) -> bool {
    !matches!(constraint.rule, Rule::ForeignKey { .. })
}

impl Kind for TableKind {
    fn name(&self) -> &'static str {
        NAME
    }

    fn plural(&self) -> &'static str {
        "tables"
    }

    fn model(&self) -> Option<&'static dyn ModelPart> {
        Some(&super::model::TableModel)
    }

    fn queries(&self, _version: ServerVersion) -> Vec<String> {
        vec![read::query()]
    }

    fn read(&self, row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
        read::read(row, reader)
    }

    fn decode(&self, json: serde_json::Value) -> Result<Arc<dyn Definition>, serde_json::Error> {
        Ok(Arc::new(serde_json::from_value::<Table>(json)?))
    }

    fn designation(&self, address: &Address) -> String {
        format!("TABLE {}", address.dotted())
    }

    fn describe(&self, object: &Object) -> String {
        let Some(table) = object.get::<Table>() else { return String::new() };
        let mut parts = Vec::new();
        parts.extend(table.unlogged.then(|| "unlogged".to_owned()));
        parts.extend(table.partition_key.as_ref().map(|key| format!("partitioned by {key}")));
        if let Some(parent) = table.inherits.first() {
            let how = if table.bound.is_some() { "partition of" } else { "inherits" };
            parts.push(format!("{how} {parent}"));
        }
        parts.extend(table.row_security.filter(|on| *on).map(|_| "row security".to_owned()));
        parts.join(", ")
    }

    fn create(&self, object: &Object, _how: How, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let address = &object.address;
        let mut columns: Vec<(&Object, &Column)> = cx
            .desired
            .children(address)
            .filter_map(|o| o.get::<Column>().map(|c| (o, c)))
            .collect();
        columns.sort_by_key(|(_, c)| c.position);
        let columns = columns.into_iter().map(|(o, c)| column::declaration(o.address.name(), c));
        let constraints = cx
            .desired
            .children(address)
            .filter_map(|o| o.get::<Constraint>().map(|c| (o, c)))
            .filter(|(_, c)| is_inline(c))
            .map(|(o, c)| {
                format!(
                    "CONSTRAINT {} {}",
                    quote_ident(o.address.name()),
                    constraint::definition(c)
                )
            });
        let body: Vec<String> =
            columns.chain(constraints).map(|line| format!("    {line}")).collect();
        let mut sql = format!("CREATE TABLE {} (\n{}\n)", relation(address), body.join(",\n"));
        if let Some(key) = object.get::<Table>().and_then(|t| t.partition_key.as_ref()) {
            sql.push_str(&format!(" PARTITION BY {key}"));
        }
        let action =
            Action::new(address, format!("make table {}", address.short()), Sql::Statement(sql));
        Ok(vec![Stage::transaction(vec![action])])
    }

    fn drop(&self, object: &Object, _how: How, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let address = &object.address;
        let name = relation(address);
        let sql = Sql::Statement(format!("DROP TABLE {name}"));
        let mut action = Action::new(address, format!("drop table {}", address.short()), sql)
            .locking(name.clone(), LockLevel::AccessExclusive);
        action.loses = Some(format!("all rows of {name}"));
        action.irreversible = Some("its rows are gone".to_owned());
        action.guards.push(crate::Guard {
            sql: format!("SELECT count(*) FROM {name}"),
            complaint: format!("rows of {name} would be lost"),
            lifted_by: Some("--allow-data-loss"),
        });
        Ok(vec![Stage::transaction(vec![action])])
    }

    fn alter(&self, change: &Alteration<'_>, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let address = &change.live.address;
        let name = relation(address);
        let mut actions = Vec::new();
        for property in change.properties {
            let clause = match (property.name, &property.desired) {
                ("row_security", Value::Flag(true)) => "ENABLE ROW LEVEL SECURITY",
                ("row_security", _) => "DISABLE ROW LEVEL SECURITY",
                ("force_row_security", Value::Flag(true)) => "FORCE ROW LEVEL SECURITY",
                ("force_row_security", _) => "NO FORCE ROW LEVEL SECURITY",
                (other, desired) => {
                    let reason =
                        format!("`{other}` of a table cannot be changed to {desired} in place");
                    return Err(Refusal::new(address, reason));
                }
            };
            let summary = format!("{} on {}", clause.to_lowercase(), address.short());
            let action = Action::new(address, summary, Sql::alter_table(&name, clause));
            actions.push(action.locking(name.clone(), LockLevel::AccessExclusive));
        }
        Ok(vec![Stage::transaction(actions)])
    }

    fn rename(&self, live: &Object, to: &str, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let name = relation(&live.address);
        let sql = Sql::Statement(format!("ALTER TABLE {name} RENAME TO {}", quote_ident(to)));
        let summary = format!("rename table {} to {to}", live.address.short());
        let action =
            Action::new(&live.address, summary, sql).locking(name, LockLevel::AccessExclusive);
        Ok(vec![Stage::transaction(vec![action])])
    }

    fn gate(&self, gap: Gap<'_>, _cx: &GateCx<'_>) -> Option<String> {
        match gap {
            Gap::Missing(_) => Some("it is missing".to_owned()),
            Gap::Different { .. } => Some("its row security is another".to_owned()),
            Gap::Extra(_) => None,
        }
    }

    fn probes(&self, desired: &Object, cx: &GateCx<'_>) -> Vec<Probe> {
        super::gate::probes(desired, cx)
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
