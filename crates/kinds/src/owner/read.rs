//! Owners from pg_class and pg_type.

use std::sync::Arc;

use reconcile_catalog::Object;

use super::Owner;
use crate::read::{
    ObjectId, ReadError, Reader, Row, USER_NAMESPACE, parsed, required, user_relation,
};

pub(super) fn query() -> String {
    let user = user_relation("'r', 'p', 'v', 'm'");
    let sequence = user_relation("'S'");
    // A sequence that a column owns belongs to the owner of its table.
    let owned = "SELECT FROM pg_depend d WHERE d.classid = 1259 AND d.objid = c.oid AND d.refclassid = 1259 AND d.deptype IN ('a', 'i')";
    format!(
        "SELECT 'owner' AS kind, 1259::int8 AS class, c.oid::int8 AS oid, pg_get_userbyid(c.relowner) AS owner \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE ({user}) OR ({sequence} AND NOT EXISTS ({owned})) \
         UNION ALL SELECT 'owner', 1247, t.oid, pg_get_userbyid(t.typowner) FROM pg_type t WHERE t.oid >= 16384 AND t.typelem = 0 \
         UNION ALL SELECT 'owner', 2615, n.oid, pg_get_userbyid(n.nspowner) FROM pg_namespace n \
         WHERE {USER_NAMESPACE} AND n.oid >= 16384 \
         UNION ALL SELECT 'owner', 3381, s.oid, pg_get_userbyid(s.stxowner) FROM pg_statistic_ext s"
    )
}

pub(super) fn read(row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
    let id = ObjectId::new(parsed(row, "class")?, parsed(row, "oid")?);
    if let Some(target) = reader.resolve(id).cloned() {
        let owner = Arc::new(Owner { role: required(row, "owner")?.to_owned() });
        // The id is made up: nothing refers to an ownership.
        let id = ObjectId { class: 0, sub: 1, ..id };
        reader.add(id, Object::new(Owner::address(&target), Some(target), owner));
    }
    Ok(())
}
