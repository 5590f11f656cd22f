//! Range types from pg_range.

use std::sync::Arc;

use reconcile_catalog::Object;
use reconcile_sql::{QName, ServerVersion, SqlType};

use super::{Range, multirange_name};
use crate::namespace::Namespace;
use crate::read::{
    ObjectId, ReadError, Reader, Row, USER_NAMESPACE, id, no_extension_member, parsed, required,
};

pub(super) fn query(version: ServerVersion) -> String {
    let member = no_extension_member("pg_type", "t.oid");
    let multirange = if version.at_least(14) {
        "m.oid AS multirange, m.typarray AS multirange_array, mn.nspname AS multirange_namespace, m.typname AS multirange_name"
    } else {
        "NULL AS multirange_name"
    };
    let join = if version.at_least(14) {
        "LEFT JOIN pg_type m ON m.oid = r.rngmultitypid LEFT JOIN pg_namespace mn ON mn.oid = m.typnamespace"
    } else {
        ""
    };
    format!(
        "SELECT 'range' AS kind, t.oid, t.typarray, n.nspname, t.typname, format_type(r.rngsubtype, NULL) AS subtype, \
         ocn.nspname AS opclass_namespace, CASE WHEN NOT oc.opcdefault THEN oc.opcname END AS opclass_name, \
         cn.nspname AS collation_namespace, co.collname AS collation_name, \
         fn.nspname AS canonical_namespace, f.proname AS canonical_name, \
         dn.nspname AS diff_namespace, d.proname AS diff_name, {multirange} \
         FROM pg_range r JOIN pg_type t ON t.oid = r.rngtypid JOIN pg_namespace n ON n.oid = t.typnamespace \
         JOIN pg_type b ON b.oid = r.rngsubtype \
         JOIN pg_opclass oc ON oc.oid = r.rngsubopc JOIN pg_namespace ocn ON ocn.oid = oc.opcnamespace \
         LEFT JOIN pg_collation co ON co.oid = r.rngcollation AND r.rngcollation <> b.typcollation \
         LEFT JOIN pg_namespace cn ON cn.oid = co.collnamespace \
         LEFT JOIN pg_proc f ON f.oid = r.rngcanonical LEFT JOIN pg_namespace fn ON fn.oid = f.pronamespace \
         LEFT JOIN pg_proc d ON d.oid = r.rngsubdiff LEFT JOIN pg_namespace dn ON dn.oid = d.pronamespace \
         {join} WHERE {USER_NAMESPACE} AND {member}"
    )
}

pub(super) fn read(row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
    let name = QName::new(required(row, "nspname")?, required(row, "typname")?);
    let qualified = |what: &str| {
        let namespace = row.get(&format!("{what}_namespace"))?;
        row.get(&format!("{what}_name")).map(|name| QName::new(namespace, name))
    };
    let subtype = SqlType::parse(required(row, "subtype")?)
        .map_err(|e| ReadError { kind: super::NAME.to_owned(), reason: e.to_string() })?;
    let usual = QName::new(&name.namespace, multirange_name(&name.name));
    let range = Range {
        subtype,
        opclass: qualified("opclass"),
        collation: qualified("collation"),
        canonical: qualified("canonical"),
        subtype_diff: qualified("diff"),
        multirange: qualified("multirange").filter(|name| *name != usual),
    };
    let address = Range::address(&name);
    let mut object = Object::new(address.clone(), None, Arc::new(range));
    object.depends_on.insert(Namespace::address(&name.namespace));
    reader.add(id(row, ObjectId::PG_TYPE)?, object);
    for column in ["typarray", "multirange", "multirange_array"] {
        if row.get(column).is_some() {
            reader.alias(ObjectId::new(ObjectId::PG_TYPE, parsed(row, column)?), &address);
        }
    }
    Ok(())
}
