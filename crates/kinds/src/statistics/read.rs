//! Extended statistics from pg_statistic_ext.

use std::sync::Arc;

use reconcile_catalog::{Address, Object};
use reconcile_sql::QName;

use super::Statistics;
use crate::index::bare;
use crate::materialized_view::MaterializedView;
use crate::read::{
    ObjectId, ReadError, Reader, Row, id, no_extension_member, parsed, required, user_relation,
    words,
};
use crate::table::Table;

/// `stxkind` says `d`, `f` and `m` for the kinds, and `e` for the expressions.
pub(super) fn query() -> String {
    let user = user_relation("'r', 'p', 'm'");
    let free = no_extension_member("pg_statistic_ext", "s.oid");
    format!(
        "SELECT 'statistics' AS kind, s.oid, n.nspname, c.relname, c.relkind, sn.nspname AS own_namespace, s.stxname, \
         (SELECT json_agg(a.attname ORDER BY a.attname) FROM unnest(s.stxkeys::int2[]) AS k(attnum) \
          JOIN pg_attribute a ON a.attrelid = s.stxrelid AND a.attnum = k.attnum)::text AS columns, \
         array_to_json(pg_get_statisticsobjdef_expressions(s.oid))::text AS expressions, \
         (SELECT json_agg(CASE k WHEN 'd' THEN 'ndistinct' WHEN 'f' THEN 'dependencies' WHEN 'm' THEN 'mcv' ELSE k::text END) \
          FROM unnest(s.stxkind) AS k WHERE k <> 'e')::text AS kinds, \
         CASE WHEN s.stxstattarget >= 0 THEN s.stxstattarget END AS target \
         FROM pg_statistic_ext s JOIN pg_class c ON c.oid = s.stxrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_namespace sn ON sn.oid = s.stxnamespace WHERE {user} AND {free}"
    )
}

pub(super) fn read(row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
    let relation = QName::new(required(row, "nspname")?, required(row, "relname")?);
    let relation: Address = match required(row, "relkind")? {
        "m" => MaterializedView::address(&relation),
        _ => Table::address(&relation),
    };
    let mut kinds = words(row, "kinds")?;
    kinds.sort();
    let mut columns = words(row, "columns")?;
    columns.sort();
    let expressions = words(row, "expressions")?;
    let target = row.get("target").map(|_| parsed(row, "target")).transpose()?;
    let statistics = Statistics {
        columns,
        expressions: expressions.iter().map(|e| bare(e).to_owned()).collect(),
        kinds,
        target,
    };
    let name = QName::new(required(row, "own_namespace")?, required(row, "stxname")?);
    let address = Statistics::address(&relation, &name);
    let object = Object::new(address, Some(relation), Arc::new(statistics));
    reader.add(id(row, ObjectId::PG_STATISTIC_EXT)?, object);
    Ok(())
}
