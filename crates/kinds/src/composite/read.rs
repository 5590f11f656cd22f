//! Composite types from pg_class and pg_attribute.

use std::sync::Arc;

use reconcile_catalog::Object;
use reconcile_sql::{QName, SqlType};
use serde::Deserialize;

use super::{Attribute, Composite};
use crate::namespace::Namespace;
use crate::read::{ObjectId, ReadError, Reader, Row, id, parsed, required, user_relation};

/// An attribute as the query gives it.
#[derive(Deserialize)]
struct Given {
    name: String,
    #[serde(rename = "type")]
    ty: String,
    namespace: Option<String>,
    collation: Option<String>,
}

pub(super) fn query() -> String {
    let user = user_relation("'c'");
    format!(
        "SELECT 'composite' AS kind, c.reltype AS oid, c.oid AS relation, t.typarray, n.nspname, c.relname, \
         (SELECT json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), \
          'namespace', cn.nspname, 'collation', co.collname) ORDER BY a.attnum) \
          FROM pg_attribute a JOIN pg_type b ON b.oid = a.atttypid \
          LEFT JOIN pg_collation co ON co.oid = a.attcollation AND a.attcollation <> b.typcollation \
          LEFT JOIN pg_namespace cn ON cn.oid = co.collnamespace \
          WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)::text AS attributes \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_type t ON t.oid = c.reltype WHERE {user}"
    )
}

pub(super) fn read(row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
    let wrong = |reason: String| ReadError { kind: super::NAME.to_owned(), reason };
    let name = QName::new(required(row, "nspname")?, required(row, "relname")?);
    let given: Vec<Given> = match row.get("attributes") {
        Some(json) => serde_json::from_str(json).map_err(|e| wrong(e.to_string()))?,
        None => Vec::new(),
    };
    let attribute = |given: Given| -> Result<Attribute, ReadError> {
        Ok(Attribute {
            name: given.name,
            ty: SqlType::parse(&given.ty).map_err(|e| wrong(e.to_string()))?,
            collation: given.namespace.zip(given.collation).map(|(ns, name)| QName::new(ns, name)),
            renamed_from: None,
        })
    };
    let attributes = given.into_iter().map(attribute).collect::<Result<_, _>>()?;
    let address = Composite::address(&name);
    let mut object = Object::new(address.clone(), None, Arc::new(Composite { attributes }));
    object.depends_on.insert(Namespace::address(&name.namespace));
    reader.add(id(row, ObjectId::PG_TYPE)?, object);
    reader.alias(ObjectId::new(ObjectId::PG_TYPE, parsed(row, "typarray")?), &address);
    // What it depends on, PostgreSQL knows by its relation; so do comments.
    reader.alias(ObjectId::new(ObjectId::PG_CLASS, parsed(row, "relation")?), &address);
    Ok(())
}
