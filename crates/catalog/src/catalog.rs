//! The catalog: objects by address.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::{Address, Definition, Pruned};

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
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    objects: BTreeMap<Address, Object>,
    children: BTreeMap<Address, BTreeSet<Address>>,
    dependents: BTreeMap<Address, BTreeSet<Address>>,
    /// Desired side: objects that shall not be there.
    absent: BTreeSet<Address>,
    /// Desired side: the sections that are stated, by parent.
    managed: BTreeSet<(Address, &'static str)>,
    /// The first names of all addresses.
    namespaces: BTreeSet<String>,
    /// Desired side: for what it is complete.
    complete: Complete,
}

impl Catalog {
    /// An empty catalog.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an object; gives it back if the address is taken.
    ///
    /// # Errors
    /// The object, if there is one with this address.
    pub fn insert(&mut self, mut object: Object) -> Result<(), Box<Object>> {
        if self.objects.contains_key(&object.address) {
            return Err(Box::new(object));
        }
        object.place = self.objects.len();
        if !self.namespaces.contains(object.address.namespace()) {
            self.namespaces.insert(object.address.namespace().to_owned());
        }
        if let Some(parent) = &object.parent {
            self.children.entry(parent.clone()).or_default().insert(object.address.clone());
        }
        for target in &object.depends_on {
            self.dependents.entry(target.clone()).or_default().insert(object.address.clone());
        }
        self.objects.insert(object.address.clone(), object);
        Ok(())
    }

    /// Adds a dependency between two objects of this catalog; nothing happens if one is missing.
    pub fn depend(&mut self, dependent: &Address, on: &Address) {
        if dependent == on || !self.objects.contains_key(on) {
            return;
        }
        if let Some(object) = self.objects.get_mut(dependent) {
            object.depends_on.insert(on.clone());
            self.dependents.entry(on.clone()).or_default().insert(dependent.clone());
        }
    }

    /// Takes an object out; what is part of it or refers to it stays.
    pub fn forget(&mut self, address: &Address) {
        self.objects.remove(address);
    }

    /// Puts another definition of the same object in its place.
    pub fn redefine(&mut self, address: &Address, definition: Arc<dyn Definition>) {
        if let Some(object) = self.objects.get_mut(address) {
            object.definition = definition;
        }
    }

    /// The object with this address.
    pub fn get(&self, address: &Address) -> Option<&Object> {
        self.objects.get(address)
    }

    /// The definition at an address as the kind's own type.
    pub fn definition<T: 'static>(&self, address: &Address) -> Option<&T> {
        self.get(address).and_then(Object::get)
    }

    /// Whether there is an object with this address.
    pub fn contains(&self, address: &Address) -> bool {
        self.objects.contains_key(address)
    }

    /// All objects in the order of their addresses.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.objects.values()
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there is no object.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// The objects that are part of `parent`, in order.
    pub fn children(&self, parent: &Address) -> impl Iterator<Item = &Object> {
        self.children.get(parent).into_iter().flatten().filter_map(|a| self.objects.get(a))
    }

    /// The objects that refer to `address`, in order.
    pub fn dependents(&self, address: &Address) -> impl Iterator<Item = &Object> {
        self.dependents.get(address).into_iter().flatten().filter_map(|a| self.objects.get(a))
    }

    /// The outermost object that this one is part of: the table of a column. Itself if none.
    pub fn root(&self, address: &Address) -> Address {
        let mut at = address.clone();
        while let Some(parent) = self.objects.get(&at).and_then(|o| o.parent.clone()) {
            at = parent;
        }
        at
    }

    /// Says that an object shall not be there.
    pub fn forbid(&mut self, address: Address) {
        self.absent.insert(address);
    }

    /// The objects that shall not be there.
    pub fn absent(&self) -> impl Iterator<Item = &Address> {
        self.absent.iter()
    }

    /// Says that a section of an object is stated in full.
    pub fn manage(&mut self, parent: Address, section: &'static str) {
        self.managed.insert((parent, section));
    }

    /// Says for what the catalog is complete, once everything is in it: the objects there leave
    /// nothing open any more.
    pub fn set_complete(&mut self, complete: Complete) {
        self.complete = complete;
        let covered: Vec<Address> = self
            .objects
            .values()
            .filter(|o| self.completes(&o.definition.pruned(&o.address)))
            .map(|o| o.address.clone())
            .collect();
        for address in covered {
            if let Some(object) = self.objects.get_mut(&address)
                && let Some(definition) = object.definition.completed()
            {
                object.definition = definition;
            }
        }
    }

    /// Whether the catalog is complete for something of this reach.
    pub fn completes(&self, reach: &Pruned) -> bool {
        match (self.complete, reach) {
            (Complete::Sections, _) | (_, Pruned::Never) => false,
            (Complete::Database, _) => true,
            (Complete::Namespaces, Pruned::InDatabase) => false,
            (Complete::Namespaces, Pruned::In(namespace)) => self.names(namespace),
        }
    }

    /// For what the catalog is complete: what it does not state there is superfluous.
    pub fn complete(&self) -> Complete {
        self.complete
    }

    /// Whether something in this namespace is stated.
    pub fn names(&self, namespace: &str) -> bool {
        self.namespaces.contains(namespace)
    }

    /// Whether a section of an object is stated in full.
    pub fn manages(&self, parent: &Address, section: &'static str) -> bool {
        self.managed.contains(&(parent.clone(), section))
    }
}
