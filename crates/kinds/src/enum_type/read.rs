//! Enum types from pg_type and pg_enum.

use std::sync::Arc;

use reconcile_catalog::Object;
use reconcile_sql::QName;

use super::EnumType;
use crate::namespace::Namespace;
use crate::read::{
    ObjectId, ReadError, Reader, Row, USER_NAMESPACE, id, no_extension_member, parsed, required,
    words,
};

pub(super) fn query() -> String {
    let member = no_extension_member("pg_type", "t.oid");
    format!(
        "SELECT 'enum' AS kind, t.oid, t.typarray, n.nspname, t.typname, \
         (SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid)::text AS labels \
         FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace \
         WHERE t.typtype = 'e' AND {USER_NAMESPACE} AND {member}"
    )
}

pub(super) fn read(row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
    let name = QName::new(required(row, "nspname")?, required(row, "typname")?);
    let address = EnumType::address(&name);
    let mut object = Object::new(
        address.clone(),
        None,
        Arc::new(EnumType { labels: words(row, "labels")?, renamed: Vec::new() }),
    );
    object.depends_on.insert(Namespace::address(&name.namespace));
    reader.add(id(row, ObjectId::PG_TYPE)?, object);
    reader.alias(ObjectId::new(ObjectId::PG_TYPE, parsed(row, "typarray")?), &address);
    Ok(())
}
