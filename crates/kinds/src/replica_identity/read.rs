//! Replica identities from pg_class.

use std::sync::Arc;

use reconcile_catalog::Object;
use reconcile_sql::QName;

use super::ReplicaIdentity;
use crate::read::{ObjectId, ReadError, Reader, Row, parsed, required, user_relation};
use crate::table::Table;

/// An identity whose index is gone (`i` without one) is as good as none.
pub(super) fn query() -> String {
    let user = user_relation("'r', 'p'");
    format!(
        "SELECT 'replica_identity' AS kind, c.oid, n.nspname, c.relname, c.relreplident, x.relname AS index_name, x.oid AS index_oid \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisreplident AND c.relreplident = 'i' \
         LEFT JOIN pg_class x ON x.oid = i.indexrelid WHERE {user} AND c.relreplident <> 'd'"
    )
}

pub(super) fn read(row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
    let table = Table::address(&QName::new(required(row, "nspname")?, required(row, "relname")?));
    let identity = match (required(row, "relreplident")?, row.get("index_name")) {
        ("f", _) => ReplicaIdentity::Full,
        ("i", Some(name)) => ReplicaIdentity::Index(name.to_owned()),
        _ => ReplicaIdentity::Nothing,
    };
    let address = ReplicaIdentity::address(&table);
    let mut object = Object::new(address, Some(table), Arc::new(identity));
    if row.get("index_oid").is_some() {
        let index = ObjectId::new(ObjectId::PG_CLASS, parsed(row, "index_oid")?);
        object.depends_on.extend(reader.resolve(index).cloned());
    }
    // It has no number of its own: a column of its table has another one.
    let id = ObjectId { class: 0, oid: parsed(row, "oid")?, sub: 0 };
    reader.add(id, object);
    Ok(())
}
