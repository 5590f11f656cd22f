//! Bounds of partitions: `FOR VALUES FROM (1) TO (10)`, `FOR VALUES IN ('a', NULL)`,
//! `FOR VALUES WITH (modulus 4, remainder 0)`, `DEFAULT`.

use reconcile_catalog::Value;
use reconcile_sql::lex::{Token, TokenKind, significant};

use crate::table::partition_key::split;

/// A bound taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    /// `DEFAULT`
    Default,
    /// `FROM (…) TO (…)`
    Range(Vec<String>, Vec<String>),
    /// `IN (…)`
    List(Vec<String>),
    /// `WITH (modulus …, remainder …)`
    Hash(Vec<String>),
}

/// Takes a bound apart; nothing if it is none. `FOR VALUES` may be left out.
pub(super) fn parse(text: &str) -> Option<Bound> {
    let all = significant(text);
    let mut rest = all.as_slice();
    if let [first, second, tail @ ..] = rest
        && first.is("for")
        && second.is("values")
    {
        rest = tail;
    }
    let (first, tail) = rest.split_first()?;
    if first.is("default") {
        return tail.is_empty().then_some(Bound::Default);
    }
    let (values, tail) = group(text, tail)?;
    if first.is("in") && tail.is_empty() {
        return Some(Bound::List(values));
    }
    if first.is("with") && tail.is_empty() {
        return Some(Bound::Hash(values));
    }
    let (to, tail) = tail.split_first()?;
    if !first.is("from") || !to.is("to") {
        return None;
    }
    let (upper, tail) = group(text, tail)?;
    tail.is_empty().then_some(Bound::Range(values, upper))
}

/// The texts in the parentheses that come next, and what follows them.
fn group<'t, 's>(text: &str, tokens: &'t [Token<'s>]) -> Option<(Vec<String>, &'t [Token<'s>])> {
    tokens.first().filter(|t| t.is("("))?;
    let mut depth = 0_i32;
    let close = tokens.iter().position(|token| {
        depth += i32::from(token.is("(")) - i32::from(token.is(")"));
        depth == 0
    })?;
    Some((split(text, &tokens[1..close], tokens[close].start), &tokens[close + 1..]))
}

/// A bound as a value to compare: what a list names has no order.
pub(super) fn value(text: &str) -> Value {
    let spelt = |values: &[String]| values.iter().map(|v| literal(v)).collect::<Vec<String>>();
    let tagged = |tag: &str, values: Vec<String>| {
        Value::words(std::iter::once(tag.to_owned()).chain(values))
    };
    match parse(text) {
        None => Value::from(text),
        Some(Bound::Default) => Value::from("default"),
        Some(Bound::Range(from, to)) => {
            Value::List(vec![tagged("from", spelt(&from)), tagged("to", spelt(&to))])
        }
        Some(Bound::List(values)) => {
            let mut values = spelt(&values);
            values.sort();
            tagged("in", values)
        }
        Some(Bound::Hash(values)) => {
            let mut values = spelt(&values);
            values.sort();
            tagged("with", values)
        }
    }
}

/// A value of a bound in one spelling: `'1'`, `1` and `'1'::bigint` are the same there, where the
/// key's type decides.
pub(super) fn literal(text: &str) -> String {
    let tokens = significant(text);
    let bare = match tokens.as_slice() {
        [first, cast, ..] if first.kind == TokenKind::Text && cast.is("::") => first.text,
        _ => text,
    };
    match bare.strip_prefix('\'').and_then(|inner| inner.strip_suffix('\'')) {
        Some(inner) => zoneless(&inner.replace("''", "'")),
        None => reconcile_sql::spelling::key(bare),
    }
}

/// A day is its midnight, and a time of day that is midnight adds nothing to it.
fn zoneless(text: &str) -> String {
    let (day, time) = text.split_once(' ').unwrap_or((text, ""));
    let midnight = time.trim_start_matches(['0', ':', '.']);
    let utc = midnight.is_empty() || midnight.trim_start_matches(['+', '-', '0', ':']).is_empty();
    let is_day = day.len() >= 10 && day.chars().all(|c| c.is_ascii_digit() || c == '-');
    if is_day && utc { day.to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_bounds_compare_equal() {
        let same = |a: &str, b: &str| assert_eq!(value(a), value(b), "{a} | {b}");
        same(
            "FOR VALUES FROM ('2024-01-01') TO (MAXVALUE)",
            "from ('2024-01-01 00:00:00+00') to (maxvalue)",
        );
        same("FOR VALUES IN ('b', 'a')", "for values in ('a'::text, 'b')");
        same("FOR VALUES FROM (1, 'x') TO ('10', 'y')", "FOR VALUES FROM ('1', 'x') TO (10, 'y')");
        same("FOR VALUES WITH (modulus 4, remainder 0)", "WITH (REMAINDER 0, MODULUS 4)");
        same("default", "DEFAULT");
        assert_ne!(value("FOR VALUES IN ('a')"), value("FOR VALUES IN ('A')"));
        assert_ne!(
            value("FOR VALUES FROM ('2024-01-01') TO ('2024-02-01')"),
            value("FOR VALUES FROM ('2024-01-01 01:00:00') TO ('2024-02-01')")
        );
        assert!(parse("FOR VALUES FROM (1)").is_none());
    }
}
