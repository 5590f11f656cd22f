//! Expressions where PostgreSQL's grammar takes not every one.

use crate::lex::{TokenKind, significant};

/// The expression as `DEFAULT` takes it in a declaration.
///
/// There it is a `b_expr` (`src/backend/parser/gram.y`, `ColConstraintElem`): nothing with AND, NOT,
/// IS, IN, LIKE, BETWEEN or AT TIME ZONE, and `DEFAULT 'a' COLLATE "C"` is a collation of the
/// column, not of the text. In parentheses everything is taken.
pub fn in_default(expression: &str) -> String {
    const WORDS: &[&str] = &[
        "and", "at", "between", "collate", "ilike", "in", "is", "isnull", "like", "not", "notnull",
        "or", "overlaps", "similar",
    ];
    let mut depth = 0_usize;
    let is_plain = significant(expression).iter().all(|token| {
        match token.text {
            "(" | "[" => depth += 1,
            ")" | "]" => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > 0
            || token.kind != TokenKind::Word
            || !WORDS.contains(&token.text.to_ascii_lowercase().as_str())
    });
    if is_plain { expression.to_owned() } else { format!("({expression})") }
}

#[cfg(test)]
mod tests {
    use super::in_default;

    #[test]
    fn encloses_what_a_declaration_does_not_take() {
        for same in ["0", "'a'::text", "now()", "(NOT true)", "ARRAY['a' || 'b']", "NULL", "-1"] {
            assert_eq!(in_default(same), same);
        }
        assert_eq!(in_default("now() AT TIME ZONE 'utc'"), "(now() AT TIME ZONE 'utc')");
        assert_eq!(in_default("'a' collate \"C\""), "('a' collate \"C\")");
        assert_eq!(in_default("not true"), "(not true)");
    }
}
