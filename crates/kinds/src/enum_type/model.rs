//! `enums:` at the top of a file.

use std::sync::Arc;

use reconcile_catalog::Object;
use reconcile_yaml::{Entry, Node, Out, Problem};

use super::EnumType;
use crate::model::{At, FILE, Field, Form, ModelPart, ModelReader, Shape, WriteCx, Written};

/// An enum type in a model.
pub static ENUM: Form = Form::new("enum", "an enum type");

/// Enum types in a model.
pub struct EnumTypeModel;

static FIELDS: [Field; 4] = [
    Field::section(
        &[&FILE],
        "enums",
        Shape::Map(&Shape::OneOf(&[Shape::List(&Shape::Text), Shape::Object(&ENUM)])),
        "Enum types by name: a list of labels, or a mapping.",
    ),
    Field::new(&[&ENUM], "labels", Shape::List(&Shape::Text), "The labels in their order.")
        .required(),
    Field::renamed_from(&[&ENUM]),
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
            let labels = labels(value.get("labels").unwrap_or(value), reader);
            let mut object = Object::new(address.clone(), None, Arc::new(EnumType { labels }));
            object.depends_on.insert(reader.in_namespace(&name.namespace, key.span));
            object.renamed_from = reader.renamed_from(value);
            if reader.declare(object, key.span) {
                reader.sections(&ENUM, &address, value);
            }
        }
    }

    fn write(&self, object: &Object, cx: &WriteCx<'_>) -> Option<Written> {
        let labels = Out::words(&object.get::<EnumType>()?.labels);
        Some(Written::root("enums", object, cx).with("labels", labels).short("labels"))
    }
}

fn labels(list: &Node, reader: &mut ModelReader<'_>) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for item in list.items() {
        let Some(label) = reader.name_of(item) else { continue };
        if out.contains(&label) {
            let problem = Problem::new("label_twice", format!("label `{label}` stands here twice"));
            reader.problem(problem.at(item.span, "again here").help("remove one"));
        } else {
            out.push(label);
        }
    }
    out
}
