//! Expressions of the server in the spelling that a person would write.
//!
//! The server writes `kind IN ('a', 'b')` of a varchar as `(kind)::text = ANY ((ARRAY['a'::character
//! varying, 'b'::character varying])::text[])`, and takes that for another expression when it reads
//! it again: the cast of an ARRAY[…] goes to its elements (`transformArrayExpr`). What `inspect`
//! writes has to be what the server reads as it was, so this form is turned back.

use reconcile_catalog::{Address, Catalog};
use reconcile_sql::lex::{Token, TokenKind, significant};

use crate::column::Column;

/// An expression of a relation as a person would write it; a text that reads the same otherwise.
pub fn readable(text: &str, relation: &Address, catalog: &Catalog) -> String {
    let is_varchar = |name: &str| {
        let column = catalog.definition::<Column>(&Column::address(relation, name));
        column.is_some_and(|c| c.ty.namespace.is_none() && c.ty.to_string().starts_with("varchar"))
    };
    let tokens = significant(text);
    let mut out = String::new();
    let mut copied = 0;
    let mut at = 0;
    while at < tokens.len() {
        match membership(&tokens[at..]) {
            Some((list, used)) if list.column.ident().is_some_and(|c| is_varchar(&c)) => {
                out.push_str(&text[copied..tokens[at].start]);
                let word = if list.negated { "NOT IN" } else { "IN" };
                out.push_str(&format!("{} {word} ({})", list.column.text, list.values.join(", ")));
                at += used;
                copied = tokens[at - 1].start + tokens[at - 1].text.len();
            }
            _ => at += 1,
        }
    }
    out.push_str(&text[copied..]);
    out
}

/// `column [NOT] IN (values)`
struct Membership<'t> {
    column: &'t Token<'t>,
    negated: bool,
    values: Vec<&'t str>,
}

/// The form with which the tokens begin, and how many of them it is.
fn membership<'t>(tokens: &'t [Token<'t>]) -> Option<(Membership<'t>, usize)> {
    let are = |at: usize, words: &[&str]| {
        words.iter().enumerate().all(|(n, word)| tokens.get(at + n).is_some_and(|t| t.is(word)))
    };
    let negated = are(5, &["<>", "all"]);
    let rest = [")", "::", "text"];
    if !are(0, &["("]) || !are(2, &rest) || !(negated || are(5, &["=", "any"])) {
        return None;
    }
    let column = tokens.get(1)?;
    let head = ["(", "(", "array", "["];
    let mut at = 7 + head.len();
    if !are(7, &head) {
        return None;
    }
    let mut values = Vec::new();
    loop {
        values.push(tokens.get(at).filter(|t| t.kind == TokenKind::Text)?.text);
        if !are(at + 1, &["::", "character", "varying"]) {
            return None;
        }
        at += 4;
        if !are(at, &[","]) {
            break;
        }
        at += 1;
    }
    let tail = ["]", ")", "::", "text", "[", "]", ")"];
    // IN with one value is a plain comparison.
    let whole = are(at, &tail) && values.len() > 1;
    whole.then_some((Membership { column, negated, values }, at + tail.len()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use reconcile_catalog::Object;
    use reconcile_sql::SqlType;

    use super::*;
    use crate::table::Table;

    #[test]
    fn turns_back_what_the_server_would_read_as_another_expression() {
        let table = Table::address(&reconcile_sql::QName::new("public", "t"));
        let mut catalog = Catalog::new();
        for (name, ty) in [("role", "varchar"), ("status", "text"), ("Kind", "varchar")] {
            let column = Arc::new(Column::new(SqlType::named(None, ty)));
            let address = Column::address(&table, name);
            let _ = catalog.insert(Object::new(address, Some(table.clone()), column));
        }
        let list = "((ARRAY['a'::character varying, 'it''s'::character varying])::text[])";
        let shown = |text: &str| readable(text, &table, &catalog);
        assert_eq!(shown(&format!("((role)::text = ANY {list})")), "(role IN ('a', 'it''s'))");
        assert_eq!(
            shown(&format!("(id > 0) AND ((\"Kind\")::text <> ALL {list})")),
            "(id > 0) AND (\"Kind\" NOT IN ('a', 'it''s'))"
        );
        let one = "((role)::text = ANY ((ARRAY['a'::character varying])::text[]))";
        for same in [&format!("((status)::text = ANY {list})"), one, "role = 'a'::text", ""] {
            assert_eq!(shown(same), same);
        }
    }
}
