//! A second column that is known to be in step with the first one: the way back, in a moment.
//!
//! Invariant: nothing is taken for granted that the catalog does not show. The columns have changed names
//! once, which proved that they agreed; the trigger that has written the second one since then is there and
//! fires always; and what the second one cannot hold is nothing, or stands in an index that tells at once.
//! Everybody else's demands are made in the transaction of the swap and proven afterwards, beside writers.

use reconcile_catalog::Object;

use super::super::alter::Steps;
use super::super::data;
use super::super::not_null::Nulls;
use super::agree::lost_index;
use super::loss::Loss;
use super::{Carry, Column, SWAPPED, around, proof_of_nulls};
use crate::Cx;
use crate::constraint::{Constraint, Rule, table_of};
use crate::function::Function;
use crate::index::Index;
use crate::online::{Shadow, Twin, wanted};
use crate::step::{Guard, Preflight, Stage};
use crate::trigger::{Enabled, Trigger};

/// That a second column is in step.
#[derive(Debug)]
pub(crate) struct InStep {
    /// The condition that a row's value is lost in it; nothing if there are no such values.
    lost: Option<String>,
}

/// Whether the second column is in step, and the names can change at once.
pub(crate) fn in_step(shadow: &Shadow, cx: &Cx<'_>) -> Option<InStep> {
    let second = cx.afoot.definition::<Column>(&shadow.address)?;
    let trigger = cx.afoot.definition::<Trigger>(&shadow.trigger_address())?;
    let function = cx.afoot.objects().find(|o| shadow.is_function(&o.address));
    let swapped = function.and_then(Object::get::<Function>)?.body.contains(SWAPPED);
    let live = cx.live.get(&shadow.column)?;
    let (desired, live) = (wanted(live, cx), live.get::<Column>()?);
    let desired = desired.get::<Column>()?;
    // A primary key, an identity and a replica identity need a NOT NULL that is proven.
    let proven = live.identity.is_some() || is_key(shadow, cx);
    // What an expression of the model does nobody can tell.
    let computed = cx.afoot.objects().any(|o| shadow.is_helper(&o.address));
    if computed
        || !swapped
        || proven
        || trigger.enabled != Enabled::Always
        || second.ty != desired.ty
    {
        return None;
    }
    match Loss::between(&live.ty, &desired.ty, cx) {
        Loss::Never => Some(InStep { lost: None }),
        Loss::Unknown => None,
        loss @ (Loss::Null | Loss::Rounded) => {
            let index = cx.afoot.definition::<Index>(&lost_index(shadow, &desired.ty))?;
            let lost = loss.condition(shadow.column.name(), shadow.address.name());
            index.valid.then_some(InStep { lost })
        }
    }
}

fn is_key(shadow: &Shadow, cx: &Cx<'_>) -> bool {
    cx.live.dependents(&shadow.column).any(|o| {
        let primary = |c: &Constraint| matches!(c.rule, Rule::PrimaryKey { .. });
        o.parent.as_ref() == Some(&table_of(&shadow.column))
            && (o.get::<Constraint>().is_some_and(primary)
                || o.get::<Index>().is_some_and(|index| index.replica_identity))
    })
}

impl Steps<'_> {
    /// The change of names and nothing else before it, but for what has to be built.
    pub(super) fn at_once(
        &self,
        shadow: &Shadow,
        second: &Column,
        back: &Carry,
        twins: Vec<(reconcile_catalog::Address, Twin)>,
        in_step: &InStep,
    ) -> Vec<Stage> {
        let mut twins: Vec<Twin> = twins.into_iter().map(|(_, twin)| twin).collect();
        let built = |twin: &mut Twin| [&mut twin.prepare, &mut twin.late].map(std::mem::take);
        let mut stages: Vec<Stage> = twins.iter_mut().flat_map(built).flatten().collect();
        let there = self.cx.afoot.definition::<Column>(&shadow.address);
        let (mut before, after) = around(twins);
        before.extend(self.without_nulls(shadow, second, there).demand);
        let mut swap = self.swap(shadow, back, before, after);
        if let Some((condition, first)) = in_step.lost.as_ref().zip(swap.actions.first_mut()) {
            let preflight = self.unfit_where(condition);
            first.guards.push(Guard {
                sql: format!("SELECT count(*) FROM {} WHERE {condition}", self.table),
                complaint: preflight.complaint.clone(),
                lifted_by: None,
                by_index: true,
            });
            first.preflights.push(preflight);
        }
        stages.push(swap);
        stages
    }

    /// The values that the second column has lost, in the words that are used of such values anywhere.
    fn unfit_where(&self, condition: &str) -> Preflight {
        let known = data::unfit(self.address, &self.live.ty, &self.desired.ty, self.cx);
        let complaint = known.map_or_else(
            || format!("{}.{} is no value of {}", self.table, self.column, self.desired.ty),
            |preflight| preflight.complaint,
        );
        data::values_where(&self.table, &self.column, condition, complaint)
    }
}

/// What is proven once the names have changed at once.
pub fn finish(shadow: &Shadow, cx: &Cx<'_>) -> Vec<Stage> {
    let nullable = cx.afoot.definition::<Column>(&shadow.address).is_some_and(|c| c.nullable);
    let Some(object) = cx.live.get(&shadow.column) else { return Vec::new() };
    let desired = wanted(object, cx);
    let Some(desired) = desired.get::<Column>().filter(|c| nullable && !c.nullable) else {
        return Vec::new();
    };
    if in_step(shadow, cx).is_none() {
        return Vec::new();
    }
    let proof = proof_of_nulls(shadow, &desired.ty);
    let nulls = Nulls::of(&shadow.column, cx).filled().proven_by(proof).forbidding(desired);
    [nulls.prove.into_iter().collect(), nulls.settle].into_iter().map(Stage::transaction).collect()
}
