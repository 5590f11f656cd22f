//! The indexes that partitions have because their parent has one.

use std::sync::Arc;

use reconcile_catalog::{Address, Object};
use reconcile_sql::QName;

use super::super::names::of_keys;
use super::super::{Attached, Index, partitions};
use crate::inheritance::Inheritance;
use crate::model::{ModelReader, joined};
use crate::table::{Table, relation};

/// Adds the part that each stated partition has of each index of its parent, unless the model states
/// it itself. Names are PostgreSQL's choice.
pub(super) fn add(reader: &mut ModelReader<'_>) {
    let mut queue: Vec<Address> = partitioned(reader).collect();
    queue.sort_by_key(|index| (reader.place(index).file, reader.place(index).start));
    queue.reverse();
    while let Some(parent) = queue.pop() {
        let table = super::super::table_of(&parent);
        for partition in partitions(&table, reader.catalog()) {
            // The parent's index finds all partitions attached.
            let root = root(&parent, reader);
            reader.depend(&root, &partition);
            reader.depend(&root, &Inheritance::address(&partition));
            let part = stated(&parent, &partition, reader);
            let part = part.or_else(|| derive(&parent, &partition, reader));
            if let Some(part) = part {
                reader.depend(&part, &parent);
                queue.push(part);
            }
        }
    }
}

/// The indexes of partitioned tables that are no parts themselves.
fn partitioned<'r>(reader: &'r ModelReader<'_>) -> impl Iterator<Item = Address> + 'r {
    let top = |o: &&Object| o.get::<Index>().is_some_and(|i| i.attached_to.is_none());
    let of_partitioned = |o: &&Object| {
        let table = o.parent.as_ref().and_then(|p| reader.catalog().definition::<Table>(p));
        table.is_some_and(|t| t.partition_key.is_some())
    };
    let indexes = reader.catalog().objects().filter(top).filter(of_partitioned);
    indexes.map(|o| o.address.clone())
}

fn root(index: &Address, reader: &ModelReader<'_>) -> Address {
    let mut at = index.clone();
    while let Some(parent) =
        reader.catalog().definition::<Index>(&at).and_then(|i| i.attached_to.as_ref())
    {
        at = parent.address();
    }
    at
}

/// The part that the model states for a partition.
fn stated(parent: &Address, partition: &Address, reader: &ModelReader<'_>) -> Option<Address> {
    let part = |o: &&Object| {
        let attached = o.get::<Index>().and_then(|i| i.attached_to.as_ref());
        attached.is_some_and(|a| a.address() == *parent)
    };
    reader.catalog().children(partition).find(part).map(|o| o.address.clone())
}

fn derive(parent: &Address, partition: &Address, reader: &mut ModelReader<'_>) -> Option<Address> {
    let whole = reader.catalog().get(parent)?.clone();
    let index: &Index = whole.get()?;
    let attached_to = Attached { table: relation(parent), index: parent.name().to_owned() };
    let part = Index { attached_to: Some(attached_to), ..index.clone() };
    let keys = joined(&of_keys(&part));
    let name = reader.generate(partition.namespace(), partition.name(), Some(&keys), "idx");
    let address = Index::address(partition, &name);
    let mut object = Object::new(address.clone(), Some(partition.clone()), Arc::new(part));
    object.depends_on.extend([parent.clone(), partition.clone()]);
    object.unnamed = true;
    let span = reader.place(parent);
    if !reader.declare(object, span) {
        return None;
    }
    reader.claim(QName::new(partition.namespace(), name));
    Some(address)
}
