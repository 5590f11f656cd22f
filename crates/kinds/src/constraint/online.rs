//! The twin of a constraint on a column that is changed online.
//!
//! Checks and foreign keys of the column are proven beside readers and writers and take the names of the
//! old ones, which go. The index of a key is
//! built beside them; the key itself goes over to it in the transaction in which the columns change
//! names, since a table has one primary key. Foreign keys that refer to it are taken away before and
//! come back after, first for new rows and then, beside readers and writers, for all.

use reconcile_catalog::Object;

use super::target::Target;
use super::{Constraint, Rule, table_of};
use crate::Cx;
use crate::index::Index;
use crate::online::{Doubling, Twin};
use crate::step::{Action, Refusal, Sql, Stage};
use crate::table::relation;
use reconcile_sql::{LockLevel, QName};

/// The twin of a constraint.
pub(super) fn twin(object: &Object, doubling: &Doubling<'_>, cx: &Cx<'_>) -> Result<Twin, Refusal> {
    if let Some(twin) = referring(object, doubling, cx)? {
        return Ok(twin);
    }
    let double = doubling.double(object, cx)?;
    let (old, new) = (Target::of(object)?, Target::of(&double)?);
    let (first, second) = (object.address.name(), double.address.name());
    let mut twin = Twin::default();
    match &new.rule.rule {
        Rule::Check { .. } | Rule::ForeignKey { .. } => {
            let there = cx.afoot.definition::<Constraint>(&double.address);
            if there.is_none() {
                let demand = new.add_not_valid(second);
                let list = if doubling.at_once { &mut twin.before } else { &mut twin.demand };
                list.push(demand);
            }
            if there.is_none_or(|there| !there.validated) && new.rule.validated {
                if doubling.at_once {
                    let prove = Target { address: &object.address, ..new }.validate(first);
                    twin.finish.push(Stage::transaction(vec![prove]));
                } else {
                    twin.prove.push(new.validate(second));
                }
            }
            // The old column may not demand anything: a value that comes back may be none, or rounded.
            twin.before.push(old.drop(first));
            twin.after.push(old.rename(second, first));
        }
        Rule::PrimaryKey { .. } | Rule::Unique { .. } => {
            let index = Index::address(&table_of(&object.address), second);
            let there = cx.afoot.definition::<Index>(&index);
            if there.is_some_and(|there| !there.valid) {
                let name = QName::new(object.address.namespace(), second);
                let sql = Sql::Statement(format!("DROP INDEX CONCURRENTLY {name}"));
                let summary = format!("drop the unfinished index {second} of an earlier attempt");
                let drop = Action::new(&index, summary, sql)
                    .locking(new.table.clone(), LockLevel::ShareUpdateExclusive);
                twin.prepare.push(Stage::outside(drop));
            }
            if there.is_none_or(|there| !there.valid) {
                let build = new.build_index(second).ok_or_else(|| {
                    Refusal::new(&object.address, "its index cannot be built beside writers")
                })?;
                let actions =
                    build.actions.into_iter().map(|a| Action { address: index.clone(), ..a });
                twin.prepare.push(Stage { place: build.place, actions: actions.collect() });
            }
            twin.before.push(old.drop(first));
            twin.after.push(Target { address: &object.address, ..new }.add_using_index(second));
        }
        Rule::Other { .. } => {
            return Err(Refusal::new(
                &object.address,
                "an exclusion constraint cannot be built beside writers",
            ));
        }
    }
    Ok(twin)
}

/// A foreign key that refers to the column.
fn referring(
    object: &Object,
    doubling: &Doubling<'_>,
    cx: &Cx<'_>,
) -> Result<Option<Twin>, Refusal> {
    let column = &doubling.shadow.column;
    let refers = object.get::<Constraint>().is_some_and(|c| match &c.rule {
        Rule::ForeignKey { references, referenced, .. } => {
            *references == relation(column) && referenced.iter().any(|name| name == column.name())
        }
        Rule::PrimaryKey { .. } | Rule::Unique { .. } | Rule::Check { .. } | Rule::Other { .. } => {
            false
        }
    });
    if !refers {
        return Ok(None);
    }
    let wanted = doubling.wanted(object, cx);
    let (old, new) = (Target::of(object)?, Target::of(&wanted)?);
    let name = new.address.name();
    let before = vec![old.drop(object.address.name())];
    let mut twin = Twin { before, refers: true, ..Twin::default() };
    twin.after.push(Action { address: new.address.clone(), ..new.add_not_valid(name) });
    if new.rule.validated {
        twin.finish.push(Stage::transaction(vec![new.validate(name)]));
    }
    Ok(Some(twin))
}
