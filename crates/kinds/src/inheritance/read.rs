//! Parents from pg_inherits.

use std::sync::Arc;

use reconcile_catalog::Object;
use reconcile_sql::QName;

use super::{Inheritance, implied};
use crate::read::{ObjectId, ReadError, Reader, Row, parsed, required, user_relation};
use crate::table::Table;

pub(super) fn query() -> String {
    let user = user_relation("'r', 'p'");
    format!(
        "SELECT 'inheritance' AS kind, c.oid, n.nspname, c.relname, pg_get_expr(c.relpartbound, c.oid) AS bound, \
         (SELECT json_agg(json_build_object('namespace', pn.nspname, 'name', pc.relname) ORDER BY i.inhseqno) \
          FROM pg_inherits i JOIN pg_class pc ON pc.oid = i.inhparent JOIN pg_namespace pn ON pn.oid = pc.relnamespace \
          WHERE i.inhrelid = c.oid)::text AS parents \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE {user} AND EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid)"
    )
}

pub(super) fn read(row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
    let table = Table::address(&QName::new(required(row, "nspname")?, required(row, "relname")?));
    let parents: Vec<QName> = serde_json::from_str(required(row, "parents")?)
        .map_err(|e| ReadError { kind: super::NAME.to_owned(), reason: e.to_string() })?;
    let inheritance = Inheritance { parents, bound: row.get("bound").map(str::to_owned) };
    let needs = implied::needs(&table, &inheritance, &reader.catalog);
    let parents: Vec<_> = inheritance.parents.iter().map(Table::address).collect();
    let mut object =
        Object::new(Inheritance::address(&table), Some(table.clone()), Arc::new(inheritance));
    object.depends_on = needs;
    // PostgreSQL's own number for it would be that of pg_inherits, which has none.
    let id = ObjectId { class: ObjectId::PG_INHERITS, oid: parsed(row, "oid")?, sub: 0 };
    reader.add(id, object);
    // A child goes before its parent, which would take a partition along.
    for parent in parents {
        reader.catalog.depend(&table, &parent);
    }
    Ok(())
}
