//! Where the order of values matters, and where a column meets one of another type.

use crate::keywords;
use crate::lex::{Token, TokenKind};

use super::text::Text;

impl Text<'_> {
    pub(super) fn compares_order(&self) -> bool {
        let ordering = |t: Option<&Token<'_>>| {
            t.is_some_and(|t| ["<", ">", "<=", ">=", "between"].iter().any(|o| t.is(o)))
        };
        self.references().filter(|&(start, _)| self.reorders(start)).any(|(start, end)| {
            let call = self
                .enclosing(start)
                .and_then(|o| o.checked_sub(1))
                .and_then(|i| self.tokens[i].ident());
            ordering(self.tokens.get(end))
                || ordering(start.checked_sub(1).and_then(|i| self.tokens.get(i)))
                || call.is_some_and(|name| {
                    ["min", "max", "greatest", "least"].contains(&name.as_str())
                })
        })
    }

    /// Whether the values of the changing column at `at` sort in another way afterwards.
    fn reorders(&self, at: usize) -> bool {
        self.reference(at).is_some_and(|(c, _)| !c.from.sorts_like(&c.to))
    }

    /// Whether a changing column is compared with a plain column that is none.
    pub(super) fn meets_other(&self) -> bool {
        self.references()
            .filter(|&(start, _)| {
                self.reference(start).is_some_and(|(c, _)| c.from.namespace.is_some())
            })
            .any(|(start, end)| {
                let after = self.is_comparison(end) && self.is_other_column(end + 1);
                let before = start
                    .checked_sub(1)
                    .filter(|&at| self.is_comparison(at))
                    .map(|at| self.comparison_start(at));
                after || before.is_some_and(|at| matches!(self.reference_before(at), Some(None)))
            })
    }

    /// Whether a plain column stands at `at` that is none of the changing ones.
    pub(super) fn is_other_column(&self, at: usize) -> bool {
        if self.reference(at).is_some() || self.tokens.get(at).and_then(Token::ident).is_none() {
            return false;
        }
        let end = if self.tokens.get(at + 1).is_some_and(|t| t.is(".")) { at + 3 } else { at + 1 };
        let word = &self.tokens[at];
        let keyword =
            word.kind == TokenKind::Word && keywords::must_quote(&word.text.to_lowercase());
        !keyword && !self.tokens.get(end).is_some_and(|t| t.is("(") || t.is("::"))
    }

    pub(super) fn sorts(&self) -> bool {
        let mut sorting: Option<Option<usize>> = None;
        for at in 0..self.tokens.len() {
            if at > 0 && self.tokens[at].is("by") && self.tokens[at - 1].is("order") {
                sorting = Some(self.enclosing(at));
            } else if sorting.is_some()
                && ["limit", "offset", "fetch", "union", "window"]
                    .iter()
                    .any(|w| self.tokens[at].is(w))
            {
                sorting = None;
            }
            let Some(group) = sorting else { continue };
            if self.tokens[at].is(")") && self.matching_open(at) == group {
                sorting = None;
            } else if self.reorders(at)
                && self.reference(at).is_some_and(|(_, end)| !self.is_cast_away(at, end))
            {
                return true;
            }
        }
        false
    }
}
