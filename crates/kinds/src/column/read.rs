//! Columns from pg_attribute.

use std::sync::Arc;

use reconcile_catalog::Object;
use reconcile_sql::{QName, SqlType};

use super::{Column, Identity};
use crate::read::{ObjectId, ReadError, Reader, Row, flag, parsed, required, user_relation};
use crate::table::Table;

pub(super) fn query() -> String {
    let user = user_relation("'r', 'p'");
    format!(
        "SELECT 'column' AS kind, c.oid, a.attnum, n.nspname, c.relname, a.attname, \
         format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull, a.attidentity, a.attgenerated, \
         pg_get_expr(d.adbin, d.adrelid) AS expression, d.oid AS attrdef, \
         cn.nspname AS collation_namespace, co.collname, a.attinhcount > 0 AS inherited, a.attislocal AS local, \
         CASE WHEN a.attinhcount > 0 THEN (SELECT json_agg(json_build_object('namespace', pn.nspname, 'name', pc.relname)) \
          FROM pg_inherits i JOIN pg_class pc ON pc.oid = i.inhparent JOIN pg_namespace pn ON pn.oid = pc.relnamespace \
          JOIN pg_attribute pa ON pa.attrelid = pc.oid AND pa.attname = a.attname AND NOT pa.attisdropped \
          WHERE i.inhrelid = c.oid)::text END AS parents \
         FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_type t ON t.oid = a.atttypid \
         LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
         LEFT JOIN pg_collation co ON co.oid = a.attcollation AND a.attcollation <> t.typcollation \
         LEFT JOIN pg_namespace cn ON cn.oid = co.collnamespace \
         WHERE a.attnum > 0 AND NOT a.attisdropped AND {user}"
    )
}

pub(super) fn read(row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
    let table = Table::address(&QName::new(required(row, "nspname")?, required(row, "relname")?));
    let wrong = |reason: String| ReadError { kind: super::NAME.to_owned(), reason };
    let ty = SqlType::parse(required(row, "type")?).map_err(|e| wrong(e.to_string()))?;
    let generated = row.get("attgenerated").is_some_and(|g| !g.is_empty());
    let expression = row.get("expression").map(str::to_owned);
    let column = Column {
        ty,
        nullable: !flag(row, "attnotnull"),
        default: expression.clone().filter(|_| !generated),
        generated: expression.filter(|_| generated),
        identity: match row.get("attidentity") {
            Some("a") => Some(Identity::Always),
            Some("d") => Some(Identity::ByDefault),
            _ => None,
        },
        collation: row
            .get("collation_namespace")
            .zip(row.get("collname"))
            .map(|(ns, name)| QName::new(ns, name)),
        inherited: flag(row, "inherited"),
        local: flag(row, "inherited") && flag(row, "local"),
        position: parsed(row, "attnum")?,
    };
    let id = ObjectId { class: ObjectId::PG_CLASS, oid: parsed(row, "oid")?, sub: column.position };
    let name = required(row, "attname")?;
    let address = Column::address(&table, name);
    let mut object = Object::new(address.clone(), Some(table), Arc::new(column));
    if let Some(parents) = row.get("parents") {
        let parents: Vec<QName> =
            serde_json::from_str(parents).map_err(|e| wrong(e.to_string()))?;
        object.depends_on.extend(parents.iter().map(|p| Column::address(&Table::address(p), name)));
    }
    reader.add(id, object);
    if row.get("attrdef").is_some() {
        reader.alias(ObjectId::new(ObjectId::PG_ATTRDEF, parsed(row, "attrdef")?), &address);
    }
    Ok(())
}
