//! `extensions:` at the top of a file.

use std::sync::Arc;

use reconcile_catalog::{Address, Object};
use reconcile_yaml::{Entry, Out};

use super::Extension;
use crate::model::{At, FILE, Field, Form, ModelPart, ModelReader, Shape, WriteCx, Written};

/// An extension in a model.
pub static EXTENSION: Form = Form::new("extension", "an extension");

/// Extensions in a model.
pub struct ExtensionModel;

static FIELDS: [Field; 4] = [
    Field::section(
        &[&FILE],
        "extensions",
        Shape::Map(&Shape::OneOf(&[Shape::Null, Shape::Object(&EXTENSION)])),
        "Extensions by name.",
    ),
    Field::new(
        &[&EXTENSION],
        "schema",
        Shape::Name,
        "The namespace of what belongs to it; where PostgreSQL puts it, if left out.",
    ),
    Field::new(
        &[&EXTENSION],
        "version",
        Shape::Text,
        "Its version; if left out, the newest where it is made, and any where it is there.",
    ),
    Field::absent(&[&EXTENSION]),
];

/// The extensions that one of PostgreSQL's own needs (`requires` in its control file); those of
/// others are known only to the server that has their files.
fn required(name: &str) -> Vec<Address> {
    let languages = [
        ("_plperlu", "plperlu"),
        ("_plperl", "plperl"),
        ("_plpython3u", "plpython3u"),
        ("_plpython2u", "plpython2u"),
    ];
    let transform = languages.iter().find_map(|(end, language)| {
        name.strip_suffix(end).map(|ty| vec![ty.to_owned(), (*language).to_owned()])
    });
    let required = match name {
        "earthdistance" => vec!["cube".to_owned()],
        _ => transform.unwrap_or_default(),
    };
    required.iter().map(|name| Extension::address(name)).collect()
}

impl ModelPart for ExtensionModel {
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
            let address = Extension::address(&name);
            if reader.absent(value, &address, key.span) {
                continue;
            }
            let namespace = value.get("schema").and_then(|node| reader.name_of(node));
            let version = value.get("version").and_then(|node| node.text().map(str::to_owned));
            let needs = namespace.as_ref().map(|name| reader.in_namespace(name, key.span));
            let extension = Extension { namespace, version };
            let mut object = Object::new(address.clone(), None, Arc::new(extension));
            object.depends_on.extend(needs);
            object.depends_on.extend(required(&name));
            if reader.declare(object, key.span) {
                reader.sections(&EXTENSION, &address, value);
            }
        }
    }

    fn write(&self, object: &Object, cx: &WriteCx<'_>) -> Option<Written> {
        let Extension { namespace, version } = object.get()?;
        Some(
            Written::root("extensions", object, cx)
                .with_some("schema", namespace.as_ref().map(Out::text))
                .with_some("version", version.as_ref().map(Out::text)),
        )
    }
}
