//! How kinds stand in a model file: which keys they declare, where, and how their values become
//! objects.
//!
//! A key is declared once, as a [`Field`]; the check for unknown keys and wrong values, the
//! suggestions and the JSON Schema all come from there. Readers may therefore pass over in
//! silence what has the wrong shape: it has been reported.

mod expression;
mod field;
mod mention;
pub(crate) mod names;
mod readable;
mod reader;
pub mod settings;
mod write;

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use reconcile_catalog::{Address, Object};
use reconcile_sql::QName;
use reconcile_yaml::{Entry, Node};

pub use expression::{columns_in, unwrapped};
pub use field::{Field, Form, Shape};
pub use names::{joined, object_name};
pub use readable::readable;
pub use reader::{At, Item, ModelReader, Reading, read};
pub use write::{WriteCx, Written};

use crate::registry::KINDS;

/// The key at the top of a file that says in which namespace unqualified names are.
pub const NAMESPACE_KEY: &str = "namespace";

/// The key at the top of a file for what of all objects is managed besides.
pub const MANAGE_KEY: &str = "manage";

/// The top of a file.
pub static FILE: Form = Form::new("file", "a model file");

/// What a kind that models can declare has to say.
pub trait ModelPart: Sync {
    /// The keys that it declares.
    fn fields(&self) -> &'static [Field];

    /// Reads the value of one of its sections: a key that stands in what belongs to another kind.
    fn read<'a>(
        &self,
        field: &'static Field,
        entry: &'a Entry,
        at: &At<'a>,
        reader: &mut ModelReader<'a>,
    );

    /// Adds what follows from everything that the files state, once all of it is read: the parts that
    /// partitions have of their parent's objects.
    fn finish(&self, _reader: &mut ModelReader<'_>) {}

    /// The way back: what a model says of an object; nothing for one that follows from another, such
    /// as the column that a partition has from its parent.
    fn write(&self, object: &Object, cx: &WriteCx<'_>) -> Option<Written>;

    /// The types that an entry of one of its sections at the top of a file makes: what columns can
    /// have before the section itself is read.
    fn types(
        &self,
        _field: &'static Field,
        _name: &QName,
        _definition: &Node,
    ) -> Vec<(QName, Address)> {
        Vec::new()
    }

    /// Whether each object of the kind gets a file of its own if a model is written as a folder.
    fn has_own_file(&self) -> bool {
        false
    }
}

/// All keys of a form, in the order of the registry.
pub fn fields_of(
    form: &'static Form,
) -> impl Iterator<Item = (&'static dyn ModelPart, &'static Field)> {
    type Fields = HashMap<&'static str, Vec<(&'static dyn ModelPart, &'static Field)>>;
    static FIELDS: LazyLock<Fields> = LazyLock::new(|| {
        let mut fields = Fields::new();
        for part in KINDS.iter().filter_map(|kind| kind.model()) {
            for field in part.fields() {
                let forms: BTreeSet<&str> = field.of.iter().map(|form| form.name).collect();
                forms.into_iter().for_each(|of| fields.entry(of).or_default().push((part, field)));
            }
        }
        fields
    });
    FIELDS.get(form.name).into_iter().flatten().copied()
}

/// The place of a section among those that stand in one mapping.
pub fn section_place(name: &str) -> usize {
    static PLACES: LazyLock<HashMap<&'static str, usize>> = LazyLock::new(|| {
        let parts = KINDS.iter().filter_map(|kind| kind.model());
        let mut places = HashMap::new();
        for (at, field) in parts.flat_map(|part| part.fields()).enumerate() {
            if field.section {
                places.entry(field.name).or_insert(at);
            }
        }
        places
    });
    PLACES.get(name).copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_declared_once_and_described() {
        for kind in KINDS {
            let Some(part) = kind.model() else { continue };
            for field in part.fields() {
                assert!(field.doc.ends_with('.'), "{}", field.name);
                assert!(!field.late || field.section, "{} is read with its own kind", field.name);
                for form in field.of {
                    let declared = fields_of(form).filter(|(_, other)| other.name == field.name);
                    assert_eq!(declared.count(), 1, "{} of {}", field.name, form.called);
                }
            }
        }
    }

    #[test]
    fn every_form_is_reached_from_the_file() {
        fn collect(shape: &'static Shape, seen: &mut BTreeSet<&'static str>) {
            match shape {
                Shape::Object(form) => walk(form, seen),
                Shape::List(of) | Shape::Map(of) | Shape::Named(of) => collect(of, seen),
                Shape::OneOf(shapes) => shapes.iter().for_each(|shape| collect(shape, seen)),
                _ => {}
            }
        }
        fn walk(form: &'static Form, seen: &mut BTreeSet<&'static str>) {
            if seen.insert(form.name) {
                fields_of(form).for_each(|(_, field)| collect(&field.shape, seen));
            }
        }
        let mut seen = BTreeSet::new();
        walk(&FILE, &mut seen);
        let parts = KINDS.iter().filter_map(|kind| kind.model());
        let declared = parts.flat_map(|part| part.fields().iter().flat_map(|field| field.of));
        for form in declared {
            assert!(seen.contains(form.name), "no key leads to {}", form.called);
        }
    }
}
