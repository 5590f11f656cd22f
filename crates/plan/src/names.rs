//! Names that change hands: a relation is free to take one once its bearer has let go of it.
//!
//! Tables, indexes, sequences and views of a namespace share their names, so the index of a table
//! that goes stands in the way of another table's.

use std::collections::BTreeMap;

use reconcile_catalog::{Catalog, Object};
use reconcile_kinds::kind;
use reconcile_sql::QName;

use crate::graph::{NodeId, Verb};
use crate::planner::Planner;

/// What an object is called among the relations, and what is part of it and has no node of its own.
fn names(object: &Object, catalog: &Catalog, apart: &dyn Fn(&Object) -> bool) -> Vec<QName> {
    let mut out = Vec::new();
    let mut queue = vec![object];
    while let Some(object) = queue.pop() {
        out.extend(kind(object.address.kind()).into_iter().flat_map(|k| k.relation_names(object)));
        queue.extend(catalog.children(&object.address).filter(|part| !apart(part)));
    }
    out
}

impl Planner<'_> {
    /// What takes a name comes after what bore it.
    pub(crate) fn order_by_names(&mut self) {
        let (live, desired) = (self.inputs.live, self.inputs.desired);
        let matched = &self.inputs.difference.matched;
        let mut left: BTreeMap<QName, NodeId> = BTreeMap::new();
        let mut taken: Vec<(QName, NodeId)> = Vec::new();
        for (id, node) in self.graph.nodes.iter().enumerate() {
            let address = &node.address;
            match node.verb {
                Verb::Drop if self.graph.last(address, Verb::Drop) == Some(id) => {
                    let Some(object) = live.get(address) else { continue };
                    let apart = |part: &Object| {
                        self.graph.last(&part.address, Verb::Drop).is_some_and(|other| other != id)
                            || matched.desired_of(&part.address).is_some()
                    };
                    left.extend(names(object, live, &apart).into_iter().map(|name| (name, id)));
                }
                Verb::Create if self.graph.first(address, Verb::Create) == Some(id) => {
                    let Some(object) = desired.get(address) else { continue };
                    let apart =
                        |part: &Object| self.graph.first(&part.address, Verb::Create).is_some();
                    taken.extend(names(object, desired, &apart).into_iter().map(|n| (n, id)));
                }
                Verb::Alter if self.graph.rename(address) == Some(id) => {
                    let there = matched.live_of(address).and_then(|a| live.get(a));
                    let (Some(there), Some(wanted)) = (there, desired.get(address)) else {
                        continue;
                    };
                    let Some(kind) = kind(address.kind()) else { continue };
                    left.extend(kind.relation_names(there).into_iter().map(|name| (name, id)));
                    taken.extend(kind.relation_names(wanted).into_iter().map(|name| (name, id)));
                }
                Verb::Drop | Verb::Create | Verb::Alter => {}
            }
        }
        for (name, later) in taken {
            if let Some(&earlier) = left.get(&name)
                && self.graph.nodes[earlier].address != self.graph.nodes[later].address
            {
                self.graph.order(earlier, later);
            }
        }
    }
}
