//! PostgreSQL's own casts between types that columns usually have (`pg_cast`, 14 to 18).

use reconcile_sql::SqlType;

/// How a value gets from one type to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cast {
    /// In an assignment, as ALTER COLUMN TYPE without USING makes it.
    Assignment,
    /// Only where somebody writes it.
    Explicit,
}

/// What can be assigned to what.
const ASSIGNMENT: &[(&str, &[&str])] = &[
    ("smallint", &["integer", "bigint", "numeric", "real", "double precision", "oid"]),
    ("integer", &["smallint", "bigint", "numeric", "real", "double precision", "oid", "money"]),
    ("bigint", &["smallint", "integer", "numeric", "real", "double precision", "oid", "money"]),
    ("numeric", &["smallint", "integer", "bigint", "real", "double precision", "money"]),
    ("real", &["smallint", "integer", "bigint", "numeric", "double precision"]),
    ("double precision", &["smallint", "integer", "bigint", "numeric", "real"]),
    ("money", &["numeric"]),
    ("oid", &["integer", "bigint"]),
    ("text", &["varchar", "char", "bpchar", "name"]),
    ("varchar", &["text", "char", "bpchar", "name"]),
    ("char", &["text", "varchar", "bpchar", "name"]),
    ("bpchar", &["text", "varchar", "char", "name"]),
    ("name", &["text", "varchar", "char", "bpchar"]),
    ("date", &["timestamp", "timestamptz"]),
    ("timestamp", &["timestamptz", "date", "time"]),
    ("timestamptz", &["timestamp", "date", "time", "timetz"]),
    ("time", &["timetz", "interval"]),
    ("timetz", &["time"]),
    ("interval", &["time"]),
    ("bit", &["varbit"]),
    ("varbit", &["bit"]),
    ("cidr", &["inet"]),
    ("inet", &["cidr"]),
    ("macaddr", &["macaddr8"]),
    ("macaddr8", &["macaddr"]),
    ("json", &["jsonb"]),
    ("jsonb", &["json"]),
    ("point", &["box"]),
    ("box", &["polygon"]),
    ("path", &["polygon"]),
    ("polygon", &["path"]),
];

/// What has to be cast in words. Where the text of a value is one of the other type too, that way
/// is as good and needs no entry; what loses values (a circle to its point) has none on purpose.
const EXPLICIT: &[(&str, &[&str])] = &[
    ("integer", &["boolean", "bit"]),
    ("bigint", &["bit"]),
    ("boolean", &["integer"]),
    ("bit", &["integer", "bigint"]),
    ("jsonb", &["boolean", "smallint", "integer", "bigint", "numeric", "real", "double precision"]),
    ("int4range", &["int4multirange"]),
    ("int8range", &["int8multirange"]),
    ("numrange", &["nummultirange"]),
    ("tsrange", &["tsmultirange"]),
    ("tstzrange", &["tstzmultirange"]),
    ("daterange", &["datemultirange"]),
];

/// The cast between two of PostgreSQL's own types, arrays and modifiers aside; nothing if there is
/// none, or one of them is somebody's own.
pub(super) fn cast(from: &SqlType, to: &SqlType) -> Option<Cast> {
    if !from.is_built_in() || !to.is_built_in() {
        return None;
    }
    let has = |table: &[(&str, &[&str])]| {
        table.iter().any(|(f, targets)| *f == from.name && targets.contains(&to.name.as_str()))
    };
    if from.name == to.name || has(ASSIGNMENT) {
        Some(Cast::Assignment)
    } else if has(EXPLICIT) {
        Some(Cast::Explicit)
    } else {
        None
    }
}
