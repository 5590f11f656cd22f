//! What a child has from its parents.

use std::collections::BTreeSet;
use std::sync::Arc;

use reconcile_catalog::{Address, Catalog, Object, Tuned};
use reconcile_sql::QName;

use super::{Inheritance, of, parents};
use crate::column::{Column, NotNull};
use crate::constraint::{Constraint, Rule};
use crate::model::{joined, object_name};
use crate::table::Table;

/// What has to be there before a table can be made a child: the parents with all that children
/// have from them, and the same in the child.
pub(crate) fn needs(
    table: &Address,
    inheritance: &Inheritance,
    catalog: &Catalog,
) -> BTreeSet<Address> {
    let tables = inheritance.parents.iter().map(Table::address).chain([table.clone()]);
    let tables: Vec<Address> = tables.collect();
    let parts = tables.iter().flat_map(|t| catalog.children(t)).filter(|o| {
        o.get::<Column>().is_some()
            || o.get::<Constraint>().is_some_and(|c| match c.rule {
                Rule::Check { .. } => true,
                // Keys are matched with those of a partitioned table only.
                Rule::PrimaryKey { .. } | Rule::Unique { .. } | Rule::Other { .. } => {
                    inheritance.is_partition()
                }
                Rule::ForeignKey { .. } => false,
            })
    });
    let parts: BTreeSet<Address> = parts.map(|o| o.address.clone()).collect();
    parts.into_iter().chain(tables).collect()
}

/// The column that a child has from its parents, if it states nothing of its own.
///
/// As `MergeAttributes` (`src/backend/commands/tablecmds.c`) has it: the first parent's, not null if
/// any of them is. Identity is the parent's alone, or follows from it in a partition. NOT NULL is
/// called as the parent's (`AddRelationNotNullConstraints`, `src/backend/catalog/heap.c`).
pub(crate) fn column(table: &Address, name: &str, catalog: &Catalog) -> Option<Column> {
    let theirs = parents(table, catalog)
        .iter()
        .filter_map(|parent| {
            catalog.definition::<Column>(&Column::address(&Table::address(parent), name))
        })
        .collect::<Vec<&Column>>();
    let first = *theirs.first()?;
    let forbids = |c: &&&Column| {
        !c.nullable && c.not_null.as_ref().is_none_or(|constraint| !constraint.no_inherit)
    };
    let forbidding = theirs.iter().find(forbids);
    Some(Column {
        nullable: forbidding.is_none(),
        not_null: forbidding.and_then(|c| c.not_null.clone()),
        identity: None,
        inherited: true,
        local: false,
        ..first.clone()
    })
}

/// Adds to a model's catalog what children have from their parents, parents first.
pub(crate) fn add(catalog: &mut Catalog) {
    let mut waiting: Vec<Address> = catalog
        .objects()
        .filter(|o| o.get::<Inheritance>().is_some())
        .filter_map(|o| o.parent.clone())
        .collect();
    while !waiting.is_empty() {
        let (ready, later): (Vec<_>, Vec<_>) = waiting.iter().cloned().partition(|table| {
            parents(table, catalog).iter().all(|p| !waiting.contains(&Table::address(p)))
        });
        // A circle is PostgreSQL's to refuse.
        let ready = if ready.is_empty() { std::mem::take(&mut waiting) } else { ready };
        waiting = if waiting.is_empty() { Vec::new() } else { later };
        for table in ready {
            child(&table, catalog);
        }
    }
}

fn child(table: &Address, catalog: &mut Catalog) {
    let Some(inheritance) = of(table, catalog).cloned() else { return };
    let above: Vec<Address> = inheritance.parents.iter().map(Table::address).collect();
    columns(table, &above, inheritance.is_partition(), catalog);
    constraints(table, &above, &inheritance.parents, catalog);
    let needs = needs(table, &inheritance, catalog);
    for needed in needs {
        catalog.depend(&Inheritance::address(table), &needed);
    }
    for parent in &above {
        catalog.depend(table, parent);
    }
}

/// The columns of the parents, in their order, with what the child says of them; then its own.
fn columns(table: &Address, above: &[Address], partition: bool, catalog: &mut Catalog) {
    let in_order = |of: &Address, catalog: &Catalog| {
        let mut names: Vec<(i32, String)> = catalog
            .children(of)
            .filter_map(|o| Some((o.get::<Column>()?.position, o.address.name().to_owned())))
            .collect();
        names.sort();
        names.into_iter().map(|(_, name)| name).collect::<Vec<String>>()
    };
    let mut names: Vec<String> = Vec::new();
    for name in above.iter().chain([table]).flat_map(|t| in_order(t, catalog)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    for (name, position) in names.iter().zip(1..) {
        let address = Column::address(table, name);
        let theirs: Vec<Address> = above
            .iter()
            .map(|parent| Column::address(parent, name))
            .filter(|a| catalog.contains(a))
            .collect();
        let from_parent = column(table, name, catalog);
        let stated = catalog.definition::<Column>(&address).cloned();
        let definition = match (stated, from_parent) {
            // A partition has no columns of its own, and what else it says is its own affair.
            (Some(own), Some(implied)) => {
                let local = own.local && !partition;
                let not_null = own.not_null.filter(|_| partition || implied.nullable);
                Column { inherited: true, local, position, not_null, ..own }
            }
            (Some(own), None) => Column { position, ..own },
            (None, Some(implied)) => {
                // A child that was attached may call it otherwise: only a complete model speaks of it.
                // Of a plain child nobody does: nothing renames an inherited constraint there.
                let silent = |own: NotNull| NotNull { name: Tuned::silent(own.name.value), ..own };
                let not_null = implied.not_null.filter(|_| partition).map(silent);
                Column { position, not_null, ..implied }
            }
            (None, None) => continue,
        };
        put(&address, table, definition, theirs, catalog);
    }
}

fn put(
    address: &Address,
    table: &Address,
    column: Column,
    theirs: Vec<Address>,
    catalog: &mut Catalog,
) {
    if !catalog.contains(address) {
        let object = Object::new(address.clone(), Some(table.clone()), Arc::new(column));
        let _ = catalog.insert(object); // It is not there.
    } else {
        catalog.redefine(address, Arc::new(column));
    }
    for parent in theirs {
        catalog.depend(address, &parent);
    }
}

/// Checks by their names; the keys of a partitioned table by what they are, since PostgreSQL chooses
/// their names in each partition.
fn constraints(table: &Address, above: &[Address], parents: &[QName], catalog: &mut Catalog) {
    let theirs: Vec<(Address, Constraint)> = above
        .iter()
        .flat_map(|parent| catalog.children(parent))
        .filter_map(|o| Some((o.address.clone(), o.get::<Constraint>()?.clone())))
        .collect();
    for (source, constraint) in theirs {
        let (name, unnamed) = match &constraint.rule {
            Rule::Check { no_inherit: false, .. } => (source.name().to_owned(), false),
            Rule::PrimaryKey { .. } | Rule::Unique { .. } | Rule::ForeignKey { .. }
                if partitioned(parents, catalog) =>
            {
                (implied_name(table, &constraint.rule, &source), true)
            }
            _ => continue,
        };
        let address = Constraint::address(table, &name);
        let like_it = catalog
            .children(table)
            .any(|o| o.get::<Constraint>().is_some_and(|c| unnamed && c.rule == constraint.rule));
        if catalog.contains(&address) || like_it {
            continue;
        }
        let implied = Constraint { inherited: true, local: false, ..constraint };
        let mut object = Object::new(address.clone(), Some(table.clone()), Arc::new(implied));
        object.unnamed = unnamed;
        let _ = catalog.insert(object); // It is not there.
        catalog.depend(&address, &source);
    }
}

fn partitioned(parents: &[QName], catalog: &Catalog) -> bool {
    parents.iter().any(|parent| {
        let table = catalog.definition::<Table>(&Table::address(parent));
        table.is_some_and(|t| t.partition_key.is_some())
    })
}

/// The name that PostgreSQL gives the copy of a key; any other is as right.
fn implied_name(table: &Address, rule: &Rule, source: &Address) -> String {
    match rule {
        Rule::PrimaryKey { .. } => object_name(table.name(), None, "pkey"),
        Rule::Unique { columns, .. } => object_name(table.name(), Some(&joined(columns)), "key"),
        _ => source.name().to_owned(),
    }
}
