//! Types that give way to others of the same names.
//!
//! A type takes with it the types that are made of it, so what is exchanged is found as a whole and
//! done in one transaction; what its steps are is for the kinds to say.

use std::collections::{BTreeMap, BTreeSet};

use reconcile_catalog::{Address, Object};
use reconcile_kinds::{Disturbance, Kind, Reaction, kind};

use crate::graph::{NodeId, Verb};
use crate::planner::Planner;

/// What is exchanged, all by live addresses.
#[derive(Debug, Default)]
pub(crate) struct Exchanges {
    /// The types, each with one that it is exchanged with: itself, or one that it is made of.
    types: BTreeMap<Address, BTreeSet<Address>>,
    /// What goes over, with the types that it uses.
    users: BTreeMap<Address, BTreeSet<Address>>,
    /// What stops using a type in the same plan.
    leaving: BTreeSet<(Address, Address)>,
    /// What is part of a type and made with it.
    parts: BTreeMap<Address, Address>,
    /// Types of another kind that take the name of a live one, which the model does not have.
    successors: BTreeMap<Address, Address>,
}

impl Exchanges {
    /// Takes a type.
    pub(crate) fn add(&mut self, ty: &Object, because_of: &Address, planner: &Planner<'_>) {
        self.types.entry(ty.address.clone()).or_default().insert(because_of.clone());
        for part in planner.inputs.live.children(&ty.address) {
            if comes_with(part, ty, planner) {
                self.parts.insert(part.address.clone(), ty.address.clone());
            }
        }
    }

    /// Takes a type of which one of another kind takes the name; says which, by its live address.
    pub(crate) fn succeed(&mut self, made: &Object, planner: &Planner<'_>) -> Option<Address> {
        let live = planner.inputs.live;
        let named = |address: &&Address| address.path() == made.address.path();
        let old = planner.gone.iter().filter(named).find_map(|address| live.get(address))?;
        if !made.definition.is_type() || !old.definition.is_type() {
            return None;
        }
        let itself = BTreeSet::from([old.address.clone()]);
        self.types.insert(old.address.clone(), itself);
        self.successors.insert(old.address.clone(), made.address.clone());
        Some(old.address.clone())
    }

    /// Whether a live type gives way to one of another kind.
    pub(crate) fn is_succeeded(&self, address: &Address) -> bool {
        self.successors.contains_key(address)
    }

    /// The desired address of a live type.
    fn name_of(&self, live: &Address, planner: &Planner<'_>) -> Address {
        let matched = || planner.inputs.difference.matched.desired_of(live);
        self.successors.get(live).or_else(matched).unwrap_or(live).clone()
    }

    /// Takes what is of a type.
    pub(crate) fn user(&mut self, user: &Address, of: &Address) {
        self.users.entry(user.clone()).or_default().insert(of.clone());
    }

    /// Takes what is of a type, but not after the plan.
    pub(crate) fn leaves(&mut self, user: &Address, of: &Address) {
        self.leaving.insert((user.clone(), of.clone()));
    }

    /// Whether a live object is exchanged, or made with one that is.
    pub(crate) fn takes(&self, address: &Address) -> bool {
        self.types.contains_key(address) || self.parts.contains_key(address)
    }

    /// The node that makes a live part of a type again.
    pub(crate) fn node_of(&self, part: &Address, planner: &Planner<'_>) -> Option<NodeId> {
        let ty = self.parts.get(part)?;
        planner.graph.last(&self.name_of(ty, planner), Verb::Alter)
    }

    /// Whether a live object is a type that is exchanged.
    pub(crate) fn is_type(&self, address: &Address) -> bool {
        self.types.contains_key(address)
    }

    /// Whether a desired object that is not there yet is made with the one that it is part of.
    pub(crate) fn makes(&self, object: &Object, planner: &Planner<'_>) -> bool {
        let inputs = planner.inputs;
        let made = |address: &Address| self.successors.values().any(|made| made == address);
        if made(&object.address) {
            return true;
        }
        let parent = object.parent.as_ref();
        if let Some(parent) = parent.filter(|p| made(p)).and_then(|p| inputs.desired.get(p)) {
            return comes_with(object, parent, planner);
        }
        let live = parent.and_then(|p| inputs.difference.matched.live_of(p));
        let live = live.filter(|a| self.types.contains_key(*a)).and_then(|a| inputs.live.get(a));
        live.is_some_and(|parent| comes_with(object, parent, planner))
    }

    /// Adds the steps.
    pub(crate) fn plan(&self, planner: &mut Planner<'_>) {
        for group in self.groups() {
            self.plan_group(&group, planner);
        }
    }

    fn plan_group(&self, group: &BTreeSet<Address>, planner: &mut Planner<'_>) {
        let inputs = planner.inputs;
        let matched = &inputs.difference.matched;
        let desired_of = |address: &Address| {
            let desired = self.successors.get(address).or_else(|| matched.desired_of(address));
            desired.and_then(|desired| inputs.desired.get(desired))
        };
        let types: Vec<(&Object, Object)> = in_order(group, inputs.live)
            .into_iter()
            .filter_map(|address| {
                let live = inputs.live.get(address)?;
                let wanted = desired_of(address).unwrap_or(live);
                let succeeds = self.is_succeeded(address);
                let name = if succeeds { &wanted.address } else { address };
                Some((live, Object { address: name.clone(), ..wanted.clone() }))
            })
            .collect();
        let types: Vec<(&Object, &Object)> = types.iter().map(|(live, d)| (*live, d)).collect();
        let of_group = |of: &BTreeSet<Address>| of.iter().any(|ty| group.contains(ty));
        let users = self.users.iter().filter(|(_, of)| of_group(of)).map(|(user, _)| user);
        let users: Vec<(&Object, Option<&Object>)> =
            users.filter_map(|user| Some((inputs.live.get(user)?, desired_of(user)))).collect();
        let Some(leader) = group.first() else { return };
        let leader = self.name_of(leader, planner);
        let stages = match reconcile_kinds::exchange(&types, &users, &planner.cx) {
            Ok(stages) => stages,
            Err(refusal) => return planner.out.refusals.push(refusal),
        };
        let Some((node, _)) = planner.graph.add(&leader, Verb::Alter, stages) else { return };
        let mut needed: BTreeSet<Address> = BTreeSet::new();
        for address in group {
            let name = self.name_of(address, planner);
            planner.graph.also(&name, Verb::Alter, node);
            planner.out.touched.insert(name);
            needed.extend(desired_of(address).into_iter().flat_map(|o| o.depends_on.clone()));
        }
        planner.needs.push((node, needed));
        for user in self.users.keys() {
            planner.out.touched.insert(user.clone());
        }
    }

    /// What stops using an exchanged type does so before.
    pub(crate) fn order(&self, planner: &mut Planner<'_>) {
        let matched = &planner.inputs.difference.matched;
        for (user, of) in &self.leaving {
            let of = self.name_of(of, planner);
            let Some(exchange) = planner.graph.first(&of, Verb::Alter) else { continue };
            let altered = matched.desired_of(user).unwrap_or(user);
            let leaves: [Option<NodeId>; 2] =
                [planner.graph.last(user, Verb::Drop), planner.graph.last(altered, Verb::Alter)];
            for node in leaves.into_iter().flatten() {
                planner.graph.order(node, exchange);
            }
        }
    }

    /// Types that are exchanged together.
    fn groups(&self) -> Vec<BTreeSet<Address>> {
        let mut groups: Vec<BTreeSet<Address>> = Vec::new();
        for (ty, because_of) in &self.types {
            let mut group: BTreeSet<Address> = because_of.clone();
            group.insert(ty.clone());
            let (joined, apart): (Vec<_>, Vec<_>) =
                groups.into_iter().partition(|other| !other.is_disjoint(&group));
            joined.into_iter().for_each(|other| group.extend(other));
            groups = apart;
            groups.push(group);
        }
        groups
    }
}

/// Whether an object is part of the type that it belongs to, and made with it.
fn comes_with(part: &Object, ty: &Object, planner: &Planner<'_>) -> bool {
    let reaction = kind(part.address.kind())
        .map(|k: &dyn Kind| k.react(part, ty, &Disturbance::Rebuilt, &planner.cx));
    matches!(reaction, Some(Reaction::Goes))
}

/// What a type is made of comes before it.
fn in_order<'a>(
    group: &'a BTreeSet<Address>,
    live: &reconcile_catalog::Catalog,
) -> Vec<&'a Address> {
    let mut out: Vec<&Address> = Vec::new();
    while out.len() < group.len() {
        let ready = |address: &&Address| {
            let needs = live.get(address).into_iter().flat_map(|o| &o.depends_on);
            let mut inside = needs.filter(|n| group.contains(*n) && n != address);
            !out.contains(address) && inside.all(|n| out.contains(&n))
        };
        let rest = || group.iter().find(|a| !out.contains(a));
        match group.iter().find(ready).or_else(rest) {
            Some(next) => out.push(next),
            None => break,
        }
    }
    out
}
