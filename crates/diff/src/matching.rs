//! Which live object is which desired one.

use std::collections::BTreeSet;

use reconcile_catalog::{Address, AddressMap, Catalog, Object};

use crate::compare::same_section;

/// Pairs of desired and live objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matches {
    live: AddressMap<Address>,
    desired: AddressMap<Address>,
    displaced: BTreeSet<Address>,
}

impl Matches {
    /// Matches by address. A parent is matched before its children, so that children are looked for
    /// where the parent is now.
    pub(crate) fn by_address(desired: &Catalog, live: &Catalog) -> Self {
        let mut objects: Vec<&Object> = desired.in_place().filter(|o| !o.unnamed).collect();
        objects.sort_by_key(|o| (o.address.path().len(), o.address.has_target()));
        let mut out = Self::default();
        for object in objects {
            let here = out.live_place(object);
            if live.contains(&here) {
                out.pair(&object.address, &here);
            }
        }
        out
    }

    /// Where a desired object is today if none of its own names changes.
    fn live_place(&self, object: &Object) -> Address {
        let Some(parent) = object.parent.as_ref().and_then(|p| self.live.get(p)) else {
            return object.address.clone();
        };
        if let Some(target) = object.address.target() {
            if object.parent.as_ref() == Some(&target) {
                return Address::belonging_to(object.address.kind(), parent);
            }
            // It belongs to something inside its parent that is no object: a view's column.
            let inside =
                target.path().iter().skip(object.parent.as_ref().map_or(0, |p| p.path().len()));
            let path: Vec<String> = parent.path().iter().chain(inside).cloned().collect();
            return Address::belonging_to(
                object.address.kind(),
                &Address::new(target.kind(), path),
            );
        }
        if parent.path().len() + 1 == object.address.path().len() {
            return parent.child(object.address.kind(), object.address.name());
        }
        object.address.clone()
    }

    /// Also matches what is known by its definition: an unnamed object, or one whose name differs.
    pub(crate) fn by_definition(
        mut self,
        desired: &Catalog,
        live: &Catalog,
        mut equal: impl FnMut(&Object, &Object) -> bool,
    ) -> Self {
        let mut moved = BTreeSet::new();
        let mut searching: Vec<(&Object, Option<Address>)> = Vec::new();
        for object in desired.in_place().filter(|o| o.definition.known_by_definition()) {
            let named = self.live.get(&object.address).cloned();
            let there = named.as_ref().and_then(|a| live.get(a));
            if !there.is_some_and(|there| equal(object, there)) {
                searching.push((object, named));
            }
        }
        searching.sort_by(|(a, _), (b, _)| a.address.cmp(&b.address));
        for (object, named) in searching {
            let Some(parent) =
                object.parent.as_ref().map(|p| self.live.get(p).unwrap_or(p).clone())
            else {
                continue;
            };
            let same = live.children(&parent).find(|candidate| {
                candidate.address.kind() == object.address.kind()
                    && !self.desired.contains_key(&candidate.address)
                    && same_section(&*candidate.definition, &*object.definition)
                    && desired.get(&candidate.address).is_none_or(|o| o.unnamed)
                    && (equal(object, candidate)
                        || (named.is_none() && object.definition.is_single()))
            });
            if let Some(candidate) = same {
                if let Some(named) = named {
                    self.desired.remove(&named);
                    self.displaced.insert(named);
                }
                self.pair(&object.address, &candidate.address.clone());
                moved.insert(object.address.clone());
            }
        }
        self.parts(desired, live, &mut moved);
        self.follow(desired, live, &moved);
        self
    }

    /// A part of something that is matched is the live part of that, whatever it is called.
    fn parts(&mut self, desired: &Catalog, live: &Catalog, moved: &mut BTreeSet<Address>) {
        let mut left: Vec<(&Object, Address)> = desired
            .in_place()
            .filter_map(|o| o.definition.part_of().map(|above| (o, above)))
            .collect();
        left.sort_by(|(a, _), (b, _)| a.address.cmp(&b.address));
        let mut found = true;
        while std::mem::take(&mut found) {
            left.retain(|(object, above)| {
                let Some(above) = self.live.get(above) else { return true };
                let parent = object.parent.as_ref().map(|p| self.live.get(p).unwrap_or(p));
                let part = parent.into_iter().flat_map(|p| live.children(p));
                let part = part.filter(|o| o.definition.part_of().as_ref() == Some(above));
                let Some(there) = part.map(|o| o.address.clone()).next() else { return false };
                found = true;
                if self.live.get(&object.address) != Some(&there) {
                    let other = self.desired.get(&there).cloned();
                    other.iter().for_each(|other| drop(self.live.remove(other)));
                    if let Some(before) = self.live.get(&object.address).cloned() {
                        self.desired.remove(&before);
                    }
                    self.pair(&object.address, &there);
                    moved.insert(object.address.clone());
                }
                false
            });
        }
    }

    /// What belongs to an object that was found under another name is looked for there.
    fn follow(&mut self, desired: &Catalog, live: &Catalog, moved: &BTreeSet<Address>) {
        let mut belonging: Vec<&Object> =
            moved.iter().flat_map(|parent| desired.children(parent)).collect();
        let before: Vec<Address> =
            belonging.iter().filter_map(|o| self.live.remove(&o.address)).collect();
        for there in &before {
            self.desired.remove(there);
        }
        while let Some(object) = belonging.pop() {
            let there = self.live_place(object);
            if live.contains(&there) && !self.desired.contains_key(&there) {
                self.pair(&object.address, &there);
                belonging.extend(desired.children(&object.address));
            }
        }
    }

    fn pair(&mut self, desired: &Address, live: &Address) {
        self.live.insert(desired.clone(), live.clone());
        self.desired.insert(live.clone(), desired.clone());
    }

    /// The live object that a desired one is.
    pub fn live_of(&self, desired: &Address) -> Option<&Address> {
        self.live.get(desired)
    }

    /// The desired object that a live one is.
    pub fn desired_of(&self, live: &Address) -> Option<&Address> {
        self.desired.get(live)
    }

    pub(crate) fn takes(&self, live: &Address) -> bool {
        self.desired.contains_key(live)
    }

    /// Live objects whose name goes to another live object.
    pub fn displaced(&self) -> impl Iterator<Item = &Address> {
        self.displaced.iter()
    }

    /// Whether the name of a live object goes to another live object.
    pub fn is_displaced(&self, live: &Address) -> bool {
        self.displaced.contains(live)
    }

    /// All pairs, `(desired, live)`, in the order of the desired addresses.
    pub fn pairs(&self) -> impl Iterator<Item = (&Address, &Address)> {
        let mut pairs: Vec<_> = self.live.iter().collect();
        pairs.sort_unstable();
        pairs.into_iter()
    }
}
