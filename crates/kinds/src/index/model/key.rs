//! A key of an index: `name`, `name DESC NULLS LAST text_pattern_ops`, `(expression) DESC`.
//!
//! The name is verbatim, as keys of the model are; a name with a space or a word of this grammar
//! in it goes in double quotes. An expression and what follows is SQL.

use reconcile_catalog::Address;
use reconcile_sql::ident::split_qualified;
use reconcile_sql::lex::{Token, TokenKind, significant};
use reconcile_sql::quote_ident;
use reconcile_yaml::{Node, Problem};

use super::{Key, KeyPart};
use crate::model::ModelReader;

/// Reads a key.
pub(super) fn parse(node: &Node, table: &Address, reader: &mut ModelReader<'_>) -> Option<Key> {
    let text = node.text()?.trim();
    let known =
        |name: &str| reader.columns(table).is_some_and(|columns| columns.iter().any(|c| c == name));
    let (what, rest) = if known(text) {
        (KeyPart::Column(text.to_owned()), "")
    } else if text.starts_with('(') {
        // Brackets and quotes are balanced once this is an expression.
        let whole = reader.expression(node)?;
        let close = closing(&whole)?;
        (KeyPart::Expression(whole[1..close].trim().to_owned()), &text[close + 1..])
    } else {
        let (name, rest) = column_name(text);
        if rest.trim_start().starts_with('(') || name.contains('(') {
            let problem =
                Problem::new("index_key", "an expression in an index stands in parentheses");
            let help = format!("write \"({text})\"");
            reader.problem(problem.at(node.span, "an expression").help(help));
            return None;
        }
        if !reader.has_column(table, &name, node.span) {
            return None;
        }
        (KeyPart::Column(name), rest)
    };
    if matches!(&what, KeyPart::Expression(text) if text.is_empty()) {
        let problem = Problem::new("index_key", "the parentheses are empty");
        reader.problem(
            problem.at(node.span, "no expression").help("write an SQL expression between them"),
        );
        return None;
    }
    let start = text.len() - rest.len();
    match modifiers(rest) {
        Ok(modifiers) => Some(modifiers.of(what)),
        Err((from, to)) => {
            let word = &rest[from..to];
            let problem = Problem::new("index_key", format!("`{word}` is not understood here"));
            let help = "after the column may stand COLLATE name, an operator class, ASC or DESC, NULLS FIRST or LAST";
            reader.problem(
                problem.at(node.within(start + from, start + to), "not expected").help(help),
            );
            None
        }
    }
}

/// The name that PostgreSQL gives a column made of an expression, where it is a function call
/// (`FigureColname`, `src/backend/parser/parse_target.c`).
pub(super) fn figure_name(expression: &str) -> Option<String> {
    let tokens = significant(expression);
    let call = tokens.iter().position(|t| t.is("("))?;
    let depth_ends_last = closing(&expression[tokens[call].start..])
        .is_some_and(|close| tokens[call].start + close + 1 == expression.trim_end().len());
    let name = tokens.get(call.checked_sub(1)?)?;
    let qualified = call == 1 || (call == 3 && tokens[1].is("."));
    (depth_ends_last && qualified).then(|| name.ident()).flatten()
}

/// Where the parenthesis closes that opens first.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_i32;
    significant(text).into_iter().filter(|t| t.kind == TokenKind::Punct).find_map(|token| {
        depth += i32::from(token.text == "(") - i32::from(token.text == ")");
        (depth == 0 && token.text == ")").then_some(token.start)
    })
}

fn column_name(text: &str) -> (String, &str) {
    if text.starts_with('"') {
        let length = significant(text).first().map_or(0, |t| t.text.len());
        return (split_qualified(&text[..length]).1, &text[length..]);
    }
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    (text[..end].to_owned(), &text[end..])
}

#[derive(Default)]
struct Modifiers {
    collation: Option<String>,
    operator_class: Option<String>,
    descending: Option<bool>,
    nulls_first: Option<bool>,
}

impl Modifiers {
    fn of(self, what: KeyPart) -> Key {
        let descending = self.descending.unwrap_or(false);
        Key {
            what,
            collation: self.collation,
            operator_class: self.operator_class,
            descending,
            nulls_first: self.nulls_first.unwrap_or(descending),
        }
    }
}

/// What follows the column, in any order; the range that is not understood otherwise.
fn modifiers(text: &str) -> Result<Modifiers, (usize, usize)> {
    let tokens = significant(text);
    let mut out = Modifiers::default();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let range = (token.start, token.start + token.text.len());
        let next = tokens.get(at + 1);
        let direction = token.is("desc") || token.is("asc");
        if direction && out.descending.is_none() {
            out.descending = Some(token.is("desc"));
            at += 1;
        } else if token.is("nulls") && out.nulls_first.is_none() {
            let word = next.filter(|t| t.is("first") || t.is("last")).ok_or(range)?;
            out.nulls_first = Some(word.is("first"));
            at += 2;
        } else if token.is("collate") && out.collation.is_none() {
            let (name, used) = name(&tokens[at + 1..]).ok_or(range)?;
            // A collation is shown with its namespace, as the catalog has it.
            out.collation = Some(if name.len() == 1 {
                format!("pg_catalog.{}", name[0])
            } else {
                name.join(".")
            });
            at += 1 + used;
        } else if !direction && out.operator_class.is_none() {
            let (name, used) = name(&tokens[at..]).ok_or(range)?;
            out.operator_class = Some(name.join("."));
            at += used;
        } else {
            return Err(range);
        }
    }
    Ok(out)
}

/// A name with or without a namespace, quoted where it has to be, and how many tokens it took.
fn name(tokens: &[Token<'_>]) -> Option<(Vec<String>, usize)> {
    let first = quote_ident(&tokens.first()?.ident()?);
    match tokens {
        [_, dot, second, ..] if dot.is(".") => {
            Some((vec![first, quote_ident(&second.ident()?)], 3))
        }
        _ => Some((vec![first], 1)),
    }
}
