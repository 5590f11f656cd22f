//! Who owns a sequence, from pg_depend.

use std::sync::Arc;

use reconcile_catalog::{Address, Object};
use reconcile_sql::QName;

use super::OwnedBy;
use crate::read::{ObjectId, ReadError, Reader, Row, parsed, required, user_relation};
use crate::table::Table;

pub(super) fn query() -> String {
    let user = user_relation("'S'");
    format!(
        "SELECT 'owned_by' AS kind, c.oid, tn.nspname, t.relname, a.attname FROM pg_depend o \
         JOIN pg_class c ON c.oid = o.objid JOIN pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_class t ON t.oid = o.refobjid JOIN pg_namespace tn ON tn.oid = t.relnamespace \
         JOIN pg_attribute a ON a.attrelid = o.refobjid AND a.attnum = o.refobjsubid \
         WHERE o.classid = 1259 AND o.refclassid = 1259 AND o.deptype = 'a' AND o.refobjsubid > 0 AND {user}"
    )
}

pub(super) fn read(row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
    let id = ObjectId::new(ObjectId::PG_CLASS, parsed(row, "oid")?);
    let Some(sequence) = reader.resolve(id).cloned() else { return Ok(()) };
    let path = [required(row, "nspname")?, required(row, "relname")?, required(row, "attname")?];
    let owned = OwnedBy { column: path.map(str::to_owned).to_vec() };
    let object = object(&sequence, owned);
    // The id is made up: nothing refers to an ownership.
    reader.add(ObjectId { class: 0, sub: 3, ..id }, object);
    Ok(())
}

/// An ownership, which needs the sequence, the column and the table.
pub(super) fn object(sequence: &Address, owned: OwnedBy) -> Object {
    let column = owned.column();
    let table = Table::address(&QName::new(column.namespace(), &owned.column[1]));
    let address = OwnedBy::address(sequence);
    let mut object = Object::new(address, Some(sequence.clone()), Arc::new(owned));
    object.depends_on.extend([sequence.clone(), column, table]);
    object
}
