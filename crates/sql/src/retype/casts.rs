//! Casts to the old types, and which column each of them serves.

use std::ops::Range;

use crate::lex::TokenKind;
use crate::types::SqlType;

use super::ColumnRetype;
use super::text::Text;

impl Text<'_> {
    /// A cast to one of the old types that starts at `at`: the tokens of the type's name.
    pub(super) fn cast_at(&self, at: usize) -> Option<Range<usize>> {
        if !self.tokens[at].is("::") {
            return None;
        }
        self.sources.changes().find_map(|change| {
            let namespace = change.from.namespace.as_ref()?;
            let qualified = self.tokens.get(at + 3)?.ident()? == change.from.name
                && self.tokens[at + 2].is(".")
                && self.tokens[at + 1].ident().as_ref() == Some(namespace);
            qualified.then_some(at + 1..at + 4)
        })
    }

    /// The bytes of the cast at `at`, and what stands there instead.
    ///
    /// The choice gives exactly what the server deparses for a text that a person writes over the
    /// new type: a literal loses its cast and takes the type of its partner, an element of an
    /// array takes the type without modifiers (tried on 14 to 18).
    pub(super) fn edit(
        &self,
        at: usize,
        name: Range<usize>,
        to: &SqlType,
    ) -> (Range<usize>, String) {
        let literal = at > 0 && self.tokens[at - 1].kind == TokenKind::Text;
        let element = self
            .enclosing(at)
            .is_some_and(|o| o > 0 && self.tokens[o].is("[") && self.tokens[o - 1].is("array"));
        let bare = SqlType { modifiers: None, ..to.clone() };
        let (end, text) = match (literal, element) {
            (true, false) => {
                let brackets =
                    self.tokens[name.end..].iter().take_while(|t| t.is("[") || t.is("]")).count();
                (name.end + brackets, String::new())
            }
            (true, true) => (name.end, format!("::{bare}")),
            (false, _) if to.is_textual() => (name.end, "::text".to_owned()),
            (false, _) => (name.end, format!("::{to}")),
        };
        let last = self.tokens[end - 1];
        (self.tokens[at].start..last.start + last.text.len(), text)
    }

    /// The changing column that the cast at `at` serves; `None` if it serves another one.
    pub(super) fn belongs_to(&self, at: usize, name: &Range<usize>) -> Option<&ColumnRetype> {
        if let Some(found) = self.compared_with(at, name.end) {
            return found;
        }
        let (open, close) = self.group(at);
        (open..close).find_map(|i| self.reference(i)).map(|(change, _)| change)
    }

    /// The column on the other side of a comparison, if there is one on the other side.
    pub(super) fn compared_with(
        &self,
        cast: usize,
        mut after: usize,
    ) -> Option<Option<&ColumnRetype>> {
        while self.tokens.get(after).is_some_and(|t| t.is("[") || t.is("]")) {
            after += 1;
        }
        let mut before = cast.checked_sub(2);
        // ANY (ARRAY['a'::t, 'b'::t])
        if let Some(open) = self.enclosing(cast).filter(|&o| self.tokens[o].is("[")) {
            let any = open
                .checked_sub(3)
                .filter(|&i| self.tokens[i].is("any") || self.tokens[i].is("all"));
            before = Some(any?.checked_sub(1)?);
            after = self.tokens.len();
        } else if before.is_some_and(|b| self.tokens[b].is("(") && b > 0) {
            // ANY ('{a,b}'::t[])
            let b = before.unwrap_or_default();
            if self.tokens[b - 1].is("any") || self.tokens[b - 1].is("all") {
                before = b.checked_sub(2);
            }
        }
        if let Some(operator) = before.filter(|&b| self.is_comparison(b)) {
            return self.reference_before(self.comparison_start(operator));
        }
        if self.is_comparison(after) {
            return self.reference_after(after + 1);
        }
        None
    }
}
