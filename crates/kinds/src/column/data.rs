//! Questions to the rows of a column, and proofs that nothing was lost.

use reconcile_catalog::Address;
use reconcile_sql::{QName, ServerVersion, SqlType, quote_ident, quote_literal};

use super::builtin_casts::cast;
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
    if to.name == "char" && to.namespace.as_deref() == Some("pg_catalog") {
        // `"char"` is one byte, and a cast takes the first.
        let condition = format!("octet_length({name}::text) > 1");
        return Some(values_where(&table, &name, &condition, complaint("is longer than one byte")));
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
    if let Some((condition, why)) = misfit(&name, from, to) {
        return Some(values_where(&table, &name, &condition, complaint(&why)));
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

/// The condition under which a value does not fit, where a cast back would raise an error instead
/// of telling, and what is wrong with it.
fn misfit(name: &str, from: &SqlType, to: &SqlType) -> Option<(String, String)> {
    const NUMBERS: &[&str] =
        &["smallint", "integer", "bigint", "numeric", "real", "double precision", "money"];
    let number = |t: &SqlType| t.is_built_in() && NUMBERS.contains(&t.name.as_str());
    let whole = |t: &SqlType| matches!(t.name.as_str(), "smallint" | "integer" | "bigint");
    if number(from) && number(to) {
        let digits = format!("would not survive the change to {to}");
        let range = match to.name.as_str() {
            "smallint" => Some((i64::from(i16::MIN), i64::from(i16::MAX))),
            "integer" if from.name != "smallint" => {
                Some((i64::from(i32::MIN), i64::from(i32::MAX)))
            }
            "bigint" if !whole(from) => Some((i64::MIN, i64::MAX)),
            _ => None,
        };
        if let Some((low, high)) = range {
            let outside = format!("{name} NOT BETWEEN {low} AND {high}");
            return Some(if whole(from) {
                (outside, format!("is out of the range of {to}"))
            } else {
                let why = format!("is out of the range of {to}, or no whole number");
                (format!("({outside} OR {name} <> trunc({name}))"), why)
            });
        }
        let value = format!("{name}::numeric");
        let (precision, scale) = to.modifiers.as_deref()?.split_once(',')?;
        let (precision, scale) = (precision.parse::<i64>().ok()?, scale.parse::<i64>().ok()?);
        let rounded = format!("round({value}, {scale})");
        let limit = format!("1e{}::numeric", precision - scale);
        let condition = format!(
            "({name}::text <> 'NaN' AND (abs({rounded}) >= {limit} OR {rounded} <> {value}))"
        );
        return Some((condition, digits));
    }
    let bits = |t: &SqlType| matches!(t.name.as_str(), "bit" | "varbit");
    if bits(from) && bits(to) && from.is_built_in() && to.is_built_in() {
        let length = to.length()?;
        let sign = if to.name == "bit" { "<>" } else { ">" };
        let why = format!("has another length than {to} allows");
        return Some((format!("length({name}) {sign} {length}"), why));
    }
    if from.is_textual() && to.is_built_in() && to.name == "name" {
        let why = "is longer than a name can be".to_owned();
        return Some((format!("octet_length({name}::text) > 63"), why));
    }
    let back = match (from.name.as_str(), to.name.as_str()) {
        ("integer", "boolean" | "bit") | ("bigint", "bit") | ("inet", "cidr") => {
            Some(format!("({name}::{to})::{from} IS DISTINCT FROM {name}"))
        }
        _ => None,
    };
    if let Some(condition) = back.filter(|_| from.is_built_in() && to.is_built_in()) {
        return Some((condition, format!("would not survive the change to {to}")));
    }
    // Nobody can tell afterwards which day it was.
    let days = matches!(from.name.as_str(), "timestamp" | "timestamptz");
    if days && matches!(to.name.as_str(), "time" | "timetz") && to.is_built_in() {
        return Some((format!("{name} IS NOT NULL"), "would lose its date".to_owned()));
    }
    None
}

/// Whether a cast between two times can cut a value without an error.
fn loses_digits(from: &SqlType, to: &SqlType) -> bool {
    const KINDS: &[&[&str]] = &[
        &["numeric", "real", "double precision", "bigint", "integer", "smallint"],
        &["timestamp", "timestamptz", "date"],
        &["time", "timetz", "interval"],
    ];
    let both =
        |names: &&[&str]| names.contains(&from.name.as_str()) && names.contains(&to.name.as_str());
    let there_and_back = cast(from, to).is_some() && cast(to, from).is_some();
    let exact = from.name == to.name && to.modifiers.is_none() && to.fields.is_none();
    let whole = matches!(from.name.as_str(), "smallint" | "integer" | "bigint");
    let holds_whole = matches!(to.name.as_str(), "integer" | "bigint")
        || (to.name == "numeric" && to.modifiers.is_none());
    let zone_only = matches!(
        (from.name.as_str(), to.name.as_str()),
        ("timestamp", "timestamptz") | ("timestamptz", "timestamp")
    ) && to.modifiers.is_none();
    there_and_back && KINDS.iter().any(both) && !exact && !(whole && holds_whole) && !zone_only
}

/// From 16 on the server can say whether a text is a value of a type.
fn input_is_valid(
    table: &QName,
    name: &str,
    from: &SqlType,
    to: &SqlType,
    version: ServerVersion,
) -> Option<Preflight> {
    // What its values are may be for the plan to make.
    (from.is_textual() && to.is_built_in() && version.at_least(16)).then(|| {
        let condition =
            format!("NOT pg_input_is_valid({name}::text, {})", quote_literal(&to.to_string()));
        values_where(table, name, &condition, format!("{table}.{name} is no value of {to}"))
    })
}

/// The labels of an enum type, as they will be.
pub(super) fn enum_labels<'a>(ty: &SqlType, cx: &Cx<'a>) -> Option<&'a [String]> {
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
