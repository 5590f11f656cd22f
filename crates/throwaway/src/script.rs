//! Splits a script into statements as psql does (`src/fe_utils/psqlscan.l`).
//!
//! Invariant: every piece is a slice of the script, in order, and nothing but white space,
//! comments and semicolons lies between the pieces. What the server would read otherwise than
//! psql (COPY data, backslash lines) is a piece of its own.

mod lexer;

use lexer::Lexer;
pub use lexer::{Token, TokenKind, Unclosed};

/// A part of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece<'a> {
    /// The line that it begins on, counted from 1.
    pub line: usize,
    /// What it is.
    pub kind: Kind<'a>,
}

/// What a part of a script is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind<'a> {
    /// A statement, without its semicolon.
    Statement(&'a str),
    /// `COPY … FROM stdin` and the data that follow it, without the closing `\.`.
    Copy {
        /// The statement, without its semicolon.
        statement: &'a str,
        /// The data, as the server shall get them.
        data: &'a str,
    },
    /// A command to psql: a backslash and the rest of the line.
    Backslash(&'a str),
}

/// Splits a script; the error says what is opened and never closed.
pub fn split(script: &str) -> Result<Vec<Piece<'_>>, Unclosed> {
    Splitter { lexer: Lexer::new(script), script, lines: LineCounter::default() }.run()
}

/// The first words of a statement in lower case; quoted names, strings and signs end them.
pub fn head_words(statement: &str, at_most: usize) -> Vec<String> {
    let mut lexer = Lexer::new(statement);
    let mut words = Vec::new();
    while words.len() < at_most
        && let Ok(token) = lexer.next_token()
        && token.kind == TokenKind::Word
    {
        words.push(token.text(statement).to_ascii_lowercase());
    }
    words
}

/// The tokens of a statement, comments left out; it ends early where a quote is never closed.
pub fn tokens(statement: &str) -> Vec<Token> {
    let mut lexer = Lexer::new(statement);
    let next = || lexer.next_token().ok().filter(|token| token.kind != TokenKind::End);
    std::iter::from_fn(next).collect()
}

/// The major version of the server that a pg_dump was made from, as its heading says.
pub fn dumped_from(script: &str) -> Option<u32> {
    let heading = script.lines().take(30);
    let mut rest =
        heading.filter_map(|line| line.trim().strip_prefix("-- Dumped from database version "));
    rest.next()?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Counts lines of offsets that are asked for in rising order.
#[derive(Default)]
struct LineCounter {
    offset: usize,
    newlines: usize,
}

impl LineCounter {
    fn line_of(&mut self, script: &str, offset: usize) -> usize {
        let between = &script.as_bytes()[self.offset..offset];
        self.newlines += between.iter().filter(|byte| **byte == b'\n').count();
        self.offset = offset;
        self.newlines + 1
    }
}

struct Splitter<'a> {
    script: &'a str,
    lexer: Lexer<'a>,
    lines: LineCounter,
}

/// What is known of the statement that is being read.
#[derive(Default)]
struct Pending {
    start: Option<usize>,
    /// The first four words, by which psql knows a function's definition.
    head: Vec<String>,
    /// How deep in parentheses.
    parentheses: usize,
    /// How deep in BEGIN … END of a function body that is not a string.
    begins: usize,
    is_copy: bool,
    after_from: bool,
    from_stdin: bool,
}

impl Pending {
    fn word(&mut self, word: &str) {
        let word = word.to_ascii_lowercase();
        if self.parentheses == 0 {
            if self.defines_routine() {
                match word.as_str() {
                    "begin" => self.begins += 1,
                    "case" if self.begins > 0 => self.begins += 1,
                    "end" => self.begins = self.begins.saturating_sub(1),
                    _ => {}
                }
            }
            self.from_stdin |= self.is_copy && self.after_from && word == "stdin";
        }
        self.after_from = word == "from";
        if self.head.len() < 4 {
            self.head.push(word);
        }
    }

    /// Whether a semicolon here ends the statement.
    fn is_outside(&self) -> bool {
        self.parentheses == 0 && self.begins == 0
    }

    fn defines_routine(&self) -> bool {
        let head: Vec<&str> = self.head.iter().map(String::as_str).collect();
        matches!(
            head.as_slice(),
            ["create", "function" | "procedure", ..]
                | ["create", "or", "replace", "function" | "procedure"]
        )
    }
}

impl<'a> Splitter<'a> {
    fn run(mut self) -> Result<Vec<Piece<'a>>, Unclosed> {
        let mut pieces = Vec::new();
        let mut pending = Pending::default();
        loop {
            let token = self.lexer.next_token()?;
            let text = token.text(self.script);
            match token.kind {
                TokenKind::End => {
                    self.finish(&mut pending, token.start, &mut pieces);
                    return Ok(pieces);
                }
                TokenKind::Backslash => {
                    self.backslash(&mut pending, token, &mut pieces);
                    continue;
                }
                TokenKind::Sign if text == ";" && pending.is_outside() => {
                    self.finish(&mut pending, token.start, &mut pieces);
                    continue;
                }
                TokenKind::Sign if text == "(" => pending.parentheses += 1,
                TokenKind::Sign if text == ")" => {
                    pending.parentheses = pending.parentheses.saturating_sub(1);
                }
                TokenKind::Word => {
                    if pending.start.is_none() {
                        pending.is_copy = text.eq_ignore_ascii_case("copy");
                    }
                    pending.word(text);
                }
                _ => {}
            }
            if token.kind != TokenKind::Word {
                pending.after_from = false;
                // A statement that does not begin with words has no head.
                if pending.start.is_none() {
                    pending.head.push(String::new());
                }
            }
            pending.start.get_or_insert(token.start);
        }
    }

    /// Ends the pending statement before `end`; the lexer stands behind what ended it.
    fn finish(&mut self, pending: &mut Pending, end: usize, pieces: &mut Vec<Piece<'a>>) {
        let pending = std::mem::take(pending);
        let Some(start) = pending.start else { return };
        let line = self.lines.line_of(self.script, start);
        let statement = self.script[start..end].trim_end();
        let kind = if pending.from_stdin {
            Kind::Copy { statement, data: self.lexer.take_copy_data() }
        } else {
            // psql lexes as the server is set (PQparameterStatus), so an old dump's SET counts.
            if pending.head.first().is_some_and(|word| word == "set")
                && let Some(on) = standard_strings(statement)
            {
                self.lexer.standard_strings = on;
            }
            Kind::Statement(statement)
        };
        pieces.push(Piece { line, kind });
    }

    fn backslash(&mut self, pending: &mut Pending, token: Token, pieces: &mut Vec<Piece<'a>>) {
        // `\;` only parts statements; whatever else comes sends or follows what was read.
        self.finish(pending, token.start, pieces);
        if self.script[token.end..].starts_with(';') {
            return;
        }
        let line = self.lines.line_of(self.script, token.start);
        pieces.push(Piece { line, kind: Kind::Backslash(self.lexer.take_line(token.start)) });
    }
}

/// What `SET standard_conforming_strings` sets, if the statement is that.
fn standard_strings(statement: &str) -> Option<bool> {
    let tokens = tokens(statement);
    let mut texts = tokens.iter().map(|token| token.text(statement).to_ascii_lowercase());
    texts.by_ref().find(|text| text == "standard_conforming_strings")?;
    let value = texts.nth(1)?;
    Some(!matches!(value.trim_matches('\''), "off" | "false" | "no" | "0"))
}

#[cfg(test)]
mod tests;
