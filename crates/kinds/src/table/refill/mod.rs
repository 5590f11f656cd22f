//! What PostgreSQL does not alter about a table: by what it is partitioned, and the types of that.
//!
//! The rows are put aside, the table goes with its partitions, is made as it shall be, and gets its
//! rows back, all in one transaction in which nobody else sees the table.
//!
//! Invariant: as many rows come back as were there, with the values that they had; what does not
//! fit stops the transaction.

mod steps;

use reconcile_catalog::{Address, Catalog, Object, PropertyChange};
use reconcile_sql::SqlType;
use reconcile_sql::lex::significant;

use super::{Table, relation};
use crate::column::Column;
use crate::constraint::table_of;
use crate::inheritance::{self, Inheritance};
use crate::{Alteration, Cx, Replacement, registry, user_type};

/// The partition key that reads a live column.
pub(crate) fn key_with<'a>(column: &Address, cx: &Cx<'a>) -> Option<&'a str> {
    let key = cx.live.definition::<Table>(&table_of(column))?.partition_key.as_deref()?;
    let reads = significant(key).iter().any(|t| t.ident().as_deref() == Some(column.name()));
    reads.then_some(key)
}

/// Whether a partition key reads a live column, here or in a partition.
pub(crate) fn is_key(column: &Address, cx: &Cx<'_>) -> bool {
    let mut tables = vec![table_of(column)];
    while let Some(table) = tables.pop() {
        if key_with(&Column::address(&table, column.name()), cx).is_some() {
            return true;
        }
        tables.extend(partitions(&table, cx.live));
    }
    false
}

/// The live tables whose partition keys read a column of a type.
pub(crate) fn keyed_by(ty: &Object, cx: &Cx<'_>) -> Vec<Address> {
    let columns = cx.live.dependents(&ty.address).filter(|o| {
        o.get::<Column>().is_some_and(|c| user_type::makes(ty, &c.ty)) && is_key(&o.address, cx)
    });
    columns.map(|o| table_of(&o.address)).collect()
}

fn partitions(table: &Address, catalog: &Catalog) -> Vec<Address> {
    let name = relation(table);
    let of = |o: &Object| {
        let theirs = o.get::<Inheritance>()?;
        (theirs.is_partition() && theirs.parents.contains(&name)).then(|| o.address.target())?
    };
    let mut found: Vec<Address> = catalog.dependents(table).filter_map(of).collect();
    found.sort();
    found.dedup();
    found
}

/// A table that is made anew, with its partitions.
#[derive(Clone, Debug)]
pub struct Refilling {
    /// The live table.
    pub live: Address,
    /// The table as it shall be.
    pub desired: Address,
    /// The live tables that go: itself and its partitions, but for those that leave it.
    pub gone: Vec<Address>,
    /// The tables that are made: itself and its partitions, but for those that join it with rows
    /// of their own.
    pub made: Vec<Address>,
    /// The live tables whose rows are kept.
    sources: Vec<Address>,
    /// The live tables that the model does not want any more: their rows go where others take them.
    shed: Vec<Address>,
    /// Whether these are all that it has.
    whole: bool,
}

/// What has to be made anew for a live table; nothing if it does not stay.
pub fn refilling(table: &Address, cx: &Cx<'_>) -> Option<Refilling> {
    let wanted = |live: &Address| cx.fates.desired.get(live).cloned();
    let mut live = table.clone();
    while let Some(inheritance) = inheritance::of(&live, cx.live).filter(|i| i.is_partition()) {
        let above = inheritance.parents.first().map(Table::address)?;
        let parent =
            wanted(&live).and_then(|d| inheritance::parents(&d, cx.desired).first().cloned());
        let stays = parent.is_some() && parent.map(|p| Table::address(&p)) == wanted(&above);
        if !stays {
            break;
        }
        live = above;
    }
    let desired = wanted(&live)?;
    let key = |table: &Address, catalog: &Catalog| {
        catalog.definition::<Table>(table).and_then(|t| t.partition_key.clone())
    };
    let after = key(&desired, cx.desired);
    // Of a partition that goes, the rows stay that another one takes.
    let sheds = after.is_some();
    let (mut gone, mut sources, mut shed) = <(Vec<Address>, Vec<Address>, Vec<Address>)>::default();
    let mut whole = true;
    let mut queue = vec![(live.clone(), true)];
    while let Some((next, kept)) = queue.pop() {
        if key(&next, cx.live).is_none() {
            if kept { &mut sources } else { &mut shed }.push(next.clone());
        }
        for partition in partitions(&next, cx.live) {
            match wanted(&partition) {
                Some(d) if is_within(&d, &desired, cx.desired) => queue.push((partition, kept)),
                Some(_) => whole = false,
                None if cx.fates.gone.contains(&partition) => {
                    whole &= kept && !sheds;
                    queue.push((partition, kept && !sheds));
                }
                None => return None, // Nobody says what becomes of it.
            }
        }
        gone.push(next);
    }
    let mut made = Vec::new();
    let mut queue = vec![desired.clone()];
    while let Some(next) = queue.pop() {
        let joins = cx.fates.live.get(&next).is_some_and(|there| !gone.contains(there));
        if !joins {
            queue.extend(partitions(&next, cx.desired));
            made.push(next);
        }
    }
    for tables in [&mut gone, &mut made, &mut sources, &mut shed] {
        tables.sort();
    }
    Some(Refilling { live, desired, gone, made, sources, shed, whole })
}

/// Whether a table is a partition of another one, or of one of its partitions.
fn is_within(table: &Address, root: &Address, catalog: &Catalog) -> bool {
    let mut at = table.clone();
    for _ in 0..catalog.len() {
        if at == *root {
            return true;
        }
        let above = inheritance::of(&at, catalog).filter(|i| i.is_partition());
        match above.and_then(|i| i.parents.first()) {
            Some(parent) => at = Table::address(parent),
            None => return false,
        }
    }
    false
}

/// Whether values of a type go over as text: the plan puts another type in its place.
pub(crate) fn as_text(ty: &SqlType, cx: &Cx<'_>) -> Option<Address> {
    ty.namespace.as_ref()?;
    let live = cx.live.objects().find(|o| o.definition.is_type() && user_type::makes(o, ty))?;
    let address = &live.address;
    let exchanged = || {
        let desired = cx.desired.get(cx.fates.desired.get(address)?)?;
        let there = live.definition.properties();
        let differ = desired.definition.properties().into_iter().zip(there).filter_map(|(d, l)| {
            let (name, desired, live) = (d.name, d.value, l.value);
            (desired != live).then_some(PropertyChange { name, live, desired, proven: true })
        });
        let properties: Vec<PropertyChange> = differ.collect();
        let change = Alteration { live, desired, properties: &properties };
        let kind = registry::kind(address.kind())?;
        (kind.replacement(&change, cx) == Replacement::Exchanged).then_some(())
    };
    let goes = cx.fates.gone.contains(address);
    let changes = cx.fates.altered.contains_key(address) && exchanged().is_some();
    (goes || changes).then(|| address.clone())
}
