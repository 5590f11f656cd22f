//! What a plan leaves without a user goes with it; what it stops using but others do not, stays.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use reconcile_catalog::{Address, Definition, Object};
use reconcile_diff::Change;
use reconcile_kinds::{After, How, Kind, kind};

use crate::disturb::Disturbances;
use crate::graph::{NodeId, Verb};
use crate::planner::Planner;
use crate::step::Warning;

impl Planner<'_> {
    /// What the changed objects stop using goes if nobody else uses it.
    pub(crate) fn remove_orphans(&mut self, disturbances: &Disturbances) {
        let cx = self.cx;
        let mut candidates: BTreeMap<Address, BTreeSet<NodeId>> = BTreeMap::new();
        for retype in &cx.retypes.changes {
            let Some(object) = self.inputs.live.get(&retype.address) else { continue };
            for target in &object.depends_on {
                if cx.online.contains_key(&retype.address) {
                    // It goes with the old column, at the end; the way back from there needs it.
                    self.touch_whole(target);
                    continue;
                }
                let users = candidates.entry(target.clone()).or_default();
                let altered = self
                    .inputs
                    .difference
                    .matched
                    .desired_of(&retype.address)
                    .unwrap_or(&retype.address);
                users.extend(self.graph.last(altered, Verb::Alter));
            }
        }
        // The second columns of online changes that end.
        for (shadow, _) in &self.inputs.afoot.columns {
            let Some(id) = self.graph.last(&shadow.address, Verb::Drop) else { continue };
            let Some(object) = self.inputs.live.get(&shadow.address) else { continue };
            for target in &object.depends_on {
                candidates.entry(target.clone()).or_default().insert(id);
            }
        }
        let matched = &self.inputs.difference.matched;
        let definition = |object: &Object| -> Option<Arc<dyn Definition>> {
            if self.graph.first(&object.address, Verb::Drop).is_some()
                && !disturbances.is_rebuilt(&object.address)
            {
                return None;
            }
            let desired =
                matched.desired_of(&object.address).and_then(|d| self.inputs.desired.get(d));
            Some(match desired {
                Some(desired) => desired.definition.clone(),
                None => {
                    let retyped = object.definition.retyped(&object.address, cx.retypes);
                    retyped.unwrap_or_else(|| object.definition.clone())
                }
            })
        };
        let mut orphans = Vec::new();
        let mut stay = Vec::new();
        for (address, users) in candidates {
            if self.gone.contains(&address) || disturbances.is_rebuilt(&address) {
                continue; // The model says so, or says what becomes of it.
            }
            let Some((kind, object)) = kind(address.kind()).zip(self.inputs.live.get(&address))
            else {
                continue;
            };
            match kind.remaining_users(object, &After { definition: &definition }, &cx) {
                None => {}
                Some(others) if others.is_empty() => {
                    orphans.push((address, kind.drop(object, How::Within, &cx), users))
                }
                Some(others) => stay.push(Warning {
                    text: format!("it stays, because it is still used by {}", others.join(", ")),
                    address: Some(address),
                }),
            }
        }
        self.out.warnings.extend(stay);
        for (address, stages, users) in orphans {
            self.touch_whole(&address);
            self.out.changes.push(Change::Drop(address.clone()));
            self.no_longer_left_alone(&address);
            self.add(&address, Verb::Drop, stages);
            let Some(id) = self.graph.first(&address, Verb::Drop) else { continue };
            // What goes too and uses it without a column of its type.
            for user in self.inputs.live.dependents(&address) {
                if let Some(earlier) = self.graph.last(&user.address, Verb::Drop) {
                    self.graph.order(earlier, id);
                }
            }
            for user in users {
                // Everything that is made again in that transaction stops using it too.
                let group = self.graph.group(user);
                self.graph.tie(user, id);
                for other in 0..id {
                    if self.graph.group(other) == group
                        || self.graph.group(other) == self.graph.group(id)
                    {
                        self.graph.order(other, id);
                    }
                }
            }
        }
    }

    /// Touches an object that goes with what goes with it: its comment, owner and privileges have to
    /// come back if it does.
    pub(crate) fn touch_whole(&mut self, address: &Address) {
        let mut queue = vec![address.clone()];
        while let Some(address) = queue.pop() {
            queue.extend(self.inputs.live.children(&address).map(|o| o.address.clone()));
            self.out.touched.insert(address);
        }
    }

    /// Takes an object off the count of what the model leaves alone.
    pub(crate) fn no_longer_left_alone(&mut self, address: &Address) {
        let plural = kind(address.kind()).map_or(address.kind(), Kind::plural);
        if let Some(number) = self.out.unmanaged.get_mut(plural) {
            *number = number.saturating_sub(1);
        }
        self.out.unmanaged.retain(|_, number| *number > 0);
    }
}
