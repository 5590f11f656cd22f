//! `triggers:` in a table or a view.

use std::sync::Arc;

use reconcile_catalog::Object;
use reconcile_yaml::{Entry, Node, Out, Problem};

use super::{Enabled, Trigger};
use crate::model::{At, Field, Form, ModelPart, ModelReader, Shape, WriteCx, Written};
use crate::table::model::TABLE;
use crate::view::model::VIEW;

/// A trigger in a model.
pub static TRIGGER: Form = Form::new("trigger", "a trigger");

/// Triggers in a model.
pub struct TriggerModel;

static FIELDS: [Field; 5] = [
    Field::section(
        &[&TABLE, &VIEW],
        "triggers",
        Shape::Map(&Shape::OneOf(&[Shape::Text, Shape::Object(&TRIGGER)])),
        "Triggers by name: the whole CREATE TRIGGER statement, or a mapping.",
    )
    .late(),
    Field::new(
        &[&TRIGGER],
        "definition",
        Shape::Text,
        "The whole CREATE TRIGGER statement, names qualified.",
    )
    .required(),
    Field::new(
        &[&TRIGGER],
        "enabled",
        Shape::Word(&["origin", "disabled", "replica", "always"]),
        "When it fires; origin, which is always but in replicas, if left out.",
    ),
    Field::absent(&[&TRIGGER]),
    Field::renamed_from(&[&TRIGGER]),
];

impl ModelPart for TriggerModel {
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
        let Some(relation) = &at.address else { return };
        reader.manage(relation, field.name);
        for Entry { key, value } in entry.value.entries() {
            let Some(name) = reader.name(key) else { continue };
            let address = Trigger::address(relation, &name);
            if reader.absent(value, &address, key.span) {
                continue;
            }
            let source = value.get("definition").unwrap_or(value);
            let Some(text) = reader.expression(source) else { continue };
            let definition = text.trim_end_matches(';').trim_end().to_owned();
            if !creates(&definition, &name) {
                let problem = Problem::new(
                    "trigger",
                    format!("this is not the CREATE TRIGGER statement of `{name}`"),
                );
                let help = format!("write CREATE TRIGGER {name} BEFORE INSERT ON … as SQL has it");
                reader.problem(problem.at(source.span, "not its statement").help(help));
                continue;
            }
            let trigger = Trigger {
                definition: definition.clone(),
                enabled: enabled(value),
                inherited: false,
            };
            let mut object =
                Object::new(address.clone(), Some(relation.clone()), Arc::new(trigger));
            object.renamed_from = reader.renamed_from(value);
            if reader.declare(object, key.span) {
                reader.mention(&address, &definition);
                reader.sections(&TRIGGER, &address, value);
            }
        }
    }

    fn write(&self, object: &Object, _: &WriteCx<'_>) -> Option<Written> {
        let trigger: &Trigger = object.get()?;
        if trigger.inherited {
            return None;
        }
        let enabled = match trigger.enabled {
            Enabled::Origin => None,
            Enabled::Disabled => Some("disabled"),
            Enabled::Replica => Some("replica"),
            Enabled::Always => Some("always"),
        };
        Some(
            Written::child("triggers", object)
                .with("definition", Out::text(&trigger.definition))
                .with_some("enabled", enabled.map(Out::text))
                .short("definition"),
        )
    }
}

fn enabled(node: &Node) -> Enabled {
    match node.get("enabled").and_then(Node::text) {
        Some("disabled") => Enabled::Disabled,
        Some("replica") => Enabled::Replica,
        Some("always") => Enabled::Always,
        _ => Enabled::Origin,
    }
}

/// Whether a text is the CREATE TRIGGER statement of this name.
fn creates(text: &str, name: &str) -> bool {
    let tokens = reconcile_sql::lex::significant(text);
    let at = tokens.iter().take(5).position(|t| t.is("trigger"));
    let named = at.and_then(|at| tokens.get(at + 1)).and_then(|t| t.ident());
    tokens.first().is_some_and(|t| t.is("create")) && named.as_deref() == Some(name)
}
