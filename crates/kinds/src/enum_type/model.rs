//! `enums:` at the top of a file.

use std::sync::Arc;

use reconcile_catalog::{Address, Object};
use reconcile_sql::QName;
use reconcile_yaml::{Entry, Node, Out, Problem};

use super::EnumType;
use crate::model::{At, FILE, Field, Form, ModelPart, ModelReader, Shape, WriteCx, Written};

/// An enum type in a model.
pub static ENUM: Form = Form::new("enum", "an enum type");

/// Enum types in a model.
pub struct EnumTypeModel;

/// A label in a model.
pub static LABEL: Form = Form::new("label", "a label of an enum type");

static FIELDS: [Field; 5] = [
    Field::section(
        &[&FILE],
        "enums",
        Shape::Map(&Shape::OneOf(&[
            Shape::List(&Shape::OneOf(&[Shape::Text, Shape::Object(&LABEL)])),
            Shape::Object(&ENUM),
        ])),
        "Enum types by name: a list of labels, or a mapping.",
    ),
    Field::new(
        &[&ENUM],
        "labels",
        Shape::List(&Shape::OneOf(&[Shape::Text, Shape::Object(&LABEL)])),
        "The labels in their order.",
    )
    .required(),
    Field::new(&[&LABEL], "value", Shape::Text, "The label.").required(),
    Field::renamed_from(&[&ENUM, &LABEL]),
    Field::absent(&[&ENUM]),
];

impl ModelPart for EnumTypeModel {
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
            let address = EnumType::address(&name);
            if reader.absent(value, &address, key.span) {
                continue;
            }
            let (labels, renamed) = labels(value.get("labels").unwrap_or(value), reader);
            let mut object =
                Object::new(address.clone(), None, Arc::new(EnumType { labels, renamed }));
            object.depends_on.insert(reader.in_namespace(&name.namespace, key.span));
            object.renamed_from = reader.renamed_from(value);
            if reader.declare(object, key.span) {
                reader.sections(&ENUM, &address, value);
            }
        }
    }

    fn types(&self, _: &'static Field, name: &QName, _: &Node) -> Vec<(QName, Address)> {
        vec![(name.clone(), EnumType::address(name))]
    }

    fn write(&self, object: &Object, cx: &WriteCx<'_>) -> Option<Written> {
        let labels = Out::words(&object.get::<EnumType>()?.labels);
        Some(Written::root("enums", object, cx).with("labels", labels).short("labels"))
    }
}

/// The labels, and the names that some of them had.
fn labels(list: &Node, reader: &mut ModelReader<'_>) -> (Vec<String>, Vec<(String, String)>) {
    let (mut out, mut renamed): (Vec<String>, Vec<_>) = (Vec::new(), Vec::new());
    for item in list.items() {
        let Some(label) = reader.name_of(item.get("value").unwrap_or(item)) else { continue };
        if out.contains(&label) {
            let problem = Problem::new("label_twice", format!("label `{label}` stands here twice"));
            reader.problem(problem.at(item.span, "again here").help("remove one"));
            continue;
        }
        if let Some(from) = reader.renamed_from(item) {
            renamed.push((label.clone(), from));
        }
        out.push(label);
    }
    (out, renamed)
}
