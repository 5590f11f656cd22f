//! Privileges from the access control lists in pg_class, pg_attribute and pg_type.

use std::sync::Arc;

use reconcile_catalog::Object;

use super::{Grants, Privilege};
use crate::read::{ObjectId, ReadError, Reader, Row, parsed, required, user_relation};

pub(super) fn query() -> String {
    let user = user_relation("'r', 'p', 'v', 'm'");
    let item = |acl: &str| {
        format!(
            "json_build_object('grantee', CASE WHEN {acl}.grantee <> 0 THEN pg_get_userbyid({acl}.grantee) END, \
             'privilege', {acl}.privilege_type, 'grantable', {acl}.is_grantable, 'grantor', pg_get_userbyid({acl}.grantor)"
        )
    };
    let (item, plain) = (format!("{}, 'column', x.attname)", item("x")), format!("{})", item("y")));
    // An empty list is one too: its owner gave up what he had. And where only columns have a list,
    // the relation has what it has by default.
    let lists = "WITH ORDINALITY AS e(grantor, grantee, privilege_type, is_grantable, place)";
    let columns = "pg_attribute a WHERE a.attrelid = c.oid AND a.attacl IS NOT NULL AND a.attnum > 0 AND NOT a.attisdropped";
    format!(
        "SELECT 'grant' AS kind, 1259::int8 AS class, x.oid::int8 AS oid, \
         coalesce(json_agg({item} ORDER BY x.attnum, x.place) FILTER (WHERE x.place IS NOT NULL), '[]')::text AS items FROM ( \
         SELECT c.oid, NULL::name AS attname, 0 AS attnum, e.* FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         LEFT JOIN LATERAL aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) {lists} ON true \
         WHERE {user} AND (c.relacl IS NOT NULL OR EXISTS (SELECT FROM {columns})) \
         UNION ALL SELECT c.oid, a.attname, a.attnum, e.* FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, \
         LATERAL (SELECT a.* FROM {columns}) AS a, aclexplode(a.attacl) {lists} WHERE {user} \
         ) x GROUP BY x.oid \
         UNION ALL SELECT 'grant', 1247, t.oid::int8, \
         coalesce(json_agg({plain} ORDER BY y.place) FILTER (WHERE y.place IS NOT NULL), '[]')::text FROM pg_type t \
         LEFT JOIN LATERAL aclexplode(t.typacl) WITH ORDINALITY AS y(grantor, grantee, privilege_type, is_grantable, place) ON true \
         WHERE t.typtype = 'e' AND t.typacl IS NOT NULL GROUP BY t.oid"
    )
}

pub(super) fn read(row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
    let id = ObjectId::new(parsed(row, "class")?, parsed(row, "oid")?);
    if let Some(target) = reader.resolve(id).cloned() {
        let items: Vec<Privilege> = serde_json::from_str(required(row, "items")?)
            .map_err(|e| ReadError { kind: super::NAME.to_owned(), reason: e.to_string() })?;
        // The id is made up: nothing refers to an access control list.
        let id = ObjectId { class: 0, sub: 2, ..id };
        reader.add(
            id,
            Object::new(Grants::address(&target), Some(target), Arc::new(Grants { items })),
        );
    }
    Ok(())
}
