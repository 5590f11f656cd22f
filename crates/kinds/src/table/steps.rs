//! Making, altering and removing tables.

use std::sync::Arc;

use reconcile_catalog::{Address, Catalog, Definition, Object};
use reconcile_sql::{LockLevel, QName, ServerVersion, quote_ident};

use super::{NAME, Table, alter, create, read, relation};
use crate::constraint::{Constraint, Rule, table_of};
use crate::gate::{Gap, GateCx, Probe};
use crate::inheritance;
use crate::model::ModelPart;
use crate::read::{ReadError, Reader, Row};
use crate::step::{Action, Refusal, Sql, Stage};
use crate::storage;
use crate::{Alteration, Cx, Disturbance, How, Kind, Reaction};

/// The kind.
pub struct TableKind;

/// Whether a constraint of a new table stands in its CREATE TABLE. Foreign keys do not: they lock
/// the referenced table too. NOT VALID is ignored there, because there are no rows.
pub(crate) fn is_inline(constraint: &Constraint) -> bool {
    let stated_valid = constraint.validated || constraint.not_enforced;
    !matches!(constraint.rule, Rule::ForeignKey { .. }) && stated_valid
}

/// Whether a key of a new table needs a statement of its own: of two equal ones in one CREATE TABLE
/// PostgreSQL makes one (`transformIndexConstraints`, `src/backend/parser/parse_utilcmd.c`).
pub(crate) fn is_second(address: &Address, constraint: &Constraint, catalog: &Catalog) -> bool {
    let parts = |constraint: &Constraint| match &constraint.rule {
        Rule::PrimaryKey { columns, include, .. } => Some((columns.clone(), include.clone(), 0)),
        Rule::Unique { columns, include, .. } => Some((columns.clone(), include.clone(), 1)),
        Rule::Check { .. } | Rule::ForeignKey { .. } | Rule::Other { .. } => None,
    };
    let Some((columns, include, rank)) = parts(constraint) else { return false };
    catalog.children(&table_of(address)).any(|o| {
        let theirs = o.get::<Constraint>().and_then(parts);
        theirs.is_some_and(|(c, i, r)| {
            c == columns && i == include && (r, &o.address) < (rank, address)
        })
    })
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
        parts.extend(table.unlogged.filter(|on| *on).map(|_| "unlogged".to_owned()));
        parts.extend(table.partition_key.as_ref().map(|key| format!("partitioned by {key}")));
        parts.extend(table.access_method.as_ref().map(|method| format!("using {method}")));
        parts.extend(table.with.as_ref().map(|with| storage::with(with).trim().to_lowercase()));
        parts.extend(table.tablespace.as_ref().map(|space| format!("tablespace {space}")));
        parts.extend(table.row_security.filter(|on| *on).map(|_| "row security".to_owned()));
        parts.retain(|part| !part.is_empty());
        parts.join(", ")
    }

    fn create(&self, object: &Object, _how: How, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        create::create(object, cx)
    }

    fn drop(&self, object: &Object, _how: How, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
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
            by_index: false,
        });
        let mut actions = entangled(address, cx);
        actions.extend(referred_partition(address, cx));
        actions.push(action);
        Ok(vec![Stage::transaction(actions)])
    }

    fn alter(&self, change: &Alteration<'_>, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        alter::alter(change, cx)
    }

    fn rewrites(&self, change: &Alteration<'_>, _cx: &Cx<'_>) -> Vec<Address> {
        let rewrites = change.of("unlogged").or_else(|| change.of("access_method"));
        rewrites.map(|_| change.live.address.clone()).into_iter().collect()
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
            Gap::Different { properties, .. } => properties
                .iter()
                .any(|p| matches!(p.name, "row_security" | "force_row_security"))
                .then(|| "its row security is another".to_owned()),
            Gap::Extra(_) => None,
        }
    }

    fn probes(&self, desired: &Object, cx: &GateCx<'_>) -> Vec<Probe> {
        super::gate::probes(desired, cx)
    }

    fn refilled(&self, change: &Alteration<'_>, _cx: &Cx<'_>) -> Vec<Address> {
        let key = change.of("partition_by").filter(|key| key.proven);
        key.map(|_| change.live.address.clone()).into_iter().collect()
    }

    fn refilled_without(&self, gone: &Object, cx: &Cx<'_>) -> Vec<Address> {
        inheritance::taken_over(&gone.address, cx).into_iter().collect()
    }

    fn comes_before_rows(&self) -> bool {
        true
    }

    fn relation_names(&self, object: &Object) -> Vec<QName> {
        vec![relation(&object.address)]
    }

    fn react(
        &self,
        object: &Object,
        disturbed: &Object,
        by: &Disturbance,
        cx: &Cx<'_>,
    ) -> Reaction {
        let parents = crate::inheritance::parents(&object.address, cx.live);
        match by {
            // What it inherits says what becomes of that.
            Disturbance::Dropped
                if parents.iter().any(|p| Table::address(p) == disturbed.address) =>
            {
                Reaction::Keep
            }
            Disturbance::Dropped => {
                Reaction::Refuse(format!("{} depends on {}", object.address, disturbed.address))
            }
            Disturbance::Retyped(_) | Disturbance::Rebuilt => Reaction::Keep,
        }
    }
}

/// The tables that the foreign keys of a table refer to, with the foreign keys.
fn referred(table: &Address, cx: &Cx<'_>) -> Vec<(Address, Address)> {
    let keys = cx.live.children(table).filter_map(|o| match &o.get::<Constraint>()?.rule {
        Rule::ForeignKey { references, .. } => {
            Some((o.address.clone(), Table::address(references)))
        }
        _ => None,
    });
    keys.filter(|(_, to)| to != table).collect()
}

/// A partition of a table that foreign keys refer to is detached first. DROP TABLE does not take
/// PostgreSQL's own copies of these along, DETACH PARTITION does, and sees to it that no row refers
/// to the partition (tried on 18).
fn referred_partition(table: &Address, cx: &Cx<'_>) -> Option<Action> {
    let (detach, _) = inheritance::apart(table, table, cx)?;
    let mut above: Vec<QName> = Vec::new();
    let mut next = table.clone();
    while let Some(parent) = inheritance::parents(&next, cx.live).first() {
        if above.contains(parent) {
            break;
        }
        next = Table::address(parent);
        above.push(parent.clone());
    }
    let refers = |o: &Object| match o.get::<Constraint>().map(|c| &c.rule) {
        Some(Rule::ForeignKey { references, .. }) => above.contains(references),
        _ => false,
    };
    let stays = |parent: &QName| cx.desired.contains(&Table::address(parent));
    (above.first().is_some_and(stays) && cx.live.objects().any(refers)).then_some(detach)
}

/// Tables that go and refer to each other in a circle cannot go one after the other: the foreign
/// keys of the others go first. Whichever table is first does it.
fn entangled(table: &Address, cx: &Cx<'_>) -> Vec<Action> {
    let goes = |address: &Address| !cx.desired.contains(address);
    let mut reached: Vec<Address> = vec![table.clone()];
    let mut at = 0;
    while let Some(next) = reached.get(at).cloned() {
        at += 1;
        for (_, to) in referred(&next, cx) {
            if goes(&to) && !reached.contains(&to) {
                reached.push(to);
            }
        }
    }
    let back = reached.iter().skip(1).flat_map(|other| {
        referred(other, cx).into_iter().filter(|(_, to)| to == table).map(|(key, _)| key)
    });
    back.map(|key| {
        let name = relation(&key);
        let summary = format!("drop foreign key {} of a table that goes too", key.name());
        let clause = format!("DROP CONSTRAINT IF EXISTS {}", quote_ident(key.name()));
        let sql = Sql::Statement(format!("ALTER TABLE IF EXISTS {name} {clause}"));
        Action::new(&key, summary, sql)
            .locking(name, LockLevel::AccessExclusive)
            .locking(relation(table), LockLevel::AccessExclusive)
    })
    .collect()
}
