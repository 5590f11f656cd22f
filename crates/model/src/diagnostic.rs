//! Problems as reports: with the file, the line underlined, a code and a way out.

use std::fmt;
use std::sync::Arc;

use miette::{LabeledSpan, NamedSource, Severity, SourceCode};
use reconcile_yaml::{Label, Problem, Span};

/// The text of a file and the name under which reports show it.
#[derive(Clone, Debug)]
pub(crate) struct Source(NamedSource<Arc<String>>);

impl Source {
    pub(crate) fn new(name: &str, text: &str) -> Self {
        // Some editors write a byte-order mark; it says nothing.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self(NamedSource::new(name, Arc::new(text.to_owned())))
    }

    pub(crate) fn name(&self) -> &str {
        self.0.name()
    }

    pub(crate) fn text(&self) -> &str {
        self.0.inner()
    }

    pub(crate) fn locate(&self, span: Span) -> Located {
        let before = &self.text()[..span.start.min(self.text().len())];
        let line_start = before.rfind('\n').map_or(0, |n| n + 1);
        Located {
            file: self.0.name().to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            span: (span.start, span.end),
        }
    }
}

/// A place in a file of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The bytes from the start of the file, without a byte-order mark.
    pub span: (usize, usize),
}

impl fmt::Display for Located {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// One problem of a model.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    code: String,
    message: String,
    help: Option<String>,
    severity: Severity,
    source: Option<Source>,
    labels: Vec<Label>,
    related: Vec<Self>,
    located: Option<Located>,
}

impl Diagnostic {
    /// A problem that is in no file.
    pub(crate) fn without_source(code: &str, message: String, help: &str) -> Self {
        Self {
            code: format!("reconcile::model::{code}"),
            message,
            help: Some(help.to_owned()),
            severity: Severity::Error,
            source: None,
            labels: Vec::new(),
            related: Vec::new(),
            located: None,
        }
    }

    pub(crate) fn of(problem: Problem, sources: &[Source]) -> Self {
        let Problem { code, message, labels, help } = problem;
        let file = labels.first().map(|label| label.span.file);
        let (here, elsewhere): (Vec<_>, Vec<_>) =
            labels.into_iter().partition(|label| Some(label.span.file) == file);
        let source = file.and_then(|file| sources.get(file));
        let located = source.zip(here.first()).map(|(source, label)| source.locate(label.span));
        // A label in another file is a report of its own: miette shows one file at a time.
        let related = elsewhere.into_iter().map(|label| Self {
            message: label.text.clone(),
            severity: Severity::Advice,
            source: sources.get(label.span.file).cloned(),
            located: sources.get(label.span.file).map(|source| source.locate(label.span)),
            labels: vec![label],
            code: format!("reconcile::model::{code}"),
            help: None,
            related: Vec::new(),
        });
        Self {
            code: format!("reconcile::model::{code}"),
            message,
            help,
            severity: Severity::Error,
            related: related.collect(),
            source: source.cloned(),
            labels: here,
            located,
        }
    }

    /// The code: `reconcile::model::unknown_key`.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The place, if the problem is in a file.
    pub fn located(&self) -> Option<&Located> {
        self.located.as_ref()
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Diagnostic {}

impl miette::Diagnostic for Diagnostic {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        // Said once is enough.
        (self.severity == Severity::Error).then(|| Box::new(&self.code) as Box<dyn fmt::Display>)
    }

    fn severity(&self) -> Option<Severity> {
        Some(self.severity)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| &source.0 as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let labels = self.labels.iter().enumerate().map(|(n, label)| {
            let (span, text) = ((label.span.start, label.span.len()), Some(label.text.clone()));
            if n == 0 {
                LabeledSpan::new_primary_with_span(text, span)
            } else {
                LabeledSpan::new_with_span(text, span)
            }
        });
        Some(Box::new(labels))
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn miette::Diagnostic> + 'a>> {
        (!self.related.is_empty()).then(|| {
            Box::new(self.related.iter().map(|d| d as &dyn miette::Diagnostic))
                as Box<dyn Iterator<Item = &'a dyn miette::Diagnostic>>
        })
    }
}

/// All problems of a model, in the order of the files.
#[derive(Clone, Debug)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    pub(crate) fn of(mut problems: Vec<Problem>, sources: &[Source]) -> Self {
        problems.sort_by_key(|problem| problem.labels.first().map(|label| label.span));
        problems.dedup();
        Self(problems.into_iter().map(|problem| Diagnostic::of(problem, sources)).collect())
    }

    /// The problems.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.0.iter()
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(vec![diagnostic])
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => f.write_str("the model has a problem"),
            n => write!(f, "the model has {n} problems"),
        }
    }
}

impl std::error::Error for Diagnostics {}

impl miette::Diagnostic for Diagnostics {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn miette::Diagnostic> + 'a>> {
        Some(Box::new(self.0.iter().map(|d| d as &dyn miette::Diagnostic)))
    }
}
