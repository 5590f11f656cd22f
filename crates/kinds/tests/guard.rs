//! Phases know no kinds: the machinery's source names none of them.
//!
//! A kind's name as a string, or a path into a kind's module, is a decision about that kind, and
//! belongs into its folder. Comments, tests and longer texts may say what they like.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use reconcile_kinds::KINDS;

/// The crates that work for every kind alike.
const PHASES: &[&str] = &["catalog", "diff", "plan", "report", "live", "model"];

/// What the functions that read a column of a row by its name are called.
const ACCESSORS: &[&str] = &["get", "text", "yes", "number", "required", "parsed"];

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The modules of this crate that hold one kind each.
fn kind_modules() -> Vec<String> {
    let entries = std::fs::read_dir(crates().join("kinds/src")).unwrap();
    let folders = entries.map(|e| e.unwrap()).filter(|e| e.path().join("read.rs").is_file());
    folders.map(|e| e.file_name().into_string().unwrap()).collect()
}

fn sources(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs")
            && path.file_name().is_some_and(|n| n != "tests.rs")
        {
            out.push(path);
        }
    }
}

/// A piece of Rust: a word, a string's content, or a character of anything else.
#[derive(Debug, PartialEq)]
enum Piece {
    Word(String),
    Text(String),
    Other(char),
}

/// The pieces of a source with their lines, without comments, up to its tests.
fn pieces(source: &str) -> Vec<(usize, Piece)> {
    let end = source.find("#[cfg(test)]").unwrap_or(source.len());
    let source: Vec<char> = source[..end].chars().collect();
    let starts = |at: usize, text: &str| {
        text.chars().enumerate().all(|(i, c)| source.get(at + i) == Some(&c))
    };
    let (mut out, mut at, mut line) = (Vec::new(), 0, 1);
    while at < source.len() {
        let c = source[at];
        let begin = at;
        let mut piece = None;
        if starts(at, "//") {
            while at < source.len() && source[at] != '\n' {
                at += 1;
            }
        } else if starts(at, "/*") {
            while at < source.len() && !starts(at, "*/") {
                at += 1;
            }
            at += 2;
        } else if let Some(hashes) = raw_string(&source[at..]) {
            let close: String =
                std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
            at += hashes + 2;
            let from = at;
            while at < source.len() && !starts(at, &close) {
                at += 1;
            }
            piece = Some(Piece::Text(source[from..at.min(source.len())].iter().collect()));
            at += close.len();
        } else if c == '"' {
            at += 1;
            let from = at;
            while at < source.len() && source[at] != '"' {
                at += if source[at] == '\\' { 2 } else { 1 };
            }
            piece = Some(Piece::Text(source[from..at.min(source.len())].iter().collect()));
            at += 1;
        } else if c == '\''
            && (source.get(at + 1) == Some(&'\\') || source.get(at + 2) == Some(&'\''))
        {
            at += 2;
            while at < source.len() && source[at] != '\'' {
                at += 1;
            }
            at += 1;
        } else if c.is_alphanumeric() || c == '_' {
            while at < source.len() && (source[at].is_alphanumeric() || source[at] == '_') {
                at += 1;
            }
            piece = Some(Piece::Word(source[begin..at].iter().collect()));
        } else {
            at += 1;
            piece = (!c.is_whitespace()).then_some(Piece::Other(c));
        }
        out.extend(piece.map(|piece| (line, piece)));
        line += source[begin..at.min(source.len())].iter().filter(|c| **c == '\n').count();
    }
    out
}

/// The number of `#` of a raw string that begins here.
fn raw_string(rest: &[char]) -> Option<usize> {
    let rest = rest.strip_prefix(&['b']).unwrap_or(rest);
    let rest = rest.strip_prefix(&['r'])?;
    let hashes = rest.iter().take_while(|c| **c == '#').count();
    (rest.get(hashes) == Some(&'"')).then_some(hashes)
}

/// What a source says about kinds, with the line.
fn offences(source: &str, modules: &[String]) -> Vec<(usize, String)> {
    let pieces = pieces(source);
    let mut out = Vec::new();
    for (at, (line, piece)) in pieces.iter().enumerate() {
        match piece {
            Piece::Text(text) => {
                let named = KINDS.iter().map(|k| k.name()).find(|name| {
                    text == name
                        || text
                            .strip_prefix(name)
                            .is_some_and(|rest| rest.starts_with(':') && !rest.starts_with(": "))
                });
                let other = |at: usize| match pieces.get(at) {
                    Some((_, Piece::Other(c))) => *c,
                    _ => ' ',
                };
                // `row.get("owner")` is the name of a result's column, `{"enum": …}` a key of JSON.
                let accessor = at >= 2
                    && other(at - 1) == '('
                    && matches!(&pieces[at - 2].1, Piece::Word(w) if ACCESSORS.contains(&w.as_str()));
                let key = other(at + 1) == ':';
                let named = named.filter(|_| !accessor && !key);
                out.extend(named.map(|_| (*line, format!("{text:?}"))));
            }
            // `reconcile_kinds::column`, and in braces `reconcile_kinds::{column, …}`.
            Piece::Word(word) if word == "reconcile_kinds" => {
                let rest = pieces[at + 1..].iter().map(|(_, piece)| piece);
                let mut depth = 0;
                for piece in rest {
                    match piece {
                        Piece::Other('{') => depth += 1,
                        Piece::Other('}') => depth -= 1,
                        Piece::Other(':') => {}
                        Piece::Other(',') if depth > 0 => {}
                        Piece::Word(word) if modules.contains(word) => {
                            out.push((*line, format!("reconcile_kinds::{word}")));
                        }
                        Piece::Word(_) => {}
                        _ => break,
                    }
                    if depth == 0 && matches!(piece, Piece::Other('}') | Piece::Word(_)) {
                        break;
                    }
                }
            }
            _ => {}
        }
    }
    out
}

#[test]
fn phases_name_no_kind() {
    let modules = kind_modules();
    assert!(modules.len() + 1 >= KINDS.len(), "each kind is a folder: {modules:?}");
    let mut found = Vec::new();
    let mut looked_at = 0;
    for phase in PHASES {
        let mut files = Vec::new();
        sources(&crates().join(phase).join("src"), &mut files);
        files.sort();
        looked_at += files.len();
        for file in files {
            let source = std::fs::read_to_string(&file).unwrap();
            let short = file.strip_prefix(crates()).unwrap().display().to_string();
            found.extend(
                offences(&source, &modules)
                    .into_iter()
                    .map(|(line, what)| format!("{short}:{line}: {what}")),
            );
        }
    }
    assert!(looked_at > PHASES.len());
    assert!(found.is_empty(), "only the kinds know kinds:\n{}", found.join("\n"));
}

#[test]
fn the_guard_sees_what_it_shall() {
    let modules = vec!["column".to_owned(), "table".to_owned()];
    let seen = |source: &str| offences(source, &modules).len();
    for source in [
        "if kind == \"column\" {}",
        "Address::new(r#\"table\"#, path)",
        "use reconcile_kinds::column::Column;",
        "use reconcile_kinds::{Cx, table::{self, Table}};",
        "starts_with(\"comment:\")",
    ] {
        assert_eq!(seen(source), 1, "{source}");
    }
    for source in [
        "// \"column\"\n/* \"table\" */",
        "\"a column of a table\"",
        "\"table: a word with a colon\"",
        "use reconcile_kinds::{Cx, Facts}; let table = 1;",
        "let c = '\"'; let column = \"x\";",
        "let text = \"\\\"\"; column()",
        "row.get(\"column\")",
        "json!({\"table\": words})",
        "fn f() {}\n#[cfg(test)]\nmod tests { \"column\" }",
    ] {
        assert_eq!(seen(source), 0, "{source}");
    }
}
