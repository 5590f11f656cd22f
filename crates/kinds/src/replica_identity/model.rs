//! `replica_identity:` in a table.

use std::sync::Arc;

use reconcile_catalog::Object;
use reconcile_yaml::{Entry, Node, Out};

use super::ReplicaIdentity;
use crate::constraint::Constraint;
use crate::index::Index;
use crate::model::{At, Field, Form, ModelPart, ModelReader, Shape, WriteCx, Written};
use crate::table::model::TABLE;

/// A replica identity by an index.
static BY_INDEX: Form = Form::new("replica_identity", "a replica identity");

/// Replica identities in a model.
pub struct ReplicaIdentityModel;

static FIELDS: [Field; 2] = [
    Field::section(
        &[&TABLE],
        "replica_identity",
        Shape::OneOf(&[Shape::Word(&["default", "full", "nothing"]), Shape::Object(&BY_INDEX)]),
        "What logical replication knows a row by: default, full, nothing, or {index: name}.",
    )
    .late(),
    Field::new(&[&BY_INDEX], "index", Shape::Name, "The unique index whose columns it is.")
        .required(),
];

impl ModelPart for ReplicaIdentityModel {
    fn fields(&self) -> &'static [Field] {
        &FIELDS
    }

    fn read<'a>(
        &self,
        _: &'static Field,
        entry: &'a Entry,
        at: &At<'a>,
        reader: &mut ModelReader<'a>,
    ) {
        let Some(table) = &at.address else { return };
        let address = ReplicaIdentity::address(table);
        let index = entry.value.get("index").and_then(|node| reader.name_of(node));
        let identity = match (entry.value.scalar().map(|_| Node::text(&entry.value)), index) {
            (_, Some(name)) => ReplicaIdentity::Index(name),
            (Some(Some("full")), _) => ReplicaIdentity::Full,
            (Some(Some("nothing")), _) => ReplicaIdentity::Nothing,
            (Some(Some("default")), _) => return reader.forbid(address, entry.key.span),
            _ => return,
        };
        let needed = match &identity {
            ReplicaIdentity::Index(name) => {
                vec![Index::address(table, name), Constraint::address(table, name)]
            }
            ReplicaIdentity::Full | ReplicaIdentity::Nothing => Vec::new(),
        };
        let mut object = Object::new(address, Some(table.clone()), Arc::new(identity));
        let there = needed.into_iter().filter(|a| reader.catalog().contains(a));
        object.depends_on.extend(there);
        reader.declare(object, entry.key.span);
    }

    fn write(&self, object: &Object, _: &WriteCx<'_>) -> Option<Written> {
        let out = match object.get()? {
            ReplicaIdentity::Full => Out::text("full"),
            ReplicaIdentity::Nothing => Out::text("nothing"),
            ReplicaIdentity::Index(name) => Out::record([("index", Out::text(name))]),
        };
        let written = Written { key: None, ..Written::child("replica_identity", object) };
        Some(written.with("replica_identity", out).short("replica_identity"))
    }
}
