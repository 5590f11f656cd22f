//! `indexes:` in a table.

mod key;
mod parts;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use reconcile_catalog::{Address, Object};
use reconcile_sql::QName;
use reconcile_yaml::{Entry, Node, Problem, Value};

use super::names::of_keys;
use super::{Attached, Index, Key, KeyPart, partition_of};
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

static FIELDS: [Field; 14] = [
    Field::section(
        &[&TABLE, &MATERIALIZED_VIEW],
        "indexes",
        Shape::Named(&Shape::OneOf(&[Shape::List(&Shape::Text), Shape::Object(&INDEX)])),
        "Indexes: by name or as a list, each a list of keys or a mapping.",
    )
    .late(),
    Field::new(
        &[&INDEX],
        "columns",
        Shape::List(&Shape::Text),
        "Its keys: a column, a function call or an (expression), with COLLATE, an operator class, DESC, NULLS FIRST.",
    )
    .required(),
    Field::new(&[&INDEX], "unique", Shape::Flag, "Whether it is unique."),
    Field::new(&[&INDEX], "using", Shape::Name, "Its access method; btree if left out."),
    Field::new(&[&INDEX], "include", Shape::Names, "Further columns that it holds (INCLUDE)."),
    Field::new(&[&INDEX], "where", Shape::Text, "The SQL condition of a partial index."),
    Field::new(&[&INDEX], "with", Shape::Settings, "Storage parameters: {fillfactor: 70}."),
    Field::new(
        &[&INDEX],
        "tablespace",
        Shape::Name,
        "Its tablespace, if it is not the database's own.",
    ),
    Field::new(
        &[&INDEX],
        "statistics",
        Shape::Settings,
        "Statistics targets of keys that are expressions, by the number of the key: {2: 500}.",
    ),
    Field::new(
        &[&INDEX],
        "attached_to",
        Shape::Name,
        "Of a partition: the parent's index that it is a part of; needed only for a name or a definition of its own.",
    ),
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

    fn finish(&self, reader: &mut ModelReader<'_>) {
        parts::add(reader);
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
        options: node.get("with").map(options).unwrap_or_default(),
        tablespace: node.get("tablespace").and_then(|n| reader.name_of(n)),
        statistics: statistics(node, keys.len(), reader),
        attached_to: attached_to(node, table, reader),
        keys,
        include,
        valid: true,
        clustered: false,
        replica_identity: false,
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
        reader.generate(table.namespace(), table.name(), Some(&joined(&of_keys(&index))), "idx")
    });
    let address = Index::address(table, &name);
    let mut object = Object::new(address.clone(), Some(table.clone()), Arc::new(index));
    object.depends_on = depends_on;
    object.unnamed = item.name.is_none();
    object.renamed_from = reader.renamed_from(node);
    let unnamed = object.unnamed;
    let texts: Vec<String> = object.get::<Index>().map(texts).unwrap_or_default();
    if !reader.declare(object, item.span) {
        return;
    }
    texts.iter().for_each(|text| reader.mention(&address, text));
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

/// `statistics: {2: 500}`
fn statistics(node: &Node, keys: usize, reader: &mut ModelReader<'_>) -> BTreeMap<u16, i32> {
    let mut out = BTreeMap::new();
    for Entry { key, value } in node.get("statistics").map_or(&[][..], Node::entries) {
        let number = key.text.parse::<u16>().ok().filter(|n| (1..=keys).contains(&usize::from(*n)));
        let target = value.scalar().and_then(|s| s.text.parse::<i32>().ok());
        match number.zip(target.filter(|t| (0..=10_000).contains(t))) {
            Some((number, target)) => {
                out.insert(number, target);
            }
            None => {
                let problem = Problem::new("wrong_value", "no statistics target of a key");
                let help = "write the number of the key and a target from 0 to 10000: {1: 500}";
                reader.problem(problem.at(key.span, "this one").help(help));
            }
        }
    }
    out
}

/// The index of the partitioned parent that an index says it is a part of.
fn attached_to(node: &Node, table: &Address, reader: &mut ModelReader<'_>) -> Option<Attached> {
    let stated = node.get("attached_to")?;
    let index = reader.name_of(stated)?;
    let parent = partition_of(table, reader.catalog()).cloned();
    if parent.is_none() {
        let message = format!("table `{}` is no partition", table.short());
        let problem = Problem::new("attached_to", message).at(stated.span, "attached to nothing");
        reader.problem(problem.help("say of which table it is a partition, or remove this"));
    }
    Some(Attached { table: parent?, index })
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

/// Everything in it that is SQL.
fn texts(index: &Index) -> Vec<String> {
    let of_key = |key: &Key| match &key.what {
        KeyPart::Column(_) => None,
        KeyPart::Expression(text) => Some(text.clone()),
    };
    index.keys.iter().filter_map(of_key).chain(index.predicate.clone()).collect()
}
