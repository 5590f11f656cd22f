//! Values in `{…}` and `[…]` that a comma cut: `{type: numeric(10, 2)}` reads as the type
//! `numeric(10` and a key `2)`.
//!
//! No SQL has an open parenthesis at its end, so that such a value is recognised for sure.

use super::{Builder, Inside};
use crate::{Entry, Node, Problem, Scalar, Span, Style, Value};

impl Builder<'_> {
    /// Joins the entries that a comma made of one value.
    pub(super) fn join_entries(&mut self, entries: Vec<Entry>) -> Vec<Entry> {
        let mut out: Vec<Entry> = Vec::with_capacity(entries.len());
        let mut rest = entries.into_iter().peekable();
        while let Some(mut entry) = rest.next() {
            if let Some(mut open) = open_parentheses(&entry.value) {
                let start = entry.value.span;
                let mut end = start;
                while open > 0 {
                    let Some(next) = rest.next_if(|e| e.value.is_null() && e.value.span.is_empty())
                    else {
                        break;
                    };
                    open += balance(&next.key.text);
                    end = next.key.span;
                }
                entry.value = self.cut(start.to(end));
            }
            out.push(entry);
        }
        out
    }

    /// Joins the items that a comma made of one value.
    pub(super) fn join_items(&mut self, items: Vec<Node>) -> Vec<Node> {
        let mut out: Vec<Node> = Vec::with_capacity(items.len());
        let mut rest = items.into_iter().peekable();
        while let Some(mut item) = rest.next() {
            if let Some(mut open) = open_parentheses(&item) {
                let start = item.span;
                let mut end = start;
                while open > 0 {
                    let Some(next) = rest.next_if(|i| i.scalar().is_some()) else { break };
                    open += next.scalar().map_or(0, |s| balance(&s.text));
                    end = next.span;
                }
                item = self.cut(start.to(end));
            }
            out.push(item);
        }
        out
    }

    fn cut(&mut self, span: Span) -> Node {
        self.problems.push(cut(self.text, span));
        let text = self.text[span.start..span.end].to_owned();
        Node { span, value: Value::Scalar(Scalar { text, style: Style::Quoted }) }
    }

    /// The value that a comma cut before the parser gave up, if that is what happened.
    pub(super) fn cut_before(&self, at: usize) -> Option<Problem> {
        let open = self.open.last().filter(|open| open.flow)?;
        let value = match &open.inside {
            Inside::Sequence(items) => items.last(),
            Inside::Mapping(entries, _) => entries.last().map(|entry| &entry.value),
        };
        let value = value.filter(|value| open_parentheses(value).is_some())?;
        let line = self.text[value.span.start..]
            .find('\n')
            .map_or(self.text.len(), |n| value.span.start + n);
        let mut depth = 0;
        let closed = self.text[value.span.start..line].char_indices().find(|&(_, c)| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            c == ')' && depth == 0
        });
        let end =
            closed.map_or(at.min(line).max(value.span.end), |(n, _)| value.span.start + n + 1);
        Some(cut(self.text, Span { end, ..value.span }))
    }
}

fn cut(source: &str, span: Span) -> Problem {
    let whole = source[span.start..span.end].trim_end();
    let quoted = if whole.contains('"') || whole.contains('\\') {
        format!("'{}'", whole.replace('\'', "''"))
    } else {
        format!("\"{whole}\"")
    };
    Problem::new("cut_by_comma", "a comma cuts this value in two")
        .at(
            Span { end: span.start + whole.len(), ..span },
            "between { } and [ ] a comma ends the value",
        )
        .help(format!("put it in quotes: {quoted}"))
}

/// How many parentheses a plain value leaves open; nothing if none.
fn open_parentheses(node: &Node) -> Option<i32> {
    let scalar = node.scalar().filter(|s| s.style == Style::Plain)?;
    Some(balance(&scalar.text)).filter(|open| *open > 0)
}

fn balance(text: &str) -> i32 {
    text.chars().map(|c| i32::from(c == '(') - i32::from(c == ')')).sum()
}
