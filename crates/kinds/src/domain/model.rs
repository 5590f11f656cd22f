//! `domains:` at the top of a file.

use std::sync::Arc;

use reconcile_catalog::{Address, Object};
use reconcile_sql::QName;
use reconcile_sql::ident::split_qualified;
use reconcile_yaml::{Entry, Node, Out};

use super::Domain;
use crate::column::model::{LITERAL, default_of, resolve_type, written_default};
use crate::model::{At, FILE, Field, Form, ModelPart, ModelReader, Shape, WriteCx, Written};

/// A domain in a model.
pub static DOMAIN: Form = Form::new("domain", "a domain");

/// Domains in a model.
pub struct DomainModel;

static FIELDS: [Field; 8] = [
    Field::section(
        &[&FILE],
        "domains",
        Shape::Map(&Shape::OneOf(&[Shape::Text, Shape::Object(&DOMAIN)])),
        "Domains by name: the type that it is over, or a mapping.",
    ),
    Field::new(&[&DOMAIN], "type", Shape::Text, "The type that it is over.").required(),
    Field::new(
        &[&DOMAIN],
        "nullable",
        Shape::Flag,
        "Whether a value may be null; true if left out.",
    ),
    Field::new(
        &[&DOMAIN],
        "default",
        Shape::OneOf(&[Shape::Scalar, Shape::Object(&LITERAL)]),
        "The default of columns that have none of their own: SQL where it is text.",
    ),
    Field::new(&[&DOMAIN], "collation", Shape::Text, "Its collation, if it is not the type's own."),
    Field::new(
        &[&DOMAIN],
        "not_null_name",
        Shape::Name,
        "The name of its NOT NULL constraint, if it is not PostgreSQL's own choice (17).",
    ),
    Field::renamed_from(&[&DOMAIN]),
    Field::absent(&[&DOMAIN]),
];

impl ModelPart for DomainModel {
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
            let address = Domain::address(&name);
            if reader.absent(value, &address, key.span) {
                continue;
            }
            let Some((ty, depends_on)) = resolve_type(value.get("type").unwrap_or(value), reader)
            else {
                continue;
            };
            let domain = Domain {
                ty,
                nullable: value.get("nullable").and_then(Node::flag).unwrap_or(true),
                default: value.get("default").and_then(|node| default_of(node, reader)),
                collation: value.get("collation").and_then(Node::text).map(collation),
                not_null_name: value.get("not_null_name").and_then(|node| reader.name_of(node)),
            };
            let texts =
                [domain.default.clone(), domain.collation.as_ref().map(ToString::to_string)];
            let mut object = Object::new(address.clone(), None, Arc::new(domain));
            object.depends_on.insert(reader.in_namespace(&name.namespace, key.span));
            object.depends_on.extend(depends_on);
            object.renamed_from = reader.renamed_from(value);
            if reader.declare(object, key.span) {
                texts.iter().flatten().for_each(|text| reader.mention(&address, text));
                reader.sections(&DOMAIN, &address, value);
            }
        }
    }

    fn write(&self, object: &Object, cx: &WriteCx<'_>) -> Option<Written> {
        let Domain { ty, nullable, default, collation, not_null_name } = object.get()?;
        Some(
            Written::root("domains", object, cx)
                .with("type", Out::Text(cx.ty(ty)))
                .with_some("nullable", (!nullable).then_some(Out::Flag(false)))
                .with_some("default", default.as_deref().map(written_default))
                .with_some("collation", collation.as_ref().map(|c| Out::text(c.to_string())))
                .with_some("not_null_name", not_null_name.as_ref().map(Out::text))
                .short("type"),
        )
    }

    fn types(&self, _: &'static Field, name: &QName, _: &Node) -> Vec<(QName, Address)> {
        vec![(name.clone(), Domain::address(name))]
    }
}

/// A collation; PostgreSQL's own unless a namespace is stated.
pub(crate) fn collation(text: &str) -> QName {
    let (namespace, name) = split_qualified(text);
    QName::new(namespace.unwrap_or_else(|| "pg_catalog".to_owned()), name)
}
