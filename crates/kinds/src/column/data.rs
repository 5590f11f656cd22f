//! Questions to the rows of a column, and proofs that nothing was lost.

use reconcile_catalog::Address;
use reconcile_sql::{QName, ServerVersion, SqlType, quote_ident, quote_literal};

use crate::step::{Preflight, Proof};
use crate::table::relation;
use crate::{Cx, enum_type::EnumType};

/// The most values that a preflight names.
const NAMED_VALUES: u32 = 20;

/// A preflight over the values of one column.
pub(crate) fn values_where(
    table: &QName,
    value: &str,
    condition: &str,
    complaint: String,
) -> Preflight {
    let sql = format!(
        "SELECT ({value})::text, count(*) FROM {table} WHERE {condition} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {NAMED_VALUES}"
    );
    Preflight { relation: table.clone(), complaint, sql }
}

/// Rows without a value.
pub(crate) fn nulls(table: &QName, column: &str) -> Preflight {
    let name = quote_ident(column);
    values_where(table, "NULL", &format!("{name} IS NULL"), format!("{table}.{name} is null"))
}

/// Values that a new type cannot hold, as far as a query can tell beforehand; the statement itself
/// raises an error for the rest, and rolls back.
pub(super) fn unfit(
    address: &Address,
    from: &SqlType,
    to: &SqlType,
    cx: &Cx<'_>,
) -> Option<Preflight> {
    let table = relation(address);
    let name = quote_ident(address.name());
    let complaint = |why: &str| format!("{table}.{name} {why}");
    if to.array || from.array {
        return None;
    }
    if to.is_textual() {
        // Trailing spaces beyond the length are cut without an error, as in the standard.
        let length = to.length()?;
        let narrower = from.length().is_none_or(|l| l > length) || !from.is_textual();
        let condition = format!("length(rtrim({name}::text, ' ')) > {length}");
        return narrower.then(|| {
            values_where(
                &table,
                &name,
                &condition,
                complaint(&format!("is longer than {to} allows")),
            )
        });
    }
    if let Some(labels) = enum_labels(to, cx) {
        let labels: Vec<String> = labels.iter().map(|l| quote_literal(l)).collect();
        let condition =
            format!("NOT (({name}::text) = ANY (ARRAY[{}]::text[]))", labels.join(", "));
        return Some(values_where(
            &table,
            &name,
            &condition,
            complaint(&format!("is no label of {to}")),
        ));
    }
    let range = match (from.name.as_str(), to.name.as_str()) {
        ("bigint", "integer") | ("numeric", "integer") => {
            Some((i64::from(i32::MIN), i64::from(i32::MAX)))
        }
        ("bigint" | "integer" | "numeric", "smallint") => {
            Some((i64::from(i16::MIN), i64::from(i16::MAX)))
        }
        _ => None,
    };
    if let Some((low, high)) = range {
        let condition = format!("{name} NOT BETWEEN {low} AND {high}");
        return Some(values_where(
            &table,
            &name,
            &condition,
            complaint(&format!("is out of the range of {to}")),
        ));
    }
    if loses_digits(from, to) {
        let condition = format!("(({name}::{to})::{from}) IS DISTINCT FROM {name}");
        let why = format!("would not survive the change to {to}");
        return Some(values_where(&table, &name, &condition, complaint(&why)));
    }
    // A type that the plan makes cannot be asked yet.
    let namespace = to.namespace.as_ref();
    let known = namespace.is_none_or(|ns| cx.facts.types.contains(&QName::new(ns, &to.name)));
    input_is_valid(&table, &name, from, to, cx.version).filter(|_| known)
}

/// Whether a cast between two numbers or two times can round or cut a value without an error.
fn loses_digits(from: &SqlType, to: &SqlType) -> bool {
    const NUMBERS: &[&str] =
        &["smallint", "integer", "bigint", "numeric", "real", "double precision"];
    const TIMES: &[&str] = &["timestamp", "timestamptz", "date", "time", "timetz"];
    let both =
        |names: &[&str]| names.contains(&from.name.as_str()) && names.contains(&to.name.as_str());
    let built_in = from.is_built_in() && to.is_built_in();
    let exact = from.name == to.name && to.modifiers.is_none();
    let whole = matches!(from.name.as_str(), "smallint" | "integer" | "bigint");
    let holds_whole = matches!(to.name.as_str(), "integer" | "bigint")
        || (to.name == "numeric" && to.modifiers.is_none());
    let zone_only = matches!(
        (from.name.as_str(), to.name.as_str()),
        ("timestamp", "timestamptz") | ("timestamptz", "timestamp")
    ) && to.modifiers.is_none();
    built_in && (both(NUMBERS) || both(TIMES)) && !exact && !(whole && holds_whole) && !zone_only
}

/// From 16 on the server can say whether a text is a value of a type.
fn input_is_valid(
    table: &QName,
    name: &str,
    from: &SqlType,
    to: &SqlType,
    version: ServerVersion,
) -> Option<Preflight> {
    (from.is_textual() && version.at_least(16)).then(|| {
        let condition =
            format!("NOT pg_input_is_valid({name}::text, {})", quote_literal(&to.to_string()));
        values_where(table, name, &condition, format!("{table}.{name} is no value of {to}"))
    })
}

fn enum_labels<'a>(ty: &SqlType, cx: &'a Cx<'_>) -> Option<&'a [String]> {
    let address = EnumType::address(&QName::new(ty.namespace.clone()?, ty.name.clone()));
    let found = cx
        .desired
        .definition::<EnumType>(&address)
        .or_else(|| cx.live.definition::<EnumType>(&address));
    found.map(|e| e.labels.as_slice())
}

/// Up to this size of a table its values are compared before and after, under the locks.
pub(super) const COMPARED: u64 = 64 << 20;

/// The number of rows of each value, as text, before and after; only for types whose text stays.
pub(super) fn histogram(address: &Address, from: &SqlType, to: &SqlType) -> Option<Proof> {
    let keeps_text = |t: &SqlType| {
        !t.is_built_in()
            || matches!(t.name.as_str(), "text" | "varchar" | "smallint" | "integer" | "bigint")
    };
    if from.array || to.array || !keeps_text(from) || !keeps_text(to) {
        return None;
    }
    Some(text_histogram(address))
}

/// The number of rows of each value, as text, before and after.
pub(super) fn text_histogram(address: &Address) -> Proof {
    let table = relation(address);
    let name = quote_ident(address.name());
    let query = format!(
        "SELECT count(*) || ' values, ' || coalesce(sum(n), 0) || ' rows, ' || \
         coalesce(md5(string_agg(quote_nullable(v) || ' ' || n, ',' ORDER BY v COLLATE \"C\")), '-') \
         FROM (SELECT {name}::text AS v, count(*) AS n FROM {table} GROUP BY 1) AS histogram"
    );
    Proof {
        what: format!("rows and values of {table}.{name}"),
        relation: table,
        before: query.clone(),
        after: query,
    }
}
