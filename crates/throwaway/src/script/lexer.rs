//! The tokens of SQL, as far as splitting needs them (`src/backend/parser/scan.l`).
//!
//! Invariant: a token never ends inside a character, and white space and comments are no tokens.

/// What is opened in a script and never closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unclosed {
    /// The byte offset of what is opened.
    pub offset: usize,
    /// What is opened, for instance `a quoted string`.
    pub what: &'static str,
}

/// A token and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// The byte offset of its first character.
    pub start: usize,
    /// The byte offset behind its last character.
    pub end: usize,
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// A keyword or a name without quotes.
    Word,
    /// A name in double quotes.
    QuotedName,
    /// A string of any spelling.
    String,
    /// A number or a parameter.
    Number,
    /// One character of punctuation.
    Sign,
    /// A backslash: what follows is meant for psql.
    Backslash,
    /// The end of the text.
    End,
}

impl Token {
    /// The text of the token.
    pub fn text(self, script: &str) -> &str {
        &script[self.start..self.end]
    }
}

pub(super) struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// Whether a backslash in a plain string is nothing special.
    pub(super) standard_strings: bool,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Lexer<'a> {
        let at = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        Lexer { text, bytes: text.as_bytes(), at, standard_strings: true }
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    pub(super) fn next_token(&mut self) -> Result<Token, Unclosed> {
        self.skip_blanks()?;
        let start = self.at;
        let kind = match self.peek(0) {
            _ if start >= self.bytes.len() => TokenKind::End,
            b'\'' => {
                self.string(!self.standard_strings)?;
                TokenKind::String
            }
            b'"' => {
                self.until_quote(b'"', false, "a quoted name")?;
                TokenKind::QuotedName
            }
            b'$' if self.dollar_quote()? => TokenKind::String,
            b'\\' => {
                self.at += 1;
                TokenKind::Backslash
            }
            byte if is_name_start(byte) => self.word()?,
            byte if byte.is_ascii_digit() => {
                self.take_while(|byte| is_name(byte) || byte == b'.');
                TokenKind::Number
            }
            _ => {
                self.at += 1;
                TokenKind::Sign
            }
        };
        Ok(Token { kind, start, end: self.at })
    }

    /// The rest of the line from `start` on, without its end.
    pub(super) fn take_line(&mut self, start: usize) -> &'a str {
        let end = self.text[start..].find('\n').map_or(self.text.len(), |length| start + length);
        self.at = end;
        self.text[start..end].trim_end()
    }

    /// The data after a COPY: from the next line to the line `\.`, or to the end.
    pub(super) fn take_copy_data(&mut self) -> &'a str {
        let rest = self.text.len();
        let begin = self.text[self.at..].find('\n').map_or(rest, |length| self.at + length + 1);
        let mut from = begin;
        while from < rest {
            let line = &self.text[from..];
            let length = line.find('\n').map_or(line.len(), |length| length + 1);
            if line.starts_with("\\.") && line[..length].trim_end_matches(['\r', '\n']) == "\\." {
                self.at = from + length;
                return &self.text[begin..from];
            }
            // On to the next line that begins with a backslash.
            from = line.find("\n\\.").map_or(rest, |length| from + length + 1);
        }
        self.at = rest;
        &self.text[begin..]
    }

    fn take_while(&mut self, mut wanted: impl FnMut(u8) -> bool) {
        while self.bytes.get(self.at).is_some_and(|byte| wanted(*byte)) {
            self.at += 1;
        }
    }

    fn skip_blanks(&mut self) -> Result<(), Unclosed> {
        loop {
            self.take_while(|byte| byte.is_ascii_whitespace() || byte == 0x0b);
            match (self.peek(0), self.peek(1)) {
                (b'-', b'-') => self.take_while(|byte| byte != b'\n'),
                (b'/', b'*') => self.block_comment()?,
                _ => return Ok(()),
            }
        }
    }

    /// Comments nest.
    fn block_comment(&mut self) -> Result<(), Unclosed> {
        let (offset, mut depth) = (self.at, 0);
        while self.at < self.bytes.len() {
            match (self.peek(0), self.peek(1)) {
                (b'/', b'*') => depth += 1,
                (b'*', b'/') => depth -= 1,
                _ => {
                    self.at += 1;
                    continue;
                }
            }
            self.at += 2;
            if depth == 0 {
                return Ok(());
            }
        }
        Err(Unclosed { offset, what: "a comment" })
    }

    fn word(&mut self) -> Result<TokenKind, Unclosed> {
        let start = self.at;
        self.take_while(is_name);
        let word = &self.bytes[start..self.at];
        if self.peek(0) == b'\'' && word.len() == 1 {
            match word[0].to_ascii_lowercase() {
                b'e' => {
                    self.string(true)?;
                    return Ok(TokenKind::String);
                }
                b'b' | b'x' | b'n' => {
                    self.string(!self.standard_strings)?;
                    return Ok(TokenKind::String);
                }
                _ => {}
            }
        }
        Ok(TokenKind::Word)
    }

    /// A string, and what continues it on a later line in the same spelling.
    fn string(&mut self, escapes: bool) -> Result<(), Unclosed> {
        loop {
            self.until_quote(b'\'', escapes, "a quoted string")?;
            let end = self.at;
            self.take_while(|byte| byte.is_ascii_whitespace());
            let continued = self.peek(0) == b'\'' && self.bytes[end..self.at].contains(&b'\n');
            if !continued {
                self.at = end;
                return Ok(());
            }
        }
    }

    /// From an opening quote to behind the closing one; a doubled quote is a character.
    fn until_quote(
        &mut self,
        quote: u8,
        escapes: bool,
        what: &'static str,
    ) -> Result<(), Unclosed> {
        let offset = self.at;
        self.at += 1;
        while let Some(&byte) = self.bytes.get(self.at) {
            if escapes && byte == b'\\' {
                self.at += 2;
            } else if byte != quote {
                self.at += 1;
            } else if self.peek(1) == quote {
                self.at += 2;
            } else {
                self.at += 1;
                return Ok(());
            }
        }
        Err(Unclosed { offset, what })
    }

    /// Reads `$tag$ … $tag$` if one begins here; else reads a parameter or nothing.
    fn dollar_quote(&mut self) -> Result<bool, Unclosed> {
        let start = self.at;
        let mut end = start + 1;
        if self.bytes.get(end).is_some_and(|byte| is_name_start(*byte)) {
            while self.bytes.get(end).is_some_and(|byte| is_name(*byte) && *byte != b'$') {
                end += 1;
            }
        }
        if self.bytes.get(end) != Some(&b'$') {
            return Ok(false);
        }
        let tag = &self.text[start..=end];
        let length = self.text[end + 1..]
            .find(tag)
            .ok_or(Unclosed { offset: start, what: "a dollar quote" })?;
        self.at = end + 1 + length + tag.len();
        Ok(true)
    }
}

fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn is_name(byte: u8) -> bool {
    is_name_start(byte) || byte.is_ascii_digit() || byte == b'$'
}
