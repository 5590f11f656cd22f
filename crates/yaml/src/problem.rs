//! What is wrong with a file, where, and what to do about it.

use crate::Span;

/// A problem at one or more places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// A word that names the sort of problem: `unknown_key`.
    pub code: &'static str,
    /// What is wrong, in a sentence without a full stop.
    pub message: String,
    /// The places, the most important one first.
    pub labels: Vec<Label>,
    /// The way out.
    pub help: Option<String>,
}

/// A place and what there is to say about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// What is there.
    pub text: String,
}

impl Problem {
    /// A problem that still needs its place.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), labels: Vec::new(), help: None }
    }

    /// Adds a place.
    #[must_use]
    pub fn at(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    /// Sets the way out.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
