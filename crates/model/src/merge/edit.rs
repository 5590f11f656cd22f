//! Changes to a text, line by line.

use reconcile_yaml::{Entry, Node, Out};

use super::value_end;

/// An entry of a mapping that is written line by line.
pub(super) enum Part<'a> {
    /// As it was.
    Kept(&'a str),
    /// A key and its value.
    New(&'a str, Out),
}

/// A text and what is to be changed in it.
pub(super) struct Edits<'t> {
    text: &'t str,
    /// Ranges and what takes their place; where they begin at the same byte, in this order.
    changes: Vec<(usize, usize, String)>,
    line_end: &'static str,
}

/// Where a value ends: not before its key does, and without the white space behind it.
pub(super) fn end_of(text: &str, key_end: usize, value_end: usize) -> usize {
    let end = value_end.max(key_end).min(text.len());
    key_end + text.get(key_end..end).map_or(0, |value| value.trim_end().len())
}

impl<'t> Edits<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let line_end = if text.contains("\r\n") { "\r\n" } else { "\n" };
        Self { text, changes: Vec::new(), line_end }
    }

    /// The text with all changes.
    pub(super) fn finish(mut self) -> String {
        self.changes.sort_by_key(|(start, end, _)| (*start, *end));
        let mut out = String::with_capacity(self.text.len());
        let mut at = 0;
        for (start, end, new) in &self.changes {
            if *start > at {
                out.push_str(&self.text[at..*start]);
            }
            if !new.is_empty() && !out.is_empty() && !out.ends_with('\n') && self.is_line(*start) {
                out.push_str(self.line_end);
            }
            out.push_str(new);
            at = at.max(*end);
        }
        out.push_str(&self.text[at..]);
        out
    }

    /// Whether a change begins a line of its own.
    fn is_line(&self, start: usize) -> bool {
        start == self.text.len() || self.text[..start].ends_with('\n')
    }

    /// The indentation of a mapping's keys, if each of them begins a line.
    pub(super) fn block(&self, node: &Node) -> Option<usize> {
        let mut indents = node.entries().iter().map(|entry| {
            let start = entry.key.span.start;
            let line = self.line_start(start);
            let blank = self.text.get(line..start)?.chars().all(|c| c == ' ');
            (blank && start >= node.span.start && start < node.span.end.max(start + 1))
                .then_some(start - line)
        });
        let first = indents.next()??;
        let flow = self.text[node.span.start..].starts_with('{');
        (!flow && indents.all(|indent| indent == Some(first))).then_some(first)
    }

    fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |n| n + 1)
    }

    /// The start of the line behind the one that `at` is in.
    fn next_line(&self, at: usize) -> usize {
        self.text[at..].find('\n').map_or(self.text.len(), |n| at + n + 1)
    }

    /// An entry as lines at an indentation; the key as it is given.
    fn lines(&self, key: &str, value: &Out, indent: usize) -> String {
        let text = Out::entry("k", value, 1);
        let text = text.strip_prefix("  k").unwrap_or(&text);
        let margin = " ".repeat(indent);
        let mut out = format!("{margin}{key}");
        for (at, line) in text.lines().enumerate() {
            if at > 0 && !line.is_empty() {
                out.push_str(&margin);
            }
            out.push_str(if at > 0 { line.strip_prefix("  ").unwrap_or(line) } else { line });
            out.push_str(self.line_end);
        }
        out
    }

    /// Gives an entry another value; its key stays as it is spelt.
    pub(super) fn replace(&mut self, entry: &Entry, value: &Out) {
        let key = entry.key.span;
        let spelt = self.text[key.start..key.end].to_owned();
        self.put(entry, &spelt, value);
    }

    /// Gives an entry another key and value.
    pub(super) fn replace_all(&mut self, entry: &Entry, key: &str, value: &Out) {
        self.put(entry, &spelt(key), value);
    }

    fn put(&mut self, entry: &Entry, key: &str, value: &Out) {
        let lines = self.lines(key, value, self.indent(entry));
        self.change(entry, lines);
    }

    /// Gives an entry a mapping with a line or more for each part.
    pub(super) fn replace_by_parts(&mut self, entry: &Entry, parts: &[Part<'_>]) {
        let (key, indent) = (entry.key.span, self.indent(entry));
        let margin = " ".repeat(indent);
        let mut lines = format!("{margin}{}:{}", &self.text[key.start..key.end], self.line_end);
        for part in parts {
            match part {
                Part::Kept(text) => lines.push_str(&format!("{margin}  {text}{}", self.line_end)),
                Part::New(key, value) => {
                    lines.push_str(&self.lines(&spelt(key), value, indent + 2));
                }
            }
        }
        self.change(entry, lines);
    }

    /// The text of an entry that stands on one line with others, if a line of its own can hold it.
    pub(super) fn inline(&self, entry: &Entry) -> Option<&'t str> {
        let text = self.text.get(entry.key.span.start..value_end(self.text, entry))?;
        let is_whole = !text.contains(['\n', '\r', '#']) && text.len() > entry.key.text.len();
        is_whole.then_some(text)
    }

    fn indent(&self, entry: &Entry) -> usize {
        entry.key.span.start - self.line_start(entry.key.span.start)
    }

    fn change(&mut self, entry: &Entry, lines: String) {
        let start = self.line_start(entry.key.span.start);
        let end = self.next_line(value_end(self.text, entry));
        self.changes.push((start, end, lines));
    }

    /// Takes an entry away, with the comments right above it.
    pub(super) fn remove(&mut self, entry: &Entry) {
        let start = self.with_comments(entry);
        let end = self.next_line(value_end(self.text, entry));
        self.changes.push((start, end, String::new()));
    }

    /// Where an entry begins with the comments right above it. What stands above the first key of a
    /// file is about the file.
    fn with_comments(&self, entry: &Entry) -> usize {
        let mut start = self.line_start(entry.key.span.start);
        let indent = entry.key.span.start - start;
        while indent > 0 && start > 0 {
            let above = self.line_start(start - 1);
            let line = &self.text[above..start];
            let own = line.len() - line.trim_start().len();
            if !line.trim_start().starts_with('#') || own != indent {
                break;
            }
            start = above;
        }
        start
    }

    /// Adds an entry at the end of a mapping.
    pub(super) fn append(&mut self, node: &Node, indent: usize, key: &str, value: &Out) {
        self.insert(node.entries().last(), node.entries(), indent, &spelt_key(key), value);
    }

    /// Adds an entry behind another one, or before all.
    pub(super) fn insert(
        &mut self,
        behind: Option<&Entry>,
        entries: &[Entry],
        indent: usize,
        key: &str,
        value: &Out,
    ) {
        let at = match (behind, entries.first()) {
            (Some(entry), _) => self.next_line(value_end(self.text, entry)),
            (None, Some(first)) => self.with_comments(first),
            (None, None) => self.text.len(),
        };
        let lines = self.lines(&spelt(key), value, indent);
        self.changes.push((at, at, lines));
    }
}

/// A key of ours, which needs no quotes.
fn spelt_key(key: &str) -> String {
    key.to_owned()
}

/// A key as the writer spells it.
fn spelt(key: &str) -> String {
    let text = Out::entry(key, &Out::Null, 0);
    text.trim_end().strip_suffix(": null").unwrap_or(key).to_owned()
}
