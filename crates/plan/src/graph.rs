//! What has to be done, before what, and what with what.

use std::collections::{BTreeMap, BTreeSet};

use reconcile_catalog::Address;
use reconcile_kinds::{Action, Place, Stage};

/// The number of a node.
pub(crate) type NodeId = usize;

/// What a node does to its object, which decides where it goes if nothing else does: what is in
/// the way is dropped first, what is new is made last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verb {
    Drop,
    Alter,
    Create,
}

/// Actions that follow each other.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) address: Address,
    /// The place of the object in its catalog, which is the model's order.
    pub(crate) place_in_catalog: usize,
    pub(crate) verb: Verb,
    pub(crate) place: Place,
    pub(crate) actions: Vec<Action>,
    pub(crate) after: BTreeSet<NodeId>,
}

/// Nodes, their order and their bonds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Graph {
    pub(crate) nodes: Vec<Node>,
    bond: Vec<NodeId>,
    first: BTreeMap<(Address, Verb), NodeId>,
    last: BTreeMap<(Address, Verb), NodeId>,
    rewriting: BTreeMap<Address, NodeId>,
    renames: BTreeMap<Address, NodeId>,
}

impl Graph {
    /// Adds the stages of one change as a chain; gives the first and the last node, if any.
    pub(crate) fn add(
        &mut self,
        address: &Address,
        verb: Verb,
        stages: Vec<Stage>,
    ) -> Option<(NodeId, NodeId)> {
        let mut ends: Option<(NodeId, NodeId)> = None;
        for stage in stages.into_iter().filter(|s| !s.actions.is_empty()) {
            let id = self.nodes.len();
            let after = ends.map(|(_, last)| last).into_iter().collect();
            if let Place::With(table) = &stage.place {
                let partner = *self.rewriting.entry(table.clone()).or_insert(id);
                self.bond.push(id);
                self.tie(partner, id);
            } else {
                self.bond.push(id);
            }
            self.nodes.push(Node {
                address: address.clone(),
                place_in_catalog: 0,
                verb,
                place: stage.place,
                actions: stage.actions,
                after,
            });
            ends = Some((ends.map_or(id, |(first, _)| first), id));
        }
        if let Some((first, last)) = ends {
            self.first.insert((address.clone(), verb), first);
            self.last.insert((address.clone(), verb), last);
        }
        ends
    }

    /// Adds the stages that give an altered object its new name, behind those that alter it.
    pub(crate) fn add_rename(&mut self, address: &Address, stages: Vec<Stage>) {
        let before = self.first(address, Verb::Alter).zip(self.last(address, Verb::Alter));
        let Some((first, _)) = self.add(address, Verb::Alter, stages) else { return };
        self.renames.insert(address.clone(), first);
        if let Some((start, end)) = before {
            self.order(end, first);
            self.first.insert((address.clone(), Verb::Alter), start);
        }
    }

    /// Lets a node stand for what is done to a further object.
    pub(crate) fn also(&mut self, address: &Address, verb: Verb, node: NodeId) {
        self.first.insert((address.clone(), verb), node);
        self.last.insert((address.clone(), verb), node);
    }

    /// The node in which an altered object takes its new name.
    pub(crate) fn rename(&self, address: &Address) -> Option<NodeId> {
        self.renames.get(address).copied()
    }

    /// Adds the stages as one node in a transaction that others share.
    pub(crate) fn add_within(
        &mut self,
        address: &Address,
        verb: Verb,
        stages: Vec<Stage>,
    ) -> Option<NodeId> {
        let actions: Vec<Action> = stages.into_iter().flat_map(|s| s.actions).collect();
        self.add(address, verb, vec![Stage::transaction(actions)]).map(|(first, _)| first)
    }

    /// Two nodes share a transaction.
    pub(crate) fn tie(&mut self, a: NodeId, b: NodeId) {
        let (a, b) = (self.group(a), self.group(b));
        let (low, high) = (a.min(b), a.max(b));
        if low != high {
            self.bond[high] = low;
        }
    }

    /// The group that a node is in, named by one of its members.
    pub(crate) fn group(&self, mut id: NodeId) -> NodeId {
        while self.bond.get(id).is_some_and(|b| *b != id) {
            id = self.bond[id];
        }
        id
    }

    /// `later` comes after `earlier`.
    pub(crate) fn order(&mut self, earlier: NodeId, later: NodeId) {
        if earlier != later {
            self.nodes[later].after.insert(earlier);
        }
    }

    pub(crate) fn first(&self, address: &Address, verb: Verb) -> Option<NodeId> {
        self.first.get(&(address.clone(), verb)).copied()
    }

    pub(crate) fn last(&self, address: &Address, verb: Verb) -> Option<NodeId> {
        self.last.get(&(address.clone(), verb)).copied()
    }

    /// The node after which an object is as it shall be.
    pub(crate) fn ready(&self, address: &Address) -> Option<NodeId> {
        self.last(address, Verb::Create).or_else(|| self.last(address, Verb::Alter))
    }
}
