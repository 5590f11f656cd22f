//! Equal spelling: two texts that no server can read differently.
//!
//! Only rewrites that cannot change the meaning whatever the types of the columns are: white
//! space and comments, letter case of bare words, quotes that are not needed, parentheses that
//! enclose the whole or a single operand, `!=`, and the aliases of type names behind `::`. What
//! still differs is a question for the server, not for a cleverer parser.

use crate::ident::quote_ident;
use crate::lex::{Token, TokenKind, significant};

/// A spelling that equal texts share. It is a key to compare by, not SQL to send.
pub fn key(source: &str) -> String {
    let mut words: Vec<String> = significant(source).iter().map(spell).collect();
    while words.last().is_some_and(|w| w == ";") {
        words.pop();
    }
    fold_type_aliases(&mut words);
    while strip_redundant_parentheses(&mut words) {}
    words.join(" ")
}

/// Whether two texts are spelt alike.
pub fn same(left: &str, right: &str) -> bool {
    left == right || key(left) == key(right)
}

fn spell(token: &Token<'_>) -> String {
    match token.kind {
        TokenKind::Word => token.text.to_ascii_lowercase(),
        TokenKind::Quoted => quote_ident(&token.ident().unwrap_or_default()),
        TokenKind::Operator if token.text == "!=" => "<>".to_owned(),
        _ => token.text.to_owned(),
    }
}

/// `character varying` and `varchar` behind `::`, longest first.
const ALIASES: &[(&[&str], &str)] = &[
    (&["character", "varying"], "varchar"),
    (&["timestamp", "with", "time", "zone"], "timestamptz"),
    (&["timestamp", "without", "time", "zone"], "timestamp"),
    (&["time", "with", "time", "zone"], "timetz"),
    (&["time", "without", "time", "zone"], "time"),
    (&["double", "precision"], "float8"),
    (&["bit", "varying"], "varbit"),
    (&["boolean"], "bool"),
    (&["smallint"], "int2"),
    (&["integer"], "int4"),
    (&["int"], "int4"),
    (&["bigint"], "int8"),
    (&["real"], "float4"),
    (&["decimal"], "numeric"),
    // Not bpchar: without a length this has the length 1, and that has none.
    (&["character"], "char"),
];

fn fold_type_aliases(words: &mut Vec<String>) {
    let mut at = 0;
    while at < words.len() {
        if words[at] == "::" {
            let rest = &words[at + 1..];
            let found = ALIASES.iter().find(|(long, _)| {
                rest.len() >= long.len() && rest[..long.len()].iter().eq(long.iter())
            });
            if let Some((long, short)) = found {
                words.splice(at + 1..=at + long.len(), [(*short).to_owned()]);
            }
        }
        at += 1;
    }
}

/// Removes one redundant pair, and says whether it did.
fn strip_redundant_parentheses(words: &mut Vec<String>) -> bool {
    let mut open = Vec::new();
    let mut pairs = Vec::new();
    for (at, word) in words.iter().enumerate() {
        match word.as_str() {
            "(" => open.push(at),
            ")" => match open.pop() {
                Some(start) => pairs.push((start, at)),
                None => return false,
            },
            _ => {}
        }
    }
    if !open.is_empty() {
        return false;
    }
    let redundant = pairs.iter().copied().find(|&(start, end)| {
        let whole = start == 0 && end + 1 == words.len() && end > start + 1;
        let doubled = start > 0
            && words[start - 1] == "("
            && words.get(end + 1).is_some_and(|w| w == ")")
            && pairs.contains(&(start - 1, end + 1))
            && !is_call(words, start - 1);
        // `(c).f` is a field of the column c, `c.f` is a column of the relation c.
        let selects = words.get(end + 1).is_some_and(|w| w == "." || w == "[");
        let single = end == start + 2
            && !selects
            && is_operand(&words[start + 1])
            && follows_operator(words, start);
        (whole && !has_top_level_comma(&words[start + 1..end])) || doubled || single
    });
    if let Some((start, end)) = redundant {
        words.remove(end);
        words.remove(start);
    }
    redundant.is_some()
}

fn has_top_level_comma(words: &[String]) -> bool {
    let mut depth = 0_i32;
    words.iter().any(|word| {
        match word.as_str() {
            "(" | "[" => depth += 1,
            ")" | "]" => depth -= 1,
            _ => {}
        }
        depth == 0 && word == ","
    })
}

/// Whether the parenthesis at `open` may belong to the word before it: a call, IN, ANY, a type.
fn is_call(words: &[String], open: usize) -> bool {
    open > 0 && !follows_operator(words, open)
}

fn is_operand(word: &str) -> bool {
    word.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '"' || c == '\'')
}

fn follows_operator(words: &[String], open: usize) -> bool {
    let Some(before) = open.checked_sub(1).map(|at| words[at].as_str()) else { return true };
    matches!(before, "(" | "," | "and" | "or" | "not" | "[" | "when" | "then" | "else" | "case")
        || (before != "::" && before.starts_with(|c: char| "+-*/<>=~!@#%^&|`?".contains(c)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_whatever_the_types() {
        assert!(same("((role)::character varying = 'user'::text)", "role::varchar = 'user'::TEXT"));
        assert!(same("now( )", "NOW()"));
        assert!(same("a > 0 AND \"b\" != 'X'", "(a > 0 and b <> 'X')"));
        assert!(same("((a))", "a"));
    }

    #[test]
    fn different_stays_different() {
        assert!(!same("a IN ('x')", "a IN 'x'"));
        assert!(!same("'X'", "'x'"));
        assert!(!same("(a + b) * c", "a + b * c"));
        assert!(!same("\"A\"", "a"));
        assert!(!same("f((a, b))", "f(a, b)"));
        assert!(!same("(a, b)", "a, b"));
        assert!(!same("f(a)", "f a"));
        assert!(!same("(c).f = 1", "c.f = 1"));
        assert!(!same("c::character", "c::bpchar"));
        assert!(!same("\u{c4}b", "\u{e4}b"));
    }
}
