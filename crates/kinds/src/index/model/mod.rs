//! `indexes:` in a table.

mod key;
mod write;

use std::collections::BTreeSet;
use std::sync::Arc;

use reconcile_catalog::{Address, Object};
use reconcile_sql::QName;
use reconcile_yaml::{Entry, Node, Problem, Value};

use super::{Index, Key, KeyPart};
use crate::column::Column;
use crate::materialized_view::model::MATERIALIZED_VIEW;
use crate::model::{
    At, Field, Form, Item, ModelPart, ModelReader, Shape, WriteCx, Written, columns_in, joined,
};
use crate::table::model::TABLE;

/// An index in a model.
pub static INDEX: Form = Form::new("index", "an index");

/// Indexes in a model.
pub struct IndexModel;

static FIELDS: [Field; 11] = [
    Field::section(
        &[&TABLE, &MATERIALIZED_VIEW],
        "indexes",
        Shape::Named(&Shape::OneOf(&[Shape::List(&Shape::Text), Shape::Object(&INDEX)])),
        "Indexes: by name or as a list, each a list of keys or a mapping.",
    ),
    Field::new(
        &[&INDEX],
        "columns",
        Shape::List(&Shape::Text),
        "Its keys: a column, a column with DESC, NULLS FIRST or an operator class, or an (expression).",
    )
    .required(),
    Field::new(&[&INDEX], "unique", Shape::Flag, "Whether it is unique."),
    Field::new(&[&INDEX], "using", Shape::Name, "Its access method; btree if left out."),
    Field::new(&[&INDEX], "include", Shape::Names, "Further columns that it holds (INCLUDE)."),
    Field::new(&[&INDEX], "where", Shape::Text, "The SQL condition of a partial index."),
    Field::new(&[&INDEX], "with", Shape::Settings, "Storage parameters: {fillfactor: 70}."),
    Field::new(
        &[&INDEX],
        "nulls_not_distinct",
        Shape::Flag,
        "Whether two nulls count as equal in a unique index (PostgreSQL 15).",
    ),
    Field::new(&[&INDEX], "name", Shape::Name, "Its name, for a definition in a list."),
    Field::renamed_from(&[&INDEX]),
    Field::absent(&[&INDEX]),
];

impl ModelPart for IndexModel {
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
        reader.manage(table, field.name);
        for item in reader.items(&entry.value) {
            index(table, &item, reader);
        }
    }

    fn write(&self, object: &Object, cx: &WriteCx<'_>) -> Option<Written> {
        write::write(object, cx)
    }
}

fn index<'a>(table: &Address, item: &Item<'a>, reader: &mut ModelReader<'a>) {
    let node = item.node;
    let nameless = |what: &str, reader: &mut ModelReader<'a>| {
        let problem = Problem::new("name", format!("{what} needs the name of the index"));
        reader.problem(
            problem.at(item.span, "no name").help("turn the list into a mapping, or add `name:`"),
        );
    };
    if node.get("absent").and_then(Node::flag) == Some(true) {
        let Some(name) = &item.name else { return nameless("`absent: true`", reader) };
        reader.absent(node, &Index::address(table, name), item.span);
        return;
    }
    let list = node.get("columns").unwrap_or(node);
    let Some(keys) = keys(list, table, reader) else { return };
    let Some(include) =
        node.get("include").map_or(Some(Vec::new()), |list| reader.column_list(list, table))
    else {
        return;
    };
    let flag = |key: &str| node.get(key).and_then(Node::flag).unwrap_or(false);
    let index = Index {
        method: node
            .get("using")
            .and_then(|n| reader.name_of(n))
            .unwrap_or_else(|| "btree".to_owned()),
        unique: flag("unique"),
        nulls_not_distinct: flag("nulls_not_distinct"),
        predicate: node.get("where").and_then(|node| reader.expression(node)),
        options: node.get("with").map(options),
        keys,
        include,
        valid: true,
        inherited: false,
        clustered: false,
        replica_identity: false,
        definition: None,
    };
    if index.nulls_not_distinct && !index.unique {
        let at = node.entry("nulls_not_distinct").map_or(node.span, |e| e.key.span);
        let problem =
            Problem::new("contradiction", "`nulls_not_distinct` of an index that is not unique");
        reader.problem(
            problem.at(at, "nothing is compared").help("add `unique: true`, or remove it"),
        );
    }
    let depends_on = depends_on(&index, table, reader);
    let stated = item.name.clone();
    let name = stated.unwrap_or_else(|| {
        reader.generate(table.namespace(), table.name(), Some(&joined(&key_names(&index))), "idx")
    });
    let address = Index::address(table, &name);
    let mut object = Object::new(address.clone(), Some(table.clone()), Arc::new(index));
    object.depends_on = depends_on;
    object.unnamed = item.name.is_none();
    object.renamed_from = reader.renamed_from(node);
    let unnamed = object.unnamed;
    if !reader.declare(object, item.span) {
        return;
    }
    reader.claim_relation(QName::new(table.namespace(), name), item.span);
    if unnamed && node.get("comment").is_some() {
        return nameless("a comment", reader);
    }
    reader.sections(&INDEX, &address, node);
}

fn keys(list: &Node, table: &Address, reader: &mut ModelReader<'_>) -> Option<Vec<Key>> {
    if list.items().is_empty() && matches!(list.value, Value::Sequence(_)) {
        let problem = Problem::new("columns", "an index needs a column");
        reader.problem(problem.at(list.span, "none here").help("name its columns: [id]"));
    }
    let keys: Option<Vec<Key>> =
        list.items().iter().map(|item| key::parse(item, table, reader)).collect();
    keys.filter(|keys| !keys.is_empty())
}

/// `name=value`, as pg_class has it.
fn options(node: &Node) -> Vec<String> {
    let scalar =
        |entry: &Entry| entry.value.scalar().map(|s| format!("{}={}", entry.key.text, s.text));
    node.entries().iter().filter_map(scalar).collect()
}

fn depends_on(index: &Index, table: &Address, reader: &ModelReader<'_>) -> BTreeSet<Address> {
    let columns = reader.columns(table).unwrap_or_default();
    let in_text = |text: &str| {
        columns_in(text, table.name(), columns).into_iter().cloned().collect::<Vec<_>>()
    };
    let of_keys = index.keys.iter().flat_map(|key| match &key.what {
        KeyPart::Column(name) => vec![name.clone()],
        KeyPart::Expression(text) => in_text(text),
    });
    let names = of_keys
        .chain(index.include.iter().cloned())
        .chain(index.predicate.iter().flat_map(|p| in_text(p)));
    names.map(|name| Column::address(table, name.as_str())).collect()
}

/// What the columns of the index are called in the index itself (`ChooseIndexColumnNames`,
/// `src/backend/commands/indexcmds.c`): an expression by its function, else `expr`.
fn key_names(index: &Index) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let of_key = |key: &Key| match &key.what {
        KeyPart::Column(name) => name.clone(),
        KeyPart::Expression(text) => key::figure_name(text).unwrap_or_else(|| "expr".to_owned()),
    };
    for name in index.keys.iter().map(of_key).chain(index.include.iter().cloned()) {
        let numbered = (1..).map(|n| format!("{name}{n}"));
        let free = std::iter::once(name.clone()).chain(numbered).find(|name| !out.contains(name));
        out.extend(free);
    }
    out
}
