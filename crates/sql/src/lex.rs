//! A lossless lexer for SQL text: every byte of the input belongs to exactly one token.
//!
//! It follows `src/backend/parser/scan.l` as far as expressions, view queries and statements need
//! it, and never fails: what is not closed reaches to the end of the text.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// White space or a comment.
    Space,
    /// A bare identifier or keyword.
    Word,
    /// An identifier in double quotes.
    Quoted,
    /// A string literal of any form, its prefix and quotes included.
    Text,
    /// A number.
    Number,
    /// An operator, `::` included.
    Operator,
    /// A parenthesis, bracket, comma, dot, colon or semicolon.
    Punct,
    /// `$1`.
    Parameter,
}

/// A token: its kind and its bytes in the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// What it is.
    pub kind: TokenKind,
    /// Its text, verbatim.
    pub text: &'a str,
    /// Where it starts, in bytes.
    pub start: usize,
}

impl Token<'_> {
    /// The identifier that this token spells, or nothing if it is none.
    pub fn ident(&self) -> Option<String> {
        match self.kind {
            // The server folds nothing but ASCII in UTF-8 (`downcase_identifier`, scansup.c).
            TokenKind::Word => Some(self.text.to_ascii_lowercase()),
            TokenKind::Quoted => {
                let inner = self.text.strip_prefix('"').unwrap_or(self.text);
                Some(inner.strip_suffix('"').unwrap_or(inner).replace("\"\"", "\""))
            }
            _ => None,
        }
    }

    /// Whether this is the given keyword, operator or punctuation, letter case aside.
    pub fn is(&self, text: &str) -> bool {
        matches!(self.kind, TokenKind::Word | TokenKind::Operator | TokenKind::Punct)
            && self.text.eq_ignore_ascii_case(text)
    }
}

/// The tokens of a text, white space and comments included.
pub fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < source.len() {
        let (kind, length) = next(&source[at..]);
        out.push(Token { kind, text: &source[at..at + length], start: at });
        at += length;
    }
    out
}

/// The tokens of a text without white space and comments.
pub fn significant(source: &str) -> Vec<Token<'_>> {
    tokens(source).into_iter().filter(|t| t.kind != TokenKind::Space).collect()
}

const OPERATOR_CHARS: &str = "+-*/<>=~!@#%^&|`?";

fn next(rest: &str) -> (TokenKind, usize) {
    let first = rest.chars().next().unwrap_or(' ');
    if is_space(first) {
        return (TokenKind::Space, run(rest, is_space));
    }
    if rest.starts_with("--") {
        return (TokenKind::Space, rest.find(['\n', '\r']).unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (TokenKind::Space, block_comment(rest));
    }
    if let Some(length) = string_literal(rest) {
        return (TokenKind::Text, length);
    }
    match first {
        '"' => (TokenKind::Quoted, quoted(rest, 0, '"', false)),
        '$' => dollar(rest),
        '0'..='9' => (TokenKind::Number, number(rest)),
        '.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
            (TokenKind::Number, number(rest))
        }
        '(' | ')' | '[' | ']' | ',' | '.' | ';' => (TokenKind::Punct, 1),
        ':' if rest.starts_with("::") => (TokenKind::Operator, 2),
        ':' if rest.starts_with(":=") => (TokenKind::Operator, 2),
        ':' => (TokenKind::Punct, 1),
        c if OPERATOR_CHARS.contains(c) => (TokenKind::Operator, operator(rest)),
        _ => (TokenKind::Word, run(rest, |c| is_name(c) || c == '$').max(first.len_utf8())),
    }
}

/// White space to the server: nothing beyond ASCII is.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}')
}

/// Whether it may stand in a bare name: all that is not ASCII may, a no-break space included.
fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii()
}

fn run(rest: &str, accept: impl Fn(char) -> bool) -> usize {
    rest.find(|c| !accept(c)).unwrap_or(rest.len())
}

/// An operator ends where a comment starts (scan.l, rule `{operator}`).
fn operator(rest: &str) -> usize {
    let length = run(rest, |c| OPERATOR_CHARS.contains(c));
    let comment = [rest[1..length].find("--"), rest[1..length].find("/*")];
    let mut length = comment.into_iter().flatten().min().map_or(length, |at| at + 1);
    // A trailing + or - belongs to the operator only if one of these characters does too:
    // `a=-1` is `=` and `-`.
    let stays = rest[..length].contains(['~', '!', '@', '#', '%', '^', '&', '|', '`', '?']);
    while length > 1 && !stays && matches!(rest.as_bytes()[length - 1], b'+' | b'-') {
        length -= 1;
    }
    length
}

fn number(rest: &str) -> usize {
    let mut length = run(rest, |c| c.is_ascii_alphanumeric() || c == '.' || c == '_');
    let exponent = rest[..length].ends_with(['e', 'E']) && !rest.starts_with("0x");
    if exponent && rest[length..].starts_with(['+', '-']) {
        length += 1 + run(&rest[length + 1..], |c| c.is_ascii_digit());
    }
    length
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

fn string_literal(rest: &str) -> Option<usize> {
    let bytes = rest.as_bytes();
    match bytes {
        [b'\'', ..] => Some(quoted(rest, 0, '\'', false)),
        [b'e' | b'E', b'\'', ..] => Some(quoted(rest, 1, '\'', true)),
        [b'b' | b'B' | b'x' | b'X' | b'n' | b'N', b'\'', ..] => Some(quoted(rest, 1, '\'', false)),
        [b'u' | b'U', b'&', b'\'', ..] => Some(quoted(rest, 2, '\'', false)),
        _ => None,
    }
}

/// The length of a quoted token whose opening quote stands at `open`.
fn quoted(rest: &str, open: usize, quote: char, backslashes: bool) -> usize {
    let mut at = open + 1;
    while let Some(c) = rest[at..].chars().next() {
        at += c.len_utf8();
        if c == '\\' && backslashes {
            at += rest[at..].chars().next().map_or(0, char::len_utf8);
        } else if c == quote {
            if rest[at..].starts_with(quote) {
                at += 1;
            } else {
                return at;
            }
        }
    }
    rest.len()
}

fn dollar(rest: &str) -> (TokenKind, usize) {
    let digits = run(&rest[1..], |c| c.is_ascii_digit());
    if digits > 0 {
        return (TokenKind::Parameter, 1 + digits);
    }
    let tag = run(&rest[1..], is_name);
    if rest[1 + tag..].starts_with('$') {
        let fence = &rest[..tag + 2];
        let length = rest[fence.len()..].find(fence).map_or(rest.len(), |at| at + 2 * fence.len());
        return (TokenKind::Text, length);
    }
    (TokenKind::Punct, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> Vec<&str> {
        significant(source).into_iter().map(|t| t.text).collect()
    }

    #[test]
    fn loses_no_byte() {
        for source in [
            "a /* x /* y */ z */ b -- c",
            "E'a\\'b' $t$ x $t$ \"q\"\"r\" $1 'open",
            "größe<>1.5e-3::int8[]",
        ] {
            let joined: String = tokens(source).iter().map(|t| t.text).collect();
            assert_eq!(joined, source);
        }
    }

    #[test]
    fn splits_as_the_server_does() {
        assert_eq!(texts("a=-1"), ["a", "=", "-", "1"]);
        assert_eq!(texts("x::public.\"T\"[]"), ["x", "::", "public", ".", "\"T\"", "[", "]"]);
        assert_eq!(texts("'it''s' ~~ E'\\'' --c\n+1"), ["'it''s'", "~~", "E'\\''", "+", "1"]);
        assert_eq!(texts("a<>b/* c */<d"), ["a", "<>", "b", "<", "d"]);
        assert_eq!(texts("a -- x\rb"), ["a", "b"]);
        assert_eq!(texts("a\u{a0}b > 0"), ["a\u{a0}b", ">", "0"]);
    }
}
