//! Tables from pg_class.

use std::sync::Arc;

use reconcile_catalog::{Address, Object};
use reconcile_sql::QName;

use super::Table;
use crate::namespace::Namespace;
use crate::read::{ObjectId, ReadError, Reader, Row, flag, id, parsed, required, user_relation};

pub(super) fn query() -> String {
    let user = user_relation("'r', 'p'");
    format!(
        "SELECT 'table' AS kind, c.oid, c.reltype, ty.typarray, n.nspname, c.relname, \
         pg_get_partkeydef(c.oid) AS partition_key, pg_get_expr(c.relpartbound, c.oid) AS bound, \
         c.relpersistence = 'u' AS unlogged, c.relrowsecurity, c.relforcerowsecurity, \
         (SELECT json_agg(json_build_object('namespace', pn.nspname, 'name', pc.relname) ORDER BY i.inhseqno) \
          FROM pg_inherits i JOIN pg_class pc ON pc.oid = i.inhparent JOIN pg_namespace pn ON pn.oid = pc.relnamespace \
          WHERE i.inhrelid = c.oid)::text AS inherits \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_type ty ON ty.oid = c.reltype \
         WHERE {user}"
    )
}

pub(super) fn read(row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
    let name = QName::new(required(row, "nspname")?, required(row, "relname")?);
    let inherits: Vec<QName> = match row.get("inherits") {
        Some(json) => serde_json::from_str(json)
            .map_err(|e| ReadError { kind: super::NAME.to_owned(), reason: e.to_string() })?,
        None => Vec::new(),
    };
    let table = Table {
        partition_key: row.get("partition_key").map(str::to_owned),
        bound: row.get("bound").map(str::to_owned),
        unlogged: flag(row, "unlogged"),
        row_security: Some(flag(row, "relrowsecurity")),
        force_row_security: Some(flag(row, "relforcerowsecurity")),
        inherits,
    };
    let address = Table::address(&name);
    let mut object = Object::new(address.clone(), None, Arc::new(table.clone()));
    object.depends_on.insert(Namespace::address(&name.namespace));
    object.depends_on.extend(table.inherits.iter().map(Table::address));
    reader.add(id(row, ObjectId::PG_CLASS)?, object);
    alias_row_type(row, reader, &address)
}

/// Whoever uses the row type of a relation depends on the relation.
pub(crate) fn alias_row_type(
    row: &dyn Row,
    reader: &mut Reader,
    address: &Address,
) -> Result<(), ReadError> {
    for column in ["reltype", "typarray"] {
        if row.get(column).is_some() {
            reader.alias(ObjectId::new(ObjectId::PG_TYPE, parsed(row, column)?), address);
        }
    }
    Ok(())
}
