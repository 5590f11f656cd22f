//! Partition keys: `RANGE (created_at, lower(name) COLLATE "C")`.

use reconcile_catalog::{Expression, Value};
use reconcile_sql::lex::{Token, significant};

use crate::index::{taken_apart, without_collation};

/// A partition key taken apart: its strategy and its elements.
pub(crate) struct Key {
    /// `range`, `list`, `hash`
    pub(crate) strategy: String,
    /// What stands between the commas.
    pub(crate) elements: Vec<String>,
}

/// Takes a key apart; nothing if it is none.
pub(crate) fn parse(text: &str) -> Option<Key> {
    let tokens = significant(text);
    let [strategy, open, .., close] = tokens.as_slice() else { return None };
    if !open.is("(") || !close.is(")") {
        return None;
    }
    let inner = &tokens[2..tokens.len() - 1];
    let elements = split(text, inner, close.start);
    let strategy = strategy.ident()?;
    (matches!(strategy.as_str(), "range" | "list" | "hash")
        && elements.iter().all(|e| !e.is_empty()))
    .then_some(Key { strategy, elements })
}

/// The texts between the commas outside of brackets.
pub(crate) fn split(text: &str, tokens: &[Token<'_>], end: usize) -> Vec<String> {
    let mut out = Vec::new();
    let (mut depth, mut from) = (0_i32, tokens.first().map_or(end, |t| t.start));
    for token in tokens {
        match token.text {
            "(" | "[" => depth += 1,
            ")" | "]" => depth -= 1,
            "," if depth == 0 => {
                out.push(text[from..token.start].trim().to_owned());
                from = token.start + 1;
            }
            _ => {}
        }
    }
    out.push(text[from..end].trim().to_owned());
    out
}

/// A key as a value to compare: each element is an expression of its own.
pub(super) fn value(text: &str) -> Value {
    let Some(Key { strategy, elements }) = parse(text) else { return Value::from(text) };
    let elements = elements.iter().map(|text| element(text));
    Value::List(std::iter::once(Value::Text(strategy)).chain(elements).collect())
}

/// An element of a key as a value to compare: what it is over is an expression by itself.
pub(crate) fn element(text: &str) -> Value {
    let Some((operand, behind)) = taken_apart(text) else { return Value::from(text) };
    let (operand, collation) = without_collation(operand);
    let behind = match collation {
        Some(collation) if !significant(behind).iter().any(|t| t.is("collate")) => {
            format!("COLLATE {collation} {behind}")
        }
        _ => behind.to_owned(),
    };
    let mut value = vec![Value::Expression(Expression::new(operand))];
    if !behind.is_empty() {
        value.push(Value::Text(reconcile_sql::spelling::key(&behind)));
    }
    Value::List(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_keys_apart() {
        let key = parse("RANGE (created_at, substr((a)::text, 1, 2))").expect("a key");
        assert_eq!(key.strategy, "range");
        assert_eq!(key.elements, ["created_at", "substr((a)::text, 1, 2)"]);
        assert!(parse("RANGE created_at").is_none() && parse("WILD (a)").is_none());
    }
}
