//! `namespace:` at the top of a file.
//!
//! A namespace is part of the model where something of the model stands in it.

use std::sync::Arc;

use reconcile_catalog::Object;
use reconcile_yaml::{Entry, Node};

use super::Namespace;
use crate::kind;
use crate::model::{
    At, FILE, Field, Form, ModelPart, ModelReader, NAMESPACE_KEY, Shape, WriteCx, Written,
};

/// The namespace where a file names none.
const DEFAULT: &str = "public";

/// Namespaces in a model.
pub struct NamespaceModel;

/// A namespace in a model.
pub static NAMESPACE: Form = Form::new("namespace", "a namespace");

static FIELDS: [Field; 4] = [
    Field::new(
        &[&FILE],
        NAMESPACE_KEY,
        Shape::Name,
        "The namespace of every unqualified name in this file; public if left out.",
    ),
    Field::section(
        &[&FILE],
        "namespaces",
        Shape::Map(&Shape::OneOf(&[Shape::Null, Shape::Object(&NAMESPACE)])),
        "Namespaces by name; those that something of the model stands in need not be listed.",
    ),
    Field::absent(&[&NAMESPACE]),
    Field::renamed_from(&[&NAMESPACE]),
];

impl ModelPart for NamespaceModel {
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
            let Some(name) = reader.name(key) else { continue };
            let address = Namespace::address(&name);
            if reader.absent(value, &address, key.span) {
                continue;
            }
            let mut object = object(&name);
            object.renamed_from = reader.renamed_from(value);
            if reader.declare(object, key.span) {
                reader.sections(&NAMESPACE, &address, value);
            }
        }
    }

    fn write(&self, object: &Object, cx: &WriteCx<'_>) -> Option<Written> {
        // What stands in it names it, if a model can state that.
        let stated = |o: &Object| kind(o.address.kind()).is_some_and(|k| k.model().is_some());
        let named = cx.catalog.dependents(&object.address).any(stated);
        Some(Written::root("namespaces", object, cx).implied(named))
    }
}

/// The namespace of the unqualified names in a file.
pub(crate) fn of_file(root: &Node, reader: &mut ModelReader<'_>) -> String {
    let stated = root.get(NAMESPACE_KEY).and_then(|node| reader.name_of(node));
    stated.unwrap_or_else(|| DEFAULT.to_owned())
}

/// A namespace as an object.
pub(crate) fn object(name: &str) -> Object {
    Object::new(Namespace::address(name), None, Arc::new(Namespace {}))
}
