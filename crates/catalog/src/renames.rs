//! The renames of a plan, and how everything reads once they are done.

use reconcile_sql::rename::Names;
use reconcile_sql::{QName, SqlType};

use crate::{Address, AddressMap, Catalog, Object};

/// All renames of a plan.
///
/// They come first in it: everything else of the plan is about the catalog as it is then
/// ([`Catalog::renamed`]), under names that are right already.
#[derive(Clone, Debug, Default)]
pub struct Renames {
    /// What is done, one by one: a name is free before it is taken.
    pub steps: Vec<RenameStep>,
    /// Which object is called what in the end, `(before, after)`, in the order of the steps.
    pub declared: Vec<(Address, Address)>,
    after: AddressMap<Address>,
    before: AddressMap<Address>,
    names: Names,
    former: Names,
}

/// One object gets another name.
#[derive(Clone, Debug)]
pub struct RenameStep {
    /// The object, under the address that it has by then.
    pub object: Object,
    /// Its next name.
    pub to: String,
    /// Whether the next step belongs into the same transaction: two objects change names.
    pub with_next: bool,
}

impl Renames {
    /// The renames that give these objects of a catalog these last names, with the steps to them.
    pub fn new(live: &Catalog, to: &[(Address, String)], steps: Vec<RenameStep>) -> Self {
        let mut out = Self { steps, ..Self::default() };
        if to.is_empty() {
            return out;
        }
        let own: AddressMap<&str> =
            to.iter().map(|(address, name)| (address.clone(), name.as_str())).collect();
        for (address, name) in to.iter().filter(|(address, _)| address.path().len() == 1) {
            out.names.namespace(address.name(), name);
            out.former.namespace(name, address.name());
        }
        for (address, name) in to {
            if let [namespace, from] = address.path() {
                let then = QName::new(out.names.in_namespace(namespace), name);
                let now = QName::new(namespace, from);
                let definition = live.get(address).map(|object| &object.definition);
                for (from, to) in definition.iter().flat_map(|d| d.renames_with_it(address, name)) {
                    let to = QName::new(&then.namespace, to.name);
                    out.names.function(from.clone(), to.clone());
                    out.former.function(to, from);
                }
                out.names.top(now.clone(), then.clone());
                out.former.top(then, now);
            }
        }
        for object in live.in_place() {
            out.place(live, object, &own);
        }
        for (before, after) in &out.after {
            out.before.insert(after.clone(), before.clone());
        }
        for (address, name) in to {
            let after = out.address(address);
            let object = live.get(address);
            if object.is_some_and(|o| o.definition.is_column())
                && let ([n, from, ..], [m, to, ..]) = (address.path(), after.path())
            {
                out.names.column(QName::new(n, from), address.name(), name);
                out.former.column(QName::new(m, to), name, address.name());
            }
            out.declared.push((address.clone(), after));
        }
        out
    }

    /// Where an object is found then, its parents before it.
    fn place(&mut self, live: &Catalog, object: &Object, own: &AddressMap<&str>) -> Address {
        let address = &object.address;
        if let Some(known) = self.after.get(address) {
            return known.clone();
        }
        let parent = object.parent.as_ref().map(|parent| match live.get(parent) {
            Some(parent) => self.place(live, parent, own),
            None => parent.clone(),
        });
        let mut path: Vec<String> = address.path().to_vec();
        match (&parent, &object.parent) {
            (Some(then), Some(now)) => {
                let inside = path.split_off(now.path().len().min(path.len()));
                path = then.path().iter().cloned().chain(inside).collect();
            }
            _ if path.len() > 1 => path[0] = self.names.in_namespace(&path[0]),
            _ => {}
        }
        let name = own.get(address).map(|name| (*name).to_owned());
        let name = name.or_else(|| object.definition.renamed_name(address, self));
        if let (Some(last), Some(name)) = (path.last_mut(), name) {
            *last = name;
        }
        if path == address.path() {
            return address.clone();
        }
        let after = address.moved(path);
        self.after.insert(address.clone(), after.clone());
        after
    }

    /// Whether nothing is renamed.
    pub fn is_empty(&self) -> bool {
        self.declared.is_empty()
    }

    /// What an object, or a place inside one, is called then.
    pub fn address(&self, address: &Address) -> Address {
        self.after.get(address).cloned().unwrap_or_else(|| carried(&self.names, address))
    }

    /// What an object that is called so then is called now.
    pub fn former(&self, address: &Address) -> Address {
        self.before.get(address).cloned().unwrap_or_else(|| carried(&self.former, address))
    }

    /// Names as they are then, by those of now.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Names as they are now, by those of then.
    pub fn former_names(&self) -> &Names {
        &self.former
    }

    /// A relation or type as it is called then.
    pub fn name(&self, name: &QName) -> QName {
        self.names.of(name)
    }

    /// Columns of a relation, which is called as it is now, as they are called then.
    pub fn columns(&self, relation: &QName, columns: &[String]) -> Vec<String> {
        columns.iter().map(|column| self.names.of_column(relation, column)).collect()
    }

    /// A type as it is called then.
    pub fn ty(&self, ty: &SqlType) -> SqlType {
        self.names.of_type(ty)
    }

    /// SQL as PostgreSQL writes it then.
    pub fn text(&self, text: &str, own: Option<&QName>) -> String {
        self.names.of_text(text, own)
    }
}

/// A place that is no object of its own, such as a view's column.
fn carried(names: &Names, address: &Address) -> Address {
    let mut path: Vec<String> = address.path().to_vec();
    match path.as_mut_slice() {
        [namespace, name, ..] => {
            let then = names.of(&QName::new(&*namespace, &*name));
            (*namespace, *name) = (then.namespace, then.name);
        }
        [namespace] => *namespace = names.in_namespace(namespace),
        [] => {}
    }
    if path == address.path() { address.clone() } else { address.moved(path) }
}

impl Catalog {
    /// What is there once the renames are done.
    #[must_use]
    pub fn renamed(&self, renames: &Renames) -> Self {
        if renames.is_empty() {
            return self.clone();
        }
        let mut out = Self::new();
        for object in self.in_place() {
            let definition = object.definition.renamed(&object.address, renames);
            let renamed = Object {
                address: renames.address(&object.address),
                parent: object.parent.as_ref().map(|parent| renames.address(parent)),
                definition: definition.unwrap_or_else(|| object.definition.clone()),
                depends_on: object.depends_on.iter().map(|on| renames.address(on)).collect(),
                unnamed: object.unnamed,
                renamed_from: object.renamed_from.clone(),
                place: object.place,
            };
            // What is in the way of a rename is not lost sight of: the server refuses the step.
            let _ = out.insert(renamed);
        }
        out
    }
}
