//! Text that PostgreSQL wrote, so that it understands it once more as it did.
//!
//! `transformTypeCast` (`src/backend/parser/parse_expr.c`) moves a cast of `ARRAY[…]` to the
//! elements, so that `(ARRAY['a'::character varying])::text[]`, which is how a list of values of a
//! varchar column is deparsed, becomes `ARRAY[('a'::character varying)::text]` when it is read
//! again: the same, but another text, and another index or view for whoever compares texts. With
//! the array's own type restated inside nothing is moved, and it is deparsed as before.

use crate::lex::{Token, significant};

/// The same SQL with the type of each cast array stated inside the cast.
pub fn restated(sql: &str) -> String {
    let tokens = significant(sql);
    let mut out = String::new();
    let mut copied = 0;
    for at in 0..tokens.len() {
        if let Some((end, ty)) = cast_array(sql, &tokens, at) {
            out.push_str(&sql[copied..end]);
            out.push_str(&format!("::{ty}[]"));
            copied = end;
        }
    }
    out.push_str(&sql[copied..]);
    out
}

/// Where the array that starts with this token ends, and the type of its elements; nothing if it
/// is no array of one stated type that is cast as a whole.
fn cast_array<'a>(sql: &'a str, tokens: &[Token<'a>], at: usize) -> Option<(usize, &'a str)> {
    let starts = at > 0 && tokens[at - 1].is("(") && tokens[at].is("array");
    if !starts || !tokens.get(at + 1)?.is("[") {
        return None;
    }
    let mut depth = 0_usize;
    let mut cast: Option<usize> = None;
    let mut ty: Option<&str> = None;
    for (index, token) in tokens.iter().enumerate().skip(at + 1) {
        let ends = depth == 1 && (token.is(",") || token.is("]"));
        if ends {
            let from = tokens.get(cast? + 1)?.start;
            let last = &tokens[index - 1];
            let stated = sql.get(from..last.start + last.text.len())?;
            if *ty.get_or_insert(stated) != stated {
                return None;
            }
            cast = None;
        }
        match token.text {
            "(" | "[" => depth += 1,
            ")" | "]" => depth -= 1,
            "::" if depth == 1 => cast = Some(index),
            _ => {}
        }
        if depth == 0 {
            let whole = tokens.get(index + 1)?.is(")") && tokens.get(index + 2)?.is("::");
            return whole.then_some((token.start + 1, ty?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::restated;

    #[test]
    fn states_what_a_cast_array_is() {
        assert_eq!(
            restated(
                "((a)::text = ANY ((ARRAY['x'::character varying, 'y'::character varying])::text[]))"
            ),
            "((a)::text = ANY ((ARRAY['x'::character varying, 'y'::character varying]::character varying[])::text[]))"
        );
        for same in [
            "a = ANY (ARRAY['x'::text, 'y'::text])",
            "(ARRAY['x'::character varying, 'y'::text])::text[]",
            "(ARRAY[a, b])::text[]",
            "'(ARRAY[1::int])::text[]'",
            "(ARRAY[])::text[]",
            "(ARRAY['x'::character varying",
        ] {
            assert_eq!(restated(same), same);
        }
        let once = restated("(ARRAY['x'::character varying])::text[]");
        assert_eq!(restated(&once), once);
    }
}
