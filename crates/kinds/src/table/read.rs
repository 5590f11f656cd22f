//! Tables from pg_class.

use std::sync::Arc;

use reconcile_catalog::{Address, Object};
use reconcile_sql::QName;

use super::{HEAP, Table};
use crate::namespace::Namespace;
use crate::read::{
    ObjectId, ReadError, Reader, Row, flag, id, parsed, required, user_relation, words,
};
use crate::storage;

pub(super) fn query() -> String {
    let user = user_relation("'r', 'p'");
    format!(
        "SELECT 'table' AS kind, c.oid, c.reltype, ty.typarray, n.nspname, c.relname, \
         pg_get_partkeydef(c.oid) AS partition_key, c.relpersistence = 'u' AS unlogged, \
         c.relrowsecurity, c.relforcerowsecurity, sp.spcname, am.amname, \
         array_to_json(array(SELECT o FROM unnest(c.reloptions) AS o UNION ALL \
          SELECT 'toast.' || o FROM pg_class t, unnest(t.reloptions) AS o WHERE t.oid = c.reltoastrelid))::text AS options \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_type ty ON ty.oid = c.reltype \
         LEFT JOIN pg_tablespace sp ON sp.oid = c.reltablespace LEFT JOIN pg_am am ON am.oid = c.relam \
         WHERE {user}"
    )
}

pub(super) fn read(row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
    let name = QName::new(required(row, "nspname")?, required(row, "relname")?);
    let with = storage::from_options(&words(row, "options")?);
    let method = row.get("amname").filter(|name| *name != HEAP);
    let table = Table {
        partition_key: row.get("partition_key").map(str::to_owned),
        unlogged: flag(row, "unlogged").then_some(true),
        with: (!with.is_empty()).then_some(with),
        tablespace: row.get("spcname").map(str::to_owned),
        access_method: method.map(str::to_owned),
        row_security: flag(row, "relrowsecurity").then_some(true),
        force_row_security: flag(row, "relforcerowsecurity").then_some(true),
        whole: true,
    };
    let address = Table::address(&name);
    let mut object = Object::new(address.clone(), None, Arc::new(table));
    object.depends_on.insert(Namespace::address(&name.namespace));
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
