//! What is tuned of a column: collation, storage, statistics, and how NOT NULL is called.

use std::collections::BTreeMap;

use reconcile_catalog::{Address, Tuned};
use reconcile_sql::QName;
use reconcile_sql::ident::split_qualified;
use reconcile_yaml::{Node, Problem};

use super::super::{Column, NotNull, Storage};
use crate::model::ModelReader;

/// The constraint of a column that is not null.
pub(super) fn not_null(node: &Node, address: &Address, reader: &mut ModelReader<'_>) -> NotNull {
    let usual = NotNull::usual(address);
    let Some(node) = node.get("not_null") else { return usual };
    NotNull {
        name: match node.get("name").and_then(|name| reader.name_of(name)) {
            Some(name) => Tuned::stated(name),
            None => usual.name,
        },
        no_inherit: node.get("no_inherit").and_then(Node::flag) == Some(true),
        validated: node.get("valid").and_then(Node::flag) != Some(false),
    }
}

/// A word that is stated; null states that there is none.
fn word<T>(node: &Node, key: &str, read: impl Fn(&str) -> Option<T>) -> Tuned<Option<T>> {
    match node.get(key) {
        None => Tuned::silent(None),
        Some(value) if value.is_null() => Tuned::stated(None),
        Some(value) => Tuned::stated(value.text().and_then(read)),
    }
}

pub(super) fn read(node: &Node, column: &mut Column, reader: &mut ModelReader<'_>) {
    column.collation = word(node, "collation", |text| {
        let (namespace, name) = split_qualified(text);
        let name = QName::new(namespace.unwrap_or_else(|| "pg_catalog".to_owned()), name);
        (name != QName::new("pg_catalog", "default")).then_some(name)
    });
    column.storage = word(node, "storage", |text| match text {
        "plain" => Some(Storage::Plain),
        "external" => Some(Storage::External),
        "extended" => Some(Storage::Extended),
        "main" => Some(Storage::Main),
        _ => None,
    });
    column.compression = word(node, "compression", |text| Some(text.to_owned()));
    if let Some(value) = node.get("statistics") {
        let number = value.scalar().and_then(|s| s.text.parse::<i32>().ok());
        if number.is_none_or(|n| !(-1..=10_000).contains(&n)) && !value.is_null() {
            let problem = Problem::new("statistics", "a statistics target is 0 to 10000");
            reader.problem(problem.at(value.span, "not a target").help("correct the number"));
        }
        column.statistics = Tuned::stated(number.filter(|n| *n >= 0));
    }
    if let Some(value) = node.get("options") {
        let options: BTreeMap<String, String> = value
            .entries()
            .iter()
            .filter_map(|e| Some((e.key.text.clone(), e.value.scalar()?.text.clone())))
            .collect();
        column.options = Tuned::stated(options);
    }
}
