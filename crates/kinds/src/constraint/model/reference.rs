//! What a foreign key refers to.

use reconcile_catalog::Address;
use reconcile_sql::ident::split_qualified;
use reconcile_yaml::{Node, Problem};

use super::{Draft, Read};
use crate::column::Column;
use crate::constraint::{Constraint, ReferentialAction, Rule};
use crate::model::{ModelReader, joined};
use crate::table::Table;

impl Draft<'_, '_> {
    pub(super) fn foreign_key(&self, reader: &mut ModelReader<'_>) -> Option<Read> {
        let node = self.item.node;
        let columns = self.columns(node.get("columns")?, reader)?;
        let source = node.get("references")?;
        let (table, stated) = reference(source, reader)?;
        let name = reader.qualified(&table, source.span)?;
        let target = Table::address(&name);
        let referenced = match stated {
            Some(stated) => {
                let known =
                    stated.iter().all(|column| reader.has_column(&target, column, source.span));
                known.then_some(stated)?
            }
            None => primary_key(&target, reader).or_else(|| {
                let problem = Problem::new(
                    "references",
                    "which columns this foreign key refers to is not known",
                );
                let help =
                    format!("no primary key of {name} is in the model: write {table}(column)");
                reader.problem(problem.at(source.span, "no columns here").help(help));
                None
            })?,
        };
        if referenced.len() != columns.len() {
            let message =
                format!("{} here, {} in what it refers to", count(&columns), count(&referenced));
            let help = format!("it refers to ({}): name as many columns", referenced.join(", "));
            let label = node.get("columns").map_or(source.span, |list| list.span);
            reader
                .problem(Problem::new("references", message).at(label, "these columns").help(help));
            return None;
        }
        let action = |key: &str| match node.get(key).and_then(Node::text) {
            Some("restrict") => ReferentialAction::Restrict,
            Some("cascade") => ReferentialAction::Cascade,
            Some("set null") => ReferentialAction::SetNull,
            Some("set default") => ReferentialAction::SetDefault,
            _ => ReferentialAction::NoAction,
        };
        let on_delete = action("on_delete");
        let set_columns = match node.get("set_columns") {
            Some(list) => reader.column_list(list, self.table)?,
            None => Vec::new(),
        };
        if !set_columns.is_empty()
            && !matches!(on_delete, ReferentialAction::SetNull | ReferentialAction::SetDefault)
        {
            let at = node.entry("set_columns").map_or(node.span, |entry| entry.key.span);
            let problem =
                Problem::new("contradiction", "`set_columns` without an action that sets columns");
            let help = "add `on_delete: set null` or `on_delete: set default`, or remove it";
            reader.problem(problem.at(at, "nothing is set").help(help));
            return None;
        }
        let mut depends_on = self.on(&columns);
        if target != *self.table {
            depends_on.insert(target.clone());
        }
        depends_on.extend(referenced.iter().map(|column| Column::address(&target, column)));
        depends_on.extend(key_over(&target, &referenced, reader));
        // A table that the model does not speak of is taken for being there.
        depends_on.retain(|address| reader.catalog().contains(address));
        let name2 = Some(joined(&columns));
        let rule = Rule::ForeignKey {
            columns,
            references: name,
            referenced,
            on_update: action("on_update"),
            on_delete,
            set_columns,
            match_full: node.get("match").and_then(Node::text) == Some("full"),
            period: node.get("period").and_then(Node::flag).unwrap_or(false),
        };
        Some(Read { rule, depends_on, name2, label: "fkey" })
    }
}

fn count(columns: &[String]) -> String {
    if columns.len() == 1 { "1 column".to_owned() } else { format!("{} columns", columns.len()) }
}

/// The columns of the primary key that the model gives a table.
fn primary_key(table: &Address, reader: &ModelReader<'_>) -> Option<Vec<String>> {
    let constraints =
        reader.catalog().children(table).filter_map(|object| object.get::<Constraint>());
    constraints.into_iter().find_map(|constraint| match &constraint.rule {
        Rule::PrimaryKey { columns, .. } => Some(columns.clone()),
        _ => None,
    })
}

/// The primary key or unique constraint of the model that has just these columns.
fn key_over(table: &Address, wanted: &[String], reader: &ModelReader<'_>) -> Option<Address> {
    let sorted = |columns: &[String]| {
        let mut columns = columns.to_vec();
        columns.sort();
        columns
    };
    let object = reader.catalog().children(table).find(|object| {
        object.get::<Constraint>().is_some_and(|constraint| match &constraint.rule {
            Rule::PrimaryKey { columns, .. } | Rule::Unique { columns, .. } => {
                sorted(columns) == sorted(wanted)
            }
            Rule::Check { .. } | Rule::ForeignKey { .. } | Rule::Other { .. } => false,
        })
    })?;
    Some(object.address.clone())
}

/// Splits `table(a, b)`; names are verbatim, quotes are for dots, commas and parentheses in them.
pub(crate) fn reference(
    node: &Node,
    reader: &mut ModelReader<'_>,
) -> Option<(String, Option<Vec<String>>)> {
    let text = node.text()?.trim();
    let parts = split(text, |c| c == '(' || c == ')');
    let wrong = |reader: &mut ModelReader<'_>| {
        let problem = Problem::new("references", "this is no reference to a table");
        reader.problem(
            problem
                .at(node.span, "not understood")
                .help("write table(column) or namespace.table(a, b)"),
        );
        None
    };
    match parts.as_slice() {
        [table] if !table.trim().is_empty() => Some((table.trim().to_owned(), None)),
        [table, columns, rest]
            if !table.trim().is_empty() && rest.trim().is_empty() && text.ends_with(')') =>
        {
            let columns: Vec<String> =
                split(columns, |c| c == ',').into_iter().map(unquoted).collect();
            if columns.iter().any(String::is_empty) {
                wrong(reader)
            } else {
                Some((table.trim().to_owned(), Some(columns)))
            }
        }
        _ => wrong(reader),
    }
}

/// Splits at characters outside double quotes.
fn split(text: &str, at: impl Fn(char) -> bool) -> Vec<&str> {
    let mut quoted = false;
    text.split(|c: char| {
        quoted ^= c == '"';
        !quoted && at(c)
    })
    .collect()
}

fn unquoted(text: &str) -> String {
    let text = text.trim();
    // A dot in a column's name is not a namespace.
    if text.starts_with('"') { split_qualified(text).1 } else { text.to_owned() }
}
