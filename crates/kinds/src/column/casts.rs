//! What changing a column's type takes: a USING clause, a rewrite, a scan, or nothing.
//!
//! Measured on PostgreSQL 13 to 18 by reading `relfilenode` after each statement.

use reconcile_sql::{SqlType, quote_ident};

use super::builtin_casts::{Cast, cast};

/// What ALTER COLUMN TYPE does to the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Conversion {
    /// Only the catalog changes.
    Catalog,
    /// All rows and indexes are written anew.
    Rewrite,
}

/// Whether a change of type rewrites the table.
pub(super) fn conversion(from: &SqlType, to: &SqlType) -> Conversion {
    let same = from.namespace == to.namespace && from.name == to.name && from.array == to.array;
    let wider = |a: Option<u32>, b: Option<u32>| match (a, b) {
        (_, None) => true,
        (Some(a), Some(b)) => a <= b,
        (None, Some(_)) => false,
    };
    let text_family =
        |t: &SqlType| matches!(t.name.as_str(), "text" | "varchar") && t.namespace.is_none();
    let free = if from.array || to.array {
        same && from.modifiers == to.modifiers
    } else if text_family(from) && text_family(to) {
        to.name == "text"
            || (wider(from.length(), to.length())
                && !(from.name == "text" && to.length().is_some()))
    } else if same && from.namespace.is_none() {
        match from.name.as_str() {
            "numeric" => to.modifiers.is_none() || numeric_widens(from, to),
            "timestamptz" | "timestamp" | "time" | "timetz" | "varbit" => {
                wider(from.length(), to.length())
            }
            "interval" => from.fields == to.fields && wider(from.length(), to.length()),
            _ => from.modifiers == to.modifiers,
        }
    } else {
        from.namespace.is_none() && from.name == "cidr" && to.name == "inet"
    };
    if free { Conversion::Catalog } else { Conversion::Rewrite }
}

fn numeric_widens(from: &SqlType, to: &SqlType) -> bool {
    let parts = |t: &SqlType| -> Option<(i64, i64)> {
        let modifiers = t.modifiers.as_ref()?;
        let (precision, scale) = modifiers.split_once(',')?;
        Some((precision.trim().parse().ok()?, scale.trim().parse().ok()?))
    };
    parts(from).zip(parts(to)).is_some_and(|((p, s), (q, t))| s == t && p <= q)
}

/// The expression of USING, if the types need one.
///
/// To a type of text it is the value's text, never a cast to the length: `::varchar(20)` truncates
/// in silence where the assignment of `::text` raises an error.
pub(crate) fn using(column: &str, from: &SqlType, to: &SqlType) -> Option<String> {
    using_of(&quote_ident(column), from, to)
}

/// The same for any operand that binds as a column does.
pub(super) fn using_of(name: &str, from: &SqlType, to: &SqlType) -> Option<String> {
    let array = if to.array { "[]" } else { "" };
    if from.array == to.array {
        match cast(from, to) {
            Some(Cast::Assignment) => return None,
            Some(Cast::Explicit) => return Some(format!("{name}::{to}")),
            None => {}
        }
    }
    if to.element().is_textual() && from.array == to.array {
        return Some(format!("{name}::text{array}"));
    }
    if from.element().is_textual() && !from.array {
        return Some(format!("{name}::{to}"));
    }
    if to.array && !from.array {
        // The value becomes the only element; no value does not become an element.
        let element = using_of(name, from, &to.element()).unwrap_or_else(|| name.to_owned());
        return Some(format!("CASE WHEN {name} IS NOT NULL THEN ARRAY[{element}]::{to} END"));
    }
    if from.array && !to.array {
        return Some(format!("{name}::text::{to}"));
    }
    Some(format!("{name}::text{array}::{to}"))
}

/// A conversion between times as `apply` makes it, whatever TimeZone a session has: what has no time
/// zone is in UTC.
pub(super) fn at_utc(name: &str, from: &SqlType, to: &SqlType) -> Option<String> {
    let own = |t: &SqlType| t.is_built_in() && !t.array;
    if !own(from) || !own(to) {
        return None;
    }
    match (from.name.as_str(), to.name.as_str()) {
        ("timestamp", "timestamptz") | ("timestamptz", "timestamp") => {
            Some(format!("{name} AT TIME ZONE 'UTC'"))
        }
        ("date", "timestamptz") => Some(format!("{name}::timestamp AT TIME ZONE 'UTC'")),
        ("timestamptz", "date" | "time") => {
            Some(format!("({name} AT TIME ZONE 'UTC')::{}", to.name))
        }
        // timezone(text, timetz) would have the session's zone first.
        ("time", "timetz") => Some(format!("({name}::text || '+00')::timetz")),
        _ => None,
    }
}

/// Whether only the catalog changes because sessions of ours have the TimeZone UTC
/// (`ATColumnChangeRequiresRewrite`, `src/backend/commands/tablecmds.c`); indexes are built anew.
pub(super) fn is_free_at_utc(from: &SqlType, to: &SqlType) -> bool {
    let wide = to.length().is_none() || from.length().is_some_and(|n| Some(n) <= to.length());
    let names = [from.name.as_str(), to.name.as_str()];
    let moments = names == ["timestamp", "timestamptz"] || names == ["timestamptz", "timestamp"];
    moments && wide && at_utc("", from, to).is_some()
}

/// Whether what a value becomes depends on settings of the session, and no expression helps.
pub(super) fn depends_on_session(from: &SqlType, to: &SqlType) -> bool {
    const MOMENTS: &[&str] = &["date", "timestamp", "timestamptz", "time", "timetz"];
    const TEXTS: &[&str] = &["interval", "bytea", "real", "double precision", "money"];
    let is =
        |t: &SqlType, names: &[&str]| t.namespace.is_none() && names.contains(&t.name.as_str());
    let either = |names: &[&str]| is(from, names) || is(to, names);
    let same = from.namespace == to.namespace && from.name == to.name && from.array == to.array;
    if same || at_utc("", from, to).is_some() {
        return false;
    }
    // Their text has the zone and the order of days and months; a cast among them has the zone only.
    let both = |names: &[&str]| is(from, names) && is(to, names) && !from.array && !to.array;
    let zoned = either(&["timestamptz", "timetz"]);
    let between = both(MOMENTS) && cast(from, to).is_some();
    if between {
        return zoned && (from.name.as_str(), to.name.as_str()) != ("timetz", "time");
    }
    let numbers = both(&["real", "double precision", "money"]) || cast(from, to).is_some();
    either(MOMENTS) || (either(TEXTS) && !numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ty(text: &str) -> SqlType {
        SqlType::parse(text).expect(text)
    }

    #[test]
    fn rewrites_as_measured() {
        for (from, to, free) in [
            ("varchar(20)", "varchar(100)", true),
            ("varchar(20)", "text", true),
            ("varchar(100)", "varchar(20)", false),
            ("text", "varchar(20)", false),
            ("text", "varchar", true),
            ("varchar", "varchar(20)", false),
            ("numeric(10,2)", "numeric(12,2)", true),
            ("numeric(10,2)", "numeric(12,3)", false),
            ("numeric(10,2)", "numeric", true),
            ("integer", "bigint", false),
            ("char(3)", "varchar(3)", false),
            ("public.message_role", "varchar(20)", false),
            ("timestamp(3)", "timestamp(6)", true),
            ("cidr", "inet", true),
        ] {
            let want = if free { Conversion::Catalog } else { Conversion::Rewrite };
            assert_eq!(conversion(&ty(from), &ty(to)), want, "{from} -> {to}");
        }
    }

    #[test]
    fn using_never_truncates() {
        let using = |from: &str, to: &str| using("role", &ty(from), &ty(to));
        assert_eq!(using("public.message_role", "varchar(20)").as_deref(), Some("role::text"));
        assert_eq!(
            using("public.message_role[]", "varchar(20)[]").as_deref(),
            Some("role::text[]")
        );
        assert_eq!(
            using("varchar(20)", "public.message_role").as_deref(),
            Some("role::public.message_role")
        );
        assert_eq!(using("varchar(100)", "varchar(20)"), None);
        assert_eq!(using("integer", "bigint"), None);
        assert_eq!(using("integer[]", "bigint[]"), None);
        assert_eq!(using("integer", "boolean").as_deref(), Some("role::boolean"));
        assert_eq!(using("boolean", "smallint").as_deref(), Some("role::text::smallint"));
        assert_eq!(
            using("integer", "bigint[]").as_deref(),
            Some("CASE WHEN role IS NOT NULL THEN ARRAY[role]::bigint[] END")
        );
        assert_eq!(using("public.a", "public.b").as_deref(), Some("role::text::public.b"));
    }
}
