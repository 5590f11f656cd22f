//! `columns:` in a table.

mod literal;
mod tuning;
mod type_name;
mod write;

use std::sync::Arc;

use reconcile_catalog::{Address, Object, Tuned};
use reconcile_sql::{QName, SqlType};
use reconcile_yaml::{Entry, Node, Problem, Span, Value};

pub(crate) use literal::default as default_of;
pub(crate) use type_name::resolve as resolve_type;
pub(crate) use write::default as written_default;

use super::{Column, Identity};
use crate::constraint;
use crate::model::{At, Field, Form, ModelPart, ModelReader, Shape, WriteCx, Written, columns_in};
use crate::sequence::model::{counting, counts};
use crate::table::model::TABLE;

/// A column in a model.
pub static COLUMN: Form = Form::new("column", "a column");

/// A default that is a value and no SQL.
pub(crate) static LITERAL: Form = Form::new("literal", "a literal value");

/// What tells the sequence of an identity column from the usual one.
pub static IDENTITY: Form = Form::new("identity", "an identity");

/// NOT NULL as a constraint.
static NOT_NULL: Form = Form::new("not_null", "a not-null constraint");

/// Columns in a model.
pub struct ColumnModel;

const KINDS_OF_IDENTITY: &[&str] = &["always", "by default"];

static FIELDS: [Field; 24] = [
    Field::section(
        &[&TABLE],
        "columns",
        Shape::Map(&Shape::OneOf(&[Shape::Text, Shape::Object(&COLUMN)])),
        "All columns in their order: a type, which makes a nullable column, or a mapping.",
    )
    .required_unless(&["partition_of", "inherits"]),
    Field::new(
        &[&COLUMN],
        "type",
        Shape::Text,
        "Its type as PostgreSQL or SQLAlchemy spells it: varchar(20), timestamptz, String(100).",
    )
    .required(),
    Field::new(&[&COLUMN], "nullable", Shape::Flag, "Whether it may be null; true if left out."),
    Field::new(
        &[&COLUMN],
        "not_null",
        Shape::Object(&NOT_NULL),
        "The constraint behind `nullable: false`; passed over before 18, where it is none.",
    ),
    Field::new(
        &[&COLUMN],
        "default",
        Shape::OneOf(&[Shape::Scalar, Shape::Object(&LITERAL)]),
        "Its default: SQL where it is text (\"'user'\", now()), else a number, a flag or null.",
    ),
    Field::new(
        &[&COLUMN],
        "identity",
        Shape::OneOf(&[Shape::Word(KINDS_OF_IDENTITY), Shape::Object(&IDENTITY)]),
        "GENERATED … AS IDENTITY: the server counts.",
    ),
    Field::new(
        &[&COLUMN],
        "generated",
        Shape::Text,
        "The SQL expression from which the server computes it.",
    ),
    Field::new(
        &[&COLUMN],
        "virtual",
        Shape::Flag,
        "true: a generated column is computed when it is read (18), not STORED.",
    ),
    Field::new(
        &[&COLUMN],
        "inherited",
        Shape::Flag,
        "Whether the table has it from a parent only, and states what differs there.",
    ),
    Field::new(
        &[&COLUMN],
        "collation",
        Shape::OneOf(&[Shape::Null, Shape::Text]),
        "Its collation, if it is not the type's own.",
    ),
    Field::new(
        &[&COLUMN],
        "statistics",
        Shape::Scalar,
        "The statistics target; null for the server's own.",
    ),
    Field::new(
        &[&COLUMN],
        "storage",
        Shape::OneOf(&[Shape::Null, Shape::Word(&["plain", "external", "extended", "main"])]),
        "How values are stored, if not as the type says.",
    ),
    Field::new(
        &[&COLUMN],
        "compression",
        Shape::OneOf(&[Shape::Null, Shape::Word(&["pglz", "lz4"])]),
        "The compression method, if it is not the server's.",
    ),
    Field::new(&[&COLUMN], "options", Shape::Settings, "Attribute options: n_distinct."),
    Field::new(
        &[&COLUMN],
        "using",
        Shape::Text,
        "The SQL expression over the old row that gives the new value, when its type changes; harmless once that has happened.",
    )
    .lasting(),
    Field::new(
        &[&COLUMN],
        "back",
        Shape::Text,
        "The SQL expression over the new row that gives the old value, for the way back.",
    )
    .lasting(),
    Field::renamed_from(&[&COLUMN]),
    Field::absent(&[&COLUMN]),
    Field::new(
        &[&LITERAL],
        "value",
        Shape::Scalar,
        "The value itself, not SQL: user is the text 'user'.",
    )
    .required(),
    Field::new(
        &[&IDENTITY],
        "generated",
        Shape::Word(KINDS_OF_IDENTITY),
        "Whether a value that is stated is refused or taken.",
    )
    .required(),
    Field::new(&[&IDENTITY], "sequence", Shape::Name, "The name of its sequence."),
    Field::new(&[&NOT_NULL], "name", Shape::Name, "Its name."),
    Field::new(&[&NOT_NULL], "no_inherit", Shape::Flag, "Whether children do without."),
    Field::new(
        &[&NOT_NULL],
        "valid",
        Shape::Flag,
        "false: rows that were there before need not satisfy it.",
    ),
];

impl ModelPart for ColumnModel {
    fn fields(&self) -> &'static [Field] {
        &FIELDS
    }

    fn read<'a>(
        &self,
        _: &'static Field,
        entry: &'a Entry,
        at: &At<'a>,
        reader: &mut ModelReader<'a>,
    ) {
        let Some(table) = &at.address else { return };
        reader.manage(table, "columns");
        let is_absent = |node: &Node| node.get("absent").and_then(Node::flag) == Some(true);
        let entries = entry.value.entries();
        let stated = entries.iter().filter(|e| !is_absent(&e.value)).map(|e| e.key.text.clone());
        // Columns of the wrong shape are not known to be missing.
        if entry.value.is_null() || matches!(entry.value.value, Value::Mapping(_)) {
            reader.set_columns(table, stated.collect());
        }
        let key_columns = constraint::model::key_columns(at.node);
        let mut position = 0;
        for Entry { key, value } in entries {
            let Some(name) = reader.name(key) else { continue };
            let address = Column::address(table, &name);
            if reader.absent(value, &address, key.span) {
                continue;
            }
            position += 1;
            let in_key = key_columns.contains(&name.as_str());
            let Some(mut object) = column(value, &address, table, in_key, reader) else { continue };
            if let Some(column) = object.get::<Column>() {
                object.definition = Arc::new(Column { position, ..column.clone() });
            }
            object.renamed_from = reader.renamed_from(value);
            if reader.declare(object, key.span) {
                reader.sections(&COLUMN, &address, value);
            }
        }
    }

    fn write(&self, object: &Object, cx: &WriteCx<'_>) -> Option<Written> {
        write::write(object, cx)
    }
}

fn column(
    node: &Node,
    address: &Address,
    table: &Address,
    in_key: bool,
    reader: &mut ModelReader<'_>,
) -> Option<Object> {
    let type_node = node.get("type").unwrap_or(node);
    let (ty, depends_on) = type_name::resolve(type_node, reader)?;
    let nullable = node.get("nullable").and_then(Node::flag);
    let identity_node = node.get("identity");
    let identity = identity_node.and_then(|node| {
        match node.get("generated").and_then(Node::text).or_else(|| node.text())? {
            "always" => Some(Identity::Always),
            "by default" => Some(Identity::ByDefault),
            _ => None,
        }
    });
    contradictions(node, &ty, in_key, reader);
    let mut column = Column {
        nullable: nullable.unwrap_or(true) && !in_key && identity.is_none(),
        default: node.get("default").and_then(|node| literal::default(node, reader)),
        identity,
        generated: node.get("generated").and_then(|node| reader.expression(node)),
        is_virtual: node.get("virtual").and_then(Node::flag) == Some(true),
        using: node.get("using").and_then(|node| reader.expression(node)),
        back: node.get("back").and_then(|node| reader.expression(node)),
        ..Column::new(ty)
    };
    // What a parent has too is the table's own besides, unless it says otherwise.
    column.local = node.get("inherited").and_then(Node::flag) != Some(true);
    if let Some(node) = identity_node.filter(|_| identity.is_some()) {
        if counts(node) {
            column.counting = Some(Tuned::stated(counting(node, &column.ty, reader)));
        }
        let usual = Column::usual_sequence(address);
        column.sequence = Some(match node.get("sequence").and_then(|n| reader.name_of(n)) {
            Some(name) => Tuned::stated(QName::new(&usual.namespace, name)),
            None => Tuned::silent(usual),
        });
    }
    if !column.nullable {
        column.not_null = Some(tuning::not_null(node, address, reader));
    }
    tuning::read(node, &mut column, reader);
    let converts = column.using.iter().chain(&column.back);
    let texts = column.default.iter().chain(&column.generated).chain(converts);
    let texts: Vec<String> = texts.cloned().collect();
    texts.iter().for_each(|text| reader.mention(address, text));
    let columns = reader.columns(table).unwrap_or_default();
    let read = column.generated.as_deref().map(|text| columns_in(text, table.name(), columns));
    let read: Vec<Address> =
        read.into_iter().flatten().map(|c| Column::address(table, c)).collect();
    let mut object = Object::new(address.clone(), Some(table.clone()), Arc::new(column));
    object.depends_on.extend(depends_on);
    object.depends_on.extend(read.into_iter().filter(|column| column != address));
    Some(object)
}

/// What a column cannot be at once.
fn contradictions(node: &Node, ty: &SqlType, in_key: bool, reader: &mut ModelReader<'_>) {
    let span = |key: &str| node.entry(key).filter(|e| !e.value.is_null()).map(|e| e.key.span);
    for key in ["using", "back"] {
        if let (Some(first), Some(second)) = (span("generated"), span(key)) {
            contradiction(
                format!("a generated column cannot have `{key}`"),
                [first, second],
                "its values come from its expression: remove it",
                reader,
            );
        }
    }
    let pairs = [("identity", "default"), ("identity", "generated"), ("generated", "default")];
    for (one, other) in pairs {
        if let (Some(first), Some(second)) = (span(one), span(other)) {
            contradiction(
                format!("a column cannot have `{one}` and `{other}`"),
                [first, second],
                "both say where its values come from: keep one",
                reader,
            );
        }
    }
    if let Some(identity) = span("identity")
        && !matches!(ty.to_string().as_str(), "smallint" | "integer" | "bigint")
    {
        let at = node.get("type").map_or(identity, |n| n.span);
        let message = format!("an identity column cannot be of type {ty}");
        contradiction(message, [identity, at], "use bigint, integer or smallint", reader);
    }
    if let Some(span) = span("virtual").filter(|_| node.get("generated").is_none()) {
        let message = "a column that is not generated cannot be virtual".to_owned();
        contradiction(message, [span, span], "add `generated:`, or remove it", reader);
    }
    let forbidden = node.get("nullable").and_then(Node::flag) == Some(false);
    if let Some(span) =
        span("not_null").filter(|_| !forbidden && !in_key && node.get("identity").is_none())
    {
        let message = "a column that may be null has no not-null constraint".to_owned();
        contradiction(message, [span, span], "add `nullable: false`, or remove it", reader);
    }
    if node.get("nullable").and_then(Node::flag) == Some(true) {
        let nullable = span("nullable").unwrap_or(node.span);
        if let Some(identity) = span("identity") {
            let message = "an identity column is never null".to_owned();
            contradiction(message, [nullable, identity], "remove `nullable: true`", reader);
        } else if in_key {
            let message = "a column of the primary key is never null".to_owned();
            contradiction(message, [nullable, nullable], "remove `nullable: true`", reader);
        }
    }
}

fn contradiction(message: String, at: [Span; 2], help: &str, reader: &mut ModelReader<'_>) {
    let problem = Problem::new("contradiction", message).at(at[0], "this");
    let problem = if at[0] == at[1] { problem } else { problem.at(at[1], "and this") };
    reader.problem(problem.help(help));
}
