//! Which live objects get another name, and in which steps.
//!
//! A model that says `renamed_from` says it for good: the same words are there when the rename is
//! done. So a rename is to be done if the former name is there and the new one is free, or is given
//! up by another rename of the plan. Where two or more objects change names among each other, only
//! what they are tells whether that has happened: it has not if they are more alike that way.

use std::collections::{BTreeMap, BTreeSet};

use reconcile_catalog::{Address, AddressMap, Catalog, Object, RenameStep, Renames, Value};
use reconcile_sql::ident::fit;

/// What is put before a name that nobody shall have in the end.
const ASIDE: &str = "_rc_";

/// A rename that the model asks for: live objects of one kind with one parent.
struct Wish<'a> {
    desired: &'a Object,
    from: Address,
    to: Address,
}

/// The renames that are still to be done.
pub(crate) fn renames(desired: &Catalog, live: &Catalog) -> Renames {
    let mut asked: Vec<&Object> = desired
        .in_place()
        .filter(|o| o.renamed_from.is_some() && !o.unnamed && o.address.target().is_none())
        .collect();
    if asked.is_empty() {
        return Renames::default();
    }
    asked.sort_by(|a, b| {
        (a.address.path().len(), &a.address).cmp(&(b.address.path().len(), &b.address))
    });
    let mut found: Vec<(Address, String)> = Vec::new();
    let mut steps: Vec<RenameStep> = Vec::new();
    let depths: BTreeSet<usize> = asked.iter().map(|o| o.address.path().len()).collect();
    for depth in depths {
        // Everything around these has its name by now.
        let so_far = Renames::new(live, &found, Vec::new());
        let now = live.renamed(&so_far);
        let here = asked.iter().filter(|o| o.address.path().len() == depth);
        let wishes: Vec<Wish<'_>> = here
            .filter_map(|desired| {
                let from = desired.address.renamed(desired.renamed_from.as_ref()?);
                (from != desired.address && now.contains(&from)).then(|| Wish {
                    desired,
                    from,
                    to: desired.address.clone(),
                })
            })
            .collect();
        let mut pending = pending(&wishes, desired, &now);
        let mut following: BTreeSet<Address> = BTreeSet::new();
        for wish in &pending {
            for address in followers(&wish.from, &now) {
                found.push((so_far.former(&address), wish.to.name().to_owned()));
                following.insert(address);
            }
        }
        pending.retain(|wish| !following.contains(&wish.from));
        for wish in &pending {
            found.push((so_far.former(&wish.from), wish.to.name().to_owned()));
        }
        steps.extend(in_order(&pending, &now));
    }
    Renames::new(live, &found, steps)
}

/// What is renamed with an object by the same statement: the columns of child tables.
fn followers(address: &Address, now: &Catalog) -> BTreeSet<Address> {
    let is_column = |o: &&Object| o.definition.is_column();
    let mut out = BTreeSet::new();
    let mut queue: Vec<&Object> = now.get(address).filter(is_column).into_iter().collect();
    while let Some(object) = queue.pop() {
        let dependents = now.dependents(&object.address).filter(is_column);
        for child in dependents.filter(|o| o.address.name() == address.name()) {
            if child.address != *address && out.insert(child.address.clone()) {
                queue.push(child);
            }
        }
    }
    out
}

/// Those of the wishes that are not fulfilled yet.
fn pending<'a, 'w>(wishes: &'w [Wish<'a>], desired: &Catalog, now: &Catalog) -> Vec<&'w Wish<'a>> {
    let mut out: Vec<&Wish<'_>> = Vec::new();
    let mut given_up: BTreeSet<&Address> = BTreeSet::new();
    let mut taken: BTreeSet<&Address> = BTreeSet::new();
    loop {
        let next = wishes.iter().find(|w| {
            let free = !now.contains(&w.to) || given_up.contains(&w.to);
            free && !taken.contains(&w.to) && !given_up.contains(&w.from)
        });
        let Some(next) = next else { break };
        given_up.insert(&next.from);
        taken.insert(&next.to);
        out.push(next);
    }
    // What is left waits for each other, or is done.
    let by_from: AddressMap<&Wish<'_>> = wishes
        .iter()
        .filter(|w| !given_up.contains(&w.from) && !taken.contains(&w.to))
        .map(|w| (w.from.clone(), w))
        .collect();
    let mut seen: BTreeSet<&Address> = BTreeSet::new();
    for start in wishes.iter().filter(|w| by_from.contains_key(&w.from)) {
        let mut ring = vec![start];
        while let Some(next) = ring.last().and_then(|last| by_from.get(&last.to)) {
            if next.from == start.from || ring.len() > wishes.len() {
                break;
            }
            ring.push(next);
        }
        let closed = ring.last().is_some_and(|last| last.to == start.from);
        if !closed || !seen.insert(&start.from) {
            continue;
        }
        seen.extend(ring.iter().map(|w| &w.from));
        let strangeness = |now_at: &dyn Fn(&Wish<'_>) -> Address| -> usize {
            ring.iter().map(|w| strange(w.desired, desired, &now_at(w), now)).sum()
        };
        if strangeness(&|w| w.from.clone()) < strangeness(&|w| w.to.clone()) {
            out.extend(ring);
        }
    }
    out
}

/// How many facts of a desired object, and of what is in it, are others in a live one for certain.
fn strange(object: &Object, desired: &Catalog, there: &Address, now: &Catalog) -> usize {
    let Some(live) = now.get(there) else { return 1 };
    let mut own: BTreeMap<&str, Value> =
        live.definition.properties().into_iter().map(|p| (p.name, p.value)).collect();
    let wanted = object.definition.properties();
    let others = wanted.iter().filter(|p| {
        let live = own.remove(p.name).unwrap_or(Value::None);
        matches!(
            (&p.value, &live),
            (Value::Type(_), Value::Type(_))
                | (Value::Flag(_), Value::Flag(_))
                | (Value::Number(_), Value::Number(_))
                | (Value::Text(_), Value::Text(_))
                | (Value::List(_), Value::List(_))
        ) && p.value != live
    });
    let inside = desired.children(&object.address).filter(|o| o.definition.is_column());
    let inside = inside.map(|part| {
        let former = part.renamed_from.as_deref().map(|n| there.child(part.address.kind(), n));
        let here = there.child(part.address.kind(), part.address.name());
        let found = former.filter(|_| !now.contains(&here)).unwrap_or(here);
        strange(part, desired, &found, now)
    });
    others.count() + inside.sum::<usize>()
}

/// The steps in an order in which each name is free when it is taken.
fn in_order(pending: &[&Wish<'_>], now: &Catalog) -> Vec<RenameStep> {
    let mut left: Vec<&Wish<'_>> = pending.to_vec();
    left.sort_by(|a, b| a.to.cmp(&b.to));
    let mut out = Vec::new();
    let step = |from: &Address, at: Address, to: &str, with_next: bool| {
        let object = now.get(from)?.clone();
        Some(RenameStep { object: Object { address: at, ..object }, to: to.to_owned(), with_next })
    };
    while !left.is_empty() {
        let free = left.iter().position(|w| !left.iter().any(|other| other.from == w.to));
        if let Some(free) = free {
            let wish = left.remove(free);
            out.extend(step(&wish.from, wish.from.clone(), wish.to.name(), false));
            continue;
        }
        // A ring: one of it makes room, and takes its name last.
        let first = left.remove(0);
        let aside = format!("{ASIDE}{}", fit(first.from.name(), ""));
        let aside = fit(&aside, "");
        out.extend(step(&first.from, first.from.clone(), &aside, true));
        let mut free = &first.from;
        while let Some(next) = left.iter().position(|w| w.to == *free) {
            let wish = left.remove(next);
            out.extend(step(&wish.from, wish.from.clone(), wish.to.name(), true));
            free = &wish.from;
        }
        out.extend(step(&first.from, first.from.renamed(&aside), first.to.name(), false));
    }
    out
}
