//! `tables:` at the top of a file.

use std::sync::Arc;

use reconcile_catalog::{Address, Object};
use reconcile_sql::QName;
use reconcile_yaml::{Entry, Node, Out, Problem};

use super::{Table, partition_key};
use crate::column::Column;
use crate::inheritance;
use crate::model::{At, FILE, Field, Form, ModelPart, ModelReader, Shape, WriteCx, Written};
use crate::storage;

/// A table in a model.
pub static TABLE: Form = Form::new("table", "a table");

/// Tables in a model.
pub struct TableModel;

static FIELDS: [Field; 10] = [
    Field::section(
        &[&FILE],
        "tables",
        Shape::Map(&Shape::Object(&TABLE)),
        "Tables by name; `namespace.name` for one outside the file's namespace.",
    ),
    Field::new(
        &[&TABLE],
        "partition_by",
        Shape::Text,
        "What it is partitioned by: RANGE (created_at), LIST (country), HASH (id).",
    ),
    Field::new(
        &[&TABLE],
        "unlogged",
        Shape::Flag,
        "Whether it is UNLOGGED: faster, and empty after a crash.",
    ),
    Field::new(
        &[&TABLE],
        "with",
        Shape::Settings,
        "Storage parameters: {fillfactor: 70, toast.autovacuum_enabled: false}.",
    ),
    Field::new(&[&TABLE], "tablespace", Shape::Name, "The tablespace, if not the database's own."),
    Field::new(&[&TABLE], "access_method", Shape::Name, "The access method, if it is not heap."),
    Field::new(&[&TABLE], "row_security", Shape::Flag, "Whether row security is enabled."),
    Field::new(
        &[&TABLE],
        "force_row_security",
        Shape::Flag,
        "Whether row security holds for the owner too.",
    ),
    Field::renamed_from(&[&TABLE]),
    Field::absent(&[&TABLE]),
];

impl ModelPart for TableModel {
    fn fields(&self) -> &'static [Field] {
        &FIELDS
    }

    fn read<'a>(
        &self,
        _: &'static Field,
        entry: &'a Entry,
        _: &At<'a>,
        reader: &mut ModelReader<'a>,
    ) {
        for Entry { key, value } in entry.value.entries() {
            let Some(name) = reader.qualified(&key.text, key.span) else { continue };
            let address = Table::address(&name);
            if reader.absent(value, &address, key.span) {
                continue;
            }
            let table = table(value, reader);
            let key_text = table.partition_key.clone();
            let mut object = Object::new(address.clone(), None, Arc::new(table));
            object.depends_on.insert(reader.in_namespace(&name.namespace, key.span));
            object.renamed_from = reader.renamed_from(value);
            if !reader.declare(object, key.span) {
                continue;
            }
            if let Some(text) = key_text {
                reader.mention(&address, &text);
            }
            reader.claim_relation(QName::new(&name.namespace, &name.name), key.span);
            reader.sections(&TABLE, &address, value);
        }
    }

    fn types(&self, _: &'static Field, name: &QName, _: &Node) -> Vec<(QName, Address)> {
        vec![(name.clone(), Table::address(name))]
    }

    fn write(&self, object: &Object, cx: &WriteCx<'_>) -> Option<Written> {
        let table: &Table = object.get()?;
        let has_columns = cx.catalog.children(&object.address).any(|o| o.get::<Column>().is_some());
        let child = inheritance::of(&object.address, cx.catalog).is_some();
        let none = (!has_columns && !child).then(|| Out::Map(Vec::new()));
        let text = |value: &Option<String>| value.as_ref().map(Out::text);
        let mut written = Written::root("tables", object, cx);
        written.entries.extend(inheritance::model::entries(&object.address, cx));
        Some(
            written
                .with_some("partition_by", text(&table.partition_key))
                .with_flag("unlogged", table.unlogged == Some(true))
                .with_some("with", table.with.as_ref().and_then(storage::to_out))
                .with_some("tablespace", text(&table.tablespace))
                .with_some("access_method", text(&table.access_method))
                .with_flag("row_security", table.row_security == Some(true))
                .with_flag("force_row_security", table.force_row_security == Some(true))
                .with_some("columns", none),
        )
    }

    fn has_own_file(&self) -> bool {
        true
    }
}

/// What a model says of the table itself.
fn table(node: &Node, reader: &mut ModelReader<'_>) -> Table {
    let flag = |key: &str| node.get(key).and_then(Node::flag);
    let partition_key = node.get("partition_by").and_then(|by| {
        let text = reader.expression(by)?;
        if partition_key::parse(&text).is_none() {
            let problem = Problem::new("partition_by", "this is no partition key");
            let help = "write RANGE (…), LIST (…) or HASH (…) around columns or (expressions)";
            reader.problem(problem.at(by.span, "not understood").help(help));
        }
        Some(text)
    });
    let name = |key: &str, reader: &mut ModelReader<'_>| {
        node.get(key).and_then(|named| reader.name_of(named))
    };
    Table {
        partition_key,
        unlogged: flag("unlogged"),
        with: node.get("with").map(storage::from_node),
        tablespace: name("tablespace", reader),
        access_method: name("access_method", reader),
        row_security: flag("row_security"),
        force_row_security: flag("force_row_security"),
        whole: false,
    }
}
