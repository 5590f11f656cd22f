//! Traces a failing statement to an extension that the server does not have.
//!
//! Invariant: a failure is blamed on a missing extension only if something that the statement
//! names does not exist, and the script itself does not define it, or defines it in a statement
//! that was skipped for the same reason.

use std::collections::HashSet;

use crate::script::{Kind, Piece, TokenKind, tokens};

/// What a script defines, and what of it was lost.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    defined: HashSet<String>,
    lost: HashSet<String>,
}

impl Trace {
    pub(crate) fn new(pieces: &[Piece<'_>]) -> Trace {
        let names = pieces.iter().filter_map(|piece| match piece.kind {
            Kind::Statement(text) => created_name(text),
            _ => None,
        });
        Trace { defined: names.collect(), lost: HashSet::new() }
    }

    /// Remembers that a statement was skipped, with what it would have created.
    pub(crate) fn lose(&mut self, statement: &str) {
        self.lost.extend(created_name(statement));
    }

    /// Whether the script itself defines what a message says does not exist.
    pub(crate) fn defines(&self, message: &str) -> bool {
        missing_name(message).is_some_and(|name| self.defined.contains(&name))
    }

    /// Whether a server's error can come from a missing extension.
    pub(crate) fn blames_extension(&self, code: &str, message: &str) -> bool {
        // undefined_object, undefined_function, undefined_table, invalid_schema_name
        if !matches!(code, "42704" | "42883" | "42P01" | "3F000") {
            return false;
        }
        match missing_name(message) {
            Some(name) => !self.defined.contains(&name) || self.lost.contains(&name),
            // `operator does not exist: …`, `data type … has no default operator class …`
            None => true,
        }
    }
}

/// The last part of the name that a message says does not exist.
fn missing_name(message: &str) -> Option<String> {
    let name = match message.split('"').nth(1) {
        Some(name) => name,
        None => {
            let (_, rest) =
                message.split_once("function ").or_else(|| message.split_once("procedure "))?;
            rest.split('(').next()?
        }
    };
    Some(name.rsplit('.').next().unwrap_or(name).trim_matches('"').to_owned())
}

/// The last part of the name of what a CREATE statement creates.
fn created_name(statement: &str) -> Option<String> {
    const KINDS: &[&str] = &[
        "table",
        "view",
        "sequence",
        "index",
        "type",
        "domain",
        "function",
        "procedure",
        "aggregate",
        "schema",
        "server",
        "wrapper",
        "collation",
        "conversion",
        "statistics",
        "publication",
        "language",
        "configuration",
        "dictionary",
        "parser",
        "template",
        "method",
        "class",
        "family",
        "trigger",
        "policy",
        "rule",
    ];
    // `CREATE CONSTRAINT TRIGGER`, `CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS`, and so on:
    // the kind is the first word of the list, and the name comes after the words below.
    let tokens = tokens(statement);
    let mut tokens = tokens.iter().map(|token| (token.kind, token.text(statement)));
    let word = |text: &str| text.to_ascii_lowercase();
    if tokens.next().is_none_or(|(_, text)| word(text) != "create") {
        return None;
    }
    tokens.by_ref().take(6).find(|(_, text)| KINDS.contains(&word(text).as_str()))?;
    let mut tokens = tokens
        .skip_while(|(kind, text)| {
            *kind == TokenKind::Word
                && matches!(word(text).as_str(), "if" | "not" | "exists" | "concurrently")
        })
        .peekable();
    let mut name = None;
    while let Some((kind, text)) = tokens.next() {
        name = Some(match kind {
            TokenKind::Word => word(text),
            TokenKind::QuotedName => text.trim_matches('"').replace("\"\"", "\""),
            _ => return None,
        });
        if tokens.next_if(|(_, text)| *text == ".").is_none() {
            break;
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::split;

    #[test]
    fn names_of_what_is_created() {
        for (statement, name) in [
            ("CREATE TABLE IF NOT EXISTS public.\"My.T\" (a int)", Some("My.T")),
            ("create or replace function s.F(a int) returns int", Some("f")),
            ("CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a)", Some("i")),
            ("CREATE TEXT SEARCH CONFIGURATION public.c (PARSER = p)", Some("c")),
            ("CREATE FOREIGN DATA WRAPPER w", Some("w")),
            ("CREATE OPERATOR CLASS public.o FOR TYPE t", Some("o")),
            ("CREATE MATERIALIZED VIEW v AS SELECT 1", Some("v")),
            ("CREATE EXTENSION e", None),
            ("ALTER TABLE t ADD a int", None),
        ] {
            assert_eq!(created_name(statement).as_deref(), name, "{statement}");
        }
    }

    #[test]
    fn only_what_the_script_does_not_define_is_blamed() {
        let script =
            "CREATE TABLE t (v vector); CREATE TABLE u (a int); CREATE TYPE mood AS ENUM ()";
        let mut trace = Trace::new(&split(script).expect("it splits"));
        assert!(trace.blames_extension("42704", "type \"vector\" does not exist"));
        assert!(trace.blames_extension("42883", "function public.st_x(geometry) does not exist"));
        assert!(!trace.blames_extension("42704", "type \"public.mood\" does not exist"));
        assert!(!trace.blames_extension("42P01", "relation \"t\" does not exist"));
        trace.lose("CREATE TABLE t (v vector)");
        assert!(trace.blames_extension("42P01", "relation \"public.t\" does not exist"));
        assert!(!trace.blames_extension("42P01", "relation \"public.u\" does not exist"));
        assert!(!trace.blames_extension("42601", "syntax error at or near \"t\""));
    }
}
