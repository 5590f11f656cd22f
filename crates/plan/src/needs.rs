//! Orders that no object states: what the successor of a type needs, and what anything may need.

use std::collections::BTreeSet;

use reconcile_catalog::Address;
use reconcile_kinds::kind;

use crate::graph::{Node, NodeId, Verb};
use crate::planner::Planner;

/// Whether anything may need the object of a node without saying so.
fn comes_first(node: &Node) -> bool {
    kind(node.address.kind()).is_some_and(|kind| kind.comes_first())
}

impl Planner<'_> {
    /// What a node needs beside what its own object does is there before, and what may be needed by
    /// anything is there before anything.
    pub(crate) fn order_by_further_needs(&mut self) {
        for (node, needed) in std::mem::take(&mut self.needs) {
            for address in needed {
                let earlier = self.graph.ready(&address);
                if let Some(earlier) =
                    earlier.filter(|&e| self.graph.group(e) != self.graph.group(node))
                {
                    self.graph.order(earlier, node);
                }
            }
        }
        let all = 0..self.graph.nodes.len();
        let firsts: Vec<NodeId> =
            all.clone().filter(|&id| comes_first(&self.graph.nodes[id])).collect();
        for id in firsts {
            let (address, verb) = (self.graph.nodes[id].address.clone(), self.graph.nodes[id].verb);
            let side = if verb == Verb::Drop { self.inputs.live } else { self.inputs.desired };
            let needs: BTreeSet<Address> =
                side.get(&address).map(|o| o.depends_on.clone()).unwrap_or_default();
            for other in all.clone() {
                let node = &self.graph.nodes[other];
                // What belongs to it, or is needed by it, comes when it may.
                let own = node.address.target().as_ref() == Some(&address);
                if own || comes_first(node) || needs.contains(&node.address) {
                    continue;
                }
                match (verb, node.verb) {
                    (Verb::Drop, _) => self.graph.order(other, id),
                    (Verb::Alter | Verb::Create, Verb::Drop) => {}
                    (Verb::Alter | Verb::Create, Verb::Alter | Verb::Create) => {
                        self.graph.order(id, other);
                    }
                }
            }
        }
    }
}
