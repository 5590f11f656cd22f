//! `namespace:` at the top of a file.
//!
//! A namespace is part of the model where something of the model stands in it.

use std::sync::Arc;

use reconcile_catalog::Object;
use reconcile_yaml::{Entry, Node};

use super::Namespace;
use crate::model::{At, FILE, Field, ModelPart, ModelReader, Shape};

/// The namespace where a file names none.
const DEFAULT: &str = "public";

/// Namespaces in a model.
pub struct NamespaceModel;

static FIELDS: [Field; 1] = [Field::new(
    &[&FILE],
    "namespace",
    Shape::Name,
    "The namespace of every unqualified name in this file; public if left out.",
)];

impl ModelPart for NamespaceModel {
    fn fields(&self) -> &'static [Field] {
        &FIELDS
    }

    fn read<'a>(&self, _: &'static Field, _: &'a Entry, _: &At<'a>, _: &mut ModelReader<'a>) {}
}

/// The namespace of the unqualified names in a file.
pub(crate) fn of_file(root: &Node, reader: &mut ModelReader<'_>) -> String {
    let stated = root.get("namespace").and_then(|node| reader.name_of(node));
    stated.unwrap_or_else(|| DEFAULT.to_owned())
}

/// A namespace as an object.
pub(crate) fn object(name: &str) -> Object {
    Object::new(Namespace::address(name), None, Arc::new(Namespace {}))
}
