//! Namespaces from pg_namespace.

use reconcile_catalog::Object;
use std::sync::Arc;

use super::Namespace;
use crate::read::{ObjectId, ReadError, Reader, Row, USER_NAMESPACE, id, required};

pub(super) fn query() -> String {
    format!(
        "SELECT 'namespace' AS kind, n.oid, n.nspname FROM pg_namespace n WHERE {USER_NAMESPACE}"
    )
}

pub(super) fn read(row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
    let address = Namespace::address(required(row, "nspname")?);
    reader
        .add(id(row, ObjectId::PG_NAMESPACE)?, Object::new(address, None, Arc::new(Namespace {})));
    Ok(())
}
