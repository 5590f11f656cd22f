//! Extensions from pg_extension, and what belongs to them from pg_depend.

use std::sync::Arc;

use reconcile_catalog::Object;

use super::Extension;
use crate::namespace::Namespace;
use crate::read::{ObjectId, ReadError, Reader, Row, id, parsed, required};

/// Those that PostgreSQL makes itself are left out: plpgsql.
pub(super) fn queries() -> Vec<String> {
    vec![
        "SELECT 'extension' AS kind, e.oid, e.extname, n.nspname, e.extversion, NULL AS class \
         FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.oid >= 16384"
            .to_owned(),
        // The array type of a type is part of the type.
        "SELECT 'extension' AS kind, d.objid::int8 AS oid, e.extname, d.classid::int8 AS class \
         FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid \
         WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.oid >= 16384 \
         UNION ALL SELECT 'extension', t.typarray::int8, e.extname, d.classid::int8 \
         FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid JOIN pg_type t ON t.oid = d.objid \
         WHERE d.classid = 'pg_type'::regclass AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' \
         AND t.typarray <> 0 AND e.oid >= 16384"
            .to_owned(),
    ]
}

pub(super) fn read(row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
    let address = Extension::address(required(row, "extname")?);
    if row.get("class").is_some() {
        let class = parsed(row, "class")?;
        reader.member(ObjectId::new(class, parsed(row, "oid")?), &address);
        return Ok(());
    }
    let namespace = required(row, "nspname")?;
    let extension = Extension {
        namespace: Some(namespace.to_owned()),
        version: Some(required(row, "extversion")?.to_owned()),
    };
    let mut object = Object::new(address, None, Arc::new(extension));
    object.depends_on.insert(Namespace::address(namespace));
    reader.add(id(row, ObjectId::PG_EXTENSION)?, object);
    Ok(())
}
