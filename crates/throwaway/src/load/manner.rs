//! How a statement may be sent: with others in one message, or alone.
//!
//! Invariant: what steers a transaction, or cannot run inside of one, is sent alone.

use crate::script::head_words;

/// How a statement may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// With its like, in one transaction.
    Definition,
    /// With its like; apart from definitions, because a failed group would use up sequence values.
    Rows,
    /// Alone.
    Alone,
    /// Alone; it begins a transaction.
    Begin,
    /// Alone; it ends a transaction.
    End,
}

/// How this statement may be sent.
pub(super) fn manner(text: &str) -> Manner {
    let words = head_words(text, 6);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["begin", ..] | ["start", "transaction", ..] => Manner::Begin,
        ["commit" | "rollback", "prepared", ..] => Manner::Alone,
        ["rollback", "to", ..] | ["rollback", "work" | "transaction", "to", ..] => Manner::Alone,
        // AND CHAIN begins the next one; the guard of a single statement would do no harm.
        ["commit" | "end" | "rollback" | "abort", rest @ ..]
            if rest.contains(&"chain") && !rest.contains(&"no") =>
        {
            Manner::Begin
        }
        ["commit" | "end" | "rollback" | "abort", ..] | ["prepare", "transaction", ..] => {
            Manner::End
        }
        // What does not run in a transaction, or whose effect ends with one.
        [
            "create" | "alter" | "drop",
            "database" | "tablespace" | "subscription" | "system",
            ..,
        ] => Manner::Alone,
        ["set", "local" | "constraints" | "transaction", ..]
        | ["set", "standard_conforming_strings", ..]
        | ["set", "session", "standard_conforming_strings" | "characteristics", ..] => {
            Manner::Alone
        }
        ["create" | "alter" | "comment" | "grant" | "revoke" | "set" | "drop", ..] => {
            Manner::Definition
        }
        ["select", "pg_catalog" | "setval" | "set_config", ..] => Manner::Definition,
        ["insert", ..] => Manner::Rows,
        _ => Manner::Alone,
    }
}
