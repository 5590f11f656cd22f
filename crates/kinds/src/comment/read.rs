//! Comments from pg_description.

use std::sync::Arc;

use reconcile_catalog::Object;

use super::Comment;
use crate::column;
use crate::read::{ObjectId, ReadError, Reader, Row, parsed, required};

pub(super) fn query() -> String {
    "SELECT 'comment' AS kind, d.classoid::int8 AS class, d.objoid::int8 AS oid, d.objsubid AS sub, d.description, a.attname \
     FROM pg_description d LEFT JOIN pg_attribute a ON d.classoid = 1259 AND a.attrelid = d.objoid AND a.attnum = d.objsubid \
     AND d.objsubid > 0 WHERE d.objoid >= 16384 OR d.classoid = 2615 \
     AND NOT (d.objoid = 2200 AND d.description = 'standard public schema')"
        .to_owned()
}

pub(super) fn read(row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
    let id = ObjectId {
        class: parsed(row, "class")?,
        oid: parsed(row, "oid")?,
        sub: parsed(row, "sub")?,
    };
    let comment = Arc::new(Comment { text: required(row, "description")?.to_owned() });
    let target = match (reader.resolve(id), row.get("attname")) {
        (Some(target), _) => Some((target.clone(), target.clone())),
        // The output columns of views are no objects of their own.
        (None, Some(name)) => reader
            .resolve(ObjectId { sub: 0, ..id })
            .map(|relation| (relation.child(column::NAME, name), relation.clone())),
        (None, None) => None,
    };
    if let Some((target, parent)) = target {
        let id = ObjectId { class: 2609, ..id };
        reader.add(id, Object::new(Comment::address(&target), Some(parent), comment));
    }
    Ok(())
}
