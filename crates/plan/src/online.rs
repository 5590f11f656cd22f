//! Which changes are carried out beside readers and writers.

use std::collections::BTreeMap;

use reconcile_catalog::Address;
use reconcile_diff::Change;
use reconcile_kinds::online::{Doubling, Shadow};
use reconcile_kinds::{Alteration, Cx, Refusal, Work};

use crate::planner::{Inputs, pair};
use crate::stall::estimate;
use crate::step::Warning;

/// How changes that rewrite a table are carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// By the facts: at once where the rewrite is within the limit, online where it is not.
    #[default]
    Auto,
    /// At once, however long that takes.
    Direct,
    /// Online, however small the table is.
    Online,
}

/// Whether an object is about several columns that are changed online.
fn shared(address: &Address, cx: &Cx<'_>) -> bool {
    let object = cx.live.get(address);
    let columns = |o: &reconcile_catalog::Object| {
        o.depends_on.iter().filter(|a| cx.online.contains_key(*a)).count()
    };
    object.is_some_and(|o| columns(o) > 1)
}

/// The columns that are changed online.
#[derive(Clone, Debug, Default)]
pub(crate) struct Online {
    /// By the live column.
    pub(crate) shadows: BTreeMap<Address, Shadow>,
    /// What cannot be changed online although it shall.
    pub(crate) refusals: Vec<Refusal>,
    /// Why something is not changed online although it would be better.
    pub(crate) warnings: Vec<Warning>,
}

impl Online {
    /// Decides for each change. What is afoot is gone on with whatever the strategy.
    pub(crate) fn choose(inputs: &Inputs<'_>, cx: &Cx<'_>) -> Self {
        let mut out = Self::default();
        for change in &inputs.difference.changes {
            let Change::Alter { desired, live, properties } = change else { continue };
            let Some((kind, object, wanted)) = pair(inputs, desired, live) else { continue };
            let alteration = Alteration { live: object, desired: &wanted, properties };
            let Some(chosen) = kind.online(&alteration, cx) else { continue };
            let afoot = inputs.afoot.columns.iter().any(|(shadow, _)| shadow.column == *live);
            let work = kind.rewrites(&alteration, cx).into_iter().map(|table| {
                let name = reconcile_sql::QName::new(table.namespace(), table.name());
                estimate(&Work::Rewrite(name), inputs.facts)
            });
            let long = work.sum::<std::time::Duration>() > inputs.limits.max_rewrite;
            match (inputs.strategy, chosen) {
                (Strategy::Direct, _) if !afoot => {}
                (Strategy::Auto, _) if !afoot && !long => {}
                (_, Ok(shadow)) => {
                    out.shadows.insert(live.clone(), shadow);
                }
                (Strategy::Auto, Err(refusal)) if !afoot => {
                    out.warnings
                        .push(Warning { address: Some(live.clone()), text: refusal.reason });
                }
                (_, Err(refusal)) => out.refusals.push(refusal),
            }
        }
        out
    }

    /// What is afoot and needs another command.
    pub(crate) fn waiting(&self, inputs: &Inputs<'_>) -> Vec<Warning> {
        let others =
            inputs.afoot.columns.iter().filter(|(s, _)| !self.shadows.contains_key(&s.column));
        let words = others.map(|(shadow, swapped)| Warning {
            address: Some(shadow.column.clone()),
            text: if *swapped {
                "its old column is kept for the way back, and costs every write: `reconcile contract` drops it"
            } else {
                "an online change of it is half done, and this model does not want it: `reconcile abort` gives it up"
            }
            .to_owned(),
        });
        words.collect()
    }

    /// What would leave an online change without its column: its trigger would fail every write.
    pub(crate) fn in_the_way(
        &self,
        inputs: &Inputs<'_>,
        made_anew: &dyn Fn(&Address) -> bool,
    ) -> Vec<Refusal> {
        let afoot = inputs.afoot.columns.iter().map(|(shadow, _)| &shadow.column);
        let hit = |column: &&Address| {
            let path = column.path();
            // The column, its table, its namespace; not what belongs to them.
            let around = |a: &Address| {
                a == *column
                    || a.target().is_none()
                        && a.path().len() < path.len()
                        && path.starts_with(a.path())
            };
            let goes = inputs.difference.changes.iter().any(|change| match change {
                Change::Drop(address) => around(address),
                Change::Rename { from, to } => around(from) || around(to),
                Change::Create(_) | Change::Alter { .. } => false,
            });
            let table = inputs.live.get(column).and_then(|o| o.parent.as_ref());
            goes || table.is_some_and(made_anew)
        };
        // From the change of names on the trigger names the old type, and its labels where it has any.
        let named = |shadow: &Shadow| {
            let second = inputs.afoot.catalog.get(&shadow.address);
            let needs: Vec<&Address> = second.iter().flat_map(|o| &o.depends_on).collect();
            inputs.difference.changes.iter().any(|change| match change {
                Change::Drop(live)
                | Change::Rename { from: live, .. }
                | Change::Alter { live, .. } => needs.contains(&live),
                Change::Create(_) => false,
            })
        };
        let reason = "an online change of it is afoot; end it first, with `reconcile contract` or `reconcile abort`";
        let of_type =
            inputs.afoot.columns.iter().filter(|(shadow, swapped)| *swapped && named(shadow));
        let of_type = of_type.map(|(shadow, _)| {
            let reason = "an online change of it is afoot, and its old type may not change; end it first, with \
                          `reconcile contract`";
            Refusal::new(&shadow.column, reason)
        });
        let own = afoot.filter(hit).map(|column| Refusal::new(column, reason)).chain(of_type);
        let lost = |column: &Address| {
            let retyped = inputs.difference.retypes.of(column).is_some();
            retyped || hit(&column)
        };
        let read = inputs.afoot.reads.iter().filter(|(column, _)| lost(column));
        let read = read.map(|(column, by)| {
            let reason = format!(
                "an online change of {by} is afoot and reads it; end that first, with `reconcile contract` or `reconcile abort`"
            );
            Refusal::new(column, reason)
        });
        own.chain(read).collect()
    }

    /// The live objects that have twins, with whether these replace them: what becomes of them is part of the
    /// change itself.
    pub(crate) fn twinned(&mut self, cx: &Cx<'_>) -> BTreeMap<Address, bool> {
        let mut out = BTreeMap::new();
        for shadow in self.shadows.values() {
            match Doubling::twins(shadow, cx) {
                Ok(twins) => {
                    for (address, twin) in twins {
                        if shared(&address, cx) {
                            let reason = format!(
                                "it cannot be changed online together with another column that {address} is about; \
                                 change one after the other"
                            );
                            self.refusals.push(Refusal::new(&shadow.column, reason));
                        }
                        out.insert(address, twin.replaces);
                    }
                }
                Err(refusal) => self.refusals.push(refusal),
            }
        }
        out
    }
}
