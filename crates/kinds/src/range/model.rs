//! `ranges:` at the top of a file.

use std::sync::Arc;

use reconcile_catalog::{Address, Object};
use reconcile_sql::QName;
use reconcile_sql::ident::split_qualified;
use reconcile_yaml::{Entry, Node, Out};

use super::{Range, multirange_name};
use crate::column::model::resolve_type;
use crate::domain::model::collation;
use crate::model::{At, FILE, Field, Form, ModelPart, ModelReader, Shape, WriteCx, Written};

/// A range type in a model.
pub static RANGE: Form = Form::new("range", "a range type");

/// Range types in a model.
pub struct RangeModel;

static FIELDS: [Field; 9] = [
    Field::section(
        &[&FILE],
        "ranges",
        Shape::Map(&Shape::OneOf(&[Shape::Text, Shape::Object(&RANGE)])),
        "Range types by name: the type of their bounds, or a mapping.",
    ),
    Field::new(&[&RANGE], "subtype", Shape::Text, "The type of its bounds.").required(),
    Field::new(
        &[&RANGE],
        "opclass",
        Shape::Text,
        "The operator class that orders the bounds, if it is not their type's own.",
    ),
    Field::new(
        &[&RANGE],
        "collation",
        Shape::Text,
        "The collation that orders the bounds, if it is not their type's own.",
    ),
    Field::new(
        &[&RANGE],
        "canonical",
        Shape::Text,
        "The function that gives equal ranges one spelling.",
    ),
    Field::new(
        &[&RANGE],
        "subtype_diff",
        Shape::Text,
        "The function that tells how far two bounds are apart.",
    ),
    Field::new(
        &[&RANGE],
        "multirange",
        Shape::Text,
        "The name of its multirange type, if it is not PostgreSQL's own choice (14).",
    ),
    Field::renamed_from(&[&RANGE]),
    Field::absent(&[&RANGE]),
];

impl ModelPart for RangeModel {
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
            let address = Range::address(&name);
            if reader.absent(value, &address, key.span) {
                continue;
            }
            let subtype = value.get("subtype").unwrap_or(value);
            let Some((subtype, depends_on)) = resolve_type(subtype, reader) else { continue };
            let text = |key: &str| value.get(key).and_then(Node::text);
            let range = Range {
                subtype,
                opclass: text("opclass").map(collation),
                collation: text("collation").map(collation),
                canonical: text("canonical").map(collation),
                subtype_diff: text("subtype_diff").map(collation),
                multirange: multirange(value, &name).filter(|n| *n != usual(&name)),
            };
            let Range { subtype: _, opclass, collation, canonical, subtype_diff, multirange: _ } =
                &range;
            let names = [opclass, collation, canonical, subtype_diff].into_iter().flatten();
            let names: Vec<String> = names.map(ToString::to_string).collect();
            let mut object = Object::new(address.clone(), None, Arc::new(range));
            object.depends_on.insert(reader.in_namespace(&name.namespace, key.span));
            object.depends_on.extend(depends_on);
            object.renamed_from = reader.renamed_from(value);
            if reader.declare(object, key.span) {
                names.iter().for_each(|text| reader.mention(&address, text));
                reader.sections(&RANGE, &address, value);
            }
        }
    }

    fn write(&self, object: &Object, cx: &WriteCx<'_>) -> Option<Written> {
        let Range { subtype, opclass, collation, canonical, subtype_diff, multirange } =
            object.get()?;
        let name = |name: &Option<QName>| name.as_ref().map(|n| Out::text(n.to_string()));
        Some(
            Written::root("ranges", object, cx)
                .with("subtype", Out::Text(cx.ty(subtype)))
                .with_some("opclass", name(opclass))
                .with_some("collation", name(collation))
                .with_some("canonical", name(canonical))
                .with_some("subtype_diff", name(subtype_diff))
                .with_some("multirange", name(multirange))
                .short("subtype"),
        )
    }

    fn types(&self, _: &'static Field, name: &QName, definition: &Node) -> Vec<(QName, Address)> {
        let address = Range::address(name);
        let multirange = multirange(definition, name).unwrap_or_else(|| usual(name));
        vec![(name.clone(), address.clone()), (multirange, address)]
    }
}

fn usual(range: &QName) -> QName {
    QName::new(&range.namespace, multirange_name(&range.name))
}

/// The multirange type's name, if it is stated; in the range type's namespace unless another is.
fn multirange(definition: &Node, range: &QName) -> Option<QName> {
    let (namespace, name) = split_qualified(definition.get("multirange")?.text()?);
    Some(QName::new(namespace.unwrap_or_else(|| range.namespace.clone()), name))
}
