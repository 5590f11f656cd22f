//! A key of an index: `name`, `name DESC NULLS LAST text_pattern_ops`, `lower(name)`,
//! `(expression) DESC`.
//!
//! The name is verbatim, as keys of the model are; a name with a space or a word of this grammar
//! in it goes in double quotes. An expression and what follows is SQL.

use reconcile_catalog::Address;
use reconcile_sql::ident::{is_plain, split_qualified};
use reconcile_sql::lex::{Token, TokenKind, significant};
use reconcile_yaml::{Node, Problem};

use super::super::key::modifiers;
use super::{Key, KeyPart};
use crate::index::without_collation;
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
    } else if let Some(open) = call(text) {
        let whole = reader.expression(node)?;
        let close = open + closing(&whole[open..])?;
        (KeyPart::Expression(whole[..=close].to_owned()), &text[close + 1..])
    } else {
        let (name, rest) = column_name(text);
        if !is_plain(&name) && is_expression(text) {
            return not_in_parentheses(node, text, reader);
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
        Ok(modifiers) => {
            let columns = reader.columns(table).unwrap_or_default();
            Some(as_stored(modifiers.of(what), columns))
        }
        Err(_) if is_expression(rest) => not_in_parentheses(node, text, reader),
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

/// The key as PostgreSQL keeps it: a collation of the whole is the key's, and an expression that is
/// a column is that column.
fn as_stored(mut key: Key, columns: &[String]) -> Key {
    let KeyPart::Expression(text) = &key.what else { return key };
    let (operand, collation) = without_collation(text);
    let stated = collation.and_then(|collation| modifiers(&format!("COLLATE {collation}")).ok());
    let column = match significant(operand).as_slice() {
        [one] => one.ident().filter(|name| columns.contains(name)),
        _ => None,
    };
    let what = match column {
        Some(name) => KeyPart::Column(name),
        None if stated.is_some() => KeyPart::Expression(operand.to_owned()),
        None => return key,
    };
    let stated = stated.and_then(|modifiers| modifiers.of(what.clone()).collation);
    key.collation = key.collation.or(stated);
    Key { what, ..key }
}

fn is_expression(text: &str) -> bool {
    let of_one = |t: &Token<'_>| t.kind == TokenKind::Operator || t.is("(");
    significant(text).iter().any(of_one)
}

fn not_in_parentheses(node: &Node, text: &str, reader: &mut ModelReader<'_>) -> Option<Key> {
    let problem = Problem::new("index_key", "an expression in an index stands in parentheses");
    let help = format!("write \"({text})\"");
    reader.problem(problem.at(node.span, "an expression").help(help));
    None
}

/// Where the parenthesis of a function call opens with which the text begins: only a call may stand
/// in CREATE INDEX without parentheses around it.
fn call(text: &str) -> Option<usize> {
    let tokens = significant(text);
    let is_name = |t: &Token<'_>| matches!(t.kind, TokenKind::Word | TokenKind::Quoted);
    let open = match tokens.as_slice() {
        [name, open, ..] if is_name(name) => open,
        _ => return None,
    };
    let open = match tokens.as_slice() {
        [_, dot, name, open, ..] if dot.is(".") && is_name(name) => open,
        _ => open,
    };
    open.is("(").then_some(open.start)
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
