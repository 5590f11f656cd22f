//! The default of a column.

use reconcile_sql::lex::{TokenKind, significant};
use reconcile_sql::quote_literal;
use reconcile_yaml::{Meaning, Node, Problem};

use crate::model::ModelReader;

/// What SQL spells without parentheses and is a function nonetheless. In capitals they are taken
/// for what they are; in lower case they may as well be somebody's text.
const VALUE_FUNCTIONS: &[&str] = &[
    "CURRENT_CATALOG",
    "CURRENT_DATE",
    "CURRENT_ROLE",
    "CURRENT_SCHEMA",
    "CURRENT_TIME",
    "CURRENT_TIMESTAMP",
    "CURRENT_USER",
    "LOCALTIME",
    "LOCALTIMESTAMP",
    "SESSION_USER",
    "SYSTEM_USER",
    "USER",
];

/// The default that a node states, as SQL; nothing if there is none, and PostgreSQL takes
/// `DEFAULT NULL` for none.
pub(crate) fn default(node: &Node, reader: &mut ModelReader<'_>) -> Option<String> {
    if let Some(value) = node.get("value") {
        return match value.scalar()?.meaning() {
            Meaning::Text => Some(quote_literal(&value.scalar()?.text)),
            Meaning::Flag(_) | Meaning::Number | Meaning::Null => plain(value, reader),
        };
    }
    plain(node, reader)
}

fn plain(node: &Node, reader: &mut ModelReader<'_>) -> Option<String> {
    let scalar = node.scalar()?;
    match scalar.meaning() {
        Meaning::Null => None,
        Meaning::Flag(flag) => Some(flag.to_string()),
        Meaning::Number if !scalar.text.contains(['n', 'N']) => Some(scalar.text.clone()),
        // `.inf` and `.nan`
        Meaning::Number => {
            let help = format!(
                "write it as PostgreSQL does: \"'{}'\"",
                scalar.text.trim_start_matches('.')
            );
            let problem = Problem::new("default", format!("`{}` is no number in SQL", scalar.text));
            reader.problem(problem.at(node.span, "YAML's spelling").help(help));
            None
        }
        Meaning::Text => {
            let text = reader.expression(node)?;
            if is_date_or_time(&text) {
                let problem = Problem::new(
                    "default",
                    format!("`{text}` is arithmetic in SQL, not a date or time"),
                );
                let help = format!("write \"'{text}'\" or {{value: \"{text}\"}}");
                reader.problem(problem.at(node.span, "numbers and signs").help(help));
                return None;
            }
            match bare_word(&text)? {
                Bare::Expression => Some(text),
                Bare::Null => None,
                Bare::Word(word) => {
                    reader.problem(ambiguous(node, &word));
                    None
                }
            }
        }
    }
}

fn is_date_or_time(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let parts = |sign: char| text.split(sign).filter(|part| digits(part)).count();
    let all = |sign: char| parts(sign) == text.split(sign).count();
    (all('-') && parts('-') == 3) || (all(':') && (2..=3).contains(&parts(':')))
}

enum Bare {
    Expression,
    Null,
    Word(String),
}

fn bare_word(text: &str) -> Option<Bare> {
    let tokens = significant(text);
    let first = tokens.first()?;
    let upper = first.text.to_uppercase();
    Some(match first.kind {
        _ if tokens.len() > 1 => Bare::Expression,
        TokenKind::Word if upper == "NULL" => Bare::Null,
        TokenKind::Word if upper == "TRUE" || upper == "FALSE" => Bare::Expression,
        TokenKind::Word if VALUE_FUNCTIONS.contains(&first.text) => Bare::Expression,
        TokenKind::Word => Bare::Word(first.text.to_owned()),
        TokenKind::Quoted => Bare::Word(first.ident().unwrap_or_default()),
        _ => Bare::Expression,
    })
}

fn ambiguous(node: &Node, word: &str) -> Problem {
    let upper = word.to_uppercase();
    let literal = quote_literal(word);
    let quoted = if literal.contains('"') || literal.contains('\\') {
        format!("'{}'", literal.replace('\'', "''"))
    } else {
        format!("\"{literal}\"")
    };
    let other = match upper.as_str() {
        "YES" | "ON" | "Y" => "; for the flag write `true`".to_owned(),
        "NO" | "OFF" | "N" => "; for the flag write `false`".to_owned(),
        _ if VALUE_FUNCTIONS.contains(&upper.as_str()) => {
            format!("; for what SQL's {upper} gives, write `{upper}` in capitals")
        }
        _ => format!("; for a function write `{word}()`"),
    };
    Problem::new("bare_default", format!("`{word}` can be read as text and as SQL"))
        .at(node.span, "a bare word")
        .help(format!("for the text write `{quoted}` or `{{value: {word}}}`{other}"))
}
