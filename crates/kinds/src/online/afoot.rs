//! What online changes have made and not yet taken away, apart from everything else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use reconcile_catalog::{Address, AddressMap, Catalog, Object};

use reconcile_sql::QName;
use reconcile_sql::lex::significant;

use super::{Shadow, id_of};
use crate::cast::Cast;
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
        self.columns.is_empty() && self.catalog.is_empty()
    }

    /// What is ours and belongs to no column alone: the bridges, with what is said of them.
    pub fn bridges(&self) -> impl Iterator<Item = &Object> {
        self.catalog.in_place().filter(|object| is_bridge(object))
    }
}

/// Whether an object is a bridge or the comment that says so.
fn is_bridge(object: &Object) -> bool {
    let on = object.address.target();
    object.get::<Cast>().is_some() || on.is_some_and(|on| on.kind() == crate::cast::NAME)
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
    for shadow in without_column(&live, &ids) {
        ids.insert(shadow.id.clone());
        columns.push(shadow);
    }
    if ids.is_empty() && !live.objects().any(is_bridge) {
        return (live, Afoot::default());
    }
    let (mut base, mut afoot) = (Catalog::new(), Catalog::new());
    let mut ours: AddressMap<bool> = AddressMap::default();
    for object in live.in_place() {
        let mine = is_bridge(object) || is_ours(&object.address, &live, &ids, &mut ours);
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

/// The columns whose second column is gone already, and whose function is not: an end was interrupted.
fn without_column(live: &Catalog, known: &BTreeSet<String>) -> Vec<Shadow> {
    let left = |object: &Object| {
        let id = object.get::<Function>().and_then(|_| id_of(object.address.name()));
        id.is_some_and(|id| !known.contains(id))
    };
    let functions: Vec<&Address> = live.objects().filter(|o| left(o)).map(|o| &o.address).collect();
    if functions.is_empty() {
        return Vec::new();
    }
    let columns = live.objects().filter(|object| object.get::<Column>().is_some());
    let shadows = columns.map(|column| Shadow::of(&column.address));
    let is_left = |shadow: &Shadow| {
        let namespace = shadow.column.namespace();
        functions.iter().any(|a| shadow.is_function(a) && a.namespace() == namespace)
    };
    shadows.filter(is_left).collect()
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
