//! What to do about a statement that the server refuses, or that must not reach it.
//!
//! Invariant: nothing is skipped without a reason, and only what cannot change the definition of
//! an object that the script does create is skipped, unless a missing extension is named.

use super::Failure;
use crate::LoadReport;
use crate::script::{TokenKind, head_words, tokens};
use crate::trace::Trace;

/// What to do about a refused statement.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cure {
    /// It is an error.
    Fail,
    /// Somebody else was faster: send it again.
    Again,
    /// Make the role, then send it again.
    MakeRole(String),
    /// Make the tablespace, then send it again.
    MakeTablespace(String),
    /// Leave it out, for this reason.
    Skip(String),
    /// It creates an extension that the server does not have.
    MissingExtension,
    /// It needs what a missing extension would have brought.
    BlameExtension,
}

/// Why a statement is not sent at all.
pub(super) fn not_for_us(text: &str) -> Option<&'static str> {
    let words = head_words(text, 6);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["create" | "drop", "database", ..] => Some("the database is made by the loader"),
        ["create" | "alter" | "drop", "tablespace", ..] => {
            Some("tablespaces are made where they are used, in the throw-away server's own folder")
        }
        ["alter", "system", ..] => Some("the settings of the throw-away server stay as they are"),
        ["set", "client_encoding", ..] | ["set", "session", "client_encoding", ..]
            if !names_utf8(text) =>
        {
            Some("the script was read as UTF-8")
        }
        ["copy", ..] if copies_out(text) => Some("it writes to the client, who does not listen"),
        _ => None,
    }
}

fn names_utf8(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    text.contains("utf8") || text.contains("utf-8") || text.contains("unicode")
}

fn copies_out(text: &str) -> bool {
    let tokens = tokens(text);
    tokens.windows(2).any(|pair| {
        pair.iter().all(|token| token.kind == TokenKind::Word)
            && pair[0].text(text).eq_ignore_ascii_case("to")
            && pair[1].text(text).eq_ignore_ascii_case("stdout")
    })
}

/// Whether a statement cannot stand between SAVEPOINT and RELEASE.
pub(super) fn steers_transaction(text: &str) -> bool {
    let words = head_words(text, 3);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    matches!(
        words.as_slice(),
        ["savepoint" | "release" | "rollback" | "begin" | "start" | "commit" | "end" | "abort", ..]
            | ["prepare", "transaction", ..]
            | ["set", "transaction" | "local" | "constraints", ..]
            | ["set", "session", "characteristics", ..]
    )
}

/// Why a backslash line is left out; `None` if that loses nothing.
pub(super) fn backslash(text: &str) -> Option<&'static str> {
    let command = text.trim_start_matches('\\').split_whitespace().next().unwrap_or("");
    match command {
        "restrict" | "unrestrict" | "echo" | "qecho" | "warn" | "timing" | "pset" | "encoding"
        | "g" | "." | "" => None,
        "connect" | "c" => Some("everything is loaded into one database, as its superuser"),
        "i" | "ir" | "include" | "include_relative" => Some("other files are not read"),
        _ => Some("it is a command to psql"),
    }
}

/// The name in `CREATE EXTENSION IF NOT EXISTS name …`.
pub(super) fn extension_name(text: &str) -> String {
    let tokens = tokens(text);
    let mut names = tokens.iter().skip(2).map(|token| token.text(text));
    let skip = ["if", "not", "exists"];
    names
        .find(|name| !skip.iter().any(|word| name.eq_ignore_ascii_case(word)))
        .unwrap_or_default()
        .trim_matches('"')
        .to_owned()
}

/// What to do about a refused statement.
pub(super) fn cure(text: &str, failure: &Failure, report: &LoadReport, trace: &Trace) -> Cure {
    let head = head_words(text, 6);
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let (code, message) = (failure.code.as_str(), failure.message.as_str());
    let said = || Cure::Skip(message.to_owned());
    let missing = |kind: &str| {
        let name = message.strip_prefix(kind)?.strip_suffix("\" does not exist")?;
        Some(name.to_owned())
    };

    if let Some(role) = missing("role \"") {
        if head.first() == Some(&"drop") {
            return said();
        }
        if !report.created_roles.contains(&role) {
            return Cure::MakeRole(role);
        }
    }
    if let Some(tablespace) = missing("tablespace \"") {
        return Cure::MakeTablespace(tablespace);
    }
    match (head.as_slice(), code) {
        // Roles belong to the whole server, and another script may have made this one.
        (["create", "role" | "user" | "group", ..], "42710") => said(),
        // `pg_dump -n public` says CREATE SCHEMA public.
        (["create", "schema", ..], "42P06") if message.contains("\"public\"") => said(),
        // Not available, or to be preloaded, or in need of another one that is missing.
        (["create", "extension", ..], code) if code != "42710" && code != "3F000" => {
            Cure::MissingExtension
        }
        // Settings of other versions and of modules that are not loaded, and values that name
        // what is not here (default_tablespace, default_table_access_method).
        (["set", ..], "42704" | "22023") => said(),
        (["alter", "role" | "user" | "database", ..], "42704")
            if message.starts_with("unrecognized configuration parameter") =>
        {
            said()
        }
        // A dump made with --create speaks of a database that has another name here.
        (_, "3D000") => said(),
        // Statistics in a dump of version 18 or later (`pg_restore_relation_stats`).
        (["select", ..], "42883") if message.contains("pg_restore_") => said(),
        // A dump made with --clean first drops what an empty database does not have yet.
        (["drop", ..], "42P01" | "42704" | "42883" | "3F000") => said(),
        (["select", ..], "42704") if message.starts_with("large object ") => said(),
        (["alter", ..], "42P01" | "3F000") if drops(text) && trace.defines(message) => said(),
        // Other sessions change the same role or grant at the same moment.
        (_, "XX000") if message.starts_with("tuple concurrently") => Cure::Again,
        (_, "23505") if message.contains("constraint \"pg_") => Cure::Again,
        (_, "40P01" | "40001") => Cure::Again,
        _ if !report.missing_extensions.is_empty() && trace.blames_extension(code, message) => {
            Cure::BlameExtension
        }
        _ => Cure::Fail,
    }
}

fn drops(text: &str) -> bool {
    let is_drop = |token: &crate::script::Token| token.text(text).eq_ignore_ascii_case("drop");
    tokens(text).iter().take(12).any(is_drop)
}
