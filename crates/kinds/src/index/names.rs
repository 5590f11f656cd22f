//! The names that PostgreSQL gives to indexes without one.

use reconcile_sql::lex::{Token, TokenKind, significant};

use super::{Index, KeyPart};
use crate::model::{joined, names::object_name};

/// What the columns of an index are called in the index itself (`ChooseIndexColumnNames`,
/// `src/backend/commands/indexcmds.c`): an expression by its function, else `expr`.
pub(super) fn of_keys(index: &Index) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let of_key = |what: &KeyPart| match what {
        KeyPart::Column(name) => name.clone(),
        KeyPart::Expression(text) => figure(text).unwrap_or_else(|| "expr".to_owned()),
    };
    let keys = index.keys.iter().map(|key| of_key(&key.what));
    for name in keys.chain(index.include.iter().cloned()) {
        let numbered = (1..).map(|n| format!("{name}{n}"));
        let free = std::iter::once(name.clone()).chain(numbered).find(|name| !out.contains(name));
        out.extend(free);
    }
    out
}

/// The name that PostgreSQL tries first.
pub(super) fn first_choice(table: &str, index: &Index) -> String {
    object_name(table, Some(&joined(&of_keys(index))), "idx")
}

/// Whether nobody but PostgreSQL's own parser can be sure of the names of the keys.
pub(super) fn is_sure(index: &Index) -> bool {
    index.keys.iter().all(|key| matches!(key.what, KeyPart::Column(_)))
}

/// The name that PostgreSQL gives a column made of an expression (`FigureColnameInternal`,
/// `src/backend/parser/parse_target.c`): a column by its name, a call by its function's, a cast by
/// what is cast.
pub(super) fn figure(expression: &str) -> Option<String> {
    figured(&significant(expression)).map(|(name, _)| name)
}

/// A name, and whether it is a good one: that of a type is not.
fn figured(tokens: &[Token<'_>]) -> Option<(String, bool)> {
    let (first, last) = tokens.first().zip(tokens.last())?;
    if first.is("(") && close(tokens, 0) == Some(tokens.len() - 1) {
        return figured(&tokens[1..tokens.len() - 1]);
    }
    // What binds loosest stands last: a cast, a subscript, a collation behind an operand.
    if let Some(at) = top_level(tokens, |t| t.is("::")) {
        let inner = figured(&tokens[..at]).filter(|(_, good)| *good);
        let is_type = |t: &Token<'_>| {
            matches!(t.kind, TokenKind::Word | TokenKind::Quoted | TokenKind::Number)
                || ["(", ")", "[", "]", ".", ","].iter().any(|p| t.is(p))
        };
        let operand =
            operand(&tokens[..at]) || tokens[..at].iter().any(|t| t.kind == TokenKind::Text);
        if !operand || !tokens[at + 1..].iter().all(is_type) {
            return None;
        }
        return inner.or_else(|| type_name(&tokens[at + 1..]).map(|name| (name, false)));
    }
    if let Some(at) = top_level(tokens, |t| t.is("collate")) {
        return operand(&tokens[..at]).then(|| figured(&tokens[..at])).flatten();
    }
    if last.is("]") {
        let open = (0..tokens.len()).find(|&at| close(tokens, at) == Some(tokens.len() - 1))?;
        if open == 1 && first.is("array") {
            return Some(("array".to_owned(), true));
        }
        return operand(&tokens[..open]).then(|| figured(&tokens[..open])).flatten();
    }
    if last.is(")") {
        let open = (0..tokens.len()).find(|&at| close(tokens, at) == Some(tokens.len() - 1))?;
        let name = tokens.get(open.checked_sub(1)?)?;
        if !operand(&tokens[..open]) {
            return None;
        }
        let called = name.ident()?;
        return Some((if name.is("trim") { "btrim".to_owned() } else { called }, true));
    }
    if first.is("case") && last.is("end") {
        return Some(("case".to_owned(), true));
    }
    operand(tokens).then(|| Some((last.ident()?, true))).flatten()
}

/// What a type is called in `pg_type`, without its namespace.
fn type_name(tokens: &[Token<'_>]) -> Option<String> {
    let words: Option<Vec<String>> = tokens
        .iter()
        .take_while(|t| !t.is("(") && !t.is("["))
        .filter(|t| !t.is("."))
        .map(Token::ident)
        .collect();
    let words = words?;
    let name = match words.join(" ").as_str() {
        "character varying" => "varchar",
        "character" | "char" => "bpchar",
        "timestamp with time zone" => "timestamptz",
        "timestamp without time zone" => "timestamp",
        "time with time zone" => "timetz",
        "time without time zone" => "time",
        "double precision" | "float" => "float8",
        "bit varying" => "varbit",
        "boolean" => "bool",
        "smallint" => "int2",
        "integer" | "int" => "int4",
        "bigint" => "int8",
        "real" => "float4",
        "decimal" | "dec" => "numeric",
        _ => return words.last().cloned(),
    };
    Some(name.to_owned())
}

/// Whether it is one operand: a name, a call, or something in parentheses, with fields.
fn operand(tokens: &[Token<'_>]) -> bool {
    let mut at = 0;
    let mut wants_word = true;
    while let Some(token) = tokens.get(at) {
        if token.is("(") || token.is("[") {
            match close(tokens, at) {
                Some(end) => at = end,
                None => return false,
            }
            wants_word = false;
        } else if token.is(".") {
            wants_word = true;
        } else if wants_word && matches!(token.kind, TokenKind::Word | TokenKind::Quoted) {
            wants_word = false;
        } else if !(wants_word && at == 0) {
            return false;
        }
        at += 1;
    }
    !tokens.is_empty()
}

/// The last token outside of all parentheses that is it.
fn top_level(tokens: &[Token<'_>], is: impl Fn(&Token<'_>) -> bool) -> Option<usize> {
    let mut depth = 0_i32;
    let mut found = None;
    for (at, token) in tokens.iter().enumerate() {
        depth += i32::from(token.is("(") || token.is("["));
        depth -= i32::from(token.is(")") || token.is("]"));
        if depth == 0 && is(token) {
            found = Some(at);
        }
    }
    found
}

/// Where the parenthesis closes that opens at `at`.
fn close(tokens: &[Token<'_>], at: usize) -> Option<usize> {
    let opens = |t: &Token<'_>| t.is("(") || t.is("[");
    if !opens(tokens.get(at)?) {
        return None;
    }
    let mut depth = 0_i32;
    tokens.iter().enumerate().skip(at).find_map(|(at, token)| {
        depth += i32::from(opens(token)) - i32::from(token.is(")") || token.is("]"));
        (depth == 0).then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::figure;

    #[test]
    fn names_as_postgresql_does() {
        for (expression, name) in [
            ("lower(email)", Some("lower")),
            ("(app.slug(title, 'x'))", Some("slug")),
            ("a || b", None),
            ("data ->> 'kind'", None),
            ("(data ->> 'kind')::integer", Some("int4")),
            ("(data ->> 'at')::timestamp with time zone", Some("timestamptz")),
            ("email::text", Some("email")),
            ("lower((email)::text)", Some("lower")),
            ("(lower(email))::varchar(20)", Some("lower")),
            ("email COLLATE \"C\"", Some("email")),
            ("tags[1]", Some("tags")),
            ("(address).city", Some("city")),
            ("coalesce(a, b)", Some("coalesce")),
            ("CASE WHEN a THEN 1 ELSE 2 END", Some("case")),
            ("lower(a) || upper(b)", None),
            ("NOT ok", None),
            ("'a'::text", Some("text")),
            ("trim(name)", Some("btrim")),
            ("date_trunc('day', (at AT TIME ZONE 'UTC'))", Some("date_trunc")),
        ] {
            assert_eq!(figure(expression).as_deref(), name, "{expression}");
        }
    }
}
