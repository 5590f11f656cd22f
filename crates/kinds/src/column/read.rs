//! Columns from pg_attribute.

use std::sync::Arc;

use reconcile_catalog::{Object, Tuned};
use reconcile_sql::{QName, ServerVersion, SqlType};

use super::{Column, Identity, NotNull, Storage};
use crate::read::{ObjectId, ReadError, Reader, Row, flag, parsed, required, user_relation, words};
use crate::sequence::Counting;
use crate::table::Table;

pub(super) fn query(version: ServerVersion) -> String {
    let user = user_relation("'r', 'p'");
    let (not_null, not_nulls) = if version.at_least(18) {
        (
            "nn.conname AS not_null, nn.connoinherit, nn.convalidated",
            "LEFT JOIN pg_constraint nn ON nn.conrelid = a.attrelid AND nn.contype = 'n' AND nn.conkey[1] = a.attnum",
        )
    } else {
        ("NULL AS not_null, false AS connoinherit, true AS convalidated", "")
    };
    format!(
        "SELECT 'column' AS kind, c.oid, a.attnum, n.nspname, c.relname, a.attname, \
         format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull, a.attidentity, a.attgenerated, \
         pg_get_expr(d.adbin, d.adrelid) AS expression, d.oid AS attrdef, \
         cn.nspname AS collation_namespace, co.collname, a.attinhcount > 0 AS inherited, a.attislocal AS local, \
         nullif(a.attstattarget, -1) AS statistics, nullif(a.attstorage, t.typstorage) AS storage, t.typstorage, \
         a.attcompression, to_json(a.attoptions)::text AS options, {not_null}, \
         q.nspname AS sequence_namespace, q.relname AS sequence_name, \
         q.seqstart, q.seqincrement, q.seqmin, q.seqmax, q.seqcache, q.seqcycle, \
         CASE WHEN a.attinhcount > 0 THEN (SELECT json_agg(json_build_object('namespace', pn.nspname, 'name', pc.relname)) \
          FROM pg_inherits i JOIN pg_class pc ON pc.oid = i.inhparent JOIN pg_namespace pn ON pn.oid = pc.relnamespace \
          JOIN pg_attribute pa ON pa.attrelid = pc.oid AND pa.attname = a.attname AND NOT pa.attisdropped \
          WHERE i.inhrelid = c.oid)::text END AS parents \
         FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_type t ON t.oid = a.atttypid \
         LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
         LEFT JOIN pg_collation co ON co.oid = a.attcollation AND a.attcollation <> t.typcollation \
         LEFT JOIN pg_namespace cn ON cn.oid = co.collnamespace {not_nulls} \
         LEFT JOIN (SELECT o.refobjid, o.refobjsubid, qn.nspname, qc.relname, s.* FROM pg_sequence s \
          JOIN pg_class qc ON qc.oid = s.seqrelid JOIN pg_namespace qn ON qn.oid = qc.relnamespace \
          JOIN pg_depend o ON o.classid = 1259 AND o.objid = s.seqrelid AND o.refclassid = 1259 AND o.deptype = 'i') q \
          ON q.refobjid = a.attrelid AND q.refobjsubid = a.attnum AND a.attidentity <> '' \
         WHERE a.attnum > 0 AND NOT a.attisdropped AND {user}"
    )
}

pub(super) fn read(row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
    let table = Table::address(&QName::new(required(row, "nspname")?, required(row, "relname")?));
    let wrong = |reason: String| ReadError { kind: super::NAME.to_owned(), reason };
    let ty = SqlType::parse(required(row, "type")?).map_err(|e| wrong(e.to_string()))?;
    let generated = row.get("attgenerated").is_some_and(|g| !g.is_empty());
    let options: Vec<String> = words(row, "options")?;
    let options = options.iter().filter_map(|o| o.split_once('='));
    let number = |column: &str| row.get(column).map(|_| parsed::<i64>(row, column)).transpose();
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
        counting: match number("seqstart")? {
            Some(start) => Some(Tuned::stated(Counting {
                start,
                increment: parsed(row, "seqincrement")?,
                min: parsed(row, "seqmin")?,
                max: parsed(row, "seqmax")?,
                cache: parsed(row, "seqcache")?,
                cycle: flag(row, "seqcycle"),
            })),
            None => None,
        },
        sequence: row
            .get("sequence_namespace")
            .zip(row.get("sequence_name"))
            .map(|(ns, name)| Tuned::stated(QName::new(ns, name))),
        is_virtual: row.get("attgenerated") == Some("v"),
        not_null: row.get("not_null").map(|name| NotNull {
            name: Tuned::stated(name.to_owned()),
            no_inherit: flag(row, "connoinherit"),
            validated: flag(row, "convalidated"),
        }),
        collation: Tuned::stated(
            row.get("collation_namespace")
                .zip(row.get("collname"))
                .map(|(ns, name)| QName::new(ns, name)),
        ),
        statistics: Tuned::stated(row.get("statistics").and_then(|n| n.parse().ok())),
        storage: Tuned::stated(row.get("storage").and_then(storage)),
        compression: Tuned::stated(match row.get("attcompression") {
            Some("p") => Some("pglz".to_owned()),
            Some("l") => Some("lz4".to_owned()),
            _ => None,
        }),
        options: Tuned::stated(options.map(|(k, v)| (k.to_owned(), v.to_owned())).collect()),
        using: None,
        back: None,
        type_storage: row.get("storage").and(row.get("typstorage")).and_then(storage),
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

fn storage(letter: &str) -> Option<Storage> {
    match letter {
        "p" => Some(Storage::Plain),
        "e" => Some(Storage::External),
        "x" => Some(Storage::Extended),
        "m" => Some(Storage::Main),
        _ => None,
    }
}
