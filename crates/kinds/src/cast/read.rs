//! Casts of ours from pg_cast.

use std::sync::Arc;

use reconcile_catalog::{Address, Object};

use super::{Cast, NAME, is_ours};
use crate::read::{ObjectId, ReadError, Reader, Row, USER_NAMESPACE, id, required};

pub(super) fn query() -> String {
    let ours = is_ours("c.oid");
    format!(
        "SELECT 'cast' AS kind, c.oid, n.nspname, t.typname FROM pg_cast c \
         JOIN pg_type t ON t.oid = c.castsource JOIN pg_namespace n ON n.oid = t.typnamespace \
         WHERE c.oid >= 16384 AND c.casttarget = 'pg_catalog.text'::regtype AND {USER_NAMESPACE} AND {ours}"
    )
}

pub(super) fn read(row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
    let address = Address::new(NAME, [required(row, "nspname")?, required(row, "typname")?]);
    // That it depends on its type is among the dependencies.
    reader.add(id(row, ObjectId::PG_CAST)?, Object::new(address, None, Arc::new(Cast {})));
    Ok(())
}
