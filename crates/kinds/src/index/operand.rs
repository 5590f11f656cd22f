//! What an index, an exclusion constraint or a partition key is over: a column, a call, or an
//! expression in parentheses, and the words behind it.

use reconcile_sql::lex::{Token, TokenKind, significant};

use super::bare;

/// Takes an element apart: what it is over, and what stands behind that. Nothing if it begins with
/// nothing that could be an element.
pub(crate) fn taken_apart(text: &str) -> Option<(&str, &str)> {
    let tokens = significant(text);
    let end = end_of_operand(&tokens)?;
    let last = tokens.get(end.checked_sub(1)?)?;
    let at = last.start + last.text.len();
    Some((text[tokens[0].start..at].trim(), text[at..].trim()))
}

/// An expression without what says nothing about its value: parentheses around it, and a collation
/// behind the whole, which is returned.
///
/// PostgreSQL takes a COLLATE off what is indexed and has it as the collation of the key
/// (`ComputeIndexAttrs`, `src/backend/commands/indexcmds.c`; `ComputePartitionAttrs`).
pub(crate) fn without_collation(text: &str) -> (&str, Option<&str>) {
    let mut text = bare(text);
    let mut collation = None;
    loop {
        let tokens = significant(text);
        let Some(at) = tokens.iter().rposition(|token| token.is("collate")) else { break };
        let name = &tokens[at + 1..];
        let is_name = match name {
            [name] => name.ident().is_some(),
            [namespace, dot, name] => {
                namespace.ident().is_some() && dot.is(".") && name.ident().is_some()
            }
            _ => false,
        };
        if !is_name || end_of_operand(&tokens[..at]) != Some(at) {
            break;
        }
        collation = collation.or(Some(&text[name[0].start..]));
        text = bare(&text[..tokens[at].start]);
    }
    (text, collation)
}

/// How many tokens the operand is with which the tokens begin.
fn end_of_operand(tokens: &[Token<'_>]) -> Option<usize> {
    let is_name = |at: usize| {
        tokens.get(at).is_some_and(|t| matches!(t.kind, TokenKind::Word | TokenKind::Quoted))
    };
    let mut at = 0;
    if is_name(0) {
        at = 1;
        while tokens.get(at).is_some_and(|t| t.is(".")) && is_name(at + 1) {
            at += 2;
        }
        if !tokens.get(at).is_some_and(|t| t.is("(")) {
            return Some(at);
        }
    }
    tokens.get(at).filter(|t| t.is("("))?;
    let mut depth = 0_i32;
    let close = tokens[at..].iter().position(|token| {
        depth += i32::from(token.is("(")) - i32::from(token.is(")"));
        depth == 0
    })?;
    Some(at + close + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_elements_apart() {
        assert_eq!(taken_apart("room"), Some(("room", "")));
        assert_eq!(taken_apart("\"a b\" DESC"), Some(("\"a b\"", "DESC")));
        assert_eq!(
            taken_apart("lower((a)::text) COLLATE \"C\" x_ops"),
            Some(("lower((a)::text)", "COLLATE \"C\" x_ops"))
        );
        assert_eq!(taken_apart("((a + 1)) x_ops"), Some(("((a + 1))", "x_ops")));
        assert_eq!(
            taken_apart("app.f(a, 'x'::character varying)"),
            Some(("app.f(a, 'x'::character varying)", ""))
        );
        assert_eq!(taken_apart("'x'"), None);
    }

    #[test]
    fn takes_a_collation_of_the_whole_off() {
        assert_eq!(without_collation("(a collate \"C\")"), ("a", Some("\"C\"")));
        assert_eq!(without_collation("((lower(a)) COLLATE app.c)"), ("lower(a)", Some("app.c")));
        assert_eq!(without_collation("((a || b) COLLATE \"C\")"), ("a || b", Some("\"C\"")));
        for same in ["a || b COLLATE \"C\"", "a", "a COLLATE \"C\" || b", "f(a COLLATE \"C\")"] {
            assert_eq!(without_collation(same), (same, None));
        }
        // The outer one counts.
        assert_eq!(
            without_collation("(a COLLATE \"C\") COLLATE \"POSIX\""),
            ("a", Some("\"POSIX\""))
        );
    }
}
