//! What online changes have made and not yet taken away, apart from everything else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use reconcile_catalog::{Address, AddressMap, Catalog, Object};

use reconcile_sql::QName;
use reconcile_sql::lex::significant;

use super::{Shadow, id_of};
use crate::column::Column;
use crate::function::Function;
use crate::grant::Grants;

/// What online changes have made so far, and is no part of any model.
#[derive(Clone, Debug, Default)]
pub struct Afoot {
    /// The objects.
    pub catalog: Catalog,
    /// The columns that are changed or have been, with whether the names have been changed already
    /// and the second column only waits for its end.
    pub columns: Vec<(Shadow, bool)>,
    /// The further columns that their triggers read, each with the column that is changed.
    pub reads: BTreeMap<Address, Address>,
}

impl Afoot {
    /// Whether nothing is afoot.
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }
}

/// Takes what online changes have made out of a live catalog. Our names alone do not make an object
/// ours: there is a column of such a name, its trigger, and the column that it stands for.
pub fn split(live: Catalog) -> (Catalog, Afoot) {
    let mut columns = Vec::new();
    let mut ids = BTreeSet::new();
    for object in live.objects() {
        let Some(id) = object.get::<Column>().and_then(|_| id_of(object.address.name())) else {
            continue;
        };
        let Some(table) = &object.parent else { continue };
        let stands_for = live.children(table).find_map(|o| {
            let shadow = o.get::<Column>().map(|_| Shadow::of(&o.address))?;
            (shadow.address == object.address && shadow.id == id).then_some(shadow)
        });
        let Some(shadow) = stands_for else { continue };
        let function = QName::new(object.address.namespace(), shadow.function() + "()");
        let function = Address::new(crate::function::NAME, [&function.namespace, &function.name]);
        if live.contains(&shadow.trigger_address()) || live.contains(&function) {
            ids.insert(shadow.id.clone());
            columns.push(shadow);
        }
    }
    if ids.is_empty() {
        return (live, Afoot::default());
    }
    let (mut base, mut afoot) = (Catalog::new(), Catalog::new());
    let mut ours: AddressMap<bool> = AddressMap::default();
    for object in live.in_place() {
        let mine = is_ours(&object.address, &live, &ids, &mut ours);
        let side = if mine { &mut afoot } else { &mut base };
        // Addresses are unique in the catalog that they come from.
        let _ = side.insert(without_ours(object, &ids));
    }
    let body = |shadow: &Shadow| {
        let mut functions = afoot.objects().filter(|o| shadow.is_function(&o.address));
        functions.find_map(|o| o.get::<Function>()).map_or("", |f| f.body.as_str())
    };
    let mut reads = BTreeMap::new();
    for shadow in &columns {
        for name in written_with(body(shadow)) {
            let column = shadow.column.renamed(&name);
            if column != shadow.column && column != shadow.address {
                reads.insert(column, shadow.column.clone());
            }
        }
    }
    let swapped =
        columns.iter().map(|shadow| body(shadow).contains(crate::column::online::SWAPPED));
    let swapped: Vec<bool> = swapped.collect();
    let columns = columns.into_iter().zip(swapped).collect();
    (base, Afoot { catalog: afoot, columns, reads })
}

/// The columns of the row that is written, as the body of a trigger's function names them.
fn written_with(body: &str) -> Vec<String> {
    let tokens = significant(body);
    let named = tokens.windows(3).filter(|w| w[0].is("new") && w[1].is("."));
    named.filter_map(|w| w[2].ident()).collect()
}

/// An object without what it says about our columns: a table's privileges name columns.
fn without_ours(object: &Object, ids: &BTreeSet<String>) -> Object {
    let mut object = object.clone();
    if let Some(grants) = object.get::<Grants>() {
        let ours = |column: &Option<String>| {
            column.as_deref().and_then(id_of).is_some_and(|id| ids.contains(id))
        };
        let items = grants.items.iter().filter(|item| !ours(&item.column)).cloned().collect();
        object.definition = Arc::new(Grants { items, owner_has_all: grants.owner_has_all });
    }
    object
}

/// Whether an object, or one that it belongs to, has a name of ours.
fn is_ours(
    address: &Address,
    live: &Catalog,
    ids: &BTreeSet<String>,
    known: &mut AddressMap<bool>,
) -> bool {
    if let Some(&known) = known.get(address) {
        return known;
    }
    let named = id_of(address.name()).is_some_and(|id| ids.contains(id));
    let parent = live.get(address).and_then(|o| o.parent.clone());
    let mine = named || parent.is_some_and(|parent| is_ours(&parent, live, ids, known));
    known.insert(address.clone(), mine);
    mine
}
