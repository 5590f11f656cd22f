//! What a change does to the objects that depend on it.
//!
//! Found through the live catalog's dependencies, level by level: a view on a view on a column is
//! reached through the first view.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use reconcile_catalog::{Address, Object, Retypes, Value};
use reconcile_diff::Change;
use reconcile_kinds::{Cx, Disturbance, How, Place, Reaction, Refusal, Replacement, kind};

use crate::exchange::Exchanges;
use crate::graph::Verb;
use crate::planner::Planner;
use crate::step::Warning;

/// The objects that have to be made again, and for whom.
#[derive(Debug, Default)]
pub(crate) struct Disturbances {
    /// Live objects that are dropped and made again, with the changes that they make way for.
    rebuilt: BTreeMap<Address, BTreeSet<Address>>,
    /// Live objects that go with one that is rebuilt, and come again after it.
    carried: BTreeMap<Address, Address>,
    /// `(first, then)`: the first is dropped before the second and made again after it.
    nested: BTreeSet<(Address, Address)>,
    /// `(altered, dropped)`: the first stops using the second, under its desired address.
    lets_go: BTreeSet<(Address, Address)>,
    /// `(table, changed)`: the first is made anew, and is gone before the second is changed.
    pub(crate) yields: BTreeSet<(Address, Address)>,
    /// Types that give way to others of the same names.
    pub(crate) exchanges: Exchanges,
}

/// The live type, with its desired address, of which a part can change only with its successor.
fn needs_exchange(planner: &Planner<'_>, change: &Change) -> Option<(Address, Address)> {
    let wanted = match change {
        Change::Create(address) => address,
        Change::Alter { desired, properties, .. } if properties.iter().any(|p| p.proven) => desired,
        Change::Alter { .. } | Change::Drop(_) | Change::Rename { .. } => return None,
    };
    let object = planner.inputs.desired.get(wanted)?;
    let parent = object.parent.as_ref()?;
    let live = planner.inputs.difference.matched.live_of(parent)?;
    let needed = kind(wanted.kind())?.needs_exchange(object, &planner.cx);
    needed.then(|| (live.clone(), parent.clone()))
}

/// Whether the model words anew what reads a column whose type changes: the new words decide what
/// they mean for the new type, and the old ones may not even be allowed for it.
fn restates(
    planner: &Planner<'_>,
    object: &Object,
    disturbed: &Object,
    by: &Disturbance,
    reaction: &Option<Reaction>,
) -> bool {
    let keeps = matches!(reaction, Some(Reaction::Keep));
    let needed = match by {
        Disturbance::Retyped(retype) => {
            !keeps || disturbed.address == retype.address && !retype.from.sorts_like(&retype.to)
        }
        Disturbance::Rebuilt => !keeps,
        Disturbance::Dropped => false,
    };
    if !needed {
        return false;
    }
    let worded = planner.inputs.difference.changes.iter().any(|change| match change {
        Change::Alter { live, properties, .. } if *live == object.address => {
            properties.iter().any(|p| match &p.desired {
                Value::Statement(_) => true,
                desired => p.proven && (has_words(desired) || has_words(&p.live)),
            })
        }
        Change::Alter { .. } | Change::Create(_) | Change::Drop(_) | Change::Rename { .. } => false,
    });
    // What it objects to is the change of type: without that it could be made again.
    let none = Retypes::default();
    let cx = Cx { retypes: &none, ..planner.cx };
    let again = || {
        kind(object.address.kind()).map(|k| k.react(object, disturbed, &Disturbance::Rebuilt, &cx))
    };
    worded && matches!(again(), Some(Reaction::Rebuild { .. }))
}

/// Whether a value is said in SQL.
fn has_words(value: &Value) -> bool {
    if let Value::List(values) = value {
        return values.iter().any(has_words);
    }
    matches!(value, Value::Expression(_) | Value::Statement(_))
}

impl Disturbances {
    pub(crate) fn find(planner: &mut Planner<'_>) -> Self {
        let mut out = Self::default();
        let difference = planner.inputs.difference;
        let mut queue: VecDeque<(Address, Disturbance, Address)> = VecDeque::new();
        for change in &difference.changes {
            let Change::Create(address) = change else { continue };
            let made = planner.inputs.desired.get(address);
            if let Some(old) = made.and_then(|made| out.exchanges.succeed(made, planner)) {
                queue.push_back((old, Disturbance::Rebuilt, address.clone()));
            }
        }
        for change in &difference.changes {
            match change {
                Change::Alter { live, .. } if planner.twinned.contains_key(live) => {}
                Change::Alter { desired, live, properties } => {
                    // Its comment and its privileges belong to the column that it was.
                    if let Some(object) = planner
                        .inputs
                        .live
                        .get(live)
                        .filter(|_| planner.cx.online.contains_key(live))
                    {
                        out.carry(planner, object, desired);
                    }
                    let replacement = planner.replacement(desired, live, properties);
                    if let Some((object, replacement)) =
                        planner.inputs.live.get(live).zip(replacement)
                    {
                        match replacement {
                            Replacement::None => {}
                            Replacement::Replaced => out.carry(planner, object, desired),
                            Replacement::Exchanged => {
                                out.exchange(planner, object, live, desired);
                                queue.push_back((
                                    live.clone(),
                                    Disturbance::Rebuilt,
                                    desired.clone(),
                                ));
                            }
                            Replacement::Rebuilt => {
                                out.rebuild(planner, object, desired);
                                queue.push_back((
                                    live.clone(),
                                    Disturbance::Rebuilt,
                                    desired.clone(),
                                ));
                            }
                        }
                    }
                    if let Some(retype) = difference.retypes.of(live) {
                        queue.push_back((
                            live.clone(),
                            Disturbance::Retyped(Box::new(retype.clone())),
                            desired.clone(),
                        ));
                    }
                }
                Change::Drop(address) if out.exchanges.is_succeeded(address) => {}
                Change::Drop(address) => {
                    // What belongs to it belongs to the one that takes over its name.
                    let heir = difference.matched.is_displaced(address);
                    if let Some(object) = planner.inputs.live.get(address).filter(|_| heir) {
                        out.carry(planner, object, address);
                    }
                    // What is part of it goes with it, and may be depended on as well.
                    let mut parts = vec![address.clone()];
                    while let Some(part) = parts.pop() {
                        parts
                            .extend(planner.inputs.live.children(&part).map(|o| o.address.clone()));
                        queue.push_back((part, Disturbance::Dropped, address.clone()));
                    }
                }
                Change::Create(_) | Change::Rename { .. } => {}
            }
            if let Some((ty, name)) = needs_exchange(planner, change)
                && let Some(object) = planner.inputs.live.get(&ty)
            {
                out.exchange(planner, object, &ty, &name);
                queue.push_back((ty, Disturbance::Rebuilt, name));
            }
        }
        for (part, table) in planner.refills.map_or_else(Vec::new, |r| r.parts(planner.inputs.live))
        {
            queue.push_back((part, Disturbance::Rebuilt, table.clone()));
        }
        let mut seen = BTreeSet::new();
        while let Some((address, by, origin)) = queue.pop_front() {
            if !seen.insert((address.clone(), origin.clone())) {
                continue;
            }
            out.spread(planner, &address, &by, &origin, &mut queue);
        }
        // What comes with a type that is exchanged is not made again by itself.
        let Self { rebuilt, exchanges, .. } = &mut out;
        rebuilt.retain(|address, _| !exchanges.takes(address));
        out
    }

    fn spread(
        &mut self,
        planner: &mut Planner<'_>,
        address: &Address,
        by: &Disturbance,
        origin: &Address,
        queue: &mut VecDeque<(Address, Disturbance, Address)>,
    ) {
        let live = planner.inputs.live;
        let Some(disturbed) = live.get(address) else { return };
        let direct = live.dependents(address).map(|o| (o, false));
        // Whoever uses the rows of the relation as a whole can only object.
        let parent = disturbed.parent.as_ref().filter(|_| matches!(by, Disturbance::Retyped(_)));
        let through_parent = parent.into_iter().flat_map(|p| live.dependents(p)).map(|o| (o, true));
        for (object, whole) in direct.chain(through_parent) {
            if object.address == *address {
                continue;
            }
            if let Some(&replaced) = planner.twinned.get(&object.address) {
                planner.out.touched.insert(object.address.clone());
                self.carry(planner, object, origin);
                if replaced {
                    self.replace(planner, object, disturbed, by, origin);
                    queue.push_back((object.address.clone(), Disturbance::Rebuilt, origin.clone()));
                }
                continue;
            }
            // What goes in the same plan, itself or with what it is part of, only goes first.
            let root = live.root(&object.address);
            if let Some(table) = planner.refills.and_then(|refills| refills.takes(&root)) {
                self.yields.insert((table.clone(), origin.clone()));
                continue;
            }
            if planner.refills.is_some_and(|r| r.leaves(object, disturbed, by, planner)) {
                continue;
            }
            if let Some(gone) =
                [&object.address, &root].into_iter().find(|a| planner.gone.contains(*a))
            {
                if self.exchanges.is_type(address) {
                    self.exchanges.leaves(gone, address);
                }
                if gone != origin {
                    self.nested.insert((gone.clone(), origin.clone()));
                }
                continue;
            }
            // What is changed itself does not read it any more once it is.
            // What may, as long as it is there, says so: it makes way.
            let altered = planner.altered.get(&object.address).filter(|_| {
                let reaction = || {
                    kind(object.address.kind()).map(|k| k.react(object, disturbed, by, &planner.cx))
                };
                *by == Disturbance::Dropped && !matches!(reaction(), Some(Reaction::Rebuild { .. }))
            });
            if let Some(altered) = altered {
                self.lets_go.insert((altered.clone(), origin.clone()));
                self.nested.insert((object.address.clone(), origin.clone()));
                planner.out.touched.insert(object.address.clone());
                continue;
            }
            // Another object takes its place under the same name.
            let replaced = *by == Disturbance::Dropped && planner.successor(origin).is_some();
            if replaced && self.is_stated(planner, &object.address) {
                self.rebuild(planner, object, origin);
                self.nested.insert((object.address.clone(), origin.clone()));
                queue.push_back((object.address.clone(), Disturbance::Rebuilt, origin.clone()));
                planner.out.touched.insert(object.address.clone());
                continue;
            }
            let on = if whole {
                parent.and_then(|p| live.get(p)).unwrap_or(disturbed)
            } else {
                disturbed
            };
            let mut reaction =
                kind(object.address.kind()).map(|k| k.react(object, on, by, &planner.cx));
            if let Some(Reaction::Refuse(_) | Reaction::Keep) = &reaction
                && restates(planner, object, on, by, &reaction)
            {
                self.rebuild(planner, object, origin);
                if *by == Disturbance::Rebuilt {
                    self.nested.insert((object.address.clone(), address.clone()));
                }
                queue.push_back((object.address.clone(), Disturbance::Rebuilt, origin.clone()));
                reaction = None;
            }
            planner.out.touched.insert(object.address.clone());
            match reaction {
                None | Some(Reaction::Goes) => {}
                Some(Reaction::Keep) => {
                    if self.exchanges.is_type(address)
                        && planner.altered.contains_key(&object.address)
                    {
                        self.exchanges.leaves(&object.address, address);
                    }
                }
                Some(Reaction::Refuse(reason)) => {
                    planner.out.refusals.push(Refusal::new(origin, reason))
                }
                Some(_) if whole => {}
                Some(Reaction::Exchange) => {
                    self.exchange(planner, object, address, origin);
                    queue.push_back((object.address.clone(), Disturbance::Rebuilt, origin.clone()));
                }
                Some(Reaction::Follow(retype)) => {
                    if self.exchanges.is_type(address) {
                        self.exchanges.user(&object.address, address);
                    }
                    queue.push_back((
                        object.address.clone(),
                        Disturbance::Retyped(retype),
                        origin.clone(),
                    ));
                }
                Some(Reaction::Rebuild { warnings }) => {
                    let warn = |text| Warning { address: Some(object.address.clone()), text };
                    planner.out.warnings.extend(warnings.into_iter().map(warn));
                    self.rebuild(planner, object, origin);
                    if matches!(by, Disturbance::Rebuilt | Disturbance::Dropped) {
                        self.nested.insert((object.address.clone(), address.clone()));
                    }
                    queue.push_back((object.address.clone(), Disturbance::Rebuilt, origin.clone()));
                }
            }
        }
    }

    /// The twin of an object takes its place: the objections and warnings are those of any other way.
    fn replace(
        &mut self,
        planner: &mut Planner<'_>,
        object: &Object,
        disturbed: &Object,
        by: &Disturbance,
        origin: &Address,
    ) {
        let reaction =
            kind(object.address.kind()).map(|k| k.react(object, disturbed, by, &planner.cx));
        match &reaction {
            Some(Reaction::Refuse(reason))
                if !restates(planner, object, disturbed, by, &reaction) =>
            {
                planner.out.refusals.push(Refusal::new(origin, reason.clone()));
            }
            Some(Reaction::Rebuild { warnings }) => {
                let warn = |text: &String| Warning {
                    address: Some(object.address.clone()),
                    text: text.clone(),
                };
                planner.out.warnings.extend(warnings.iter().map(warn));
            }
            None
            | Some(
                Reaction::Refuse(_)
                | Reaction::Keep
                | Reaction::Goes
                | Reaction::Exchange
                | Reaction::Follow(_),
            ) => {}
        }
    }

    fn rebuild(&mut self, planner: &mut Planner<'_>, object: &Object, origin: &Address) {
        self.rebuilt.entry(object.address.clone()).or_default().insert(origin.clone());
        self.carry(planner, object, origin);
    }

    /// A type gives way to another one, with what belongs to it; the parts that come with it have
    /// what belongs to them.
    fn exchange(
        &mut self,
        planner: &mut Planner<'_>,
        object: &Object,
        because_of: &Address,
        origin: &Address,
    ) {
        self.exchanges.add(object, because_of, planner);
        self.carry(planner, object, origin);
        let live = planner.inputs.live;
        for part in live.children(&object.address) {
            if self.exchanges.takes(&part.address) {
                self.carry(planner, part, origin);
            }
        }
    }

    /// What is part of an object that is made again is made again too.
    fn carry(&mut self, planner: &mut Planner<'_>, object: &Object, origin: &Address) {
        let mut queue = vec![object];
        while let Some(parent) = queue.pop() {
            for child in planner.inputs.live.children(&parent.address) {
                if planner.twinned.contains_key(&child.address) {
                    // Its twin comes with that of what it belongs to.
                    planner.out.touched.insert(child.address.clone());
                    queue.push(child);
                    continue;
                }
                let reaction = kind(child.address.kind())
                    .map(|k| k.react(child, parent, &Disturbance::Rebuilt, &planner.cx));
                match reaction {
                    Some(Reaction::Rebuild { .. }) => {
                        planner.out.touched.insert(child.address.clone());
                        self.carried.insert(child.address.clone(), parent.address.clone());
                        queue.push(child);
                    }
                    Some(Reaction::Refuse(reason)) => {
                        planner.out.refusals.push(Refusal::new(origin, reason))
                    }
                    _ => {}
                }
            }
        }
    }

    /// Whether an object is dropped and made again.
    pub(crate) fn is_rebuilt(&self, address: &Address) -> bool {
        self.rebuilt.contains_key(address)
            || self.carried.contains_key(address)
            || self.exchanges.takes(address)
    }

    /// Adds the steps that take the disturbed objects away and bring them back.
    pub(crate) fn apply(&self, planner: &mut Planner<'_>) {
        for (address, origins) in &self.rebuilt {
            let gone = self.is_gone(planner, address);
            self.remove(planner, address);
            let made = if gone { None } else { self.restore(planner, address) };
            let dropped = planner.graph.last(address, Verb::Drop);
            for origin in origins {
                // Of what goes, another object takes the place: all in one transaction.
                if let Some(drop) = planner.graph.first(origin, Verb::Drop) {
                    for id in [dropped, made].into_iter().flatten() {
                        planner.graph.tie(drop, id);
                    }
                }
                // The change itself may have no steps of its own: a child follows its parent.
                let Some(first) = planner.graph.first(origin, Verb::Alter) else { continue };
                let last = planner.graph.last(origin, Verb::Alter).unwrap_or(first);
                // Online it is the last step that disturbs anybody.
                let live = planner.inputs.difference.matched.live_of(origin).unwrap_or(origin);
                let first = if planner.cx.online.contains_key(live) { last } else { first };
                // Texts name the column as it is called until it is renamed.
                let rename = planner.graph.rename(origin);
                for id in [dropped, made].into_iter().flatten() {
                    planner.graph.tie(first, id);
                }
                if let Some(id) = dropped {
                    planner.graph.order(id, first);
                }
                match (made, rename) {
                    (Some(id), None) => planner.graph.order(last, id),
                    // What the model states is written with the new name.
                    (Some(id), Some(rename)) if self.is_stated(planner, address) => {
                        planner.graph.order(rename, id)
                    }
                    (Some(id), Some(rename)) if rename != first => {
                        let before: Vec<_> =
                            planner.graph.nodes[rename].after.iter().copied().collect();
                        before.into_iter().for_each(|b| planner.graph.order(b, id));
                        planner.graph.order(id, rename);
                    }
                    _ => {}
                }
            }
            if let Some((dropped, made)) = dropped.zip(made) {
                planner.graph.tie(dropped, made);
                planner.graph.order(dropped, made);
            }
        }
        // All of them are made before any is tied: a comment on an index of a materialized view
        // hangs on the index, which is carried itself.
        let mut made = Vec::new();
        for (address, parent) in &self.carried {
            let altered =
                planner.inputs.difference.matched.desired_of(parent).unwrap_or(parent).clone();
            // A change that is refused leaves the parent as it is.
            let stays =
                !self.is_rebuilt(parent) && planner.graph.last(&altered, Verb::Alter).is_none();
            if stays || self.is_gone(planner, address) {
                continue;
            }
            let node = if self.rebuilt.contains_key(address) {
                planner.graph.last(address, Verb::Create)
            } else {
                self.restore(planner, address)
            };
            made.extend(node.map(|node| (node, parent, altered)));
        }
        for (node, parent, altered) in made {
            let root = planner
                .graph
                .last(parent, Verb::Create)
                .or_else(|| planner.graph.last(&altered, Verb::Alter))
                .or_else(|| self.exchanges.node_of(parent, planner));
            if let Some(root) = root {
                if planner.graph.nodes[root].place != Place::Outside {
                    planner.graph.tie(root, node);
                }
                planner.graph.order(root, node);
            }
        }
        for (altered, dropped) in &self.lets_go {
            let altered = planner.graph.last(altered, Verb::Alter);
            if let Some((a, b)) = altered.zip(planner.graph.first(dropped, Verb::Drop)) {
                planner.graph.order(a, b);
            }
        }
        self.order_yields(planner);
        self.exchanges.order(planner);
        for (first, then) in &self.nested {
            let drops =
                planner.graph.last(first, Verb::Drop).zip(planner.graph.first(then, Verb::Drop));
            if let Some((a, b)) = drops {
                planner.graph.order(a, b);
            }
            // What takes the place of something that goes is made once that is gone.
            let goes = planner.graph.last(then, Verb::Create).is_none();
            let gone = planner.graph.last(then, Verb::Drop).filter(|_| goes);
            if let Some((a, b)) = gone.zip(planner.graph.first(first, Verb::Create)) {
                planner.graph.order(a, b);
            }
            let makes = planner
                .graph
                .last(then, Verb::Create)
                .zip(planner.graph.first(first, Verb::Create));
            if let Some((a, b)) = makes {
                planner.graph.order(a, b);
            }
        }
    }

    /// Whether the model says what the object shall be.
    fn is_stated(&self, planner: &Planner<'_>, address: &Address) -> bool {
        planner.inputs.difference.matched.desired_of(address).is_some()
    }

    /// Whether the model wants the object gone for good.
    fn is_gone(&self, planner: &Planner<'_>, address: &Address) -> bool {
        planner.gone.contains(address)
    }

    fn remove(&self, planner: &mut Planner<'_>, address: &Address) {
        let Some((kind, object)) = kind(address.kind()).zip(planner.inputs.live.get(address))
        else {
            return;
        };
        match kind.drop(object, How::Within, &planner.cx) {
            Ok(stages) => {
                planner.graph.add_within(address, Verb::Drop, stages);
            }
            Err(refusal) => planner.out.refusals.push(refusal),
        }
    }

    /// Makes an object again: as the model wants it, or as it reads after the type changes.
    fn restore(&self, planner: &mut Planner<'_>, address: &Address) -> Option<usize> {
        let (kind, object) = kind(address.kind()).zip(planner.inputs.live.get(address))?;
        let matched = planner.inputs.difference.matched.desired_of(address);
        let mut restored = object.clone();
        match matched.and_then(|d| planner.inputs.desired.get(d)) {
            Some(desired) => {
                restored.definition = desired.definition.clone();
                if !desired.unnamed {
                    restored.address = desired.address.clone();
                }
            }
            None => {
                if let Some(definition) = object.definition.retyped(address, planner.cx.retypes) {
                    restored.definition = definition;
                }
            }
        }
        match kind.create(&restored, How::Within, &planner.cx) {
            Ok(stages) => planner.graph.add_within(address, Verb::Create, stages),
            Err(refusal) => {
                planner.out.refusals.push(refusal);
                None
            }
        }
    }
}
