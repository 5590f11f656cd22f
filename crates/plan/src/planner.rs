//! The planner: changes and what they disturb become a graph, the graph becomes batches.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use reconcile_catalog::{Address, Catalog, Definition, Object, PropertyChange};
use reconcile_diff::{Change, Difference};
use reconcile_kinds::{After, Alteration, Cx, Facts, How, Kind, Refusal, Replacement, kind};
use reconcile_sql::ServerVersion;

use crate::batch::batches;
use crate::disturb::Disturbances;
use crate::graph::{Graph, NodeId, Verb};
use crate::order::transactions;
use crate::stall::Limits;
use crate::step::{Plan, Warning};

/// What a plan is made from.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// What shall be there.
    pub desired: &'a Catalog,
    /// What is there.
    pub live: &'a Catalog,
    /// How the two differ.
    pub difference: &'a Difference,
    /// The server.
    pub version: ServerVersion,
    /// What else is known of it.
    pub facts: &'a Facts,
    /// How long anybody may be kept waiting.
    pub limits: Limits,
    /// What was approved.
    pub approvals: &'a Approvals,
}

/// What a person has approved, by patterns of addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Approvals {
    /// Objects whose change may stall longer than the limit.
    pub stall: Vec<String>,
    /// Objects that may be dropped with their data.
    pub drop: Vec<String>,
    /// Whether a drop still has to prove that it loses nothing (rollback).
    pub only_if_empty: bool,
}

/// Makes the plan.
pub fn plan(inputs: &Inputs<'_>) -> Plan {
    let rewritten = rewritten(inputs);
    let cx = Cx {
        live: inputs.live,
        desired: inputs.desired,
        version: inputs.version,
        retypes: &inputs.difference.retypes,
        rewritten: &rewritten,
        facts: inputs.facts,
    };
    let gone = inputs.difference.changes.iter().filter_map(|c| match c {
        Change::Drop(address) => Some(address.clone()),
        Change::Create(_) | Change::Alter { .. } => None,
    });
    let mut planner =
        Planner { inputs, cx, graph: Graph::default(), out: Plan::default(), gone: gone.collect() };
    planner.run();
    planner.out
}

/// The relations that the changes rewrite: known before any step is made, because other steps can
/// use the occasion.
fn rewritten(inputs: &Inputs<'_>) -> BTreeSet<Address> {
    let none = BTreeSet::new();
    let cx = Cx {
        live: inputs.live,
        desired: inputs.desired,
        version: inputs.version,
        retypes: &inputs.difference.retypes,
        rewritten: &none,
        facts: inputs.facts,
    };
    let mut out = BTreeSet::new();
    for change in &inputs.difference.changes {
        let Change::Alter { desired, live, properties } = change else { continue };
        let Some((kind, live, desired)) = pair(inputs, desired, live) else { continue };
        out.extend(kind.rewrites(&Alteration { live, desired: &desired, properties }, &cx));
    }
    out
}

/// The objects of a change, and their kind. An unnamed desired object takes the live name.
fn pair<'a>(
    inputs: &Inputs<'a>,
    desired: &Address,
    live: &Address,
) -> Option<(&'static dyn Kind, &'a Object, Object)> {
    let there = inputs.live.get(live)?;
    let matched = inputs.difference.matched.desired_of(live);
    let mut wanted = inputs.desired.get(matched.unwrap_or(desired))?.clone();
    wanted.address = desired.clone();
    Some((kind(live.kind())?, there, wanted))
}

pub(crate) struct Planner<'a> {
    pub(crate) inputs: &'a Inputs<'a>,
    pub(crate) cx: Cx<'a>,
    pub(crate) graph: Graph,
    pub(crate) out: Plan,
    /// Live objects that shall be gone.
    pub(crate) gone: BTreeSet<Address>,
}

impl Planner<'_> {
    fn run(&mut self) {
        let difference = self.inputs.difference;
        self.out.changes.clone_from(&difference.changes);
        self.out.extra.clone_from(&difference.extra);
        for address in &difference.unmanaged {
            let plural = kind(address.kind()).map_or(address.kind(), Kind::plural);
            *self.out.unmanaged.entry(plural.to_owned()).or_default() += 1;
        }
        let disturbances = Disturbances::find(self);
        for change in &difference.changes {
            match change {
                Change::Drop(address) => self.touch_whole(address),
                Change::Create(address) | Change::Alter { desired: address, .. } => {
                    self.out.touched.insert(address.clone());
                }
            }
            self.change(change, &disturbances);
        }
        disturbances.apply(self);
        self.order_by_dependencies();
        self.remove_orphans(&disturbances);
        for node in &mut self.graph.nodes {
            let object = self
                .inputs
                .desired
                .get(&node.address)
                .or_else(|| self.inputs.live.get(&node.address));
            node.place_in_catalog = object.map_or(0, |o| o.place);
        }
        let order = transactions(&mut self.graph);
        self.warn();
        self.out.batches = batches(&self.graph, order, self.inputs.facts, &self.inputs.limits);
        self.demand_approvals();
        self.out.refusals.sort();
        self.out.refusals.dedup();
        self.out.warnings.sort();
        self.out.warnings.dedup();
    }

    fn change(&mut self, change: &Change, disturbances: &Disturbances) {
        let cx = self.cx;
        match change {
            Change::Create(address) => {
                let Some((kind, object)) =
                    kind(address.kind()).zip(self.inputs.desired.get(address))
                else {
                    return;
                };
                let stages = kind.create(object, How::Online, &cx);
                self.add(address, Verb::Create, stages);
            }
            Change::Drop(address) => {
                let Some((kind, object)) = kind(address.kind()).zip(self.inputs.live.get(address))
                else {
                    return;
                };
                if !disturbances.is_rebuilt(address) {
                    // A name that another object takes over changes hands in one transaction.
                    let handed_over =
                        self.inputs.difference.matched.displaced().any(|d| d == address);
                    let how = if handed_over { How::Within } else { How::Online };
                    let stages = kind.drop(object, how, &cx);
                    self.add(address, Verb::Drop, stages);
                }
            }
            Change::Alter { desired, live, properties } => {
                if disturbances.is_rebuilt(live) {
                    return; // It is made again as it shall be.
                }
                let Some((kind, there, wanted)) = pair(self.inputs, desired, live) else { return };
                if let Some(unproven) = properties.iter().find(|p| !p.proven)
                    && properties.iter().all(|p| !p.proven)
                {
                    let reason = format!(
                        "unproven: whether `{}` {} means the same as {} could not be found out; write it as the \
                             database does, or change the database",
                        unproven.name, unproven.desired, unproven.live
                    );
                    self.out.refusals.push(Refusal::new(desired, reason));
                    return;
                }
                // It is altered under the name that it has, then renamed: what is proven about it is
                // proven before it takes the place of another one.
                if !properties.is_empty() {
                    let wanted = Object { address: live.clone(), ..wanted };
                    let alteration = Alteration { live: there, desired: &wanted, properties };
                    let stages = kind.alter(&alteration, &cx);
                    self.add(desired, Verb::Alter, stages);
                }
                if desired.name() != live.name() {
                    match kind.rename(there, desired.name(), &cx) {
                        Ok(stages) => self.graph.add_rename(desired, stages),
                        Err(refusal) => self.out.refusals.push(refusal),
                    }
                }
            }
        }
    }

    /// What becomes of an object that is altered.
    pub(crate) fn replacement(
        &self,
        desired: &Address,
        live: &Address,
        properties: &[PropertyChange],
    ) -> Option<Replacement> {
        if properties.iter().all(|p| !p.proven) {
            return None; // Renamed only, or refused.
        }
        let (kind, live, desired) = pair(self.inputs, desired, live)?;
        Some(kind.replacement(&Alteration { live, desired: &desired, properties }, &self.cx))
    }

    fn add(
        &mut self,
        address: &Address,
        verb: Verb,
        stages: Result<Vec<reconcile_kinds::Stage>, Refusal>,
    ) {
        match stages {
            Ok(stages) => {
                self.graph.add(address, verb, stages);
            }
            Err(refusal) => self.out.refusals.push(refusal),
        }
    }

    /// What an object needs is there before it is made; what uses it is gone before it goes.
    fn order_by_dependencies(&mut self) {
        for id in 0..self.graph.nodes.len() {
            let (address, verb) = (self.graph.nodes[id].address.clone(), self.graph.nodes[id].verb);
            match verb {
                Verb::Drop => {
                    if let Some(object) = self.inputs.live.get(&address) {
                        for needed in object.depends_on.iter().chain(&object.parent) {
                            if let Some(later) = self.graph.first(needed, Verb::Drop) {
                                self.graph.order(id, later);
                            }
                        }
                    }
                    // A name is free once its bearer is gone, and its successor takes it in the same
                    // transaction if the two can share one.
                    let successor = self
                        .graph
                        .rename(&address)
                        .or_else(|| self.graph.first(&address, Verb::Create));
                    if let Some(later) = successor {
                        self.graph.order(id, later);
                        let inside = |n: NodeId| {
                            self.graph.nodes[n].place != reconcile_kinds::Place::Outside
                        };
                        if inside(id) && inside(later) {
                            self.graph.tie(id, later);
                        }
                    }
                }
                Verb::Alter | Verb::Create => {
                    let object = self
                        .inputs
                        .desired
                        .get(&address)
                        .or_else(|| self.inputs.live.get(&address));
                    for needed in
                        object.into_iter().flat_map(|o| o.depends_on.iter().chain(&o.parent))
                    {
                        if let Some(earlier) =
                            self.graph.ready(needed).filter(|&e| !self.same_chain(e, id))
                        {
                            self.graph.order(earlier, id);
                        }
                    }
                }
            }
        }
    }

    fn same_chain(&self, a: NodeId, b: NodeId) -> bool {
        self.graph.nodes[a].address == self.graph.nodes[b].address
    }

    /// What the changed objects stop using goes if nobody else uses it.
    fn remove_orphans(&mut self, disturbances: &Disturbances) {
        let cx = self.cx;
        let mut candidates: BTreeMap<Address, BTreeSet<NodeId>> = BTreeMap::new();
        for retype in &cx.retypes.changes {
            let Some(object) = self.inputs.live.get(&retype.address) else { continue };
            for target in &object.depends_on {
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
    fn touch_whole(&mut self, address: &Address) {
        let mut queue = vec![address.clone()];
        while let Some(address) = queue.pop() {
            queue.extend(self.inputs.live.children(&address).map(|o| o.address.clone()));
            self.out.touched.insert(address);
        }
    }

    /// Takes an object off the count of what the model leaves alone.
    fn no_longer_left_alone(&mut self, address: &Address) {
        let plural = kind(address.kind()).map_or(address.kind(), Kind::plural);
        if let Some(number) = self.out.unmanaged.get_mut(plural) {
            *number = number.saturating_sub(1);
        }
        self.out.unmanaged.retain(|_, number| *number > 0);
    }

    fn warn(&mut self) {
        let mut locked = BTreeSet::new();
        for node in &self.graph.nodes {
            for action in &node.actions {
                self.out.touched.insert(action.address.clone());
                locked.extend(
                    action
                        .locks
                        .iter()
                        .filter(|l| l.level.blocks_readers())
                        .map(|l| l.relation.clone()),
                );
                let warn = |text: &String| Warning {
                    address: Some(action.address.clone()),
                    text: text.clone(),
                };
                self.out.warnings.extend(action.warnings.iter().map(warn));
            }
        }
        let facts = self.inputs.facts;
        for relation in locked.intersection(&facts.published) {
            self.out.warnings.push(Warning {
                address: None,
                text: format!(
                    "{relation} is published: logical replication does not carry DDL, so change the subscribers first"
                ),
            });
        }
        if !locked.is_empty() && !facts.followers.is_empty() {
            self.out.warnings.push(Warning {
                address: None,
                text: format!(
                    "ACCESS EXCLUSIVE locks are replayed on standbys, whose readers wait too: {}",
                    facts.followers.join(", ")
                ),
            });
        }
    }

    fn demand_approvals(&mut self) {
        let approvals = self.inputs.approvals;
        let approved =
            |patterns: &[String], address: &Address| patterns.iter().any(|p| address.matches(p));
        for batch in &mut self.out.batches {
            for step in &mut batch.steps {
                let Some(loses) = &step.loses else { continue };
                if !step.addresses.iter().all(|a| approved(&approvals.drop, a)) {
                    let address = step.addresses[0].clone();
                    let reason = format!("loses {loses}; approve it with --allow-drop {address}");
                    self.out.refusals.push(Refusal::new(&address, reason));
                } else if !approvals.only_if_empty {
                    step.guards.clear();
                }
            }
            let limit = self.inputs.limits.max_stall;
            if batch.stall > limit {
                let heavy = batch
                    .steps
                    .iter()
                    .max_by_key(|s| (s.work.clone(), std::cmp::Reverse(s.number)));
                let Some(address) = heavy.map(|s| s.addresses[0].clone()) else { continue };
                if !batch
                    .steps
                    .iter()
                    .any(|s| s.addresses.iter().any(|a| approved(&approvals.stall, a)))
                {
                    let reason = format!(
                        "may stall clients for {:.1} s, more than --max-stall {:.1} s allows; approve it with \
                         --allow-stall {address}, or do it at a quiet time",
                        batch.stall.as_secs_f64(),
                        limit.as_secs_f64()
                    );
                    self.out.refusals.push(Refusal::new(&address, reason));
                }
            }
        }
    }
}
