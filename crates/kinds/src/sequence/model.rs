//! `sequences:` at the top of a file, and the words for counting that identity columns share.

use std::sync::Arc;

use reconcile_catalog::{Object, Tuned};
use reconcile_sql::SqlType;
use reconcile_yaml::{Entry, Meaning, Node, Out, Problem};

use super::{Counting, Sequence};
use crate::column::model::IDENTITY;
use crate::model::{At, FILE, Field, Form, ModelPart, ModelReader, Shape, WriteCx, Written};

/// A sequence in a model.
pub static SEQUENCE: Form = Form::new("sequence", "a sequence");

/// Sequences in a model.
pub struct SequenceModel;

const BOTH: &[&Form] = &[&SEQUENCE, &IDENTITY];

static FIELDS: [Field; 11] = [
    Field::section(
        &[&FILE],
        "sequences",
        Shape::Map(&Shape::OneOf(&[Shape::Null, Shape::Object(&SEQUENCE)])),
        "Sequences by name, those of identity columns excepted.",
    ),
    Field::new(
        &[&SEQUENCE],
        "type",
        Shape::Word(&["smallint", "integer", "bigint"]),
        "The type of its values; bigint if left out.",
    ),
    Field::new(BOTH, "start", Shape::Scalar, "The first value."),
    Field::new(
        BOTH,
        "increment",
        Shape::Scalar,
        "The step, 1 if left out; negative to count down.",
    ),
    Field::new(BOTH, "min", Shape::Scalar, "The least value."),
    Field::new(BOTH, "max", Shape::Scalar, "The largest value."),
    Field::new(BOTH, "cache", Shape::Scalar, "How many values a session takes at once."),
    Field::new(BOTH, "cycle", Shape::Flag, "Whether it begins again after its last value."),
    Field::new(&[&SEQUENCE], "unlogged", Shape::Flag, "Whether it is UNLOGGED (15)."),
    Field::renamed_from(&[&SEQUENCE]),
    Field::absent(&[&SEQUENCE]),
];

impl ModelPart for SequenceModel {
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
            let address = Sequence::address(&name);
            if reader.absent(value, &address, key.span) {
                continue;
            }
            let ty = SqlType::built_in(value.get("type").and_then(Node::text).unwrap_or("bigint"));
            let sequence = Sequence {
                counting: counting(value, &ty, reader),
                ty,
                unlogged: match value.get("unlogged").and_then(Node::flag) {
                    Some(unlogged) => Tuned::stated(unlogged),
                    None => Tuned::silent(false),
                },
            };
            let mut object = Object::new(address.clone(), None, Arc::new(sequence));
            object.depends_on.insert(reader.in_namespace(&name.namespace, key.span));
            object.renamed_from = reader.renamed_from(value);
            if reader.declare(object, key.span) {
                reader.claim_relation(name, key.span);
                reader.sections(&SEQUENCE, &address, value);
            }
        }
    }

    fn write(&self, object: &Object, cx: &WriteCx<'_>) -> Option<Written> {
        let Sequence { ty, counting, unlogged } = object.get()?;
        let bigint = ty.name == "bigint";
        let mut written = Written::root("sequences", object, cx)
            .with_some("type", (!bigint).then(|| Out::Text(ty.to_string())));
        written.entries.extend(entries(counting, ty));
        Some(written.with_flag("unlogged", unlogged.value))
    }
}

/// Whether a mapping says how to count.
pub(crate) fn counts(node: &Node) -> bool {
    ["start", "increment", "min", "max", "cache", "cycle"].iter().any(|key| node.get(key).is_some())
}

/// How a mapping says to count; what it leaves out is PostgreSQL's choice.
pub(crate) fn counting(node: &Node, ty: &SqlType, reader: &mut ModelReader<'_>) -> Counting {
    let usual = Counting::usual(ty, number(node, "increment", reader).unwrap_or(1));
    let min = number(node, "min", reader).unwrap_or(usual.min);
    let max = number(node, "max", reader).unwrap_or(usual.max);
    let start = if usual.increment < 0 { max } else { min };
    let out = Counting {
        start: number(node, "start", reader).unwrap_or(start),
        increment: usual.increment,
        min,
        max,
        cache: number(node, "cache", reader).unwrap_or(usual.cache),
        cycle: node.get("cycle").and_then(Node::flag).unwrap_or(false),
    };
    let wrong = if out.increment == 0 {
        Some(("increment", "a sequence does not count in steps of 0"))
    } else if out.min >= out.max {
        Some(("max", "the largest value is not above the least one"))
    } else if out.start < out.min || out.start > out.max {
        Some(("start", "the first value is not between the least and the largest one"))
    } else if out.cache < 1 {
        Some(("cache", "a session takes at least one value"))
    } else {
        None
    };
    if let Some((key, message)) = wrong {
        let at = node.get(key).unwrap_or(node).span;
        reader.problem(Problem::new("counting", message).at(at, "here").help("correct the number"));
    }
    out
}

fn number(node: &Node, key: &str, reader: &mut ModelReader<'_>) -> Option<i64> {
    let value = node.get(key)?;
    let scalar = value.scalar()?;
    if scalar.meaning() == Meaning::Null {
        return None;
    }
    let number = scalar.text.parse().ok();
    if number.is_none() {
        let message = format!("`{}` is no whole number", scalar.text);
        reader.problem(
            Problem::new("counting", message)
                .at(value.span, "not a whole number")
                .help(format!("write {key}: 1")),
        );
    }
    number
}

/// The entries that a model needs to say the same.
pub(crate) fn entries(counting: &Counting, ty: &SqlType) -> Vec<(&'static str, Out)> {
    let Counting { start, increment, min, max, cache, cycle } = *counting;
    let usual = Counting::usual(ty, increment);
    let first = if increment < 0 { max } else { min };
    let mut out = Vec::new();
    let mut number = |key, value: i64, usual: i64| {
        out.extend((value != usual).then(|| (key, Out::number(value))));
    };
    number("start", start, first);
    number("increment", increment, 1);
    number("min", min, usual.min);
    number("max", max, usual.max);
    number("cache", cache, usual.cache);
    out.extend(cycle.then_some(("cycle", Out::Flag(true))));
    out
}
