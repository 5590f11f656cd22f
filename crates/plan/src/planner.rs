//! The planner: changes and what they disturb become a graph, the graph becomes batches.

use std::collections::{BTreeMap, BTreeSet};

use reconcile_catalog::{Address, Catalog, Object, PropertyChange, Value};
use reconcile_diff::{Change, Difference};
use reconcile_kinds::online::{Afoot, Doubling, Shadow, finish};
use reconcile_kinds::{Alteration, Cx, Facts, Fates, How, Kind, Refusal, Replacement, kind};
use reconcile_sql::{QName, ServerVersion};

use crate::batch::batches;
use crate::disturb::Disturbances;
use crate::graph::{Graph, NodeId, Verb};
use crate::online::{Online, Strategy};
use crate::order::transactions;
use crate::refill::Refills;
use crate::space::space;
use crate::stall::Limits;
use crate::step::{Plan, Warning};

/// What a plan is made from.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// What shall be there.
    pub desired: &'a Catalog,
    /// What is there once the renames are done ([`Difference::live`]).
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
    /// How changes that rewrite a table are carried out.
    pub strategy: Strategy,
    /// What online changes have made so far.
    pub afoot: &'a Afoot,
    /// Whether statements that still name the old type of a column are helped after an online change.
    pub bridge: bool,
}

/// What a person has approved, by patterns of addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Approvals {
    /// Objects whose change may stall longer than the limit.
    pub stall: Vec<String>,
    /// Objects that may be dropped with their data.
    pub drop: Vec<String>,
    /// Triggers that may fire for rows that are carried over.
    pub trigger: Vec<String>,
    /// Published tables whose subscribers have the second columns of online changes already.
    pub published: Vec<String>,
    /// Whether a drop still has to prove that it loses nothing (rollback).
    pub only_if_empty: bool,
}

/// Makes the plan.
pub fn plan(inputs: &Inputs<'_>) -> Plan {
    match Refills::find(inputs, fates(inputs)) {
        None => plan_with(inputs, None),
        Some(refills) => {
            let (desired, difference) = (&refills.desired, &refills.difference);
            plan_with(&Inputs { desired, difference, ..*inputs }, Some(&refills))
        }
    }
}

fn plan_with(inputs: &Inputs<'_>, refills: Option<&Refills>) -> Plan {
    let fates = fates(inputs);
    let (none, nothing) = (BTreeMap::new(), BTreeSet::new());
    let bare = Cx {
        live: inputs.live,
        desired: inputs.desired,
        version: inputs.version,
        retypes: &inputs.difference.retypes,
        rewritten: &nothing,
        fates: &fates,
        facts: inputs.facts,
        online: &none,
        afoot: &inputs.afoot.catalog,
        subscribed: &inputs.approvals.published,
        at_once: inputs.strategy == Strategy::Direct,
    };
    let mut online = Online::choose(inputs, &bare);
    let shadows = online.shadows.clone();
    let bare = Cx { online: &shadows, ..bare };
    let rewritten = rewritten(inputs, &bare);
    let cx = Cx { rewritten: &rewritten, ..bare };
    let twinned = online.twinned(&cx);
    let gone = fates.gone.clone();
    let altered = inputs.difference.changes.iter().filter_map(|c| match c {
        Change::Alter { desired, live, properties } if is_change(properties) => {
            Some((live.clone(), desired.clone()))
        }
        Change::Alter { .. } | Change::Create(_) | Change::Drop(_) | Change::Rename { .. } => None,
    });
    let made = inputs.difference.changes.iter().filter_map(|c| match c {
        Change::Create(address) if address.target().is_none() => {
            Some((address.path().into(), address.clone()))
        }
        Change::Create(_) | Change::Alter { .. } | Change::Drop(_) | Change::Rename { .. } => None,
    });
    let mut planner = Planner {
        inputs,
        cx,
        graph: Graph::default(),
        out: Plan::default(),
        gone,
        altered: altered.collect(),
        made: made.collect(),
        needs: Vec::new(),
        refills,
        twinned,
    };
    let made_anew = |table: &Address| refills.is_some_and(|r| r.takes(table).is_some());
    planner.out.online = shadows.keys().cloned().collect();
    planner.out.refusals.extend(online.in_the_way(inputs, &made_anew));
    planner.out.warnings.extend(online.waiting(inputs));
    planner.out.refusals.extend(online.refusals);
    planner.out.warnings.extend(online.warnings);
    planner.run();
    planner.out
}

/// What becomes of the live objects, as far as the comparison says.
fn fates(inputs: &Inputs<'_>) -> Fates {
    let mut out = Fates::default();
    for (desired, live) in inputs.difference.matched.pairs() {
        out.desired.insert(live.clone(), desired.clone());
        out.live.insert(desired.clone(), live.clone());
    }
    for change in &inputs.difference.changes {
        match change {
            Change::Drop(address) => {
                out.gone.insert(address.clone());
            }
            Change::Alter { live, properties, .. } if properties.iter().any(|p| p.proven) => {
                let names = properties.iter().filter(|p| p.proven).map(|p| p.name).collect();
                out.altered.insert(live.clone(), names);
            }
            Change::Alter { .. } | Change::Create(_) | Change::Rename { .. } => {}
        }
    }
    out
}

/// The relations that the changes rewrite: known before any step is made, because other steps can
/// use the occasion.
fn rewritten(inputs: &Inputs<'_>, cx: &Cx<'_>) -> BTreeSet<Address> {
    let mut out = BTreeSet::new();
    for change in &inputs.difference.changes {
        let Change::Alter { desired, live, properties } = change else { continue };
        let Some((kind, live, desired)) = pair(inputs, desired, live) else { continue };
        out.extend(kind.rewrites(&Alteration { live, desired: &desired, properties }, cx));
    }
    out
}

/// The objects of a change, and their kind. An unnamed desired object takes the live name.
pub(crate) fn pair<'a>(
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

/// Whether properties are to be changed: one differs for certain, or is a whole statement, which
/// can be put in place of another that may mean the same.
fn is_change(properties: &[PropertyChange]) -> bool {
    properties.iter().any(|p| p.proven || matches!(p.desired, Value::Statement(_)))
}

pub(crate) struct Planner<'a> {
    pub(crate) inputs: &'a Inputs<'a>,
    pub(crate) cx: Cx<'a>,
    pub(crate) graph: Graph,
    pub(crate) out: Plan,
    /// Live objects that shall be gone.
    pub(crate) gone: BTreeSet<Address>,
    /// New objects by their names.
    pub(crate) made: BTreeMap<Box<[String]>, Address>,
    /// Live objects that get other properties, with their desired addresses.
    pub(crate) altered: BTreeMap<Address, Address>,
    /// What nodes need beside what their own objects do.
    pub(crate) needs: Vec<(NodeId, BTreeSet<Address>)>,
    /// What is made anew and filled with its rows.
    pub(crate) refills: Option<&'a Refills>,
    /// Live objects whose twins take their places with a column that is changed online, and whether they are
    /// other objects then for whoever depends on them.
    pub(crate) twinned: BTreeMap<Address, bool>,
}

impl Planner<'_> {
    fn run(&mut self) {
        let difference = self.inputs.difference;
        self.out.changes.clone_from(self.refills.map_or(&difference.changes, |r| &r.changes));
        self.out.extra.clone_from(&difference.extra);
        for address in &difference.unmanaged {
            let plural = kind(address.kind()).map_or(address.kind(), Kind::plural);
            *self.out.unmanaged.entry(plural.to_owned()).or_default() += 1;
        }
        let renames = self.rename_first();
        let disturbances = Disturbances::find(self);
        disturbances.exchanges.plan(self);
        if let Some(refills) = self.refills {
            refills.plan(self);
        }
        for change in &difference.changes {
            match change {
                Change::Drop(address) => self.touch_whole(address),
                Change::Create(address)
                | Change::Alter { desired: address, .. }
                | Change::Rename { to: address, .. } => {
                    self.out.touched.insert(address.clone());
                }
            }
            self.change(change, &disturbances);
        }
        disturbances.apply(self);
        self.order_by_dependencies();
        if let Some(refills) = self.refills {
            refills.order(self);
        }
        self.order_by_further_needs();
        self.order_by_names();
        self.remove_orphans(&disturbances);
        self.bridge();
        self.forget_locks_on_what_is_new();
        self.forget_what_comes_by_itself();
        for node in &mut self.graph.nodes {
            // What only the database knows has no order of its own: it was read as it came.
            let object = self.inputs.desired.get(&node.address);
            node.place_in_catalog = object.map_or(usize::MAX, |o| o.place);
        }
        self.order_behind(&renames);
        let order = transactions(&mut self.graph);
        self.warn();
        self.suggest_renames();
        self.ask_by_former_names();
        self.out.batches = batches(&self.graph, order, self.inputs.facts, &self.inputs.limits);
        self.out.space = space(&self.out.batches, self.inputs.facts);
        self.demand_approvals();
        self.out.refusals.sort();
        self.out.refusals.dedup();
        self.out.warnings.sort();
        self.out.warnings.dedup();
    }

    /// What follows from another change is no change of its own.
    fn forget_what_comes_by_itself(&mut self) {
        let (desired, graph) = (self.inputs.desired, &self.graph);
        self.out.changes.retain(|change| match change {
            Change::Create(address) => {
                let implied = desired.get(address).is_some_and(|o| o.definition.is_implied());
                !implied || graph.ready(address).is_some()
            }
            Change::Alter { .. } | Change::Drop(_) | Change::Rename { .. } => true,
        });
    }

    /// Nobody waits for a relation that the plan makes.
    fn forget_locks_on_what_is_new(&mut self) {
        let made: BTreeSet<QName> = self
            .out
            .changes
            .iter()
            .filter_map(|change| match (change, change.address().path()) {
                (Change::Create(_), [namespace, name]) => Some(QName::new(namespace, name)),
                _ => None,
            })
            .collect();
        for action in self.graph.nodes.iter_mut().flat_map(|node| &mut node.actions) {
            action.locks.retain(|lock| !made.contains(&lock.relation));
        }
    }

    fn change(&mut self, change: &Change, disturbances: &Disturbances) {
        let cx = self.cx;
        match change {
            Change::Rename { .. } => {} // That is done first.
            Change::Create(address) => {
                let Some((kind, object)) =
                    kind(address.kind()).zip(self.inputs.desired.get(address))
                else {
                    return;
                };
                if disturbances.exchanges.makes(object, self) {
                    return;
                }
                let live = self.refills.map_or(cx.live, |refills| &refills.live);
                let stages = kind.create(object, How::Online, &Cx { live, ..cx });
                self.add(address, Verb::Create, stages);
            }
            Change::Drop(address) => {
                let Some((kind, object)) = kind(address.kind()).zip(self.inputs.live.get(address))
                else {
                    return;
                };
                let refilled = self.refills.and_then(|refills| refills.takes(address)).is_some();
                if !disturbances.is_rebuilt(address) && !refilled {
                    // A name that another object takes over changes hands in one transaction.
                    let handed_over = self.inputs.difference.matched.is_displaced(address);
                    let how = if handed_over { How::Within } else { How::Online };
                    let stages = kind.drop(object, how, &cx);
                    self.add(address, Verb::Drop, stages);
                }
            }
            Change::Alter { desired, live, properties } => {
                let exchanged = disturbances.exchanges.is_type(live);
                if self.twinned.contains_key(live) {
                    return; // Its twin is as it shall be.
                }
                if disturbances.is_rebuilt(live) && !exchanged {
                    return; // It is made again as it shall be.
                }
                let Some((kind, there, wanted)) = pair(self.inputs, desired, live) else { return };
                if there.definition.way_back(&*wanted.definition).is_some() {
                    let former = self.inputs.difference.renames.former(live);
                    self.out.becomes.insert(former, wanted.definition.clone());
                }
                if let Some(unproven) =
                    properties.first().filter(|_| !is_change(properties) && !exchanged)
                {
                    let reason = format!(
                        "unproven: whether `{}` {} means the same as {} could not be found out; write it as the \
                             database does, or change the database",
                        unproven.name, unproven.desired, unproven.live
                    );
                    self.out.refusals.push(Refusal::new(desired, reason));
                    return;
                }
                let statement = |p: &&PropertyChange| matches!(p.desired, Value::Statement(_));
                if let Some(unproven) = properties.iter().filter(statement).find(|p| !p.proven) {
                    let text = format!(
                        "its {} may mean the same as what is there: no server of this version was here to say so",
                        unproven.name
                    );
                    self.out.warnings.push(Warning { address: Some(desired.clone()), text });
                }
                // It is altered under the name that it has, then renamed: what is proven about it is
                // proven before it takes the place of another one.
                if !properties.is_empty() && !exchanged {
                    // What belongs to another object is named by it, which is renamed already.
                    let wanted = match desired.target() {
                        Some(_) => wanted,
                        None => Object { address: live.clone(), ..wanted },
                    };
                    let alteration = Alteration { live: there, desired: &wanted, properties };
                    let stages = kind.alter(&alteration, &cx);
                    self.add(desired, Verb::Alter, stages);
                    if let Some(shadow) = cx.online.get(live) {
                        self.take_places(shadow, desired);
                    }
                }
                if desired.name() != live.name() && desired.target().is_none() {
                    match kind.rename(there, desired.name(), &cx) {
                        Ok(stages) => self.graph.add_rename(desired, stages),
                        Err(refusal) => self.out.refusals.push(refusal),
                    }
                }
            }
        }
    }

    /// The twins take the places of what a column's change disturbs, in the step that ends it.
    fn take_places(&mut self, shadow: &Shadow, desired: &Address) {
        let Some(last) = self.graph.last(desired, Verb::Alter) else { return };
        // What is wrong with them was said when the column's own steps were made.
        for (address, twin) in Doubling::twins(shadow, &self.cx).unwrap_or_default() {
            let wanted = self.inputs.difference.matched.desired_of(&address).unwrap_or(&address);
            self.graph.also(wanted, Verb::Alter, last);
            if let Some((first, _)) = self.graph.add(wanted, Verb::Alter, twin.finish) {
                self.graph.order(last, first);
            }
        }
        let finish = finish(shadow, &self.cx);
        if let Some((first, _)) = self.graph.add(&shadow.address, Verb::Alter, finish) {
            self.graph.order(last, first);
        }
    }

    /// What becomes of an object that is altered.
    pub(crate) fn replacement(
        &self,
        desired: &Address,
        live: &Address,
        properties: &[PropertyChange],
    ) -> Option<Replacement> {
        if !is_change(properties) {
            return None; // Renamed only, or refused.
        }
        let (kind, live, desired) = pair(self.inputs, desired, live)?;
        Some(kind.replacement(&Alteration { live, desired: &desired, properties }, &self.cx))
    }

    pub(crate) fn add(
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
        let going: Vec<NodeId> = (0..self.graph.nodes.len())
            .filter(|&id| self.graph.nodes[id].verb == Verb::Drop)
            .collect();
        for id in 0..self.graph.nodes.len() {
            let (address, verb) = (self.graph.nodes[id].address.clone(), self.graph.nodes[id].verb);
            match verb {
                Verb::Drop => {
                    if let Some(object) = self.inputs.live.get(&address) {
                        for needed in object.depends_on.iter().chain(&object.parent) {
                            if let Some(later) = self.graph.first(needed, Verb::Drop) {
                                self.graph.order(id, later);
                            }
                            // What another object replaces goes as well, in the step that does that.
                            let replaced = self.twinned.get(needed) == Some(&true);
                            let now = self.inputs.difference.matched.desired_of(needed);
                            let later = self.graph.last(now.unwrap_or(needed), Verb::Alter);
                            if let Some(later) = later.filter(|later| replaced && *later != id) {
                                self.graph.order(id, later);
                            }
                            // It is named by what it is part of, under the name that this has.
                            let stays = self.inputs.difference.matched.desired_of(needed);
                            let renamed = stays.and_then(|d| self.graph.rename(d));
                            if let Some(later) =
                                renamed.filter(|_| object.parent.as_ref() == Some(needed))
                            {
                                self.graph.order(id, later);
                            }
                        }
                    }
                    // A name is free once its bearer is gone, and its successor takes it in the same
                    // transaction if the two can share one.
                    let successor = self
                        .graph
                        .rename(&address)
                        .or_else(|| self.graph.first(&address, Verb::Create))
                        .or_else(|| self.graph.first(self.successor(&address)?, Verb::Create));
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
                    let needed: BTreeSet<Address> =
                        object.into_iter().flat_map(|o| self.needs(o, verb)).collect();
                    for needed in needed {
                        if let Some(earlier) =
                            self.graph.ready(&needed).filter(|&e| !self.same_chain(e, id))
                        {
                            self.graph.order(earlier, id);
                        }
                    }
                    self.order_by_what_goes(id, &going);
                    if verb == Verb::Alter {
                        self.order_behind_users(id);
                    }
                }
            }
        }
    }

    /// The object of another kind that takes the place of one that goes, under the same name.
    pub(crate) fn successor(&self, gone: &Address) -> Option<&Address> {
        let successor = self.made.get(gone.path())?;
        (gone.target().is_none() && successor.kind() != gone.kind()).then_some(successor)
    }

    /// What an object refers to; for a new one also what its parts refer to that are made with it,
    /// by its own statement.
    fn needs(&self, object: &Object, verb: Verb) -> BTreeSet<Address> {
        let mut out: BTreeSet<Address> =
            object.depends_on.iter().chain(&object.parent).cloned().collect();
        if verb == Verb::Create {
            for part in self.inputs.desired.children(&object.address) {
                if self.graph.ready(&part.address).is_none() {
                    // Its own parts are there with it, whatever is done to them afterwards.
                    let others = part
                        .depends_on
                        .iter()
                        .filter(|needed| self.inputs.desired.root(needed) != object.address);
                    out.extend(others.cloned());
                }
            }
        }
        out
    }

    /// What has to be gone before an object can be made or changed, or is read for that and goes afterwards,
    /// although neither refers to the other.
    fn order_by_what_goes(&mut self, id: NodeId, going: &[NodeId]) {
        let address = self.graph.nodes[id].address.clone();
        let Some((kind, object)) = kind(address.kind()).zip(self.inputs.desired.get(&address))
        else {
            return;
        };
        for &other in going {
            if let Some(gone) = self.inputs.live.get(&self.graph.nodes[other].address) {
                if kind.waits_for(object, gone, &self.cx) {
                    self.graph.order(other, id);
                } else if kind.reads(object, gone, &self.cx) {
                    self.graph.order(id, other);
                }
            }
        }
    }

    /// What uses a changed object and is changed itself may have to be first.
    fn order_behind_users(&mut self, id: NodeId) {
        let address = self.graph.nodes[id].address.clone();
        let Some((kind, object)) = kind(address.kind()).zip(self.inputs.desired.get(&address))
        else {
            return;
        };
        let matched = &self.inputs.difference.matched;
        let live = matched.live_of(&address).unwrap_or(&address);
        for user in self.inputs.live.dependents(live) {
            let named = matched.desired_of(&user.address).into_iter().chain([&user.address]);
            let changed = named.filter_map(|a| self.graph.last(a, Verb::Alter)).next();
            if let Some(earlier) = changed.filter(|_| kind.waits_for_change(object, user, &self.cx))
            {
                self.graph.order(earlier, id);
            }
        }
    }

    fn same_chain(&self, a: NodeId, b: NodeId) -> bool {
        self.graph.nodes[a].address == self.graph.nodes[b].address
    }
}
