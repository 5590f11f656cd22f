//! How a transaction that only reads begins.
//!
//! Invariant: what the server writes about a catalog does not depend on the session's settings,
//! and nothing that such a transaction runs can write or wait without end.

use std::fmt::Write as _;
use std::time::Duration;

pub use reconcile_sql::search_path;

use crate::connect::Session;

/// Settings under which texts read and print alike whoever connects; `SET LOCAL` each of them.
///
/// A transaction that makes objects from the texts of a model needs the same ones, else the server
/// understands `'2025-01-01'::timestamptz` there as something else than in a comparison.
pub const SETTINGS: &[(&str, &str)] = &[
    ("client_min_messages", "warning"),
    ("standard_conforming_strings", "on"),
    ("quote_all_identifiers", "off"),
    ("transform_null_equals", "off"),
    ("bytea_output", "'hex'"),
    ("extra_float_digits", "1"),
    ("xmloption", "content"),
    ("TimeZone", "'UTC'"),
    ("DateStyle", "'ISO, MDY'"),
    ("IntervalStyle", "'postgres'"),
];

/// How long a reading transaction may wait and run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// For one lock.
    pub(crate) lock: Duration,
    /// For one statement; zero is for ever.
    pub(crate) statement: Duration,
}

/// `BEGIN` and the settings, each with a semicolon, for the start of a message.
pub(crate) fn begin(session: &Session, limits: Limits) -> String {
    let mut sql = String::from("BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY; ");
    if let Some(preamble) = session.preamble() {
        let _ = write!(sql, "{preamble}; ");
    }
    for (name, value) in SETTINGS {
        let _ = write!(sql, "SET LOCAL {name} = {value}; ");
    }
    let _ = write!(
        sql,
        "SET LOCAL search_path = ''; SET LOCAL lock_timeout = {}; SET LOCAL statement_timeout = {}; ",
        limits.lock.as_millis(),
        limits.statement.as_millis(),
    );
    sql
}

/// How many statements [`begin`] is.
pub(crate) fn begin_len(session: &Session) -> usize {
    1 + usize::from(session.preamble().is_some()) + SETTINGS.len() + 3
}
