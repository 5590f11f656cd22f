//! Making, altering and removing constraints.

use std::sync::Arc;

use reconcile_catalog::{Address, Definition, Object};
use reconcile_sql::ident::fit;
use reconcile_sql::{LockLevel, QName, ServerVersion, quote_ident};

use super::target::Target;
use super::{Constraint, NAME, Rule, data, definition, in_place, read, table_of};
use crate::column;
use crate::gate::{Gap, GateCx};
use crate::inheritance;
use crate::model::ModelPart;
use crate::online::{Doubling, Twin};
use crate::read::{ReadError, Reader, Row};
use crate::step::{Action, Refusal, Sql, Stage, Work};
use crate::table::{Table, is_inline, is_second, relation};
use crate::{Alteration, Cx, Disturbance, How, Kind, Reaction, Replacement};

/// The kind.
pub struct ConstraintKind;

/// What is added to the name of a constraint or index while its predecessor still stands.
pub(crate) const SUCCESSOR: &str = "_rc_new";

/// An index of this name that an interrupted build left is removed first.
fn clear_leftover(target: &Target<'_>, name: &str, cx: &Cx<'_>) -> Option<Stage> {
    let left = crate::index::Index::address(&table_of(target.address), name);
    cx.live.contains(&left).then(|| {
        let sql =
            format!("DROP INDEX CONCURRENTLY {}", QName::new(target.address.namespace(), name));
        let summary = format!("drop the unfinished index {name} of an earlier attempt");
        let action = Action::new(target.address, summary, Sql::Statement(sql))
            .locking(target.table.clone(), LockLevel::ShareUpdateExclusive);
        Stage::outside(action)
    })
}

/// Whether the table is partitioned: there neither CONCURRENTLY nor, before 18, NOT VALID for
/// foreign keys exists.
fn is_partitioned(table: &Address, cx: &Cx<'_>) -> bool {
    let of = |c: &reconcile_catalog::Catalog| {
        c.definition::<Table>(table).is_some_and(|t| t.partition_key.is_some())
    };
    of(cx.live)
}

impl Kind for ConstraintKind {
    fn name(&self) -> &'static str {
        NAME
    }

    fn plural(&self) -> &'static str {
        "constraints"
    }

    fn model(&self) -> Option<&'static dyn ModelPart> {
        Some(&super::model::ConstraintModel)
    }

    fn queries(&self, version: ServerVersion) -> Vec<String> {
        vec![read::query(version)]
    }

    fn read(&self, row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
        read::read(row, reader)
    }

    fn decode(&self, json: serde_json::Value) -> Result<Arc<dyn Definition>, serde_json::Error> {
        Ok(Arc::new(serde_json::from_value::<Constraint>(json)?))
    }

    fn designation(&self, address: &Address) -> String {
        format!("CONSTRAINT {} ON {}", quote_ident(address.name()), relation(address))
    }

    fn describe(&self, object: &Object) -> String {
        object.get::<Constraint>().map_or_else(String::new, |c| {
            let valid = if c.validated { "" } else { " not valid" };
            format!("{}{valid}", definition(c))
        })
    }

    fn create(&self, object: &Object, how: How, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let target = Target::of(object)?;
        let table = table_of(target.address);
        if comes_from_parent(target.rule, &table, cx)
            || (cx.is_new(&table)
                && is_inline(target.rule)
                && !is_second(target.address, target.rule, cx.desired))
        {
            return Ok(Vec::new());
        }
        let work = if cx.is_new(&table) { Work::Catalog } else { Work::Scan(target.table.clone()) };
        let mut at_once = if target.rule.validated || target.rule.not_enforced {
            let mut add = target.add(work);
            add.preflights = data::violations(target.address, target.rule, cx);
            add
        } else {
            // It never spoke of the rows that are there.
            target.add_not_valid(target.address.name())
        };
        if cx.is_rewritten(&table) && !matches!(target.rule.rule, Rule::ForeignKey { .. }) {
            return Ok(vec![Stage::with(&table, vec![at_once.working(Work::Catalog)])]);
        }
        if target.rule.not_enforced {
            at_once = at_once.working(Work::Catalog);
        }
        if how == How::Within || cx.is_new(&table) || target.rule.not_enforced {
            return Ok(vec![Stage::transaction(vec![at_once])]);
        }
        let preflights = std::mem::take(&mut at_once.preflights);
        let old_partitions = is_partitioned(&table, cx) && !cx.version.at_least(18);
        match &target.rule.rule {
            Rule::Check { .. } | Rule::ForeignKey { .. }
                if !(old_partitions && is_foreign_key(target.rule)) =>
            {
                let name = target.address.name();
                let mut add = target.add_not_valid(name);
                add.preflights = preflights;
                let mut stages = vec![Stage::transaction(vec![add])];
                if target.rule.validated {
                    stages.push(Stage::transaction(vec![target.validate(name)]));
                }
                Ok(stages)
            }
            Rule::PrimaryKey { without_overlaps: false, .. }
            | Rule::Unique { without_overlaps: false, .. }
                if !is_partitioned(&table, cx) =>
            {
                let name = fit(target.address.name(), SUCCESSOR);
                let mut stages: Vec<Stage> =
                    clear_leftover(&target, &name, cx).into_iter().collect();
                stages.extend(target.build_index(&name));
                if let Some(first) = stages.last_mut().and_then(|s| s.actions.first_mut()) {
                    first.preflights = preflights;
                }
                stages.push(Stage::transaction(vec![target.add_using_index(&name)]));
                Ok(stages)
            }
            _ => {
                let mut at_once = target.add(Work::Build(target.table.clone()));
                at_once.preflights = preflights;
                Ok(vec![Stage::transaction(vec![at_once])])
            }
        }
    }

    fn drop(&self, object: &Object, _how: How, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let target = Target::of(object)?;
        let table = table_of(target.address);
        if target.rule.inherited
            && !target.rule.local
            && crate::inheritance::stays(&table, cx.live, cx.desired)
        {
            return Ok(Vec::new());
        }
        let actions = vec![target.drop(target.address.name())];
        // The name is free for another one only in the transaction that makes that one.
        Ok(vec![if cx.is_rewritten(&table) {
            Stage::with(&table, actions)
        } else {
            Stage::transaction(actions)
        }])
    }

    /// A key that foreign keys refer to is dropped and made again with them in one transaction.
    fn replacement(&self, change: &Alteration<'_>, cx: &Cx<'_>) -> Replacement {
        let Some(constraint) = change.desired.get::<Constraint>() else { return Replacement::None };
        if in_place::is_enough(change, constraint, cx) {
            return Replacement::None;
        }
        let referred = cx.live.dependents(&change.live.address).next().is_some();
        let of_parent = change.live.get::<Constraint>().is_some_and(|c| c.inherited);
        if constraint.has_index() && referred && !of_parent {
            Replacement::Rebuilt
        } else {
            Replacement::Replaced
        }
    }

    fn alter(&self, change: &Alteration<'_>, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let target = Target::of(change.desired)?;
        let name = target.address.name();
        let table = table_of(target.address);
        if change.live.get::<Constraint>().is_some_and(|c| c.inherited)
            && crate::inheritance::stays(&table, cx.live, cx.desired)
        {
            if follows_parent(change, cx) {
                return Ok(Vec::new());
            }
            return Err(Refusal::new(
                target.address,
                "it comes from a parent table; change it there",
            ));
        }
        if in_place::is_enough(change, target.rule, cx) {
            return Ok(in_place::stages(&target, change, cx));
        }
        let old = Target::of(change.live)?;
        if target.rule.not_enforced || !target.rule.validated {
            // It never asks the rows that are there: nothing has to be proven before.
            let add = if target.rule.not_enforced {
                target.add(Work::Catalog)
            } else {
                target.add_not_valid(name)
            };
            return Ok(vec![Stage::transaction(vec![old.drop(name), add])]);
        }
        let preflights = data::violations(target.address, target.rule, cx);
        if cx.is_rewritten(&table) {
            let mut add = target.add(Work::Catalog);
            add.preflights = preflights;
            return Ok(vec![Stage::with(&table, vec![old.drop(name), add])]);
        }
        let successor = fit(name, SUCCESSOR);
        match &target.rule.rule {
            Rule::Check { .. } | Rule::ForeignKey { .. } if !is_partitioned(&table, cx) => {
                let mut add = target.add_not_valid(&successor);
                add.preflights = preflights;
                Ok(vec![
                    Stage::transaction(vec![add]),
                    Stage::transaction(vec![target.validate(&successor)]),
                    Stage::transaction(vec![old.drop(name), target.rename(&successor, name)]),
                ])
            }
            Rule::PrimaryKey { without_overlaps: false, .. }
            | Rule::Unique { without_overlaps: false, .. }
                if !is_partitioned(&table, cx) =>
            {
                let mut stages: Vec<Stage> =
                    clear_leftover(&target, &successor, cx).into_iter().collect();
                stages.extend(target.build_index(&successor));
                if let Some(first) = stages.last_mut().and_then(|s| s.actions.first_mut()) {
                    first.preflights = preflights;
                }
                stages.push(Stage::transaction(vec![
                    old.drop(name),
                    target.add_using_index(&successor),
                ]));
                Ok(stages)
            }
            _ => {
                let mut add = target.add(Work::Scan(target.table.clone()));
                add.preflights = preflights;
                Ok(vec![Stage::transaction(vec![old.drop(name), add])])
            }
        }
    }

    fn twin(
        &self,
        object: &Object,
        doubling: &Doubling<'_>,
        cx: &Cx<'_>,
    ) -> Result<Option<Twin>, Refusal> {
        super::online::twin(object, doubling, cx).map(Some)
    }

    fn rename(&self, live: &Object, to: &str, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let target = Target::of(live)?;
        Ok(vec![Stage::transaction(vec![target.rename(live.address.name(), to)])])
    }

    /// A missing constraint lets more rows in, an extra or another one may refuse what the
    /// application writes.
    fn gate(&self, gap: Gap<'_>, _cx: &GateCx<'_>) -> Option<String> {
        match gap {
            Gap::Missing(_) => None,
            Gap::Extra(object) => Some(format!(
                "rows that the application writes may fail it: {}",
                self.describe(object)
            )),
            Gap::Different { live, properties, .. } => {
                let harmless =
                    properties.iter().all(|p| matches!(p.name, "validated" | "deferrable"));
                (!harmless).then(|| format!("it is another one: {}", self.describe(live)))
            }
        }
    }

    /// What it has from a parent changes once the table is no child any more.
    fn waits_for(&self, object: &Object, gone: &Object, cx: &Cx<'_>) -> bool {
        let inherits = inheritance::Inheritance::address(&table_of(&object.address));
        gone.address == inherits && !cx.desired.contains(&inherits)
    }

    fn relation_names(&self, object: &Object) -> Vec<QName> {
        let index = object.get::<Constraint>().is_some_and(Constraint::has_index);
        let name = || QName::new(object.address.namespace(), object.address.name());
        index.then(name).into_iter().collect()
    }

    fn react(
        &self,
        object: &Object,
        disturbed: &Object,
        by: &Disturbance,
        cx: &Cx<'_>,
    ) -> Reaction {
        let Some(constraint) = object.get::<Constraint>() else { return Reaction::Keep };
        // A foreign key that stays, or shall refer to something else, makes way and comes back.
        let wanted = cx.desired.contains(&object.address);
        match (by, &constraint.rule) {
            // The copies in partitions go with the one of the partitioned table.
            (Disturbance::Dropped, _) if constraint.inherited && !constraint.local => {
                Reaction::Goes
            }
            (Disturbance::Dropped, Rule::ForeignKey { .. })
                if wanted
                    && !constraint.inherited
                    && table_of(&object.address) != disturbed.address =>
            {
                Reaction::Rebuild { warnings: Vec::new() }
            }
            (Disturbance::Dropped, Rule::ForeignKey { .. })
                if table_of(&object.address) != table_of(&disturbed.address) =>
            {
                Reaction::Refuse(format!("{} refers to {}", object.address, disturbed.address))
            }
            (Disturbance::Dropped, _) => Reaction::Goes,
            (Disturbance::Rebuilt, _) if constraint.inherited && !constraint.local => {
                Reaction::Goes
            }
            (Disturbance::Rebuilt, _) => Reaction::Rebuild { warnings: Vec::new() },
            (Disturbance::Retyped(_), _) if constraint.inherited => Reaction::Goes,
            (Disturbance::Retyped(_), Rule::Other { .. })
                if object.definition.retyped(&object.address, cx.retypes).is_some() =>
            {
                Reaction::Rebuild { warnings: Vec::new() }
            }
            (Disturbance::Retyped(_), Rule::Check { expression, .. }) => {
                let own = table_of(&object.address);
                let changes = column::column_retypes(cx.retypes);
                let read =
                    reconcile_sql::retype::retype(expression, Some(&relation(&own)), &changes);
                if read.meets_other {
                    Reaction::Refuse(format!(
                        "{} compares the column with another one that keeps the old type; drop it or write it anew in \
                         the model",
                        object.address
                    ))
                } else if read.text == *expression && !reads_anew(object, expression, cx) {
                    Reaction::Keep // PostgreSQL parses it again for the new type.
                } else if read.compares_order {
                    Reaction::Refuse(format!(
                        "{} compares by order ({expression}), and the order of the new type is another one; \
                         drop it or write it anew in the model",
                        object.address
                    ))
                } else {
                    Reaction::Rebuild { warnings: Vec::new() }
                }
            }
            (Disturbance::Retyped(_), Rule::ForeignKey { columns, references, referenced, .. }) => {
                if ends_agree(object, columns, references, referenced, cx) {
                    Reaction::Rebuild { warnings: Vec::new() }
                } else {
                    Reaction::Refuse(format!(
                        "{} needs the same type on both sides; give the other column its new type too",
                        object.address
                    ))
                }
            }
            (Disturbance::Retyped(_), _) => Reaction::Keep,
        }
    }
}

/// Whether a constraint is made by its parent's statement, or by the one that makes its table a
/// child; a check has to be there before that.
fn comes_from_parent(constraint: &Constraint, table: &Address, cx: &Cx<'_>) -> bool {
    constraint.inherited
        && (!constraint.is_check()
            || cx.is_new(table)
            || crate::inheritance::stays(table, cx.live, cx.desired))
}

fn is_foreign_key(constraint: &Constraint) -> bool {
    matches!(constraint.rule, Rule::ForeignKey { .. })
}

/// Whether the columns of a foreign key have comparable types once the plan is done.
fn ends_agree(
    object: &Object,
    columns: &[String],
    references: &QName,
    referenced: &[String],
    cx: &Cx<'_>,
) -> bool {
    let after = |address: Address| match cx.retypes.of(&address) {
        Some(change) => Some(change.to.clone()),
        None => cx.live.definition::<column::Column>(&address).map(|c| c.ty.clone()),
    };
    let (mine, theirs) = (table_of(&object.address), Table::address(references));
    columns.iter().zip(referenced).all(|(m, t)| {
        let pair = after(column::Column::address(&mine, m))
            .zip(after(column::Column::address(&theirs, t)));
        pair.is_some_and(|(m, t)| {
            m == t || (m.is_built_in() && t.is_built_in() && m.is_textual() == t.is_textual())
        })
    })
}

/// Whether a condition shall read in another way once a column has its new type. What it says in
/// words of the old type may be nothing that the new one can read, and where it is, casts to the
/// old type stay in it. PostgreSQL looks at all rows once more anyway.
fn reads_anew(object: &Object, expression: &str, cx: &Cx<'_>) -> bool {
    let desired = cx.desired.definition::<Constraint>(&object.address);
    desired.is_some_and(|desired| match &desired.rule {
        Rule::Check { expression: wanted, .. } => {
            !reconcile_sql::spelling::same(expression, wanted)
        }
        _ => true,
    })
}

/// Whether a parent table gets the same constraint, which its children then have too.
fn follows_parent(change: &Alteration<'_>, cx: &Cx<'_>) -> bool {
    let table = table_of(&change.live.address);
    let parents = crate::inheritance::parents(&table, cx.live);
    parents.iter().any(|parent| {
        let above = Constraint::address(&Table::address(parent), change.desired.address.name());
        let theirs = cx.desired.definition::<Constraint>(&above);
        theirs.zip(change.desired.get::<Constraint>()).is_some_and(|(a, b)| a.rule == b.rule)
    })
}
