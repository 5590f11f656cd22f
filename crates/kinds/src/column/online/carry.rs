//! How a value of the one column becomes a value of the other.

use reconcile_sql::literal::dollar_quote;
use reconcile_sql::{QName, SqlType, quote_ident, quote_literal};

use super::super::builtin_casts::{Cast, cast};
use super::super::casts::{Conversion, conversion, using_of};
use crate::Cx;
use crate::enum_type::EnumType;
use crate::online::Shadow;

/// The way from one type to another, for one column.
pub(super) struct Carry {
    /// What is assigned.
    pub(super) value: String,
    /// The same as something that can be compared.
    comparable: String,
    /// The value in a trigger, for the row that is written.
    in_trigger: String,
    /// Whether the conversion may fail for what somebody writes.
    may_fail: bool,
    /// Whether it names a type that is not PostgreSQL's own.
    names_a_type: bool,
}

impl Carry {
    /// The way for a column.
    pub(super) fn new(column: &str, from: &SqlType, to: &SqlType, cx: &Cx<'_>) -> Self {
        let name = quote_ident(column);
        let row = format!("NEW.{name}");
        let value =
            |operand: &str| using_of(operand, from, to).unwrap_or_else(|| operand.to_owned());
        let comparable = match to {
            _ if !to.is_textual() => format!("({})::{to}", value(&name)),
            _ if to.name == "char" || to.name == "bpchar" => format!("({name}::text)::bpchar"),
            _ => format!("{name}::text"),
        };
        let checked = guarded(&row, from, to, cx);
        let may_fail = checked.is_none() && !is_total(from, to, cx);
        let in_trigger = checked.unwrap_or_else(|| value(&row));
        let names_a_type = to.namespace.is_some();
        Self { value: value(&name), comparable, in_trigger, may_fail, names_a_type }
    }

    /// The condition that the second column has something else than the first one.
    pub(super) fn differs(&self, second: &str) -> String {
        format!("{second} IS DISTINCT FROM {}", self.comparable)
    }

    /// The function of the trigger. `mark` is a comment in it.
    ///
    /// While the setting `reconcile.backfill` names the second column, an update changes nothing else,
    /// whatever the triggers before it did: they have seen a write that nobody made.
    pub(super) fn function(&self, name: &QName, shadow: &Shadow, mark: &str) -> String {
        let second = quote_ident(shadow.address.name());
        let assign = if self.may_fail {
            // What the other type cannot hold has no value there; who needs it to be there is told by the
            // proof, and by the way back.
            format!(
                "  BEGIN\n    NEW.{second} := {};\n  EXCEPTION WHEN data_exception OR check_violation THEN\n    \
                 NEW.{second} := NULL;\n  END;\n",
                self.in_trigger
            )
        } else {
            format!("  NEW.{second} := {};\n", self.in_trigger)
        };
        let mark = if mark.is_empty() { String::new() } else { format!("  {mark}\n") };
        let body = format!(
            "\nBEGIN\n{mark}  IF TG_OP = 'UPDATE' AND current_setting('reconcile.backfill', true) = {} THEN\n    \
             NEW := OLD;\n  END IF;\n{assign}  RETURN NEW;\nEND\n",
            quote_literal(shadow.address.name())
        );
        format!(
            "CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql {}SET search_path = pg_catalog, pg_temp AS {}",
            // Who may write the table need not have USAGE on the namespace of the type.
            if self.names_a_type { "SECURITY DEFINER " } else { "" },
            dollar_quote(&body)
        )
    }
}

/// The conversion of a value that the other type may not hold, without an error: no value then.
fn guarded(operand: &str, from: &SqlType, to: &SqlType, cx: &Cx<'_>) -> Option<String> {
    if to.array || from.array {
        return None;
    }
    if let Some(labels) = labels(to, cx) {
        let labels: Vec<String> = labels.iter().map(|l| quote_literal(l)).collect();
        let text = format!("{operand}::text");
        return Some(format!("CASE WHEN {text} IN ({}) THEN {text}::{to} END", labels.join(", ")));
    }
    let (low, high) = match (to.is_built_in(), to.name.as_str()) {
        (true, "smallint") => ("-32768", "32767"),
        (true, "integer") => ("-2147483648", "2147483647"),
        _ => return None,
    };
    let wider = matches!(from.name.as_str(), "integer" | "bigint") && from.is_built_in();
    wider.then(|| format!("CASE WHEN {operand} BETWEEN {low} AND {high} THEN {operand}::{to} END"))
}

/// Whether every value of a type has one of the other, so that nothing that anybody writes fails.
pub(super) fn is_total(from: &SqlType, to: &SqlType, cx: &Cx<'_>) -> bool {
    if from.array || to.array {
        return conversion(from, to) == Conversion::Catalog;
    }
    if to.is_textual() {
        let longest = |labels: &[String]| labels.iter().map(|l| l.chars().count()).max();
        return match (to.length(), labels(from, cx)) {
            (None, _) => true,
            (Some(length), Some(labels)) => {
                longest(labels).is_none_or(|n| u32::try_from(n).is_ok_and(|n| n <= length))
            }
            (Some(length), None) => {
                from.is_textual() && from.length().is_some_and(|from| from <= length)
            }
        };
    }
    let rank = |ty: &SqlType| {
        ["smallint", "integer", "bigint", "numeric"].iter().position(|n| *n == ty.name)
    };
    let widens = rank(from).zip(rank(to)).is_some_and(|(a, b)| a <= b);
    widens && to.modifiers.is_none() && cast(from, to) == Some(Cast::Assignment)
}

/// The labels of an enum type.
pub(super) fn labels<'c>(ty: &SqlType, cx: &Cx<'c>) -> Option<&'c [String]> {
    let namespace = ty.namespace.as_deref()?;
    let address = EnumType::address(&QName::new(namespace, &ty.name));
    let found =
        cx.live.definition::<EnumType>(&address).or_else(|| cx.desired.definition(&address));
    found.map(|e| e.labels.as_slice())
}
