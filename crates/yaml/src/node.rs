//! The tree.

use crate::{Meaning, Scalar, Style};

/// A range of bytes in one of the files that are read together.
#[derive(Default, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The number of the file.
    pub file: usize,
    /// The first byte.
    pub start: usize,
    /// The byte after the last one.
    pub end: usize,
}

impl Span {
    /// From the start of one span to the end of another.
    pub fn to(self, other: Self) -> Self {
        Self { end: other.end.max(self.start), ..self }
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A value and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its place.
    pub span: Span,
    /// What it is.
    pub value: Value,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A scalar.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Node>),
    /// A mapping in the order of the file; no key stands in it twice.
    Mapping(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Key,
    /// The value.
    pub value: Node,
}

/// A key of a mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its text, verbatim.
    pub text: String,
    /// Its place.
    pub span: Span,
    /// How it was written.
    pub style: Style,
}

impl Node {
    /// The scalar, if it is one.
    pub fn scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Value::Scalar(scalar) => Some(scalar),
            Value::Sequence(_) | Value::Mapping(_) => None,
        }
    }

    /// The text of a scalar that is text: quoted, or plain and neither null, flag nor number.
    pub fn text(&self) -> Option<&str> {
        self.scalar().filter(|s| s.meaning() == Meaning::Text).map(|s| s.text.as_str())
    }

    /// The flag, if it is one.
    pub fn flag(&self) -> Option<bool> {
        match self.scalar()?.meaning() {
            Meaning::Flag(flag) => Some(flag),
            Meaning::Null | Meaning::Number | Meaning::Text => None,
        }
    }

    /// Whether there is nothing, or null.
    pub fn is_null(&self) -> bool {
        self.scalar().is_some_and(|s| s.meaning() == Meaning::Null)
    }

    /// The items of a list; none if it is no list.
    pub fn items(&self) -> &[Self] {
        match &self.value {
            Value::Sequence(items) => items,
            Value::Scalar(_) | Value::Mapping(_) => &[],
        }
    }

    /// The entries of a mapping; none if it is no mapping.
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Mapping(entries) => entries,
            Value::Scalar(_) | Value::Sequence(_) => &[],
        }
    }

    /// The value under a key.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The entry of a key.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key.text == key)
    }

    /// How a person would call it: `a list`.
    pub fn what(&self) -> &'static str {
        match &self.value {
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
            Value::Scalar(scalar) => match scalar.meaning() {
                Meaning::Null => "nothing",
                Meaning::Flag(_) => "a flag",
                Meaning::Number => "a number",
                Meaning::Text => "text",
            },
        }
    }

    /// The place of some bytes of a scalar's text, where the file holds the text verbatim; the
    /// whole scalar elsewhere.
    pub fn within(&self, start: usize, end: usize) -> Span {
        let Some(scalar) = self.scalar() else { return self.span };
        let quote = match scalar.style {
            Style::Plain => 0,
            Style::Quoted => 1,
            Style::Block => return self.span,
        };
        if self.span.len() != scalar.text.len() + 2 * quote
            || end > scalar.text.len()
            || start > end
        {
            return self.span;
        }
        let base = self.span.start + quote;
        Span { start: base + start, end: base + end, ..self.span }
    }
}
