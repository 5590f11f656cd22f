//! How a value of the one column becomes a value of the other.
//!
//! Invariant: the trigger, the pieces and the proof compute one value, whoever writes and whatever the
//! settings of his session are. Where an expression of the model says how, or what PostgreSQL makes of a
//! value depends on settings, all three call one function that has settings of its own.

use reconcile_catalog::{Address, digest};
use reconcile_sql::literal::dollar_quote;
use reconcile_sql::{QName, SqlType, quote_ident, quote_literal, search_path};

use super::super::builtin_casts::{Cast, cast};
use super::super::casts::{Conversion, at_utc, conversion, depends_on_session, using_of};
use super::super::data::enum_labels;
use super::super::{Column, formula};
use crate::Cx;
use crate::constraint::table_of;
use crate::enum_type::EnumType;
use crate::online::Shadow;
use crate::table::relation;

/// Types of PostgreSQL's own whose `=` is missing, or says of different values that they are equal: they
/// are compared as text.
const COMPARED_AS_TEXT: &[&str] =
    &["json", "xml", "point", "polygon", "box", "path", "lseg", "line", "circle", "interval"];

/// What a session may set and values depend on, as `apply` has it.
const SETTINGS: &[(&str, &str)] = &[
    ("TimeZone", "'UTC'"),
    ("DateStyle", "'ISO, MDY'"),
    ("IntervalStyle", "'postgres'"),
    ("bytea_output", "'hex'"),
    ("extra_float_digits", "'1'"),
];

/// The way from one type to another, for one column.
pub(super) struct Carry {
    /// What is assigned.
    pub(super) value: String,
    /// The function that computes it, where one does.
    pub(super) helper: Option<Helper>,
    /// The same as something that can be compared.
    comparable: String,
    /// Whether it is compared as text.
    as_text: bool,
    /// The value in a trigger, for the row that is written.
    in_trigger: String,
    /// Whether the conversion may fail for what somebody writes.
    may_fail: bool,
    /// Whether it names something that is not PostgreSQL's own.
    names_its_own: bool,
}

/// A function that computes one value.
pub(super) struct Helper {
    /// Its name, which follows from what it computes.
    pub(super) name: QName,
    /// Its name with the types of its arguments.
    pub(super) signature: String,
    /// The statement that makes it.
    pub(super) sql: String,
}

impl Carry {
    /// The way for a column; `using` is what the model says of it.
    pub(super) fn new(
        shadow: &Shadow,
        (from, to): (&SqlType, &SqlType),
        using: Option<&str>,
        cx: &Cx<'_>,
    ) -> Self {
        let name = quote_ident(shadow.column.name());
        let row = format!("NEW.{name}");
        let as_text = is_compared_as_text(to);
        let cast = |operand: &str| {
            let explicit = at_utc(operand, from, to).or_else(|| using_of(operand, from, to));
            explicit.unwrap_or_else(|| operand.to_owned())
        };
        let other = |ty: &SqlType| ty.namespace.is_some() && labels(ty, cx).is_none();
        let depends = depends_on_session(from, to) || other(from) || other(to);
        let asked = using.map(str::to_owned).or_else(|| depends.then(|| cast(&name)));
        if let Some(text) = asked {
            let (helper, columns) = Helper::new(shadow, &text, from, to, cx);
            let call = |row: &str| {
                let values: Vec<String> =
                    columns.iter().map(|c| format!("{row}{}", quote_ident(c))).collect();
                format!("{}({})", helper.name, values.join(", "))
            };
            return Self {
                comparable: format!("({})::{to}", call("")),
                value: call(""),
                in_trigger: call("NEW."),
                may_fail: true,
                names_its_own: true,
                as_text,
                helper: Some(helper),
            };
        }
        let value = cast(&name);
        let comparable = match to {
            _ if !to.is_textual() => format!("({value})::{to}"),
            _ if to.name == "char" || to.name == "bpchar" => format!("({name}::text)::bpchar"),
            // An assignment cuts blanks that are too many, in silence.
            _ if to.length().is_some() && from.is_textual() => format!("{name}::text::{to}::text"),
            _ => format!("{name}::text"),
        };
        let checked = guarded(&row, from, to, cx);
        let may_fail = checked.is_none() && !is_total(from, to, cx);
        Self {
            value,
            helper: None,
            comparable,
            as_text,
            in_trigger: checked.unwrap_or_else(|| cast(&row)),
            may_fail,
            names_its_own: to.namespace.is_some(),
        }
    }

    /// The condition that the second column has something else than the first one.
    pub(super) fn differs(&self, second: &str) -> String {
        match self.as_text {
            true => format!("{second}::text IS DISTINCT FROM ({})::text", self.comparable),
            false => format!("{second} IS DISTINCT FROM {}", self.comparable),
        }
    }

    /// Whether the body of a trigger's function computes the values in this way.
    pub(super) fn is_of(&self, body: &str, shadow: &Shadow) -> bool {
        match &self.helper {
            Some(helper) => body.contains(&helper.name.to_string()),
            None => !body.contains(&shadow.twin(VALUE)),
        }
    }

    /// The function of the trigger. `mark` is a comment in it.
    ///
    /// While the setting `reconcile.backfill` names the second column, an update changes nothing else,
    /// whatever the triggers before it did: they have seen a write that nobody made.
    pub(super) fn function(&self, name: &QName, shadow: &Shadow, mark: &str) -> String {
        let second = quote_ident(shadow.address.name());
        let value = &self.in_trigger;
        // What the other type cannot hold has no value there; who needs it to be there is told by the
        // proof, and by the way back. What is wrong with the transaction or the server is wrong. Input functions
        // and casts of users raise what they like: 42601 for a tsquery, P0001 for a RAISE.
        let assign = match self.may_fail {
            true => format!(
                "  BEGIN\n    NEW.{second} := {value};\n  EXCEPTION WHEN transaction_rollback OR insufficient_resources OR \
                 operator_intervention OR object_not_in_prerequisite_state OR system_error THEN\n    RAISE;\n  \
                 WHEN OTHERS THEN\n    NEW.{second} := NULL;\n  END;\n"
            ),
            false => format!("  NEW.{second} := {value};\n"),
        };
        let mark = if mark.is_empty() { String::new() } else { format!("  {mark}\n") };
        let body = format!(
            "\nBEGIN\n{mark}  IF TG_OP = 'UPDATE' AND current_setting('reconcile.backfill', true) = {} THEN\n    \
             NEW := OLD;\n  END IF;\n{assign}  RETURN NEW;\nEND\n",
            quote_literal(shadow.address.name())
        );
        format!(
            "CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql {}SET search_path = pg_catalog, pg_temp AS {}",
            // Who may write the table need not have USAGE on the namespaces of what it names.
            if self.names_its_own { "SECURITY DEFINER " } else { "" },
            dollar_quote(&body)
        )
    }
}

/// What the names of the functions have behind the digits.
const VALUE: &str = "value_";

impl Helper {
    /// The function, and the columns that it takes.
    ///
    /// PostgreSQL understands the expression when the function is made (RETURN, since 14), so that what its
    /// names mean is settled then, and an expression that means nothing stops the transaction that makes it.
    /// Columns are arguments, and columns of a row of the table's name besides, by which they may be called.
    fn new(
        shadow: &Shadow,
        text: &str,
        from: &SqlType,
        to: &SqlType,
        cx: &Cx<'_>,
    ) -> (Self, Vec<String>) {
        let address: &Address = &shadow.column;
        let table = table_of(address);
        let inputs = formula::inputs(address, text, from, cx);
        let columns: Vec<String> = inputs.iter().map(|(name, _)| name.clone()).collect();
        let join = |one: &dyn Fn(&(String, SqlType)) -> String| {
            inputs.iter().map(one).collect::<Vec<_>>().join(", ")
        };
        let arguments = join(&|(name, ty)| format!("{} {ty}", quote_ident(name)));
        let types = join(&|(_, ty)| ty.to_string());
        let row = join(&|(name, _)| format!("{0} AS {0}", quote_ident(name)));
        let id = digest(&[text, &arguments, &to.to_string()].join("\0"));
        let id: String = id.chars().take(8).collect();
        let name = QName::new(relation(address).namespace, shadow.twin(&format!("{VALUE}{id}")));
        let path = search_path(table.namespace());
        let settings: String =
            SETTINGS.iter().map(|(name, value)| format!(" SET {name} = {value}")).collect();
        // In a sub-select it would become text, where an assignment takes it for any type.
        let value = match formula::is_untyped(text) && !to.is_textual() {
            true => format!("({text})::{to}"),
            false => format!("({text})"),
        };
        let sql = format!(
            "CREATE OR REPLACE FUNCTION {name}({arguments}) RETURNS {to} LANGUAGE sql STABLE SECURITY DEFINER \
             SET search_path = {path}{settings} RETURN (SELECT {value} FROM (SELECT {row}) AS {})",
            quote_ident(table.name())
        );
        (Self { signature: format!("{name}({types})"), name, sql }, columns)
    }
}

/// Whether values are compared as text: there is no `=` that tells all of them apart, or, for an enum
/// with an implicit cast to text, none that is the only one: `operator is not unique: mood = mood` (measured
/// on 15 and 18).
fn is_compared_as_text(ty: &SqlType) -> bool {
    match &ty.namespace {
        Some(_) => true,
        None => COMPARED_AS_TEXT.contains(&ty.name.as_str()),
    }
}

/// The ways of a change, forth and back.
pub(super) fn ways(
    shadow: &Shadow,
    live: &Column,
    desired: &Column,
    cx: &Cx<'_>,
) -> (Carry, Carry) {
    let forth = Carry::new(shadow, (&live.ty, &desired.ty), desired.using.as_deref(), cx);
    let back = Carry::new(shadow, (&desired.ty, &live.ty), desired.back.as_deref(), cx);
    (forth, back)
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
        return match (to.length(), longest_label(from, cx)) {
            (None, _) => true,
            (Some(length), Some(longest)) => u32::try_from(longest).is_ok_and(|n| n <= length),
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

/// The labels of an enum type, as they will be.
pub(super) fn labels<'c>(ty: &SqlType, cx: &Cx<'c>) -> Option<&'c [String]> {
    enum_labels(ty, cx)
}

/// The longest label of an enum type, those included that the plan makes or takes away.
fn longest_label(ty: &SqlType, cx: &Cx<'_>) -> Option<usize> {
    let address = EnumType::address(&QName::new(ty.namespace.as_deref()?, &ty.name));
    let both = [cx.live, cx.desired].map(|catalog| catalog.definition::<EnumType>(&address));
    let both: Vec<&EnumType> = both.into_iter().flatten().collect();
    let labels = both.iter().flat_map(|ty| &ty.labels).map(|label| label.chars().count());
    (!both.is_empty()).then(|| labels.max().unwrap_or(0))
}
