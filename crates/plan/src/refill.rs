//! Tables that are made anew and filled with the rows that they had.
//!
//! Such a table is planned as if it were not there: everything in it is made by its kind as for a new
//! table. What depends on it is found through the live catalog, goes before and comes back after.
//!
//! Invariant: between the step that puts the rows aside and the one that puts them back, only what
//! rows cannot be put back without is made.

use std::collections::{BTreeMap, BTreeSet};

use reconcile_catalog::{Address, Catalog, Object};
use reconcile_diff::{Change, Difference};
use reconcile_kinds::online::Shadow;
use reconcile_kinds::{
    Action, Alteration, Cx, Disturbance, Facts, Fates, Kind, Reaction, Refilling, Refusal, Stage,
    kind, refilling,
};
use reconcile_sql::ServerVersion;

use crate::disturb::Disturbances;
use crate::graph::{NodeId, Verb};
use crate::planner::{Inputs, Planner, pair};

/// What is made anew, and what the rest of the planner looks at instead.
pub(crate) struct Refills {
    /// What is there, without that.
    pub(crate) live: Catalog,
    /// What shall be there, with what is kept although the model does not speak of it.
    pub(crate) desired: Catalog,
    /// What differs then.
    pub(crate) difference: Difference,
    /// What differs in truth.
    pub(crate) changes: Vec<Change>,
    tables: Vec<Refill>,
}

struct Refill {
    what: Refilling,
    steps: Result<(Vec<Action>, Vec<Action>), Refusal>,
}

fn cx<'a>(
    (live, desired, afoot): (&'a Catalog, &'a Catalog, &'a Catalog),
    difference: &'a Difference,
    (version, facts): (ServerVersion, &'a Facts),
    none: &'a BTreeSet<Address>,
    fates: &'a Fates,
) -> Cx<'a> {
    // What is made anew is not changed online.
    static ONLINE: BTreeMap<Address, Shadow> = BTreeMap::new();
    Cx {
        live,
        desired,
        version,
        retypes: &difference.retypes,
        rewritten: none,
        fates,
        facts,
        online: &ONLINE,
        afoot,
        subscribed: &[],
        at_once: true,
    }
}

/// The live tables that a change cannot be made without making them anew.
fn because_of(change: &Change, inputs: &Inputs<'_>, cx: &Cx<'_>) -> Vec<Address> {
    match change {
        Change::Alter { desired, live, properties } => {
            let Some((kind, there, wanted)) = pair(inputs, desired, live) else {
                return Vec::new();
            };
            let certain = properties.iter().any(|p| p.proven);
            let change = Alteration { live: there, desired: &wanted, properties };
            if certain { kind.refilled(&change, cx) } else { Vec::new() }
        }
        Change::Drop(address) => {
            let there = kind(address.kind()).zip(inputs.live.get(address));
            there.map_or_else(Vec::new, |(kind, gone)| kind.refilled_without(gone, cx))
        }
        Change::Rename { .. } | Change::Create(_) => Vec::new(),
    }
}

impl Refills {
    /// Finds what has to be made anew; nothing if nothing has to.
    pub(crate) fn find(inputs: &Inputs<'_>, mut fates: Fates) -> Option<Self> {
        let none = BTreeSet::new();
        let (server, difference) = ((inputs.version, inputs.facts), inputs.difference);
        let mut found: Vec<Refilling> = Vec::new();
        let before = cx(
            (inputs.live, inputs.desired, &inputs.afoot.catalog),
            difference,
            server,
            &none,
            &fates,
        );
        for change in &difference.changes {
            for table in because_of(change, inputs, &before) {
                let known = found.iter().any(|refilling| refilling.gone.contains(&table));
                found.extend(refilling(&table, &before).filter(|_| !known));
            }
        }
        if found.is_empty() {
            return None;
        }
        let gone: BTreeSet<Address> = found.iter().flat_map(|f| f.gone.iter().cloned()).collect();
        let made: BTreeSet<Address> = found.iter().flat_map(|f| f.made.iter().cloned()).collect();
        let desired = with_kept(inputs, &gone, &mut fates);
        let cx =
            cx((inputs.live, &desired, &inputs.afoot.catalog), difference, server, &none, &fates);
        let steps = |what: &Refilling| Ok((what.save(&cx)?, what.restore(&cx)?));
        let tables = found.into_iter().map(|what| Refill { steps: steps(&what), what }).collect();
        let mut live = inputs.live.clone();
        for object in inputs.live.objects() {
            if gone.contains(&inputs.live.root(&object.address)) {
                live.forget(&object.address);
            }
        }
        let difference = without(inputs, &gone, &made, &desired);
        Some(Self { live, desired, difference, changes: inputs.difference.changes.clone(), tables })
    }

    /// The live table because of which a live object goes, if it is in one that is made anew.
    pub(crate) fn takes(&self, root: &Address) -> Option<&Address> {
        let refill = self.tables.iter().find(|refill| refill.what.gone.contains(root));
        refill.map(|refill| &refill.what.live)
    }

    /// Whether something of another table is not concerned: it only has it from a table that is made
    /// anew, and leaves that, or is part of what goes and goes along.
    pub(crate) fn leaves(
        &self,
        object: &Object,
        disturbed: &Object,
        by: &Disturbance,
        planner: &Planner<'_>,
    ) -> bool {
        let live = planner.inputs.live;
        let anew = |address: &Address| self.takes(&live.root(address)).is_some();
        if *by != Disturbance::Rebuilt || !anew(&disturbed.address) {
            return false;
        }
        let source = object.definition.implied_by(&object.address);
        if source.and_then(|s| live.get(&s)).is_some_and(|s| s.depends_on.iter().any(anew)) {
            return true;
        }
        let goes = planner.gone.contains(&live.root(&object.address));
        let react = |k: &dyn Kind| k.react(object, disturbed, by, &planner.cx) == Reaction::Keep;
        goes && object.parent.is_some() && kind(object.address.kind()).is_some_and(react)
    }

    /// Everything that goes and comes anew, by live addresses, with what it belongs to.
    pub(crate) fn parts<'a>(&'a self, live: &'a Catalog) -> Vec<(Address, &'a Address)> {
        let mut out = Vec::new();
        for refill in &self.tables {
            let mut queue = refill.what.gone.clone();
            while let Some(part) = queue.pop() {
                queue.extend(live.children(&part).map(|o| o.address.clone()));
                out.push((part, &refill.what.live));
            }
        }
        out
    }

    /// Adds the steps that put the rows aside and back.
    pub(crate) fn plan(&self, planner: &mut Planner<'_>) {
        for Refill { what, steps } in &self.tables {
            let (save, restore) = match steps {
                Ok(steps) => steps.clone(),
                Err(refusal) => {
                    planner.out.refusals.push(refusal.clone());
                    continue;
                }
            };
            planner.graph.add_within(&what.live, Verb::Drop, vec![Stage::transaction(save)]);
            let put_back = vec![Stage::transaction(restore)];
            let Some(fill) = planner.graph.add_within(&what.desired, Verb::Alter, put_back) else {
                continue;
            };
            planner.graph.also(&what.live, Verb::Alter, fill);
            for table in what.gone.iter().chain(&what.made) {
                planner.touch_whole(table);
            }
        }
        for (part, table) in self.parts(planner.inputs.live) {
            if let Some(save) = planner.graph.first(table, Verb::Drop) {
                planner.graph.also(&part, Verb::Drop, save);
            }
        }
    }

    /// Everything is between, before or after the two steps.
    pub(crate) fn order(&self, planner: &mut Planner<'_>) {
        for Refill { what, .. } in &self.tables {
            let save = planner.graph.first(&what.live, Verb::Drop);
            let Some((save, fill)) = save.zip(planner.graph.last(&what.desired, Verb::Alter))
            else {
                continue;
            };
            planner.graph.tie(save, fill);
            planner.graph.order(save, fill);
            let (live, desired) = (planner.inputs.live, planner.inputs.desired);
            let (mut frame, mut later) = <(BTreeSet<NodeId>, BTreeSet<NodeId>)>::default();
            let mut joining: BTreeSet<NodeId> = BTreeSet::new();
            for id in 0..planner.graph.nodes.len() {
                let node = &planner.graph.nodes[id];
                match node.verb {
                    Verb::Drop if id != save => {
                        let uses = live.get(&node.address).is_some_and(|o| {
                            o.depends_on.iter().any(|a| what.gone.contains(&live.root(a)))
                        });
                        if uses {
                            planner.graph.order(id, save);
                        }
                    }
                    Verb::Create => {
                        let part = what.made.contains(&desired.root(&node.address));
                        let Some(object) = desired.get(&node.address) else { continue };
                        let needed = object.depends_on.iter().any(|a| what.made.contains(a));
                        let first =
                            kind(node.address.kind()).is_some_and(|k| k.comes_before_rows());
                        if part {
                            planner.graph.tie(save, id);
                            planner.graph.order(save, id);
                        }
                        if first && !part && needed {
                            joining.insert(id);
                        }
                        if first && (part || needed) {
                            planner.graph.order(id, fill);
                            frame.insert(id);
                        } else if part {
                            planner.graph.order(fill, id);
                            later.insert(id);
                        }
                    }
                    Verb::Drop | Verb::Alter => {}
                }
            }
            // What joins is made like it once it is there: names that it takes would be avoided.
            for id in joining {
                let prepared = planner.graph.nodes[id].after.clone();
                let made = planner.graph.last(&what.desired, Verb::Create);
                for earlier in prepared {
                    if let Some(made) =
                        made.filter(|_| planner.graph.nodes[earlier].verb == Verb::Alter)
                    {
                        planner.graph.order(made, earlier);
                    }
                }
            }
            // A partition is made without what it has from its parent: that comes once it is one.
            for &id in &frame {
                planner.graph.nodes[id].after.retain(|earlier| !later.contains(earlier));
            }
            for id in 0..planner.graph.nodes.len() {
                let waits = !planner.graph.nodes[id].after.is_disjoint(&frame);
                if waits && id != fill && !frame.contains(&id) {
                    planner.graph.order(fill, id);
                }
            }
        }
    }
}

/// The desired side with what is in the tables and is neither spoken of nor to go.
fn with_kept(inputs: &Inputs<'_>, gone: &BTreeSet<Address>, fates: &mut Fates) -> Catalog {
    let mut desired = inputs.desired.clone();
    let matched = &inputs.difference.matched;
    let mut queue: Vec<Address> =
        gone.iter().filter(|table| matched.desired_of(table).is_some()).cloned().collect();
    while let Some(parent) = queue.pop() {
        for child in inputs.live.children(&parent) {
            let stated = matched.desired_of(&child.address).is_some();
            if fates.gone.contains(&child.address) || child.definition.is_implied() && !stated {
                continue;
            }
            if !stated && desired.insert(child.clone()).is_ok() {
                fates.desired.insert(child.address.clone(), child.address.clone());
                fates.live.insert(child.address.clone(), child.address.clone());
            }
            queue.push(child.address.clone());
        }
    }
    desired
}

/// The difference as if the tables were not there.
fn without(
    inputs: &Inputs<'_>,
    gone: &BTreeSet<Address>,
    made: &BTreeSet<Address>,
    desired: &Catalog,
) -> Difference {
    let mut out = inputs.difference.clone();
    let is_gone = |live: &Address| gone.contains(&inputs.live.root(live));
    let is_made = |wanted: &Address| made.contains(&desired.root(wanted));
    out.changes.retain(|change| match change {
        // It is refilled under the name that it has by then.
        Change::Rename { .. } => true,
        Change::Create(address) => !is_made(address),
        Change::Alter { desired, live, .. } => !is_made(desired) && !is_gone(live),
        // Who uses a partition that goes has to know.
        Change::Drop(address) => !is_gone(address) || gone.contains(address),
    });
    let parts = desired.objects().filter(|o| is_made(&o.address));
    out.changes.extend(parts.map(|o| Change::Create(o.address.clone())));
    out.retypes.changes.retain(|r| !is_gone(&r.address) && !is_gone(&r.through));
    out.matched = out.matched.without(|live| is_gone(live));
    out
}

impl Disturbances {
    /// What is in a table that is made anew goes before anything that it uses is changed.
    pub(crate) fn order_yields(&self, planner: &mut Planner<'_>) {
        for (table, origin) in &self.yields {
            let Some(save) = planner.graph.first(table, Verb::Drop) else { continue };
            let changes =
                [planner.graph.first(origin, Verb::Alter), planner.graph.first(origin, Verb::Drop)];
            for change in changes.into_iter().flatten() {
                if planner.graph.nodes[change].address != *table {
                    planner.graph.order(save, change);
                }
            }
        }
    }
}
