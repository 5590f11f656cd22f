//! `statistics:` in a table.

use std::collections::BTreeSet;
use std::sync::Arc;

use reconcile_catalog::{Address, Object};
use reconcile_sql::ident::split_qualified;
use reconcile_sql::{QName, quote_ident};
use reconcile_yaml::{Entry, Node, Out, Problem};

use super::{KINDS, NAME, Statistics};
use crate::column::Column;
use crate::materialized_view::model::MATERIALIZED_VIEW;
use crate::model::{
    At, Field, Form, Item, ModelPart, ModelReader, Shape, WriteCx, Written, columns_in, joined,
    readable,
};
use crate::table::model::TABLE;

/// A statistics object in a model.
pub static STATISTICS: Form = Form::new("statistics", "a statistics object");

/// Extended statistics in a model.
pub struct StatisticsModel;

static FIELDS: [Field; 8] = [
    Field::section(
        &[&TABLE, &MATERIALIZED_VIEW],
        NAME,
        Shape::Named(&Shape::OneOf(&[Shape::Names, Shape::Object(&STATISTICS)])),
        "Extended statistics: by name or as a list, each a list of columns or a mapping.",
    ),
    Field::new(&[&STATISTICS], "columns", Shape::Names, "The columns that are looked at together."),
    Field::new(
        &[&STATISTICS],
        "expressions",
        Shape::List(&Shape::Text),
        "Expressions that are looked at, alone or together with the columns.",
    ),
    Field::new(
        &[&STATISTICS],
        "kinds",
        Shape::List(&Shape::Word(&KINDS)),
        "What is found out; all of it if left out.",
    ),
    Field::new(
        &[&STATISTICS],
        "target",
        Shape::Scalar,
        "Its statistics target; the columns' own if left out.",
    ),
    Field::new(&[&STATISTICS], "name", Shape::Name, "Its name, for a definition in a list."),
    Field::renamed_from(&[&STATISTICS]),
    Field::absent(&[&STATISTICS]),
];

impl ModelPart for StatisticsModel {
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
            statistics(table, &item, reader);
        }
    }

    fn write(&self, object: &Object, cx: &WriteCx<'_>) -> Option<Written> {
        let relation = super::relation_of(&object.address);
        let texts = object.get::<Statistics>()?.expressions.iter();
        let texts: Vec<String> = texts.map(|e| readable(e, &relation, cx.catalog)).collect();
        let statistics: &Statistics = object.get()?;
        let some = !statistics.is_single() && statistics.kinds.len() < KINDS.len();
        let kinds: &[String] = if some { &statistics.kinds } else { &[] };
        let mut written = Written::child(NAME, object);
        if let [_, _, namespace, name] = object.address.path() {
            written.key = Some(format!("{}.{}", quote_ident(namespace), quote_ident(name)));
        } else if object.address.name().contains(['.', '"']) {
            written.key = Some(quote_ident(object.address.name()));
        }
        Some(
            written
                .with_words("columns", &statistics.columns)
                .with_words("expressions", &texts)
                .with_words("kinds", kinds)
                .with_some("target", statistics.target.map(|t| Out::number(i64::from(t))))
                .short("columns"),
        )
    }
}

fn statistics<'a>(table: &Address, item: &Item<'a>, reader: &mut ModelReader<'a>) {
    let node = item.node;
    let name = item.name.as_ref().map(|name| {
        let (namespace, name) = split_qualified(name);
        QName::new(namespace.unwrap_or_else(|| table.namespace().to_owned()), name)
    });
    if node.get("absent").and_then(Node::flag) == Some(true) {
        match &name {
            Some(name) => {
                reader.absent(node, &Statistics::address(table, name), item.span);
            }
            None => nameless("`absent: true`", item, reader),
        }
        return;
    }
    let Some(statistics) = definition(node, table, reader) else { return };
    let keys = statistics.columns.len() + statistics.expressions.len();
    if keys < 2 && !statistics.is_single() {
        let problem = Problem::new("columns", "statistics need two columns, or an expression");
        let help = "name another column, or remove it: PostgreSQL has statistics of each column";
        reader.problem(problem.at(item.span, "not enough").help(help));
        return;
    }
    let unnamed = name.is_none();
    let name = name.unwrap_or_else(|| {
        // ChooseExtendedStatisticNameAddition, src/backend/commands/statscmds.c
        let columns = statistics.columns.iter().map(String::as_str);
        let words: Vec<&str> =
            columns.chain(statistics.expressions.iter().map(|_| "expr")).collect();
        let label = joined(&words);
        let name = reader.generate(table.namespace(), table.name(), Some(&label), "stat");
        QName::new(table.namespace(), name)
    });
    let address = Statistics::address(table, &name);
    let texts = statistics.expressions.clone();
    let mut object =
        Object::new(address.clone(), Some(table.clone()), Arc::new(statistics.clone()));
    object.depends_on = depends_on(&statistics, table, reader);
    object.unnamed = unnamed;
    object.renamed_from = reader.renamed_from(node);
    if name.namespace != table.namespace() {
        object.depends_on.insert(reader.in_namespace(&name.namespace, item.span));
    }
    if !reader.declare(object, item.span) {
        return;
    }
    texts.iter().for_each(|text| reader.mention(&address, text));
    if unnamed && node.get("comment").is_some() {
        return nameless("a comment", item, reader);
    }
    reader.sections(&STATISTICS, &address, node);
}

fn nameless<'a>(what: &str, item: &Item<'a>, reader: &mut ModelReader<'a>) {
    let problem = Problem::new("name", format!("{what} needs the name of the statistics"));
    reader.problem(
        problem.at(item.span, "no name").help("turn the list into a mapping, or add `name:`"),
    );
}

fn definition(node: &Node, table: &Address, reader: &mut ModelReader<'_>) -> Option<Statistics> {
    // The short form is the list of columns itself.
    let short = !node.items().is_empty();
    let list = if short { Some(node) } else { node.get("columns") };
    let mut columns = match list {
        Some(list) => reader.column_list(list, table)?,
        None => Vec::new(),
    };
    columns.sort();
    let texts = node.get("expressions").map_or(&[][..], Node::items);
    let texts: Option<Vec<String>> = texts.iter().map(|text| reader.expression(text)).collect();
    let expressions = texts?;
    let words = node.get("kinds").map(Node::items);
    let words: Option<Vec<String>> =
        words.map(|items| items.iter().filter_map(|w| w.text().map(str::to_owned)).collect());
    let mut statistics = Statistics { columns, expressions, ..Statistics::default() };
    if let (true, Some(kinds)) = (statistics.is_single(), node.entry("kinds")) {
        let problem = Problem::new("contradiction", "`kinds` of a single expression");
        let help = "PostgreSQL has statistics of one kind for it: remove this";
        reader.problem(problem.at(kinds.key.span, "there is nothing to choose").help(help));
    }
    let all = || KINDS.map(str::to_owned).to_vec();
    statistics.kinds = if statistics.is_single() { Vec::new() } else { words.unwrap_or_else(all) };
    statistics.kinds.sort();
    statistics.kinds.dedup();
    if let Some(target) = node.get("target") {
        let number = target.scalar().and_then(|s| s.text.parse::<i32>().ok());
        statistics.target = number.filter(|t| (0..=10_000).contains(t));
        if statistics.target.is_none() {
            let problem = Problem::new("wrong_value", "`target` takes a number");
            let help = "write a number from 0 to 10000, or leave it out";
            reader.problem(problem.at(target.span, "not a target").help(help));
        }
    }
    Some(statistics)
}

fn depends_on(
    statistics: &Statistics,
    table: &Address,
    reader: &ModelReader<'_>,
) -> BTreeSet<Address> {
    let known = reader.columns(table).unwrap_or_default();
    let in_texts =
        statistics.expressions.iter().flat_map(|text| columns_in(text, table.name(), known));
    let names = statistics.columns.iter().chain(in_texts);
    names.map(|name| Column::address(table, name.as_str())).collect()
}
