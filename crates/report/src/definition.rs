//! The definition of everything that changes, live against desired, as a unified diff.
//!
//! One line an object, so that a reader of the diff sees tables with their columns and whatever
//! else they have. What the model does not speak of stands on both sides, as it reads after the
//! type changes of the plan.

use std::collections::{BTreeMap, BTreeSet};

use reconcile_catalog::{Address, AddressMap, Catalog, Object};
use reconcile_diff::{Change, Difference};
use similar::TextDiff;

use crate::words::{describe, noun, order, place};

/// A unified diff of the definitions of the roots (tables, views, types) that are touched.
///
/// `further` holds changes that the comparison did not ask for and the plan makes nonetheless, such as the drop of a
/// type that the plan itself orphaned.
pub fn definition_diff(
    difference: &Difference,
    further: &[Change],
    was: &Catalog,
    desired: &Catalog,
) -> String {
    let sides = Sides::new(difference, further, was, desired);
    let mut out = String::new();
    for root in &sides.roots {
        let (before, after) = (sides.before(root), sides.after(root));
        let text =
            |lines: &[String]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
        let name = |lines: &[String], side: &str| match lines.is_empty() {
            true => format!("{side} (nothing)"),
            false => format!("{side} {root}"),
        };
        let headers = (name(&before, "live"), name(&after, "desired"));
        let (before, after) = (text(&before), text(&after));
        let diff = TextDiff::from_lines(&before, &after);
        out.push_str(&diff.unified_diff().header(&headers.0, &headers.1).to_string());
    }
    out
}

struct Sides<'a> {
    difference: &'a Difference,
    /// What is there, before and after the renames.
    was: &'a Catalog,
    live: &'a Catalog,
    desired: &'a Catalog,
    /// Live address to desired address, where the two differ or not.
    names: BTreeMap<&'a Address, &'a Address>,
    created: BTreeSet<&'a Address>,
    dropped: BTreeSet<&'a Address>,
    /// Live addresses of what gets other properties; a new name alone is none.
    altered: BTreeSet<&'a Address>,
    /// The touched roots, under the names that they shall have.
    roots: BTreeSet<Address>,
    /// The live objects, by the names that their roots shall have.
    of_root: AddressMap<Vec<&'a Object>>,
    /// The objects that are made, by their roots.
    made_in: AddressMap<Vec<&'a Object>>,
}

impl<'a> Sides<'a> {
    fn new(
        difference: &'a Difference,
        further: &'a [Change],
        was: &'a Catalog,
        desired: &'a Catalog,
    ) -> Self {
        let live = &difference.live;
        let mut sides = Self {
            difference,
            was,
            live,
            desired,
            names: difference.matched.pairs().map(|(d, l)| (l, d)).collect(),
            created: BTreeSet::new(),
            dropped: BTreeSet::new(),
            altered: BTreeSet::new(),
            roots: BTreeSet::new(),
            of_root: AddressMap::default(),
            made_in: AddressMap::default(),
        };
        for change in difference.changes.iter().chain(further) {
            match change {
                Change::Rename { to, .. } => drop(sides.roots.insert(live.root(to))),
                Change::Create(address) => {
                    sides.created.insert(address);
                    sides.roots.insert(desired.root(address));
                }
                Change::Alter { live: there, properties, .. } => {
                    if !properties.is_empty() {
                        sides.altered.insert(there);
                    }
                    let root = sides.root_after(&live.root(there));
                    sides.roots.insert(root);
                }
                Change::Drop(address) => {
                    sides.dropped.insert(address);
                    let root = sides.root_after(&live.root(address));
                    sides.roots.insert(root);
                }
            }
        }
        if !difference.retypes.is_empty() {
            let follows =
                |o: &&Object| o.definition.retyped(&o.address, &difference.retypes).is_some();
            let roots: Vec<Address> =
                live.objects().filter(follows).map(|o| live.root(&o.address)).collect();
            for root in roots {
                let root = sides.root_after(&root);
                sides.roots.insert(root);
            }
        }
        for object in live.objects() {
            let root = sides.root_after(&live.root(&object.address));
            if sides.roots.contains(&root) {
                sides.of_root.entry(root).or_default().push(object);
            }
        }
        for object in sides.created.iter().filter_map(|a| desired.get(a)) {
            let root = desired.root(&object.address);
            sides.made_in.entry(root).or_default().push(object);
        }
        sides
    }

    fn root_after(&self, root: &Address) -> Address {
        self.names.get(root).map_or_else(|| root.clone(), |name| (*name).clone())
    }

    fn before(&self, root: &Address) -> Vec<String> {
        let here = self.of_root.get(root).into_iter().flatten();
        let former = |o: &&Object| self.was.get(&self.difference.renames.former(&o.address));
        let here: Vec<&Object> = here.filter_map(former).collect();
        let root = here.first().map_or_else(|| root.clone(), |o| self.was.root(&o.address));
        lines(here.into_iter().map(|o| (o.address.clone(), (0, place(o)), describe(o))), &root)
    }

    fn after(&self, root: &Address) -> Vec<String> {
        let there = self.of_root.get(root).into_iter().flatten();
        let kept = there.filter(|o| !self.is_dropped(&o.address));
        let kept = kept.map(|object| {
            let name = self.names.get(&object.address).copied().unwrap_or(&object.address);
            let unnamed = self.desired.get(name).is_some_and(|o| o.unnamed);
            let altered = self.altered.contains(&object.address);
            let wanted = self.desired.get(name).filter(|_| altered);
            let text = wanted.map_or_else(|| self.carried(object), describe);
            let name = if unnamed { &object.address } else { name };
            (name.clone(), (0, place(object)), text)
        });
        let made = self.made_in.get(root).into_iter().flatten();
        // PostgreSQL puts a new column last, whatever its place in the model.
        let made =
            made.map(|object| (object.address.clone(), (1, place(object)), describe(object)));
        lines(kept.chain(made), root)
    }

    /// Whether an object goes, by itself or with what it is part of.
    fn is_dropped(&self, address: &Address) -> bool {
        let mut at = Some(address.clone());
        while let Some(address) = at {
            if self.dropped.contains(&address) {
                return true;
            }
            at = self.live.get(&address).and_then(|o| o.parent.clone());
        }
        false
    }

    /// An object that nobody changes, as it reads after the type changes.
    fn carried(&self, object: &Object) -> String {
        match object.definition.retyped(&object.address, &self.difference.retypes) {
            Some(definition) => describe(&Object { definition, ..object.clone() }),
            None => describe(object),
        }
    }
}

/// A line an object, in order.
fn lines(
    objects: impl Iterator<Item = (Address, (i64, i64), String)>,
    root: &Address,
) -> Vec<String> {
    let mut objects: Vec<_> = objects.collect();
    // Places beyond any column number, for what comes last.
    objects.sort_by_cached_key(|(address, (late, place), _)| {
        order(address, late * 1_000_000 + place, root)
    });
    objects.into_iter().map(|(address, _, text)| line(&address, &text, root)).collect()
}

fn line(address: &Address, text: &str, root: &Address) -> String {
    let depth = root.path().len();
    let inside = || Address::new("", address.path()[depth.min(address.path().len())..].to_vec());
    let head = match (address == root, address.path().len() > depth) {
        (true, _) => format!("{} {}", noun(address), address.dotted()),
        (false, true) => format!("  {} {}", noun(address), inside().dotted()),
        // What belongs to the root itself: its comment, its owner.
        (false, false) => format!("  {}", address.kind().replace('_', " ")),
    };
    if text.is_empty() { head } else { format!("{head} {text}") }
}
