//! Casts that help an application over an online change.
//!
//! Invariant: a column and the cast from its old type change in one transaction, so that there is no moment
//! at which a statement that names the old type fails.

use std::collections::BTreeSet;

use reconcile_catalog::{Address, Object};
use reconcile_kinds::online::{Bridges, Dropped, bridges};
use reconcile_kinds::{How, kind};

use crate::graph::{NodeId, Verb};
use crate::planner::Planner;
use crate::step::Warning;

impl Planner<'_> {
    /// Plans the bridges. The changes that have them are planned already.
    pub(crate) fn bridge(&mut self) {
        let inputs = self.inputs;
        let Bridges { make, drop, refusals, remarks } =
            bridges(inputs.bridge, &self.cx, inputs.afoot);
        self.out.bridge = inputs.bridge;
        self.out.refusals.extend(refusals);
        let warnings = remarks.into_iter().map(|(address, text)| Warning { address, text });
        self.out.warnings.extend(warnings);
        for (object, columns) in make {
            self.make_bridge(&object, &columns);
        }
        for dropped in drop {
            self.drop_bridge(&dropped);
        }
    }

    fn make_bridge(&mut self, object: &Object, columns: &BTreeSet<Address>) {
        let Some(kind) = kind(object.address.kind()) else { return };
        let stages = kind.create(object, How::Within, &self.cx);
        self.add(&object.address, Verb::Create, stages);
        let Some(made) = self.graph.last(&object.address, Verb::Create) else { return };
        for other in self.with_changes_of_names(made, columns) {
            self.graph.order(other, made);
        }
    }

    fn drop_bridge(&mut self, dropped: &Dropped) {
        let Dropped { object, columns, first } = dropped;
        // The end of an online change takes it away by itself.
        let there = self.graph.first(&object.address, Verb::Drop).is_some();
        let Some(kind) = kind(object.address.kind()).filter(|_| !there) else { return };
        let stages = kind.drop(object, How::Within, &self.cx);
        self.add(&object.address, Verb::Drop, stages);
        let Some(gone) = self.graph.first(&object.address, Verb::Drop) else { return };
        let later: Vec<NodeId> = match first {
            true => {
                let desired = columns.iter().map(|column| self.desired(column));
                desired.filter_map(|a| self.graph.first(a, Verb::Alter)).collect()
            }
            false => self.with_changes_of_names(gone, columns),
        };
        let types = object.depends_on.iter().filter_map(|ty| self.graph.first(ty, Verb::Drop));
        let later: Vec<NodeId> = later.into_iter().chain(types).collect();
        for later in later {
            self.graph.order(gone, later);
        }
    }

    /// Puts a node into the transaction in which columns change names, which is one for all of them; the
    /// other nodes in it.
    fn with_changes_of_names(&mut self, node: NodeId, columns: &BTreeSet<Address>) -> Vec<NodeId> {
        let swaps: Vec<NodeId> = columns
            .iter()
            .filter_map(|column| self.graph.last(self.desired(column), Verb::Alter))
            .collect();
        for &swap in &swaps {
            self.graph.tie(swap, node);
        }
        let group = self.graph.group(node);
        (0..self.graph.nodes.len())
            .filter(|&other| other != node && self.graph.group(other) == group)
            .collect()
    }

    fn desired<'a>(&'a self, live: &'a Address) -> &'a Address {
        self.inputs.difference.matched.desired_of(live).unwrap_or(live)
    }
}
