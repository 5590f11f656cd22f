//! The text as tokens: references to columns, and the structure around them.

use crate::lex::{Token, TokenKind};

use super::ColumnRetype;
use super::sources::Sources;

/// A text and what its names mean.
pub(super) struct Text<'a> {
    pub(super) tokens: Vec<Token<'a>>,
    pub(super) sources: Sources,
}

impl Text<'_> {
    /// The changing column that a reference starting at `at` means, and where it ends.
    pub(super) fn reference(&self, at: usize) -> Option<(&ColumnRetype, usize)> {
        let first = self.tokens.get(at)?.ident()?;
        let after_dot = at > 0 && self.tokens[at - 1].is(".");
        if self.tokens.get(at + 1).is_some_and(|t| t.is(".")) {
            let name = self.tokens.get(at + 2)?.ident()?;
            let change = self.sources.qualified(&first, &name)?;
            return Some((change, at + 3));
        }
        if after_dot || self.tokens.get(at + 1).is_some_and(|t| t.is("(")) {
            return None;
        }
        self.sources.bare(&first).map(|change| (change, at + 1))
    }

    /// The reference that ends right before `end`: the changing column, or `Some(None)` for
    /// another column.
    pub(super) fn reference_before(&self, end: usize) -> Option<Option<&ColumnRetype>> {
        let last = end.checked_sub(1)?;
        if self.tokens[last].is(")") {
            let inner = self.matching_open(last)?;
            // `(role)`, but not `f(role)` and not `(role)::text`, which ends before the cast.
            return (inner + 1 < last && !self.is_call(inner))
                .then(|| self.reference_before(last))
                .flatten();
        }
        self.tokens[last].ident()?;
        if last > 0 && self.tokens[last - 1].is("::") {
            return None;
        }
        let start = if last >= 2 && self.tokens[last - 1].is(".") { last - 2 } else { last };
        Some(self.reference(start).map(|(change, _)| change))
    }

    pub(super) fn reference_after(&self, mut at: usize) -> Option<Option<&ColumnRetype>> {
        while self.tokens.get(at).is_some_and(|t| t.is("(")) {
            at += 1;
        }
        self.tokens.get(at)?.ident()?;
        Some(self.reference(at).map(|(change, _)| change))
    }

    /// Whether the reference that ends at `end` is cast away: `(role)::text`.
    pub(super) fn is_cast_away(&self, start: usize, end: usize) -> bool {
        let wrapped = start > 0
            && self.tokens[start - 1].is("(")
            && self.tokens.get(end).is_some_and(|t| t.is(")"));
        self.tokens.get(end).is_some_and(|t| t.is("::"))
            || (wrapped && self.tokens.get(end + 1).is_some_and(|t| t.is("::")))
    }

    pub(super) fn references(&self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.tokens.len())
            .filter_map(|at| self.reference(at).map(|(_, end)| (at, end)))
            .filter(|&(start, end)| !self.is_cast_away(start, end))
    }

    pub(super) fn is_comparison(&self, at: usize) -> bool {
        self.tokens.get(at).is_some_and(|t| {
            (t.kind == TokenKind::Operator && t.text != "::")
                || (t.is("from") && self.comparison_start(at) < at)
        })
    }

    /// `IS NOT DISTINCT FROM` starts at IS.
    pub(super) fn comparison_start(&self, at: usize) -> usize {
        if self.tokens[at].is("from") && at >= 2 && self.tokens[at - 1].is("distinct") {
            let not = usize::from(self.tokens[at - 2].is("not"));
            return at.saturating_sub(2 + not);
        }
        at
    }

    /// The innermost open parenthesis or bracket around a token.
    pub(super) fn enclosing(&self, at: usize) -> Option<usize> {
        let mut depth = 0_i32;
        (0..at).rev().find(|&i| {
            match self.tokens[i].text {
                ")" | "]" => depth += 1,
                "(" | "[" if depth > 0 => depth -= 1,
                "(" | "[" => return true,
                _ => {}
            }
            false
        })
    }

    /// The innermost group around a token: between its parentheses, or the item of a list.
    pub(super) fn group(&self, at: usize) -> (usize, usize) {
        let open = self.enclosing(at).map_or(0, |o| o + 1);
        let mut depth = 0_i32;
        let close = (at..self.tokens.len()).find(|&i| {
            match self.tokens[i].text {
                "(" | "[" => depth += 1,
                ")" | "]" if depth == 0 => return true,
                ")" | "]" => depth -= 1,
                _ => {}
            }
            false
        });
        let close = close.unwrap_or(self.tokens.len());
        if open > 0 {
            return (open, close);
        }
        // Outside any parenthesis: the item between two commas or clauses of the query.
        let breaks = |i: &usize| {
            let t = &self.tokens[*i];
            [",", "select", "from", "where", "group", "order", "having", "union", ";"]
                .iter()
                .any(|w| t.is(w))
        };
        let start = (open..at).rev().find(breaks).map_or(open, |i| i + 1);
        let end = (at..close).find(breaks).unwrap_or(close);
        (start, end)
    }

    pub(super) fn matching_open(&self, close: usize) -> Option<usize> {
        self.enclosing(close)
    }

    /// Whether the parenthesis belongs to a function's name.
    pub(super) fn is_call(&self, open: usize) -> bool {
        open > 0
            && match self.tokens[open - 1].kind {
                TokenKind::Word => ![
                    "and", "or", "not", "when", "then", "else", "case", "where", "on", "any", "all",
                ]
                .iter()
                .any(|w| self.tokens[open - 1].is(w)),
                TokenKind::Quoted => true,
                _ => false,
            }
    }

    /// The parenthesis that closes one.
    pub(super) fn closing(&self, open: usize) -> Option<usize> {
        let mut depth = 0_i32;
        (open..self.tokens.len()).find(|&at| {
            match self.tokens[at].text {
                "(" => depth += 1,
                ")" => depth -= 1,
                _ => {}
            }
            depth == 0
        })
    }
}
