//! `policies:` in a table.

use std::sync::Arc;

use reconcile_catalog::{Address, Object};
use reconcile_yaml::{Entry, Node, Out};

use super::Policy;
use crate::column::Column;
use crate::model::{At, Field, Form, ModelPart, ModelReader, Shape, WriteCx, Written, columns_in};
use crate::table::model::TABLE;

/// A policy in a model.
pub static POLICY: Form = Form::new("policy", "a policy");

/// Policies in a model.
pub struct PolicyModel;

static FIELDS: [Field; 8] = [
    Field::section(
        &[&TABLE],
        "policies",
        Shape::Map(&Shape::Object(&POLICY)),
        "Row-security policies by name.",
    )
    .late(),
    Field::new(
        &[&POLICY],
        "command",
        Shape::Word(&["all", "select", "insert", "update", "delete"]),
        "The command that it is for; all if left out.",
    ),
    Field::new(
        &[&POLICY],
        "restrictive",
        Shape::Flag,
        "true: rows have to pass it besides the others.",
    ),
    Field::new(&[&POLICY], "roles", Shape::Names, "Whom it is for; everybody if left out."),
    Field::new(&[&POLICY], "using", Shape::Text, "The condition on rows that are there."),
    Field::new(&[&POLICY], "check", Shape::Text, "The condition on rows that are written."),
    Field::absent(&[&POLICY]),
    Field::renamed_from(&[&POLICY]),
];

impl ModelPart for PolicyModel {
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
        let Some(table) = &at.address else { return };
        reader.manage(table, field.name);
        for Entry { key, value } in entry.value.entries() {
            let Some(name) = reader.name(key) else { continue };
            let address = Policy::address(table, &name);
            if !reader.absent(value, &address, key.span) {
                let policy = policy(value, reader);
                let mut object =
                    Object::new(address.clone(), Some(table.clone()), Arc::new(policy.clone()));
                let texts: Vec<&String> = policy.using.iter().chain(&policy.check).collect();
                object.renamed_from = reader.renamed_from(value);
                object.depends_on = reads(table, &texts, reader);
                if reader.declare(object, key.span) {
                    texts.iter().for_each(|text| reader.mention(&address, text));
                    reader.sections(&POLICY, &address, value);
                }
            }
        }
    }

    fn write(&self, object: &Object, _: &WriteCx<'_>) -> Option<Written> {
        let Policy { command, permissive, roles, using, check } = object.get()?;
        let all = command == "ALL";
        let everybody = roles.len() == 1 && roles[0] == "public";
        Some(
            Written::child("policies", object)
                .with_some("command", (!all).then(|| Out::Text(command.to_lowercase())))
                .with_flag("restrictive", !permissive)
                .with_some("roles", (!everybody).then(|| Out::words(roles)))
                .with_some("using", using.as_ref().map(Out::text))
                .with_some("check", check.as_ref().map(Out::text)),
        )
    }
}

fn policy(node: &Node, reader: &mut ModelReader<'_>) -> Policy {
    let mut roles: Vec<String> = Vec::new();
    for item in node.get("roles").map(Node::items).unwrap_or_default() {
        roles.extend(reader.name_of(item));
    }
    if roles.is_empty() {
        roles.push("public".to_owned());
    }
    let word = node.get("command").and_then(Node::text).unwrap_or("all");
    Policy {
        command: word.to_uppercase(),
        permissive: node.get("restrictive").and_then(Node::flag) != Some(true),
        roles,
        using: node.get("using").and_then(|n| reader.expression(n)),
        check: node.get("check").and_then(|n| reader.expression(n)),
    }
}

/// The columns of its own table that texts name.
fn reads(
    table: &Address,
    texts: &[&String],
    reader: &ModelReader<'_>,
) -> std::collections::BTreeSet<Address> {
    let columns = reader.columns(table).unwrap_or_default();
    let named = texts.iter().flat_map(|text| columns_in(text, table.name(), columns));
    named.map(|column| Column::address(table, column)).collect()
}
