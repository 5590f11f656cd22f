//! What the YAML parser objects to, in words that help.

use granit_parser::{ErrorKind, ScanError};

use super::{Builder, too_deep};
use crate::{Problem, Span};

/// The problem behind an error of the parser.
pub(super) fn problem(error: &ScanError, builder: &Builder<'_>) -> Problem {
    let text = builder.text;
    let mut at = error.marker().byte_offset().unwrap_or(text.len()).min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let here = Span {
        file: builder.file,
        start: at,
        end: at + text[at..].chars().next().filter(|c| *c != '\n').map_or(0, char::len_utf8),
    };
    if let Some(tab) = tab_near(text, at) {
        return Problem::new("tab", "a tab stands where YAML wants spaces")
            .at(Span { start: tab, end: tab + 1, ..here }, "this is a tab")
            .help("indent with spaces; most editors can do that for .yaml files");
    }
    if let Some(cut) = builder.cut_before(at) {
        return cut;
    }
    match error.kind() {
        ErrorKind::RecursionLimitExceeded => too_deep(here),
        ErrorKind::UnknownAnchor => Problem::new("alias", "an alias names no anchor")
            .at(here, "no `&` with this name stands before it")
            .help("a value that starts with `*` or `&` goes in quotes"),
        ErrorKind::BomInsideDocument => {
            Problem::new("bom", "a byte-order mark stands inside the file")
                .at(here, "here")
                .help("remove the character; only the start of a file may have one")
        }
        kind => {
            let (message, help) = words(kind);
            Problem::new("syntax", message).at(here, "here").help(help)
        }
    }
}

/// A tab at `at`, or in the indentation of its line or of one beside it: the parser sees some tabs
/// only when the value around them ends.
fn tab_near(text: &str, at: usize) -> Option<usize> {
    if text[at..].starts_with('\t') {
        return Some(at);
    }
    let line_start = text[..at].rfind('\n').map_or(0, |n| n + 1);
    let before = text[..line_start.saturating_sub(1)].rfind('\n').map_or(0, |n| n + 1);
    let mut start = before;
    for line in text[before..].split_inclusive('\n').take(3) {
        let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
        if let Some(tab) = line[..indent].find('\t') {
            return Some(start + tab);
        }
        start += line.len();
    }
    None
}

fn words(kind: &ErrorKind) -> (String, &'static str) {
    const QUOTE: &str = "a value with a colon, a comma, a quote or `#` in it goes in quotes, whole";
    const INDENT: &str =
        "keys of one mapping stand in one column, and what belongs to a key stands deeper";
    match kind {
        ErrorKind::UnclosedQuotedScalar => {
            ("a quote is not closed".to_owned(), "close it; `''` is a quote inside '…'")
        }
        ErrorKind::UnclosedFlowCollection { open } => (
            format!("`{open}` is not closed"),
            "close it, or write one value a line without brackets",
        ),
        ErrorKind::MismatchedFlowCollectionEnd { open, close } => (
            format!("`{open}` is closed by `{close}`"),
            "brackets close in the order in which they open",
        ),
        ErrorKind::MisplacedFlowCollectionEnd => {
            ("nothing is open that this bracket closes".to_owned(), QUOTE)
        }
        ErrorKind::UnexpectedEof
        | ErrorKind::UnexpectedEofFlowSequence
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnexpectedEofImplicitFlowMapping
        | ErrorKind::UnexpectedEofBlockSequence
        | ErrorKind::UnexpectedEofBlockMapping => (
            "the file ends in the middle of a value".to_owned(),
            "look for a bracket or a quote that is not closed",
        ),
        ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidColonPlacement => {
            ("a colon is not expected here".to_owned(), QUOTE)
        }
        ErrorKind::InvalidTrailingSingleQuotedScalar
        | ErrorKind::InvalidTrailingDoubleQuotedScalar => (
            "something follows a closing quote".to_owned(),
            "SQL that starts with a quote goes in quotes, whole: \"'user' || 'x'\"",
        ),
        ErrorKind::ExpectedFlowMappingSeparator | ErrorKind::ExpectedFlowSequenceSeparator => {
            ("a comma or a closing bracket is missing".to_owned(), QUOTE)
        }
        ErrorKind::UnexpectedCharacter { character } => {
            (format!("`{}` cannot start a value", character.escape_default()), QUOTE)
        }
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => {
            ("a key without a colon".to_owned(), "a key is followed by a colon and a space")
        }
        ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::ExpectedBlockSequenceEntry
        | ErrorKind::InvalidIndentation
        | ErrorKind::MappingKeyNotAllowed
        | ErrorKind::BlockSequenceEntryNotAllowed
        | ErrorKind::InvalidBlockScalarIndent => {
            ("this line does not fit to the ones before it".to_owned(), INDENT)
        }
        other => (format!("this is not YAML: {other}"), QUOTE),
    }
}
