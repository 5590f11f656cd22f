//! The catalog: objects by address.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, OnceLock};

use crate::addresses::Addresses;
use crate::{Address, AddressMap, Definition, Pruned};

/// An object: its place, what it is, and what it cannot be without.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its name.
    pub address: Address,
    /// The object that it is part of and goes with.
    pub parent: Option<Address>,
    /// What it is.
    pub definition: Arc<dyn Definition>,
    /// The objects that it refers to.
    pub depends_on: BTreeSet<Address>,
    /// Desired side only: the name is not stated, any live name is right.
    pub unnamed: bool,
    /// Desired side only: the name that the live object may still have.
    pub renamed_from: Option<String>,
    /// Its place among the objects of its catalog, in the order in which they were added: the
    /// model's own order, for plans and reports.
    pub place: usize,
}

impl Object {
    /// An object without dependencies.
    pub fn new(address: Address, parent: Option<Address>, definition: Arc<dyn Definition>) -> Self {
        Self {
            address,
            parent,
            definition,
            depends_on: BTreeSet::new(),
            unnamed: false,
            renamed_from: None,
            place: 0,
        }
    }

    /// The definition as the kind's own type.
    pub fn get<T: 'static>(&self) -> Option<&T> {
        self.definition.as_any().downcast_ref()
    }
}

/// For what a desired catalog is complete (`--prune`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Complete {
    /// For the sections that it states.
    #[default]
    Sections,
    /// For the namespaces that it has.
    Namespaces,
    /// For the database.
    Database,
}

/// A set of objects: what is there, or what shall be there.
///
/// A copy shares everything until one of the two is changed.
#[derive(Clone, Debug, Default)]
pub struct Catalog(Arc<Contents>);

#[derive(Clone, Debug, Default)]
struct Contents {
    /// In the order in which they were added.
    objects: Vec<Object>,
    /// Where each stands among them.
    at: AddressMap<u32>,
    /// The same in the order of their addresses, once somebody wants to know.
    order: OnceLock<Vec<u32>>,
    /// The names of those that are part of nothing, once somebody wants to know.
    tops: OnceLock<HashSet<Box<[String]>>>,
    children: AddressMap<Addresses>,
    dependents: AddressMap<Addresses>,
    /// Desired side: objects that shall not be there.
    absent: BTreeSet<Address>,
    /// Desired side: the sections that are stated, by parent.
    managed: AddressMap<Vec<&'static str>>,
    /// The first names of all addresses.
    namespaces: BTreeSet<String>,
    /// Desired side: for what it is complete.
    complete: Complete,
}

impl Contents {
    fn get(&self, address: &Address) -> Option<&Object> {
        self.at.get(address).map(|at| &self.objects[*at as usize])
    }

    fn get_mut(&mut self, address: &Address) -> Option<&mut Object> {
        self.at.get(address).map(|at| &mut self.objects[*at as usize])
    }

    fn order(&self) -> &[u32] {
        self.order.get_or_init(|| {
            let mut order: Vec<u32> = self.at.values().copied().collect();
            order.sort_unstable_by_key(|at| &self.objects[*at as usize].address);
            order
        })
    }
}

impl Catalog {
    /// An empty catalog.
    pub fn new() -> Self {
        Self::default()
    }

    fn contents(&mut self) -> &mut Contents {
        Arc::make_mut(&mut self.0)
    }

    /// Adds an object; gives it back if the address is taken.
    ///
    /// # Errors
    /// The object, if there is one with this address.
    ///
    /// # Panics
    /// If there are more objects than PostgreSQL has OIDs.
    pub fn insert(&mut self, mut object: Object) -> Result<(), Box<Object>> {
        if self.contains(&object.address) {
            return Err(Box::new(object));
        }
        let contents = self.contents();
        object.place = contents.objects.len();
        let at = u32::try_from(object.place).expect("an OID has 32 bits");
        if !contents.namespaces.contains(object.address.namespace()) {
            contents.namespaces.insert(object.address.namespace().to_owned());
        }
        if let Some(parent) = &object.parent {
            let children = contents.children.entry(parent.clone()).or_default();
            children.insert(object.address.clone());
        }
        for target in &object.depends_on {
            let dependents = contents.dependents.entry(target.clone()).or_default();
            dependents.insert(object.address.clone());
        }
        contents.order.take();
        contents.tops.take();
        contents.at.insert(object.address.clone(), at);
        contents.objects.push(object);
        Ok(())
    }

    /// Adds a dependency between two objects of this catalog; nothing happens if one is missing.
    pub fn depend(&mut self, dependent: &Address, on: &Address) {
        if dependent == on || !self.contains(on) {
            return;
        }
        let contents = self.contents();
        if let Some(object) = contents.get_mut(dependent)
            && object.depends_on.insert(on.clone())
        {
            contents.dependents.entry(on.clone()).or_default().insert(dependent.clone());
        }
    }

    /// Takes an object out; what is part of it or refers to it stays.
    pub fn forget(&mut self, address: &Address) {
        let contents = self.contents();
        contents.at.remove(address);
        contents.order.take();
        contents.tops.take();
    }

    /// Puts another definition of the same object in its place.
    pub fn redefine(&mut self, address: &Address, definition: Arc<dyn Definition>) {
        if let Some(object) = self.contents().get_mut(address) {
            object.definition = definition;
        }
    }

    /// The object with this address.
    pub fn get(&self, address: &Address) -> Option<&Object> {
        self.0.get(address)
    }

    /// The definition at an address as the kind's own type.
    pub fn definition<T: 'static>(&self, address: &Address) -> Option<&T> {
        self.get(address).and_then(Object::get)
    }

    /// Whether there is an object with this address.
    pub fn contains(&self, address: &Address) -> bool {
        self.0.at.contains_key(address)
    }

    /// Whether there is an object of any kind with these names that is part of no other.
    pub fn has_top(&self, path: &[String]) -> bool {
        let tops = self.0.tops.get_or_init(|| {
            let tops = self.in_place().filter(|o| o.parent.is_none());
            tops.map(|o| o.address.path().into()).collect()
        });
        tops.contains(path)
    }

    /// All objects in the order of their addresses.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.0.order().iter().map(|at| &self.0.objects[*at as usize])
    }

    /// All objects in the order in which they were added.
    pub fn in_place(&self) -> impl Iterator<Item = &Object> {
        // What was taken out leaves a gap.
        let whole = self.0.objects.len() == self.0.at.len();
        let is_there = move |(at, o): &(usize, &Object)| {
            whole || self.get(&o.address).is_some_and(|o| o.place == *at)
        };
        self.0.objects.iter().enumerate().filter(is_there).map(|(_, o)| o)
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.0.at.len()
    }

    /// Whether there is no object.
    pub fn is_empty(&self) -> bool {
        self.0.at.is_empty()
    }

    /// The objects that are part of `parent`, in order.
    pub fn children(&self, parent: &Address) -> impl Iterator<Item = &Object> {
        self.known(self.0.children.get(parent))
    }

    /// The objects that refer to `address`, in order.
    pub fn dependents(&self, address: &Address) -> impl Iterator<Item = &Object> {
        self.known(self.0.dependents.get(address))
    }

    fn known<'a>(&'a self, addresses: Option<&'a Addresses>) -> impl Iterator<Item = &'a Object> {
        addresses.into_iter().flat_map(Addresses::iter).filter_map(|a| self.get(a))
    }

    /// The outermost object that this one is part of: the table of a column. Itself if none.
    pub fn root(&self, address: &Address) -> Address {
        let mut at = address;
        while let Some(parent) = self.get(at).and_then(|o| o.parent.as_ref()) {
            at = parent;
        }
        at.clone()
    }

    /// Says that an object shall not be there.
    pub fn forbid(&mut self, address: Address) {
        self.contents().absent.insert(address);
    }

    /// The objects that shall not be there.
    pub fn absent(&self) -> impl Iterator<Item = &Address> {
        self.0.absent.iter()
    }

    /// Says that a section of an object is stated in full.
    pub fn manage(&mut self, parent: Address, section: &'static str) {
        let sections = self.contents().managed.entry(parent).or_default();
        if !sections.contains(&section) {
            sections.push(section);
        }
    }

    /// Says for what the catalog is complete, once everything is in it: the objects there leave
    /// nothing open any more.
    pub fn set_complete(&mut self, complete: Complete) {
        self.contents().complete = complete;
        let covered: Vec<Address> = self
            .in_place()
            .filter(|o| self.completes(&o.definition.pruned(&o.address)))
            .map(|o| o.address.clone())
            .collect();
        for address in covered {
            let completed = self.get(&address).and_then(|object| object.definition.completed());
            if let Some(definition) = completed {
                self.redefine(&address, definition);
            }
            if self.get(&address).is_some_and(|o| o.unnamed && o.definition.has_usual_name())
                && let Some(object) = self.contents().get_mut(&address)
            {
                object.unnamed = false;
            }
        }
    }

    /// Whether the catalog is complete for something of this reach.
    pub fn completes(&self, reach: &Pruned) -> bool {
        match (self.complete(), reach) {
            (Complete::Sections, _) | (_, Pruned::Never) => false,
            (Complete::Database, _) => true,
            (Complete::Namespaces, Pruned::InDatabase) => false,
            (Complete::Namespaces, Pruned::In(namespace)) => self.names(namespace),
        }
    }

    /// For what the catalog is complete: what it does not state there is superfluous.
    pub fn complete(&self) -> Complete {
        self.0.complete
    }

    /// Whether something in this namespace is stated.
    pub fn names(&self, namespace: &str) -> bool {
        self.0.namespaces.contains(namespace)
    }

    /// Whether a section of an object is stated in full.
    pub fn manages(&self, parent: &Address, section: &'static str) -> bool {
        self.0.managed.get(parent).is_some_and(|sections| sections.contains(&section))
    }
}
