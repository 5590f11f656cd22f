//! `primary_key:`, `unique:`, `checks:` and `foreign_keys:` in a table.

mod exclusion;
mod reference;
mod write;

pub(crate) use reference::reference;

use std::collections::BTreeSet;
use std::sync::Arc;

use reconcile_catalog::{Address, Object};
use reconcile_sql::QName;
use reconcile_sql::lex::significant;
use reconcile_yaml::{Entry, Node, Problem, Value};

use super::{Constraint, Deferred, Rule};
use crate::column::Column;
use crate::model::{
    At, Field, Form, Item, ModelPart, ModelReader, Shape, WriteCx, Written, columns_in, joined,
};
use crate::storage;
use crate::table::model::TABLE;

/// A primary key in a model.
pub static PRIMARY_KEY: Form = Form::new("primary_key", "a primary key");

/// A unique constraint in a model.
pub static UNIQUE: Form = Form::new("unique", "a unique constraint");

/// A check in a model.
pub static CHECK: Form = Form::new("check", "a check");

/// A foreign key in a model.
pub static FOREIGN_KEY: Form = Form::new("foreign_key", "a foreign key");

/// An exclusion constraint in a model.
pub static EXCLUSION: Form = Form::new("exclusion", "an exclusion constraint");

/// Constraints in a model.
pub struct ConstraintModel;

static ALL: [&Form; 5] = [&PRIMARY_KEY, &UNIQUE, &CHECK, &FOREIGN_KEY, &EXCLUSION];

static FIELDS: [Field; 29] = [
    Field::section(
        &[&TABLE],
        "primary_key",
        Shape::OneOf(&[Shape::Null, Shape::Names, Shape::Object(&PRIMARY_KEY)]),
        "The columns of the primary key, or a mapping; empty: none.",
    ),
    Field::section(
        &[&TABLE],
        "unique",
        Shape::Named(&Shape::OneOf(&[Shape::Names, Shape::Object(&UNIQUE)])),
        "Unique constraints: by name or as a list, each a list of columns or a mapping.",
    ),
    Field::section(
        &[&TABLE],
        "checks",
        Shape::Named(&Shape::OneOf(&[Shape::Text, Shape::Object(&CHECK)])),
        "Checks: by name or as a list, each an SQL condition or a mapping.",
    ),
    Field::section(
        &[&TABLE],
        "foreign_keys",
        Shape::Named(&Shape::Object(&FOREIGN_KEY)),
        "Foreign keys: by name or as a list.",
    )
    .late(),
    Field::section(
        &[&TABLE],
        "exclusions",
        Shape::Named(&Shape::Object(&EXCLUSION)),
        "Exclusion constraints: by name or as a list.",
    ),
    Field::new(
        &[&EXCLUSION],
        "elements",
        Shape::List(&Shape::Text),
        "What is compared and with which operator: [room WITH =, during WITH &&].",
    )
    .required(),
    Field::new(
        &[&EXCLUSION],
        "using",
        Shape::Name,
        "The access method of its index; btree if left out.",
    ),
    Field::new(
        &[&EXCLUSION],
        "where",
        Shape::Text,
        "The SQL condition of the rows that it is about.",
    ),
    Field::new(
        &[&PRIMARY_KEY, &UNIQUE, &EXCLUSION],
        "with",
        Shape::Settings,
        "Storage parameters of its index: {fillfactor: 70}.",
    ),
    Field::new(
        &[&PRIMARY_KEY, &UNIQUE, &EXCLUSION],
        "tablespace",
        Shape::Name,
        "The tablespace of its index, if not the database's own.",
    ),
    Field::new(
        &[&PRIMARY_KEY, &UNIQUE],
        "without_overlaps",
        Shape::Flag,
        "Whether its last column is a range that must not overlap (PostgreSQL 18).",
    ),
    Field::new(
        &[&FOREIGN_KEY],
        "period",
        Shape::Flag,
        "Whether its last columns are ranges that have to be covered (PostgreSQL 18).",
    ),
    Field::new(
        &[&CHECK, &FOREIGN_KEY],
        "not_enforced",
        Shape::Flag,
        "Whether no row is held to it (PostgreSQL 18).",
    ),
    Field::new(
        &[&CHECK, &FOREIGN_KEY],
        "not_valid",
        Shape::Flag,
        "Whether the rows that were there before need not satisfy it.",
    ),
    Field::new(&[&PRIMARY_KEY, &UNIQUE], "columns", Shape::Names, "Its columns in order.")
        .required(),
    Field::new(
        &[&PRIMARY_KEY, &UNIQUE, &EXCLUSION],
        "include",
        Shape::Names,
        "Further columns of its index (INCLUDE).",
    ),
    Field::new(
        &[&UNIQUE],
        "nulls_not_distinct",
        Shape::Flag,
        "Whether two nulls count as equal (PostgreSQL 15).",
    ),
    Field::new(&[&CHECK], "expression", Shape::Text, "The condition as SQL.").required(),
    Field::new(&[&CHECK], "no_inherit", Shape::Flag, "Whether children do without it."),
    Field::new(&[&FOREIGN_KEY], "columns", Shape::Names, "The referencing columns.").required(),
    Field::new(
        &[&FOREIGN_KEY],
        "references",
        Shape::Text,
        "What they refer to: table(column, …); without columns, the table's primary key.",
    )
    .required(),
    Field::new(
        &[&FOREIGN_KEY],
        "on_delete",
        Shape::Word(&["no action", "restrict", "cascade", "set null", "set default"]),
        "What becomes of a row whose referenced row is deleted.",
    ),
    Field::new(
        &[&FOREIGN_KEY],
        "on_update",
        Shape::Word(&["no action", "restrict", "cascade", "set null", "set default"]),
        "What becomes of a row whose referenced key changes.",
    ),
    Field::new(
        &[&FOREIGN_KEY],
        "set_columns",
        Shape::Names,
        "The columns that on_delete sets, if not all of them (PostgreSQL 15).",
    ),
    Field::new(
        &[&FOREIGN_KEY],
        "match",
        Shape::Word(&["simple", "full"]),
        "Whether a key that is null in part is let through (simple) or not (full).",
    ),
    Field::new(
        &[&PRIMARY_KEY, &UNIQUE, &FOREIGN_KEY, &EXCLUSION],
        "deferrable",
        Shape::Word(&["initially immediate", "initially deferred"]),
        "That it can be checked at the end of the transaction, and whether it is unless told otherwise.",
    ),
    Field::new(&ALL, "name", Shape::Name, "Its name, for a definition in a list."),
    Field::renamed_from(&ALL),
    Field::absent(&ALL),
];

impl ModelPart for ConstraintModel {
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
        let node = &entry.value;
        if field.name == "primary_key" {
            let empty =
                node.is_null() || matches!(&node.value, Value::Sequence(items) if items.is_empty());
            if !empty {
                let name = node.get("name").and_then(|n| reader.name_of(n));
                let item = Item { name, span: entry.key.span, node };
                Draft { table, item, form: &PRIMARY_KEY }.read(reader);
            }
            return;
        }
        let form = match field.name {
            "unique" => &UNIQUE,
            "checks" => &CHECK,
            "exclusions" => &EXCLUSION,
            _ => &FOREIGN_KEY,
        };
        for item in reader.items(node) {
            Draft { table, item, form }.read(reader);
        }
    }

    fn write(&self, object: &Object, cx: &WriteCx<'_>) -> Option<Written> {
        write::write(object, cx)
    }
}

/// The columns of the primary key of a table, as far as they can be read.
pub(crate) fn key_columns(table: &Node) -> Vec<&str> {
    let Some(key) = table.get("primary_key") else { return Vec::new() };
    key.get("columns").unwrap_or(key).items().iter().filter_map(Node::text).collect()
}

/// A constraint as it is written.
struct Draft<'t, 'a> {
    table: &'t Address,
    item: Item<'a>,
    form: &'static Form,
}

/// What is known of a constraint once it is read.
struct Read {
    rule: Rule,
    depends_on: BTreeSet<Address>,
    /// The middle and the end of the name that PostgreSQL would choose.
    name2: Option<String>,
    label: &'static str,
}

impl<'a> Draft<'_, 'a> {
    fn read(&self, reader: &mut ModelReader<'a>) {
        let Self { table, item, form } = self;
        let is_key = form.name == PRIMARY_KEY.name;
        if item.node.get("absent").and_then(Node::flag) == Some(true) {
            let name =
                item.name.clone().or_else(|| is_key.then(|| self.generated(None, "pkey", reader)));
            let Some(name) = name else { return self.nameless("`absent: true`", reader) };
            reader.absent(item.node, &Constraint::address(table, &name), item.span);
            return;
        }
        let read = match form.name {
            "check" => self.check(reader),
            "foreign_key" => self.foreign_key(reader),
            "exclusion" => self.exclusion(reader),
            _ => self.key(reader),
        };
        let Some(Read { rule, depends_on, name2, label }) = read else { return };
        let unnamed = item.name.is_none();
        let stated = item.name.clone();
        let name = stated.unwrap_or_else(|| self.generated(name2.as_deref(), label, reader));
        let mut constraint = Constraint::new(rule);
        constraint.deferrable =
            item.node.get("deferrable").and_then(Node::text).and_then(|word| match word {
                "initially immediate" => Some(Deferred::InitiallyImmediate),
                "initially deferred" => Some(Deferred::InitiallyDeferred),
                _ => None,
            });
        let flag = |key: &str| item.node.get(key).and_then(Node::flag).unwrap_or(false);
        constraint.not_enforced = flag("not_enforced");
        constraint.validated = !flag("not_valid");
        constraint.with = item.node.get("with").map(storage::from_node);
        constraint.tablespace = item.node.get("tablespace").and_then(|n| reader.name_of(n));
        let has_index = constraint.has_index();
        let text = match &constraint.rule {
            Rule::Check { expression: text, .. } | Rule::Other { definition: text } => {
                Some(text.clone())
            }
            Rule::PrimaryKey { .. } | Rule::Unique { .. } | Rule::ForeignKey { .. } => None,
        };
        let address = Constraint::address(table, &name);
        let mut object = Object::new(address.clone(), Some((*table).clone()), Arc::new(constraint));
        object.depends_on = depends_on;
        object.unnamed = unnamed;
        object.renamed_from = reader.renamed_from(item.node);
        if !reader.declare(object, item.span) {
            return;
        }
        if let Some(text) = text {
            reader.mention(&address, &text);
        }
        let name = QName::new(table.namespace(), name);
        if has_index {
            reader.claim_relation(name, item.span);
        } else {
            reader.claim(name);
        }
        if unnamed && item.node.get("comment").is_some() {
            return self.nameless("a comment", reader);
        }
        reader.sections(form, &address, item.node);
    }

    fn generated(&self, name2: Option<&str>, label: &str, reader: &ModelReader<'_>) -> String {
        reader.generate(self.table.namespace(), self.table.name(), name2, label)
    }

    fn nameless(&self, what: &str, reader: &mut ModelReader<'_>) {
        reader.problem(
            Problem::new("name", format!("{what} needs the name of what it is said of"))
                .at(self.item.span, "no name")
                .help("give the definition a name: turn the list into a mapping, or add `name:`"),
        );
    }

    fn columns(&self, list: &Node, reader: &mut ModelReader<'_>) -> Option<Vec<String>> {
        if list.items().is_empty() && matches!(list.value, Value::Sequence(_)) {
            let problem = Problem::new("columns", format!("{} needs a column", self.form.called));
            reader.problem(problem.at(list.span, "none here").help("name its columns: [id]"));
            return None;
        }
        reader.column_list(list, self.table).filter(|columns| !columns.is_empty())
    }

    fn on(&self, columns: &[String]) -> BTreeSet<Address> {
        columns.iter().map(|column| Column::address(self.table, column)).collect()
    }

    fn key(&self, reader: &mut ModelReader<'_>) -> Option<Read> {
        let node = self.item.node;
        let columns = self.columns(node.get("columns").unwrap_or(node), reader)?;
        let include = match node.get("include") {
            Some(list) => reader.column_list(list, self.table)?,
            None => Vec::new(),
        };
        let all: Vec<String> = columns.iter().chain(&include).cloned().collect();
        let depends_on = self.on(&all);
        let flag = |key: &str| node.get(key).and_then(Node::flag).unwrap_or(false);
        let without_overlaps = flag("without_overlaps");
        Some(if self.form.name == PRIMARY_KEY.name {
            Read {
                rule: Rule::PrimaryKey { columns, include, without_overlaps },
                depends_on,
                name2: None,
                label: "pkey",
            }
        } else {
            let nulls_not_distinct = flag("nulls_not_distinct");
            let rule = Rule::Unique { columns, include, nulls_not_distinct, without_overlaps };
            Read { rule, depends_on, name2: Some(joined(&all)), label: "key" }
        })
    }

    fn check(&self, reader: &mut ModelReader<'_>) -> Option<Read> {
        let node = self.item.node;
        let source = node.get("expression").unwrap_or(node);
        let expression = reader.expression(source)?;
        if let [first, second, ..] = significant(&expression).as_slice()
            && first.is("check")
            && second.is("(")
        {
            reader.problem(
                Problem::new("expression", "a check is the condition alone")
                    .at(source.within(0, first.text.len()), "not part of the condition")
                    .help("leave out CHECK and the parentheses around the condition"),
            );
            return None;
        }
        let columns = reader.columns(self.table).unwrap_or_default();
        let named: Vec<String> =
            columns_in(&expression, self.table.name(), columns).into_iter().cloned().collect();
        // PostgreSQL puts the column into the name if there is just one.
        let name2 = match named.as_slice() {
            [one] => Some(one.clone()),
            _ => None,
        };
        let no_inherit = node.get("no_inherit").and_then(Node::flag).unwrap_or(false);
        let rule = Rule::Check { expression, no_inherit };
        Some(Read { rule, depends_on: self.on(&named), name2, label: "check" })
    }
}
