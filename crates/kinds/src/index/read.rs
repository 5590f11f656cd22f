//! Indexes from pg_index.

use std::sync::Arc;

use reconcile_catalog::{Address, Object};
use reconcile_sql::{QName, ServerVersion};
use serde::Deserialize;

use super::{Index, Key, KeyPart};
use crate::materialized_view::MaterializedView;
use crate::read::{ObjectId, ReadError, Reader, Row, flag, id, required, user_relation, words};
use crate::table::Table;

pub(super) fn query(version: ServerVersion) -> String {
    let user = user_relation("'r', 'p', 'm'");
    let nulls = if version.at_least(15) { "i.indnullsnotdistinct" } else { "false" };
    format!(
        "SELECT 'index' AS kind, i.indexrelid AS oid, n.nspname, c.relname, c.relkind, x.relname AS index_name, am.amname, \
         i.indisunique, i.indisclustered, i.indisreplident, i.indisvalid AND i.indisready AND i.indislive AS valid, {nulls} AS nulls_not_distinct, \
         pg_get_indexdef(i.indexrelid) AS definition, pg_get_expr(i.indpred, i.indrelid) AS predicate, \
         array_to_json(x.reloptions)::text AS options, x.relispartition AS inherited, \
         (SELECT json_agg(json_build_object( \
            'column', a.attname, \
            'expression', CASE WHEN k.attnum = 0 THEN pg_get_indexdef(i.indexrelid, k.place::int, false) END, \
            'collation', CASE WHEN co.oid <> coalesce(a.attcollation, ty.typcollation) THEN quote_ident(cn.nspname) || '.' || quote_ident(co.collname) END, \
            'operator_class', CASE WHEN NOT oc.opcdefault THEN CASE WHEN ocn.nspname = 'pg_catalog' THEN quote_ident(oc.opcname) \
               ELSE quote_ident(ocn.nspname) || '.' || quote_ident(oc.opcname) END END, \
            'options', (i.indoption::int2[])[k.place - 1]) ORDER BY k.place) \
          FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place) \
          LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND k.attnum <> 0 \
          JOIN pg_attribute ia ON ia.attrelid = i.indexrelid AND ia.attnum = k.place \
          JOIN pg_type ty ON ty.oid = ia.atttypid \
          LEFT JOIN pg_collation co ON co.oid = (i.indcollation::oid[])[k.place - 1] LEFT JOIN pg_namespace cn ON cn.oid = co.collnamespace \
          JOIN pg_opclass oc ON oc.oid = (i.indclass::oid[])[k.place - 1] JOIN pg_namespace ocn ON ocn.oid = oc.opcnamespace \
          WHERE k.place <= i.indnkeyatts)::text AS keys, \
         CASE WHEN i.indnatts > i.indnkeyatts THEN (SELECT json_agg(a.attname ORDER BY k.place) \
          FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place) \
          JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum WHERE k.place > i.indnkeyatts)::text END AS include \
         FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am am ON am.oid = x.relam \
         JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE NOT EXISTS (SELECT FROM pg_constraint con WHERE con.conindid = i.indexrelid AND con.contype IN ('p', 'u', 'x')) AND {user}"
    )
}

#[derive(Deserialize)]
struct KeyRow {
    column: Option<String>,
    expression: Option<String>,
    collation: Option<String>,
    operator_class: Option<String>,
    options: u16,
}

/// `indoption`: bit 0 is DESC, bit 1 is NULLS FIRST (`src/include/catalog/pg_index.h`).
impl From<KeyRow> for Key {
    fn from(row: KeyRow) -> Self {
        let what = match (row.column, row.expression) {
            (Some(name), _) => KeyPart::Column(name),
            (None, text) => KeyPart::Expression(text.unwrap_or_default()),
        };
        Self {
            what,
            collation: row.collation,
            operator_class: row.operator_class,
            descending: row.options & 1 != 0,
            nulls_first: row.options & 2 != 0,
        }
    }
}

pub(super) fn read(row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
    let relation = QName::new(required(row, "nspname")?, required(row, "relname")?);
    let relation: Address = match required(row, "relkind")? {
        "m" => MaterializedView::address(&relation),
        _ => Table::address(&relation),
    };
    let keys: Vec<KeyRow> = serde_json::from_str(required(row, "keys")?)
        .map_err(|e| ReadError { kind: super::NAME.to_owned(), reason: e.to_string() })?;
    let index = Index {
        method: required(row, "amname")?.to_owned(),
        unique: flag(row, "indisunique"),
        nulls_not_distinct: flag(row, "nulls_not_distinct"),
        keys: keys.into_iter().map(Key::from).collect(),
        include: words(row, "include")?,
        predicate: row.get("predicate").map(str::to_owned),
        options: Some(words(row, "options")?),
        valid: flag(row, "valid"),
        inherited: flag(row, "inherited"),
        clustered: flag(row, "indisclustered"),
        replica_identity: flag(row, "indisreplident"),
        definition: row.get("definition").map(str::to_owned),
    };
    let address = Index::address(&relation, required(row, "index_name")?);
    reader.add(id(row, ObjectId::PG_CLASS)?, Object::new(address, Some(relation), Arc::new(index)));
    Ok(())
}
