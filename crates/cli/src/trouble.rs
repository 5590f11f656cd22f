//! Errors as people see them: a code, a sentence, the place in the SQL, the way out.

use std::error::Error;
use std::fmt;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};
use reconcile_live::error::{Error as LiveError, ServerError};
use reconcile_live::journal::JournalError;
use reconcile_live::target::TargetError;
use reconcile_report::PlanFileError;
use reconcile_throwaway::Error as ThrowawayError;

/// An error with a code and, where there is one, a way out.
#[derive(Debug)]
pub(crate) struct Trouble {
    code: &'static str,
    message: String,
    help: Option<String>,
    sql: Option<NamedSource<String>>,
    labels: Vec<LabeledSpan>,
}

impl Trouble {
    /// An error; `code` names its sort.
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: None, sql: None, labels: Vec::new() }
    }

    /// Sets the way out.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// What the server said about a statement, with the statement.
    pub(crate) fn server(error: &ServerError) -> Self {
        let mut out =
            Self::new("server", format!("{} (SQLSTATE {})", error.message, error.sqlstate));
        let said = [("Detail", &error.detail), ("Hint", &error.hint), ("Context", &error.context)];
        let said: Vec<String> = said
            .iter()
            .filter_map(|(name, text)| text.as_ref().map(|text| format!("{name}: {text}")))
            .collect();
        if !said.is_empty() {
            out.help = Some(said.join("\n"));
        }
        if let Some(statement) = &error.statement {
            let label = match error.position {
                Some(at) => LabeledSpan::at(at.offset..word_end(statement, at.offset), "here"),
                None => LabeledSpan::at(0..first_line(statement), "this statement"),
            };
            out.labels.push(label);
            out.sql = Some(NamedSource::new("statement", statement.clone()).with_language("SQL"));
        }
        out
    }

    /// Adds to the way out.
    pub(crate) fn also(mut self, more: &str) -> Self {
        self.help = Some(match self.help {
            Some(help) => format!("{help}\n{more}"),
            None => more.to_owned(),
        });
        self
    }

    /// Puts a sentence before the message.
    pub(crate) fn because(mut self, what: &str) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }
}

fn word_end(text: &str, from: usize) -> usize {
    let rest = text.get(from..).unwrap_or("");
    let word = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
    from + word.max(rest.chars().next().map_or(0, char::len_utf8))
}

fn first_line(text: &str) -> usize {
    text.find('\n').unwrap_or(text.len())
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Trouble {}

impl Diagnostic for Trouble {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(format!("reconcile::{}", self.code)))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.sql.as_ref().map(|sql| sql as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        (!self.labels.is_empty()).then(|| Box::new(self.labels.iter().cloned()) as Box<_>)
    }
}

impl From<LiveError> for Trouble {
    fn from(error: LiveError) -> Self {
        match &error {
            LiveError::Connect(e) => {
                Self::new("connect", format!("cannot connect to {}: {}", e.target, e.reason))
                    .help(e.kind.way_out())
            }
            LiveError::Server(e) => Self::server(e),
            LiveError::Role { .. } => Self::new("role", error.to_string()),
            LiveError::Lost { .. } => Self::new("connection_lost", error.to_string()),
            LiveError::TooOld { .. } => Self::new("server_too_old", error.to_string()),
            LiveError::Protocol { .. } => Self::new("protocol", error.to_string()),
            _ => Self::new("database", error.to_string()),
        }
    }
}

impl From<TargetError> for Trouble {
    fn from(error: TargetError) -> Self {
        Self::new("database_url", format!("--live (or DATABASE_URL): {error}"))
    }
}

impl From<ThrowawayError> for Trouble {
    fn from(error: ThrowawayError) -> Self {
        match &error {
            ThrowawayError::NoServer { .. } => Self::new("no_server", error.to_string()),
            ThrowawayError::Statement(_) | ThrowawayError::Unclosed { .. } => {
                Self::new("script", error.to_string())
                    .help("The file is run as psql would run it; load it there to see more.")
            }
            _ => Self::new("throwaway", error.to_string()),
        }
    }
}

impl From<PlanFileError> for Trouble {
    fn from(error: PlanFileError) -> Self {
        Self::new("plan_file", error.to_string())
    }
}

impl From<JournalError> for Trouble {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Server(error) => error.into(),
            other => Self::new("journal", other.to_string()),
        }
    }
}
