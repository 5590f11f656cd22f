//! Sequences from pg_sequence.

use std::sync::Arc;

use reconcile_catalog::{Object, Tuned};
use reconcile_sql::{QName, SqlType};

use super::{Counting, Sequence};
use crate::namespace::Namespace;
use crate::read::{ObjectId, ReadError, Reader, Row, flag, id, parsed, required, user_relation};

pub(super) fn query() -> String {
    let user = user_relation("'S'");
    format!(
        "SELECT 'sequence' AS kind, c.oid, n.nspname, c.relname, format_type(s.seqtypid, NULL) AS type, \
         s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache, s.seqcycle, c.relpersistence = 'u' AS unlogged \
         FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE {user} AND NOT EXISTS (SELECT FROM pg_depend o WHERE o.classid = 1259 AND o.objid = c.oid \
         AND o.refclassid = 1259 AND o.deptype = 'i')"
    )
}

pub(super) fn read(row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
    let name = QName::new(required(row, "nspname")?, required(row, "relname")?);
    let wrong = |reason: String| ReadError { kind: super::NAME.to_owned(), reason };
    let sequence = Sequence {
        ty: SqlType::parse(required(row, "type")?).map_err(|e| wrong(e.to_string()))?,
        counting: Counting {
            start: parsed(row, "seqstart")?,
            increment: parsed(row, "seqincrement")?,
            min: parsed(row, "seqmin")?,
            max: parsed(row, "seqmax")?,
            cache: parsed(row, "seqcache")?,
            cycle: flag(row, "seqcycle"),
        },
        unlogged: Tuned::stated(flag(row, "unlogged")),
    };
    let mut object = Object::new(Sequence::address(&name), None, Arc::new(sequence));
    object.depends_on.insert(Namespace::address(&name.namespace));
    reader.add(id(row, ObjectId::PG_CLASS)?, object);
    Ok(())
}
