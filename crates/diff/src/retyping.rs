//! Type changes and what follows from them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use reconcile_catalog::{Address, Catalog, Definition, Object, Retype, Retypes, Value};

/// The type changes between matched objects that differ, `(desired, live)`, and those that their
/// dependents pass on.
pub(crate) fn closure(live: &Catalog, differing: &[(&Object, &Object)]) -> Retypes {
    let mut retypes = Retypes::default();
    let mut queue = VecDeque::new();
    for (wanted, there) in differing {
        if let Some((from, to)) =
            type_of(there).zip(type_of(wanted)).filter(|(from, to)| from != to)
        {
            retypes.changes.push(Retype {
                address: there.address.clone(),
                through: there.address.clone(),
                from,
                to,
            });
            queue.push_back(there.address.clone());
        }
    }
    let mut seen: BTreeSet<Address> = queue.iter().cloned().collect();
    while let Some(address) = queue.pop_front() {
        for dependent in live.dependents(&address) {
            let more = dependent.definition.passes_on(&dependent.address, &retypes);
            let news = !more.is_empty();
            retypes.changes.extend(more);
            if news && seen.insert(dependent.address.clone()) {
                queue.push_back(dependent.address.clone());
            }
        }
    }
    retypes.changes.sort_by(|a, b| a.address.cmp(&b.address));
    retypes
}

fn type_of(object: &Object) -> Option<reconcile_sql::SqlType> {
    object.definition.properties().into_iter().find_map(|p| match p.value {
        Value::Type(ty) => Some(ty),
        _ => None,
    })
}

/// Live definitions as they read after the type changes.
#[derive(Default)]
pub(crate) struct Carried<'a> {
    definitions: BTreeMap<&'a Address, Arc<dyn Definition>>,
}

impl<'a> Carried<'a> {
    pub(crate) fn new(live: &'a Catalog, retypes: &Retypes) -> Self {
        let mut definitions = BTreeMap::new();
        for change in &retypes.changes {
            let itself = live.get(&change.through);
            for object in itself.into_iter().chain(live.dependents(&change.through)) {
                if let Some(definition) = object.definition.retyped(&object.address, retypes) {
                    definitions.insert(&object.address, definition);
                }
            }
        }
        Self { definitions }
    }

    pub(crate) fn has(&self, object: &Object) -> bool {
        self.definitions.contains_key(&object.address)
    }

    pub(crate) fn definition(&self, object: &Object) -> Arc<dyn Definition> {
        self.definitions.get(&object.address).cloned().unwrap_or_else(|| object.definition.clone())
    }
}
