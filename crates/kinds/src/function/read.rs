//! Functions from pg_proc.

use std::sync::Arc;

use reconcile_catalog::{Address, Object};
use reconcile_sql::ServerVersion;

use super::Function;
use crate::read::{
    ObjectId, ReadError, Reader, Row, USER_NAMESPACE, id, no_extension_member, required,
};

pub(super) fn query(version: ServerVersion) -> String {
    let member = no_extension_member("pg_proc", "p.oid");
    // A parsed body (14) is in pg_depend; its prosrc is empty.
    let body = if version.at_least(14) { "p.prosqlbody IS NULL AND" } else { "" };
    format!(
        "SELECT 'function' AS kind, p.oid, n.nspname, p.proname, pg_get_function_identity_arguments(p.oid) AS arguments, \
         CASE WHEN {body} l.lanname NOT IN ('internal', 'c') THEN p.prosrc END AS body, \
         CASE WHEN p.prokind <> 'a' THEN pg_get_functiondef(p.oid) END AS definition \
         FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang \
         WHERE {USER_NAMESPACE} AND {member} \
         AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid \
         AND d.refclassid = 'pg_type'::regclass AND d.deptype = 'i')"
    )
}

pub(super) fn read(row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
    let name = format!("{}({})", required(row, "proname")?, required(row, "arguments")?);
    let address = Address::new(super::NAME, [required(row, "nspname")?, &name]);
    let function = Function {
        body: row.get("body").unwrap_or_default().to_owned(),
        definition: row.get("definition").map(str::to_owned),
    };
    reader.add(id(row, ObjectId::PG_PROC)?, Object::new(address, None, Arc::new(function)));
    Ok(())
}
