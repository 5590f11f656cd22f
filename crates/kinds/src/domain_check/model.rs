//! `checks:` in a domain.

use std::sync::Arc;

use reconcile_catalog::Object;
use reconcile_sql::QName;
use reconcile_yaml::{Entry, Node, Out, Problem};

use super::DomainCheck;
use crate::domain::model::DOMAIN;
use crate::model::{At, Field, Form, ModelPart, ModelReader, Shape, WriteCx, Written};

/// A check of a domain in a model.
pub static DOMAIN_CHECK: Form = Form::new("domain_check", "a check of a domain");

/// Checks of domains in a model.
pub struct DomainCheckModel;

static FIELDS: [Field; 6] = [
    Field::section(
        &[&DOMAIN],
        "checks",
        Shape::Named(&Shape::OneOf(&[Shape::Text, Shape::Object(&DOMAIN_CHECK)])),
        "Checks: by name or as a list, each an SQL condition on VALUE or a mapping.",
    ),
    Field::new(&[&DOMAIN_CHECK], "expression", Shape::Text, "The condition on VALUE as SQL.")
        .required(),
    Field::new(
        &[&DOMAIN_CHECK],
        "validated",
        Shape::Flag,
        "false: it speaks of new values only (NOT VALID).",
    ),
    Field::new(&[&DOMAIN_CHECK], "name", Shape::Name, "Its name, for a definition in a list."),
    Field::renamed_from(&[&DOMAIN_CHECK]),
    Field::absent(&[&DOMAIN_CHECK]),
];

impl ModelPart for DomainCheckModel {
    fn fields(&self) -> &'static [Field] {
        &FIELDS
    }

    fn read<'a>(
        &self,
        field: &'static Field,
        entry: &'a Entry,
        at: &At<'a>,
        reader: &mut ModelReader<'a>,
    ) {
        let Some(domain) = &at.address else { return };
        reader.manage(domain, field.name);
        for item in reader.items(&entry.value) {
            let unnamed = item.name.is_none();
            let name = item.name.clone().unwrap_or_else(|| {
                reader.generate(domain.namespace(), domain.name(), None, "check")
            });
            let address = DomainCheck::address(domain, &name);
            if reader.absent(item.node, &address, item.span) {
                continue;
            }
            let source = item.node.get("expression").unwrap_or(item.node);
            let Some(expression) = reader.expression(source) else { continue };
            let validated = item.node.get("validated").and_then(Node::flag).unwrap_or(true);
            let check = DomainCheck { expression: expression.clone(), validated };
            let mut object = Object::new(address.clone(), Some(domain.clone()), Arc::new(check));
            object.unnamed = unnamed;
            object.renamed_from = reader.renamed_from(item.node);
            if !reader.declare(object, item.span) {
                continue;
            }
            reader.claim(QName::new(domain.namespace(), name));
            reader.mention(&address, &expression);
            if unnamed && item.node.get("comment").is_some() {
                let problem =
                    Problem::new("name", "a comment needs the name of what it is said of");
                reader.problem(problem.at(item.span, "no name").help(
                    "give the definition a name: turn the list into a mapping, or add `name:`",
                ));
                continue;
            }
            reader.sections(&DOMAIN_CHECK, &address, item.node);
        }
    }

    fn write(&self, object: &Object, _: &WriteCx<'_>) -> Option<Written> {
        let DomainCheck { expression, validated } = object.get()?;
        Some(
            Written::child("checks", object)
                .with("expression", Out::text(expression))
                .with_some("validated", (!validated).then_some(Out::Flag(false)))
                .short("expression"),
        )
    }
}
