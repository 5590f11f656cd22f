//! Policies from pg_policy.

use std::sync::Arc;

use reconcile_catalog::Object;
use reconcile_sql::QName;

use super::Policy;
use crate::read::{ObjectId, ReadError, Reader, Row, flag, id, required, user_relation, words};
use crate::table::Table;

pub(super) fn query() -> String {
    let user = user_relation("'r', 'p'");
    format!(
        "SELECT 'policy' AS kind, p.oid, n.nspname, c.relname, p.polname, p.polpermissive, p.polcmd, \
         (SELECT json_agg(CASE WHEN r.role = 0 THEN 'public' ELSE pg_get_userbyid(r.role)::text END ORDER BY r.place) \
          FROM unnest(p.polroles) WITH ORDINALITY AS r(role, place))::text AS roles, \
         pg_get_expr(p.polqual, p.polrelid) AS using_text, pg_get_expr(p.polwithcheck, p.polrelid) AS check_text \
         FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {user}"
    )
}

pub(super) fn read(row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
    let table = Table::address(&QName::new(required(row, "nspname")?, required(row, "relname")?));
    let command = match required(row, "polcmd")? {
        "r" => "SELECT",
        "a" => "INSERT",
        "w" => "UPDATE",
        "d" => "DELETE",
        _ => "ALL",
    };
    let policy = Policy {
        command: command.to_owned(),
        permissive: flag(row, "polpermissive"),
        roles: words(row, "roles")?,
        using: row.get("using_text").map(str::to_owned),
        check: row.get("check_text").map(str::to_owned),
    };
    let address = Policy::address(&table, required(row, "polname")?);
    reader.add(id(row, ObjectId::PG_POLICY)?, Object::new(address, Some(table), Arc::new(policy)));
    Ok(())
}
