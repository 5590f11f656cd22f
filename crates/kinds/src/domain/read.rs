//! Domains from pg_type.

use std::sync::Arc;

use reconcile_catalog::Object;
use reconcile_sql::{QName, ServerVersion, SqlType};

use super::Domain;
use crate::model::object_name;
use crate::namespace::Namespace;
use crate::read::{
    ObjectId, ReadError, Reader, Row, USER_NAMESPACE, flag, id, no_extension_member, parsed,
    required,
};

pub(super) fn query(version: ServerVersion) -> String {
    let member = no_extension_member("pg_type", "t.oid");
    // Until 16 NOT NULL of a domain has no name.
    let not_null = if version.at_least(17) {
        "(SELECT k.conname FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'n')"
    } else {
        "NULL"
    };
    format!(
        "SELECT 'domain' AS kind, t.oid, t.typarray, n.nspname, t.typname, format_type(t.typbasetype, t.typtypmod) AS type, \
         t.typnotnull, coalesce(pg_get_expr(t.typdefaultbin, 'pg_type'::regclass), t.typdefault) AS expression, \
         cn.nspname AS collation_namespace, co.collname, {not_null} AS not_null_name \
         FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace JOIN pg_type b ON b.oid = t.typbasetype \
         LEFT JOIN pg_collation co ON co.oid = t.typcollation AND t.typcollation <> b.typcollation \
         LEFT JOIN pg_namespace cn ON cn.oid = co.collnamespace \
         WHERE t.typtype = 'd' AND {USER_NAMESPACE} AND {member}"
    )
}

pub(super) fn read(row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
    let name = QName::new(required(row, "nspname")?, required(row, "typname")?);
    let ty = SqlType::parse(required(row, "type")?)
        .map_err(|e| ReadError { kind: super::NAME.to_owned(), reason: e.to_string() })?;
    let usual = object_name(&name.name, None, "not_null");
    let domain = Domain {
        ty,
        nullable: !flag(row, "typnotnull"),
        default: row.get("expression").map(str::to_owned),
        collation: row
            .get("collation_namespace")
            .zip(row.get("collname"))
            .map(|(ns, name)| QName::new(ns, name)),
        not_null_name: row.get("not_null_name").filter(|n| *n != usual).map(str::to_owned),
    };
    let address = Domain::address(&name);
    let mut object = Object::new(address.clone(), None, Arc::new(domain));
    object.depends_on.insert(Namespace::address(&name.namespace));
    reader.add(id(row, ObjectId::PG_TYPE)?, object);
    reader.alias(ObjectId::new(ObjectId::PG_TYPE, parsed(row, "typarray")?), &address);
    Ok(())
}
