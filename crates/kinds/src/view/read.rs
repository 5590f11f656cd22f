//! Views from pg_class and pg_rewrite; materialized views are read by the same query.

use std::sync::Arc;

use reconcile_catalog::{Address, Object};
use reconcile_sql::{QName, SqlType};

use super::View;
use crate::namespace::Namespace;
use crate::read::{ObjectId, ReadError, Reader, Row, id, parsed, required, user_relation, words};
use crate::table;

/// Reads the relations of one relkind that have a query.
pub(crate) fn relation_query(kind: &str, relkind: char) -> String {
    let user = user_relation(&format!("'{relkind}'"));
    format!(
        "SELECT '{kind}' AS kind, c.oid, c.reltype, ty.typarray, r.oid AS rule, n.nspname, c.relname, \
         rtrim(pg_get_viewdef(c.oid), ';') AS query, array_to_json(c.reloptions)::text AS options, c.relispopulated, \
         (SELECT json_agg(json_build_array(a.attname, format_type(a.atttypid, a.atttypmod)) ORDER BY a.attnum) \
          FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)::text AS columns, \
         (SELECT json_agg(json_build_array(a.attname, pg_get_expr(d.adbin, d.adrelid)) ORDER BY a.attnum) \
          FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum \
          WHERE d.adrelid = c.oid)::text AS defaults, \
         (SELECT json_agg(json_build_array(a.attname, s.setting) ORDER BY a.attnum, s.setting) FROM pg_attribute a \
          JOIN pg_type st ON st.oid = a.atttypid CROSS JOIN LATERAL (VALUES \
          (CASE WHEN a.attstattarget >= 0 THEN 'STATISTICS ' || a.attstattarget END), \
          (CASE WHEN a.attstorage <> st.typstorage THEN 'STORAGE ' || CASE a.attstorage WHEN 'p' THEN 'PLAIN' \
          WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END END), \
          (CASE a.attcompression WHEN 'p' THEN 'COMPRESSION pglz' WHEN 'l' THEN 'COMPRESSION lz4' END), \
          ('(' || array_to_string(a.attoptions, ', ') || ')')) AS s(setting) \
          WHERE a.attrelid = c.oid AND c.relkind = 'm' AND a.attnum > 0 AND NOT a.attisdropped \
          AND s.setting IS NOT NULL)::text AS settings, \
         CASE WHEN am.amname <> 'heap' THEN am.amname END AS access_method, ts.spcname AS tablespace \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_type ty ON ty.oid = c.reltype \
         LEFT JOIN pg_rewrite r ON r.ev_class = c.oid AND r.rulename = '_RETURN' \
         LEFT JOIN pg_am am ON am.oid = c.relam LEFT JOIN pg_tablespace ts ON ts.oid = c.reltablespace \
         WHERE {user}"
    )
}

/// The output columns of a row of [`relation_query`].
pub(crate) fn output_columns(row: &dyn Row) -> Result<Vec<(String, SqlType)>, ReadError> {
    pairs(row, "columns")?
        .into_iter()
        .map(|(name, ty)| {
            let ty = SqlType::parse(&ty).map_err(|e| wrong(e.to_string()))?;
            Ok((name, ty))
        })
        .collect()
}

pub(crate) fn pairs(row: &dyn Row, column: &str) -> Result<Vec<(String, String)>, ReadError> {
    row.get(column).map_or_else(
        || Ok(Vec::new()),
        |json| serde_json::from_str(json).map_err(|e| wrong(e.to_string())),
    )
}

fn wrong(reason: String) -> ReadError {
    ReadError { kind: super::NAME.to_owned(), reason }
}

/// Takes a relation that has a query, with its rule and row type.
pub(crate) fn add(row: &dyn Row, reader: &mut Reader, mut object: Object) -> Result<(), ReadError> {
    let address: Address = object.address.clone();
    object.depends_on.insert(Namespace::address(address.namespace()));
    reader.add(id(row, ObjectId::PG_CLASS)?, object);
    if row.get("rule").is_some() {
        reader.alias(ObjectId::new(ObjectId::PG_REWRITE, parsed(row, "rule")?), &address);
    }
    table::read::alias_row_type(row, reader, &address)
}

pub(super) fn read(row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
    let view = View {
        query: required(row, "query")?.trim().to_owned(),
        options: words(row, "options")?,
        columns: output_columns(row)?,
        defaults: pairs(row, "defaults")?,
        says_all: false,
    };
    let name = QName::new(required(row, "nspname")?, required(row, "relname")?);
    add(row, reader, Object::new(View::address(&name), None, Arc::new(view)))
}
