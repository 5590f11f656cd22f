//! `composites:` at the top of a file.

use std::sync::Arc;

use reconcile_catalog::{Address, Object};
use reconcile_sql::QName;
use reconcile_yaml::{Entry, Node, Out, Problem};

use super::{Attribute, Composite};
use crate::column::model::resolve_type;
use crate::domain::model::collation;
use crate::model::{At, FILE, Field, Form, ModelPart, ModelReader, Shape, WriteCx, Written};

/// A composite type in a model.
pub static COMPOSITE: Form = Form::new("composite", "a composite type");

/// An attribute of a composite type in a model.
pub static ATTRIBUTE: Form = Form::new("attribute", "an attribute of a composite type");

/// Composite types in a model.
pub struct CompositeModel;

static FIELDS: [Field; 6] = [
    Field::section(
        &[&FILE],
        "composites",
        Shape::Map(&Shape::Object(&COMPOSITE)),
        "Composite types by name.",
    ),
    Field::new(
        &[&COMPOSITE],
        "attributes",
        Shape::Map(&Shape::OneOf(&[Shape::Text, Shape::Object(&ATTRIBUTE)])),
        "Its attributes in their order: a type, or a mapping.",
    )
    .required(),
    Field::new(&[&ATTRIBUTE], "type", Shape::Text, "Its type.").required(),
    Field::new(
        &[&ATTRIBUTE],
        "collation",
        Shape::Text,
        "Its collation, if it is not the type's own.",
    ),
    Field::renamed_from(&[&COMPOSITE, &ATTRIBUTE]),
    Field::absent(&[&COMPOSITE]),
];

impl ModelPart for CompositeModel {
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
            let address = Composite::address(&name);
            if reader.absent(value, &address, key.span) {
                continue;
            }
            let mut depends_on = Vec::new();
            let mut attributes = Vec::new();
            for Entry { key, value } in value.get("attributes").map_or(&[][..], Node::entries) {
                let Some(name) = reader.name(key) else { continue };
                let Some((ty, needs)) = resolve_type(value.get("type").unwrap_or(value), reader)
                else {
                    continue;
                };
                if needs.contains(&address) {
                    let problem = Problem::new("type", "a composite type cannot contain itself");
                    reader.problem(problem.at(value.span, "itself").help("use another type"));
                    continue;
                }
                depends_on.extend(needs);
                let collation = value.get("collation").and_then(Node::text).map(collation);
                let renamed_from = reader.renamed_from(value);
                attributes.push(Attribute { name, ty, collation, renamed_from });
            }
            let collations = attributes.iter().filter_map(|a| a.collation.as_ref());
            let collations: Vec<String> = collations.map(ToString::to_string).collect();
            let mut object = Object::new(address.clone(), None, Arc::new(Composite { attributes }));
            object.depends_on.insert(reader.in_namespace(&name.namespace, key.span));
            object.depends_on.extend(depends_on);
            object.renamed_from = reader.renamed_from(value);
            if reader.declare(object, key.span) {
                collations.iter().for_each(|text| reader.mention(&address, text));
                reader.claim_relation(name, key.span);
                reader.sections(&COMPOSITE, &address, value);
            }
        }
    }

    fn write(&self, object: &Object, cx: &WriteCx<'_>) -> Option<Written> {
        let attributes = object.get::<Composite>()?.attributes.iter().map(|attribute| {
            let Attribute { name, ty, collation, renamed_from: _ } = attribute;
            let ty = Out::Text(cx.ty(ty));
            let value = match collation {
                None => ty,
                Some(collation) => {
                    Out::record([("type", ty), ("collation", Out::text(collation.to_string()))])
                }
            };
            (name.clone(), value)
        });
        let attributes = Out::Map(attributes.collect());
        Some(Written::root("composites", object, cx).with("attributes", attributes))
    }

    fn types(&self, _: &'static Field, name: &QName, _: &Node) -> Vec<(QName, Address)> {
        vec![(name.clone(), Composite::address(name))]
    }
}
