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
        let name = planner.inputs.difference.matched.desired_of(ty).unwrap_or(ty);
        planner.graph.last(name, Verb::Alter)
    }

    /// Whether a live object is a type that is exchanged.
    pub(crate) fn is_type(&self, address: &Address) -> bool {
        self.types.contains_key(address)
    }

    /// Whether a desired object that is not there yet is made with the one that it is part of.
    pub(crate) fn makes(&self, object: &Object, planner: &Planner<'_>) -> bool {
        let inputs = planner.inputs;
        let parent = object.parent.as_ref();
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
            matched.desired_of(address).and_then(|desired| inputs.desired.get(desired))
        };
        let types: Vec<(&Object, Object)> = in_order(group, inputs.live)
            .into_iter()
            .filter_map(|address| {
                let live = inputs.live.get(address)?;
                let wanted = desired_of(address).unwrap_or(live);
                Some((live, Object { address: address.clone(), ..wanted.clone() }))
            })
            .collect();
        let types: Vec<(&Object, &Object)> = types.iter().map(|(live, d)| (*live, d)).collect();
        let of_group = |of: &BTreeSet<Address>| of.iter().any(|ty| group.contains(ty));
        let users = self.users.iter().filter(|(_, of)| of_group(of)).map(|(user, _)| user);
        let users: Vec<(&Object, Option<&Object>)> =
            users.filter_map(|user| Some((inputs.live.get(user)?, desired_of(user)))).collect();
        let Some(leader) = group.first() else { return };
        let leader = matched.desired_of(leader).unwrap_or(leader).clone();
        let stages = match reconcile_kinds::exchange(&types, &users, &planner.cx) {
            Ok(stages) => stages,
            Err(refusal) => return planner.out.refusals.push(refusal),
        };
        let Some((node, _)) = planner.graph.add(&leader, Verb::Alter, stages) else { return };
        let mut needed: BTreeSet<Address> = BTreeSet::new();
        for address in group {
            let name = matched.desired_of(address).unwrap_or(address);
            planner.graph.also(name, Verb::Alter, node);
            planner.out.touched.insert(name.clone());
            needed.extend(desired_of(address).into_iter().flat_map(|o| o.depends_on.clone()));
        }
        planner.needs.push((node, needed));
        for (user, _) in &self.users {
            planner.out.touched.insert(user.clone());
        }
    }

    /// What stops using an exchanged type does so before.
    pub(crate) fn order(&self, planner: &mut Planner<'_>) {
        let matched = &planner.inputs.difference.matched;
        for (user, of) in &self.leaving {
            let of = matched.desired_of(of).unwrap_or(of);
            let Some(exchange) = planner.graph.first(of, Verb::Alter) else { continue };
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
