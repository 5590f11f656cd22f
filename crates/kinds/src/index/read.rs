//! Indexes from pg_index.

use std::collections::BTreeMap;
use std::sync::Arc;

use reconcile_catalog::{Address, Object};
use reconcile_sql::lex::{TokenKind, significant};
use reconcile_sql::{QName, ServerVersion};
use serde::Deserialize;

use super::key::modifiers;
use super::{Attached, Index, Key, KeyPart, bare};
use crate::materialized_view::MaterializedView;
use crate::read::{ObjectId, ReadError, Reader, Row, flag, id, required, user_relation, words};
use crate::table::Table;

/// What only `pg_get_indexdef` tells, which collation and which operator class need no word, is
/// taken out of its text.
///
/// A key that is a column is its name there, and asking for it costs as much as asking for the
/// whole definition (`pg_get_indexdef_worker`, `src/backend/utils/adt/ruleutils.c`). Only a key that
/// is an expression has statistics of its own (`ATExecSetStatistics`, `tablecmds.c`).
pub(super) fn query(version: ServerVersion) -> String {
    let user = user_relation("'r', 'p', 'm'");
    let nulls = if version.at_least(15) { "i.indnullsnotdistinct" } else { "false" };
    format!(
        "SELECT 'index' AS kind, i.indexrelid AS oid, n.nspname, c.relname, c.relkind, x.relname AS index_name, am.amname, \
         i.indisunique, i.indisclustered, i.indisreplident, i.indisvalid AND i.indisready AND i.indislive AS valid, {nulls} AS nulls_not_distinct, \
         pg_get_indexdef(i.indexrelid) AS definition, pg_get_expr(i.indpred, i.indrelid) AS predicate, \
         array_to_json(x.reloptions)::text AS options, ts.spcname AS tablespace, \
         CASE WHEN i.indexprs IS NOT NULL THEN (SELECT json_object_agg(s.attnum, s.attstattarget) FROM pg_attribute s \
          WHERE s.attrelid = i.indexrelid AND s.attstattarget >= 0)::text END AS statistics, \
         pn.nspname AS parent_namespace, pt.relname AS parent_table, px.relname AS parent_index, \
         (SELECT json_agg(json_build_object( \
            'column', a.attname, \
            'text', CASE WHEN k.attnum = 0 THEN pg_get_indexdef(i.indexrelid, k.place::int, false) ELSE quote_ident(a.attname) END, \
            'collation', CASE WHEN cn.nspname = 'pg_catalog' THEN quote_ident(co.collname) \
               ELSE quote_ident(cn.nspname) || '.' || quote_ident(co.collname) END, \
            'class', CASE WHEN ocn.nspname = 'pg_catalog' THEN quote_ident(oc.opcname) \
               ELSE quote_ident(ocn.nspname) || '.' || quote_ident(oc.opcname) END) ORDER BY k.place) \
          FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place) \
          LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND k.attnum <> 0 \
          LEFT JOIN pg_collation co ON co.oid = (i.indcollation::oid[])[k.place - 1] LEFT JOIN pg_namespace cn ON cn.oid = co.collnamespace \
          JOIN pg_opclass oc ON oc.oid = (i.indclass::oid[])[k.place - 1] JOIN pg_namespace ocn ON ocn.oid = oc.opcnamespace \
          WHERE k.place <= i.indnkeyatts)::text AS keys, \
         CASE WHEN i.indnatts > i.indnkeyatts THEN (SELECT json_agg(a.attname ORDER BY k.place) \
          FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place) \
          JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum WHERE k.place > i.indnkeyatts)::text END AS include \
         FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am am ON am.oid = x.relam \
         JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
         LEFT JOIN pg_tablespace ts ON ts.oid = x.reltablespace \
         LEFT JOIN pg_inherits h ON h.inhrelid = i.indexrelid LEFT JOIN pg_class px ON px.oid = h.inhparent \
         LEFT JOIN pg_index pi ON pi.indexrelid = h.inhparent LEFT JOIN pg_class pt ON pt.oid = pi.indrelid \
         LEFT JOIN pg_namespace pn ON pn.oid = pt.relnamespace \
         WHERE NOT EXISTS (SELECT FROM pg_constraint con WHERE con.conindid = i.indexrelid AND con.contype IN ('p', 'u', 'x')) AND {user}"
    )
}

#[derive(Deserialize)]
struct KeyRow {
    column: Option<String>,
    text: String,
    collation: Option<String>,
    class: String,
}

pub(super) fn read(row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
    let relation = QName::new(required(row, "nspname")?, required(row, "relname")?);
    let relation: Address = match required(row, "relkind")? {
        "m" => MaterializedView::address(&relation),
        _ => Table::address(&relation),
    };
    let wrong = |reason: String| ReadError { kind: super::NAME.to_owned(), reason };
    let rows: Vec<KeyRow> =
        serde_json::from_str(required(row, "keys")?).map_err(|e| wrong(e.to_string()))?;
    let definition = required(row, "definition")?;
    let keys = keys(definition, rows).ok_or_else(|| wrong(format!("`{definition}`")))?;
    let statistics: BTreeMap<u16, i32> = match row.get("statistics") {
        Some(json) => serde_json::from_str(json).map_err(|e| wrong(e.to_string()))?,
        None => BTreeMap::new(),
    };
    let parent = row.get("parent_namespace").zip(row.get("parent_table"));
    let attached_to = parent.zip(row.get("parent_index")).map(|((namespace, table), index)| {
        Attached { table: QName::new(namespace, table), index: index.to_owned() }
    });
    let index = Index {
        method: required(row, "amname")?.to_owned(),
        unique: flag(row, "indisunique"),
        nulls_not_distinct: flag(row, "nulls_not_distinct"),
        keys,
        include: words(row, "include")?,
        predicate: row.get("predicate").map(str::to_owned),
        options: words(row, "options")?,
        tablespace: row.get("tablespace").map(str::to_owned),
        statistics,
        valid: flag(row, "valid"),
        attached_to,
        clustered: flag(row, "indisclustered"),
        replica_identity: flag(row, "indisreplident"),
    };
    let address = Index::address(&relation, required(row, "index_name")?);
    reader.add(id(row, ObjectId::PG_CLASS)?, Object::new(address, Some(relation), Arc::new(index)));
    Ok(())
}

/// The keys, with what the text of the definition says behind each.
fn keys(definition: &str, rows: Vec<KeyRow>) -> Option<Vec<Key>> {
    let tokens = significant(definition);
    let using = tokens.iter().position(|t| t.kind == TokenKind::Word && t.is("using"))?;
    let open = tokens.get(using + 2).filter(|t| t.is("("))?.start;
    let mut rest = &definition[open + 1..];
    let mut out = Vec::new();
    for row in rows {
        let after = rest.trim_start().strip_prefix(row.text.as_str())?;
        let end = end_of_key(after)?;
        let mut key = modifiers(&after[..end]).ok()?.of(match row.column {
            Some(name) => KeyPart::Column(name),
            None => KeyPart::Expression(bare(&row.text).to_owned()),
        });
        key.own_collation = row.collation.filter(|_| key.collation.is_none());
        key.own_class = Some(row.class).filter(|_| key.operator_class.is_none());
        out.push(key);
        rest = &after[end + 1..];
    }
    Some(out)
}

/// Where the comma or the parenthesis stands that ends a key.
fn end_of_key(text: &str) -> Option<usize> {
    let mut depth = 0_i32;
    for token in significant(text) {
        match token.text {
            "(" => depth += 1,
            ")" | "," if depth == 0 => return Some(token.start),
            ")" => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn takes_a_definition_apart() {
        let row = |column: Option<&str>, text: &str, class: &str| KeyRow {
            column: column.map(str::to_owned),
            text: text.to_owned(),
            collation: Some("\"default\"".to_owned()),
            class: class.to_owned(),
        };
        let rows = vec![
            row(Some("a,b"), "\"a,b\"", "text_ops"),
            row(None, "((x || ' USING (,'::text))", "text_ops"),
            row(None, "lower(y)", "public.gin_trgm_ops"),
        ];
        let text = "CREATE INDEX \"i USING (\" ON public.t USING btree (\"a,b\" DESC NULLS LAST, \
                    ((x || ' USING (,'::text)) COLLATE \"C\", lower(y) public.gin_trgm_ops (siglen='64')) INCLUDE (z)";
        let keys = keys(text, rows).unwrap();
        assert!(keys[0].descending && !keys[0].nulls_first);
        assert_eq!(keys[0].own_class.as_deref(), Some("text_ops"));
        assert_eq!(keys[1].what, KeyPart::Expression("x || ' USING (,'::text".to_owned()));
        assert_eq!(keys[1].collation.as_deref(), Some("\"C\""));
        assert_eq!(keys[2].class_options, ["siglen=64"]);
        assert_eq!(keys[2].own_class, None);
    }
}
