//! Finds where one statement ends and the next begins in a text of several.
//!
//! Invariant: this serves error messages only. The server splits what it runs by itself; if it and
//! this module should disagree, a message quotes the wrong statement and nothing else happens.

use std::ops::Range;

/// The byte ranges of the statements, without the semicolons and the white space around them.
///
/// A piece that holds only white space and comments is no statement, as for the server.
pub(crate) fn ranges(sql: &str) -> Vec<Range<usize>> {
    let bytes = sql.as_bytes();
    let mut found = Vec::new();
    let (mut at, mut start) = (0, 0);
    let mut state = State::default();
    while at < bytes.len() {
        let next = token_end(sql, at);
        let token = &sql[at..next];
        if token == ";" && state.ends_here() {
            push(sql, start..at, state.has_token, &mut found);
            start = next;
            state = State::default();
        } else if !is_blank(token) {
            state.take(token);
        }
        at = next;
    }
    push(sql, start..at, state.has_token, &mut found);
    found
}

/// What decides whether a semicolon ends the statement.
#[derive(Default)]
struct State {
    has_token: bool,
    parentheses: usize,
    /// Nesting of `BEGIN ATOMIC … END` and of `CASE … END` inside of it.
    atomic: usize,
    after_begin: bool,
}

impl State {
    fn ends_here(&self) -> bool {
        self.atomic == 0 && self.parentheses == 0
    }

    fn take(&mut self, token: &str) {
        self.has_token = true;
        let is = |word: &str| token.eq_ignore_ascii_case(word);
        match token {
            "(" => self.parentheses += 1,
            ")" => self.parentheses = self.parentheses.saturating_sub(1),
            _ if is("atomic") && self.after_begin => self.atomic += 1,
            _ if is("case") && self.atomic > 0 => self.atomic += 1,
            _ if is("end") => self.atomic = self.atomic.saturating_sub(1),
            _ => {}
        }
        self.after_begin = is("begin");
    }
}

fn push(sql: &str, range: Range<usize>, has_token: bool, found: &mut Vec<Range<usize>>) {
    if has_token {
        let text = &sql[range.clone()];
        let start = range.start + (text.len() - text.trim_start().len());
        found.push(start..start + text.trim().len());
    }
}

fn is_blank(token: &str) -> bool {
    token.starts_with("--") || token.starts_with("/*") || token.trim().is_empty()
}

/// Where the token that begins at `at` ends: a comment, a quoted text, a word or one character.
fn token_end(sql: &str, at: usize) -> usize {
    let rest = &sql[at..];
    let len = if rest.starts_with("--") {
        rest.find('\n').unwrap_or(rest.len())
    } else if rest.starts_with("/*") {
        comment_len(rest)
    } else if rest.starts_with('\'') {
        quoted_len(rest, '\'', false)
    } else if rest.starts_with('"') {
        quoted_len(rest, '"', false)
    } else if rest.starts_with("e'") || rest.starts_with("E'") {
        1 + quoted_len(&rest[1..], '\'', true)
    } else if rest.starts_with('$') {
        dollar_len(rest).unwrap_or(1)
    } else if rest.starts_with(is_word) {
        rest.find(|c| !is_word(c) && c != '$').unwrap_or(rest.len())
    } else {
        rest.chars().next().map_or(1, char::len_utf8)
    };
    at + len
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || !c.is_ascii()
}

/// Comments nest in PostgreSQL.
fn comment_len(rest: &str) -> usize {
    let mut depth = 0usize;
    let mut at = 0;
    while at < rest.len() {
        let tail = &rest.as_bytes()[at..];
        if tail.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if tail.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// A doubled quote ends one token and begins the next, which comes to the same here.
fn quoted_len(rest: &str, quote: char, backslash: bool) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if backslash => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn dollar_len(rest: &str) -> Option<usize> {
    let tag_end = 1 + rest[1..].find('$')?;
    let tag = &rest[..=tag_end];
    let name = &tag[1..tag_end];
    if !name.chars().all(is_word) || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let body = &rest[tag.len()..];
    Some(body.find(tag).map_or(rest.len(), |end| tag.len() + end + tag.len()))
}

#[cfg(test)]
mod tests {
    use super::ranges;

    fn split(sql: &str) -> Vec<&str> {
        ranges(sql).into_iter().map(|range| &sql[range]).collect()
    }

    #[test]
    fn semicolons_inside_of_texts_do_not_count() {
        let sql = "SELECT ';', E'\\';', \";\", $$;$$, $a$ ; $$ ; $a$, $1; /* ; /* ; */ ; */ \
                   SELECT a$b$c, 'it''s;' -- ;\n ; ;\n-- only a comment\n; SELECT 3";
        assert_eq!(
            split(sql),
            [
                "SELECT ';', E'\\';', \";\", $$;$$, $a$ ; $$ ; $a$, $1",
                "/* ; /* ; */ ; */ SELECT a$b$c, 'it''s;' -- ;",
                "SELECT 3"
            ]
        );
    }

    #[test]
    fn bodies_in_standard_sql_stay_whole() {
        let body = "CREATE FUNCTION f(a int) RETURNS int BEGIN ATOMIC SELECT CASE a WHEN 1 THEN 2 \
                    END; SELECT 2; END";
        let rule = "CREATE RULE r AS ON INSERT TO t DO (DELETE FROM a; DELETE FROM b)";
        assert_eq!(split(&format!("{body}; {rule}; COMMIT")), [body, rule, "COMMIT"]);
        assert_eq!(
            split("BEGIN; SELECT 1; END; SELECT 2"),
            ["BEGIN", "SELECT 1", "END", "SELECT 2"]
        );
    }

    #[test]
    fn what_is_not_closed_is_one_statement() {
        for sql in ["SELECT 'a; b", "SELECT $x$ ; b", "SELECT /* ; b", "SELECT \"a; b"] {
            assert_eq!(split(sql), [sql]);
        }
        assert_eq!(split("SELECT 'ä;ö'; SELECT 'ü'"), ["SELECT 'ä;ö'", "SELECT 'ü'"]);
        assert!(split(" \n; -- x").is_empty());
    }
}
