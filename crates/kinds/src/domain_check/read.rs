//! Checks of domains from pg_constraint.

use std::sync::Arc;

use reconcile_catalog::Object;
use reconcile_sql::QName;

use super::DomainCheck;
use crate::domain::Domain;
use crate::read::{
    ObjectId, ReadError, Reader, Row, USER_NAMESPACE, flag, id, no_extension_member, required,
};

pub(super) fn query() -> String {
    let member = no_extension_member("pg_type", "t.oid");
    format!(
        "SELECT 'domain_check' AS kind, con.oid, n.nspname, t.typname, con.conname, con.convalidated, \
         pg_get_expr(con.conbin, 0) AS expression \
         FROM pg_constraint con JOIN pg_type t ON t.oid = con.contypid JOIN pg_namespace n ON n.oid = t.typnamespace \
         WHERE con.contype = 'c' AND {USER_NAMESPACE} AND {member}"
    )
}

pub(super) fn read(row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
    let domain = Domain::address(&QName::new(required(row, "nspname")?, required(row, "typname")?));
    let check = DomainCheck {
        expression: required(row, "expression")?.to_owned(),
        validated: flag(row, "convalidated"),
    };
    let address = DomainCheck::address(&domain, required(row, "conname")?);
    reader.add(
        id(row, ObjectId::PG_CONSTRAINT)?,
        Object::new(address, Some(domain), Arc::new(check)),
    );
    Ok(())
}
