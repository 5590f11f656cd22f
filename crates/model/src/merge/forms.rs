//! The forms of mappings, and the keys in them that no catalog contradicts: they say how a thing is done.

use reconcile_kinds::model::{Form, Shape, fields_of};
use reconcile_yaml::{Entry, Node, Out, Value};

use crate::write::Item;

/// The entries that say how something is done.
fn lasting<'n>(shape: &'static Shape, node: &'n Node) -> impl Iterator<Item = &'n Entry> {
    let form = form_of(shape, node);
    let lasts = move |entry: &&Entry| {
        let mut fields = form.into_iter().flat_map(fields_of);
        fields.any(|(_, field)| field.lasting && field.name == entry.key.text)
    };
    node.entries().iter().filter(lasts)
}

/// Whether a definition says how something is done.
pub(super) fn says_how(shape: &'static Shape, node: &Node) -> bool {
    lasting(shape, node).next().is_some()
}

/// A definition that takes the place of another one, with what that says of how things are done.
pub(super) fn value_over(item: &Item, shape: &'static Shape, there: &Node) -> Out {
    let lasting: Vec<(String, Out)> = lasting(shape, there)
        .filter_map(|entry| Some((entry.key.text.clone(), Out::text(entry.value.text()?))))
        .collect();
    match item.value() {
        value if lasting.is_empty() => value,
        Out::Record(entries) => Out::Record(entries.into_iter().chain(lasting).collect()),
        _ => Out::Record(item.own.iter().cloned().chain(lasting).collect()),
    }
}

/// The form of a mapping under a shape.
pub(super) fn form_of(shape: &'static Shape, node: &Node) -> Option<&'static Form> {
    let Value::Mapping(_) = node.value else { return None };
    match shape {
        Shape::Object(form) => Some(form),
        Shape::Map(of) | Shape::Named(of) => form_of(of, node),
        Shape::OneOf(shapes) => shapes.iter().find_map(|shape| form_of(shape, node)),
        Shape::Null
        | Shape::Text
        | Shape::Name
        | Shape::Flag
        | Shape::Word(_)
        | Shape::Scalar
        | Shape::Names
        | Shape::Settings
        | Shape::List(_) => None,
    }
}
