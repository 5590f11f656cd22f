//! Triggers from pg_trigger.

use std::sync::Arc;

use reconcile_catalog::Object;
use reconcile_sql::QName;

use super::{Enabled, Trigger};
use crate::read::{ObjectId, ReadError, Reader, Row, flag, id, required, user_relation};
use crate::table::Table;
use crate::view::View;

/// Up to 14 the clones on partitions count as internal.
pub(super) fn query() -> String {
    let user = user_relation("'r', 'p', 'v'");
    format!(
        "SELECT 'trigger' AS kind, t.oid, n.nspname, c.relname, c.relkind, t.tgname, t.tgenabled, \
         pg_get_triggerdef(t.oid) AS definition, t.tgparentid <> 0 AS inherited \
         FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE (NOT t.tgisinternal OR (t.tgparentid <> 0 AND t.tgconstraint = 0)) AND {user}"
    )
}

pub(super) fn read(row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
    let relation = QName::new(required(row, "nspname")?, required(row, "relname")?);
    let relation = match required(row, "relkind")? {
        "v" => View::address(&relation),
        _ => Table::address(&relation),
    };
    let enabled = Enabled::from_catalog(required(row, "tgenabled")?);
    let trigger = Trigger {
        definition: required(row, "definition")?.to_owned(),
        enabled,
        inherited: flag(row, "inherited"),
    };
    let address = Trigger::address(&relation, required(row, "tgname")?);
    reader.add(
        id(row, ObjectId::PG_TRIGGER)?,
        Object::new(address, Some(relation), Arc::new(trigger)),
    );
    Ok(())
}
