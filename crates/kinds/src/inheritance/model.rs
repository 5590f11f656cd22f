//! `inherits:` and `partition_of:` in a table.

use std::sync::Arc;

use reconcile_catalog::{Address, Object};
use reconcile_sql::QName;
use reconcile_yaml::{Entry, Node, Out, Problem};

use super::{Inheritance, bound};
use crate::model::{At, Field, ModelPart, ModelReader, Shape, WriteCx, Written};
use crate::namespace::Namespace;
use crate::table::Table;
use crate::table::model::TABLE;

/// Parents of tables in a model.
pub struct InheritanceModel;

static FIELDS: [Field; 3] = [
    Field::section(
        &[&TABLE],
        "inherits",
        Shape::Names,
        "The tables that it inherits from; what comes from them need not be stated.",
    ),
    Field::section(
        &[&TABLE],
        "partition_of",
        Shape::OneOf(&[Shape::Null, Shape::Text]),
        "The partitioned table that it is a partition of, with `bound`; empty: of none.",
    ),
    Field::new(
        &[&TABLE],
        "bound",
        Shape::Text,
        "Which rows a partition takes: FOR VALUES FROM (…) TO (…), FOR VALUES IN (…), DEFAULT.",
    ),
];

impl ModelPart for InheritanceModel {
    fn fields(&self) -> &'static [Field] {
        &FIELDS
    }

    fn read<'a>(
        &self,
        field: &'static Field,
        entry: &'a Entry,
        at: &At<'a>,
        reader: &mut ModelReader<'a>,
    ) {
        let Some(table) = &at.address else { return };
        let address = Inheritance::address(table);
        let none = entry.value.is_null() || entry.value.items().is_empty();
        if field.name == "inherits" {
            if none {
                return reader.forbid(address, entry.key.span);
            }
            let names = entry.value.items().iter().map(|item| name(item, reader));
            let Some(parents) = names.collect::<Option<Vec<QName>>>() else { return };
            return declare(table, Inheritance { parents, bound: None }, entry, reader);
        }
        if entry.value.is_null() {
            return reader.forbid(address, entry.key.span);
        }
        if let Some(other) = at.node.entry("inherits") {
            let problem = Problem::new("contradiction", "a partition inherits from nothing else");
            let problem = problem.at(other.key.span, "this").at(entry.key.span, "and this");
            return reader.problem(problem.help("keep one of the two"));
        }
        let Some(parent) = name(&entry.value, reader) else { return };
        let Some(stated) = at.node.get("bound") else {
            let problem = Problem::new("bound", "which rows this partition takes is not stated");
            let help = "add `bound: FOR VALUES …`, or `bound: DEFAULT`";
            return reader.problem(problem.at(entry.key.span, "no `bound` beside this").help(help));
        };
        let Some(text) = reader.expression(stated) else { return };
        if bound::parse(&text).is_none() {
            let problem = Problem::new("bound", "this is no bound of a partition");
            let help = "write FOR VALUES FROM (…) TO (…), FOR VALUES IN (…), FOR VALUES WITH \
                        (modulus …, remainder …) or DEFAULT";
            return reader.problem(problem.at(stated.span, "not understood").help(help));
        }
        let inheritance = Inheritance { parents: vec![parent], bound: Some(text) };
        declare(table, inheritance, entry, reader);
    }

    /// The table itself says it: see [`entries`].
    fn write(&self, _: &Object, _: &WriteCx<'_>) -> Option<Written> {
        None
    }
}

fn name(node: &Node, reader: &mut ModelReader<'_>) -> Option<QName> {
    let text = node.text()?.to_owned();
    reader.qualified(&text, node.span)
}

fn declare(table: &Address, inheritance: Inheritance, entry: &Entry, reader: &mut ModelReader<'_>) {
    let address = Inheritance::address(table);
    let parents = inheritance.parents.iter();
    let needed: Vec<Address> = parents
        .flat_map(|parent| [Table::address(parent), Namespace::address(&parent.namespace)])
        .collect();
    let mut object = Object::new(address, Some(table.clone()), Arc::new(inheritance));
    object.depends_on.extend(needed);
    reader.declare(object, entry.key.span);
}

/// What a model says of the parents of a table, in the table's own mapping.
pub(crate) fn entries(table: &Address, cx: &WriteCx<'_>) -> Vec<(&'static str, Out)> {
    let Some(Inheritance { parents, bound }) = super::of(table, cx.catalog) else {
        return Vec::new();
    };
    match (bound, parents.first()) {
        (Some(bound), Some(parent)) => {
            vec![("partition_of", Out::Text(cx.name(parent))), ("bound", Out::text(bound))]
        }
        _ => vec![("inherits", Out::words(parents.iter().map(|p| cx.name(p))))],
    }
}
