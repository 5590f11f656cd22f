//! Privileges from the access control lists in pg_class, pg_attribute, pg_type and pg_namespace.

use std::sync::Arc;

use reconcile_catalog::Object;

use super::{Grants, Privilege};
use crate::read::{
    ObjectId, ReadError, Reader, Row, USER_NAMESPACE, flag, parsed, required, user_relation,
};

pub(super) fn query() -> String {
    let relations = user_relation("'r', 'p', 'v', 'm', 'S'");
    let columns = "pg_attribute a WHERE a.attrelid = c.oid AND a.attacl IS NOT NULL AND a.attnum > 0 AND NOT a.attisdropped";
    let kind = "CASE WHEN c.relkind = 'S' THEN 's' ELSE 'r' END::\"char\"";
    // An empty list is one too: its owner gave up what he had. And where only columns have a list,
    // the relation has what it has by default.
    let lists = [
        format!(
            "SELECT 1259::int8 AS class, c.oid::int8 AS oid, c.relowner AS owner, acldefault({kind}, c.relowner) AS usual, \
             coalesce(c.relacl, acldefault({kind}, c.relowner)) AS acl, NULL::name AS attname, 0 AS attnum \
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE {relations} AND (c.relacl IS NOT NULL OR EXISTS (SELECT FROM {columns}))"
        ),
        format!(
            "SELECT 1259, c.oid::int8, c.relowner, NULL, a.attacl, a.attname, a.attnum \
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, LATERAL (SELECT a.* FROM {columns}) AS a \
             WHERE {relations}"
        ),
        "SELECT 1247, t.oid::int8, t.typowner, acldefault('T', t.typowner), t.typacl, NULL, 0 FROM pg_type t \
         WHERE t.typacl IS NOT NULL"
            .to_owned(),
        format!(
            "SELECT 2615, n.oid::int8, n.nspowner, acldefault('n', n.nspowner), n.nspacl, NULL, 0 FROM pg_namespace n \
             WHERE n.nspacl IS NOT NULL AND {USER_NAMESPACE}"
        ),
    ];
    let owners = |acl: &str| {
        format!(
            "SELECT o.privilege_type FROM aclexplode({acl}) o WHERE o.grantee = x.owner AND NOT o.is_grantable"
        )
    };
    let (usual, has) = (owners("x.usual"), owners("x.acl"));
    format!(
        "SELECT 'grant' AS kind, l.class, l.oid, bool_and(l.owner_has_all) AS owner_has_all, \
         coalesce(json_agg(json_build_object('grantee', CASE WHEN l.grantee <> 0 THEN pg_get_userbyid(l.grantee) END, \
         'privilege', l.privilege_type, 'grantable', l.is_grantable, 'column', l.attname, \
         'grantor', CASE WHEN l.grantor <> l.owner THEN pg_get_userbyid(l.grantor) END) ORDER BY l.attnum, l.place) \
         FILTER (WHERE l.place IS NOT NULL AND NOT (l.grantee = l.owner AND l.attnum = 0 AND l.owner_has_all)), '[]')::text AS items \
         FROM (SELECT x.*, e.*, x.attnum > 0 OR (NOT EXISTS ({usual} EXCEPT {has}) AND NOT EXISTS ( \
         SELECT FROM aclexplode(x.acl) o WHERE o.grantee = x.owner AND o.is_grantable)) AS owner_has_all \
         FROM ({}) AS x LEFT JOIN LATERAL aclexplode(x.acl) \
         WITH ORDINALITY AS e(grantor, grantee, privilege_type, is_grantable, place) ON true) AS l GROUP BY l.class, l.oid",
        lists.join(" UNION ALL ")
    )
}

pub(super) fn read(row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
    let id = ObjectId::new(parsed(row, "class")?, parsed(row, "oid")?);
    if let Some(target) = reader.resolve(id).cloned() {
        let items: Vec<Privilege> = serde_json::from_str(required(row, "items")?)
            .map_err(|e| ReadError { kind: super::NAME.to_owned(), reason: e.to_string() })?;
        let grants = Grants { items, owner_has_all: flag(row, "owner_has_all") };
        // The id is made up: nothing refers to an access control list.
        let id = ObjectId { class: 0, sub: 2, ..id };
        reader.add(id, Object::new(Grants::address(&target), Some(target), Arc::new(grants)));
    }
    Ok(())
}
