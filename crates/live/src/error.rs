//! What can go wrong on the way to the database and in it.
//!
//! Invariant: no text of this module holds a password, and none is the driver's own rendering of a
//! server's message, which appends a line number of the server's C source to it.

use std::fmt;

use sqlx::postgres::{PgDatabaseError, PgErrorPosition, PgSeverity};

use crate::blockers::Blocker;
use crate::preflight::Unreadable;
use crate::statements;

/// Any failure of the connection to the user's database.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// No session was had.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The server refused a statement; the connection is still there.
    #[error(transparent)]
    Server(Box<ServerError>),
    /// The connection ended while it was in use.
    #[error(
        "the connection to {target} was lost: {reason}. What ran at that moment was rolled back, \
         unless it was the commit itself; look before you repeat it"
    )]
    Lost {
        /// The database, without the password.
        target: String,
        /// The server's last words or the network's.
        reason: String,
    },
    /// The server is older than what is supported.
    #[error("{target} runs PostgreSQL {version}; 13 is the oldest that is supported: upgrade it")]
    TooOld {
        /// The database, without the password.
        target: String,
        /// The server's version as it says it.
        version: String,
    },
    /// The session cannot take the wanted role.
    #[error(
        "{login} cannot SET ROLE {role}: {error}. Name a role that exists, or let a member of it \
         log in (GRANT {role} TO {login})"
    )]
    Role {
        /// The role that was asked for.
        role: String,
        /// The role that logged in.
        login: String,
        /// What the server says.
        error: Box<ServerError>,
    },
    /// The driver and the server did not understand each other.
    #[error("{target} answered in a way that the driver does not understand: {reason}")]
    Protocol {
        /// The database, without the password.
        target: String,
        /// The driver's words.
        reason: String,
    },
    /// Somebody's lock was in the way for longer than we wait.
    #[error("{doing} had to wait for a lock for too long{}", listed(blockers))]
    Blocked {
        /// What we were doing.
        doing: String,
        /// Who holds it, as far as it could be found out.
        blockers: Vec<Blocker>,
        /// What the server says.
        error: Box<ServerError>,
    },
    /// The catalog was never the same before and after it was read.
    #[error(
        "the catalog of {target} changed each of the {attempts} times it was read{}; try again when \
         nobody creates, alters or drops objects there",
        last.as_ref().map(|e| format!(" ({e})")).unwrap_or_default()
    )]
    Moving {
        /// The database, without the password.
        target: String,
        /// How often it was read.
        attempts: u32,
        /// The last error that came of it, if there was one.
        last: Option<Box<ServerError>>,
    },
    /// A row of the catalog is not what its reader expects: a bug, or a server of another make.
    #[error(transparent)]
    Row(#[from] reconcile_kinds::ReadError),
    /// Rows that have to be looked at are out of sight.
    #[error("cannot look at the rows of {}", unreadable_list(.0))]
    Unreadable(Vec<Unreadable>),
}

fn listed(blockers: &[Blocker]) -> String {
    blockers.iter().map(|b| format!("; {b}")).collect()
}

fn unreadable_list(relations: &[Unreadable]) -> String {
    let shown: Vec<String> = relations.iter().map(ToString::to_string).collect();
    shown.join("; ")
}

impl Error {
    /// The server's own message, if there is one.
    pub fn server(&self) -> Option<&ServerError> {
        match self {
            Self::Server(error) | Self::Role { error, .. } => Some(error),
            Self::Blocked { error, .. } => Some(error),
            Self::Moving { last, .. } => last.as_deref(),
            Self::Connect(error) => error.server.as_deref(),
            Self::Lost { .. }
            | Self::TooOld { .. }
            | Self::Protocol { .. }
            | Self::Row(_)
            | Self::Unreadable(_) => None,
        }
    }

    /// The SQLSTATE of the server's message, if there is one.
    pub fn sqlstate(&self) -> Option<&str> {
        self.server().map(|error| error.sqlstate.as_str())
    }
}

/// Why no connection was had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectKind {
    /// The server knows another password, or no such role.
    WrongPassword,
    /// The server wants a password and none is known.
    NoPassword,
    /// The server lets this role in by no rule of its pg_hba.conf.
    Rejected,
    /// The role that should log in does not exist.
    NoSuchRole,
    /// The role may not connect to this database.
    NoPrivilege,
    /// The database does not exist.
    NoSuchDatabase,
    /// The host's name has no address.
    UnknownHost,
    /// Nothing answers at the address.
    Unreachable,
    /// The answer took too long.
    TimedOut,
    /// The encrypted channel could not be set up, or the certificate is not trusted.
    Tls,
    /// The server has no connection to spare.
    TooManyConnections,
    /// The server is starting up, shutting down or recovering.
    NotAccepting,
    /// A pooler stands between and refuses a start-up parameter.
    StartUpParameter,
    /// Something else.
    Other,
}

impl ConnectKind {
    /// What the user can do about it.
    pub fn way_out(self) -> &'static str {
        match self {
            Self::WrongPassword => {
                "Check the user and the password; in a URL, percent-encode what is special in them \
                 (@ is %40, / is %2F, : is %3A)"
            }
            Self::NoPassword => "Give it in the URL, in PGPASSWORD or in ~/.pgpass",
            Self::Rejected => {
                "Ask for a line in the server's pg_hba.conf, or try sslmode=require if it speaks \
                 of no encryption"
            }
            Self::NoSuchRole => "Check the user's name, or create the role with LOGIN",
            Self::NoPrivilege => "Grant it: GRANT CONNECT ON DATABASE … TO …",
            Self::NoSuchDatabase => "Check the name after the last / of the URL",
            Self::UnknownHost => "Check the host's name, and that this machine's DNS knows it",
            Self::Unreachable => {
                "Check host and port, that the server runs and listens there, and the firewall"
            }
            Self::TimedOut => {
                "Check host, port and firewall, or allow more time with connect_timeout in the URL"
            }
            Self::Tls => {
                "Name the authority's certificate with sslrootcert=FILE and the host as it stands \
                 in the certificate; sslmode=require encrypts without checking who answers"
            }
            Self::TooManyConnections => "Wait, or close a session that is idle",
            Self::NotAccepting => "Wait until the server is up and try again",
            Self::StartUpParameter => {
                "Leave `options` out, or connect to the server itself instead of its pooler"
            }
            Self::Other => "See the server's log for more",
        }
    }
}

/// A connection that was not had.
#[derive(Debug, Clone)]
pub struct ConnectError {
    /// The database, without the password.
    pub target: String,
    /// The reason, for decisions.
    pub kind: ConnectKind,
    /// The reason in the server's or the system's words, without the password.
    pub reason: String,
    /// The server's message, if it was the server who refused.
    pub server: Option<Box<ServerError>>,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot connect to {}: {}. {}", self.target, self.reason, self.kind.way_out())
    }
}

impl std::error::Error for ConnectError {}

/// Where in a statement the server found the error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The byte in [`ServerError::statement`].
    pub offset: usize,
    /// The line of the statement, from 1.
    pub line: usize,
    /// The character in that line, from 1.
    pub column: usize,
}

/// A message of the server with all its fields.
///
/// <https://www.postgresql.org/docs/current/protocol-error-fields.html>
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerError {
    /// `ERROR`, `FATAL` or `PANIC`.
    pub severity: String,
    /// The five characters that name the error in every language.
    pub sqlstate: String,
    /// The message.
    pub message: String,
    /// More about it.
    pub detail: Option<String>,
    /// What the server suggests.
    pub hint: Option<String>,
    /// The call stack of functions and statements inside of the server.
    pub context: Option<String>,
    /// The statement inside of a function that failed.
    pub internal_query: Option<String>,
    /// The namespace that the error is about.
    pub schema: Option<String>,
    /// The table that the error is about.
    pub table: Option<String>,
    /// The column that the error is about.
    pub column: Option<String>,
    /// The data type that the error is about.
    pub data_type: Option<String>,
    /// The constraint or index that the error is about.
    pub constraint: Option<String>,
    /// The one statement, of those sent together, that failed.
    pub statement: Option<String>,
    /// How many statements stood before it in what was sent.
    pub statement_index: usize,
    /// Where in that statement.
    pub position: Option<Position>,
}

impl ServerError {
    /// Takes the driver's error apart; `sql` is what was sent behind `skipped` characters that are
    /// not the caller's, `completed` counts the statements that were done when the error came.
    pub(crate) fn new(
        error: &PgDatabaseError,
        sql: &str,
        skipped: usize,
        completed: usize,
    ) -> Self {
        let text = |field: Option<&str>| field.map(str::to_owned);
        let severity = match error.severity() {
            PgSeverity::Panic => "PANIC",
            PgSeverity::Fatal => "FATAL",
            _ => "ERROR",
        };
        let mut server = Self {
            severity: severity.to_owned(),
            sqlstate: error.code().to_owned(),
            message: error.message().to_owned(),
            detail: text(error.detail()),
            hint: text(error.hint()),
            context: text(error.r#where()),
            schema: text(error.schema()),
            table: text(error.table()),
            column: text(error.column()),
            data_type: text(error.data_type()),
            constraint: text(error.constraint()),
            statement_index: completed,
            ..Self::default()
        };
        let sent = match error.position() {
            // Counted in characters from 1, over everything that was sent.
            Some(PgErrorPosition::Original(at)) => {
                let characters = at.saturating_sub(1 + skipped);
                Some(sql.char_indices().nth(characters).map_or(sql.len(), |(byte, _)| byte))
            }
            Some(PgErrorPosition::Internal { query, .. }) => {
                server.internal_query = Some(query.to_owned());
                None
            }
            None => None,
        };
        server.locate(sql, sent);
        server
    }

    /// Changes the texts that the server wrote.
    pub(crate) fn map_texts(mut self, change: impl Fn(&str) -> String) -> Self {
        self.message = change(&self.message);
        for text in [&mut self.detail, &mut self.hint, &mut self.context] {
            *text = text.as_deref().map(&change);
        }
        self
    }

    fn locate(&mut self, sql: &str, sent: Option<usize>) {
        let ranges = statements::ranges(sql);
        if let Some(at) = sent {
            // An error at the end of a statement points just behind it.
            let found = ranges.iter().position(|range| at <= range.end);
            self.statement_index = found.unwrap_or(ranges.len().saturating_sub(1));
        }
        let Some(range) = ranges.get(self.statement_index) else { return };
        let statement = &sql[range.clone()];
        self.statement = Some(statement.to_owned());
        self.position = sent.map(|at| {
            let offset = at.saturating_sub(range.start).min(statement.len());
            let before = &statement[..offset];
            let line_start = before.rfind('\n').map_or(0, |at| at + 1);
            Position {
                offset,
                line: before.matches('\n').count() + 1,
                column: before[line_start..].chars().count() + 1,
            }
        });
    }

    /// True for an error after which the server closes the connection.
    pub fn is_fatal(&self) -> bool {
        self.severity != "ERROR"
    }

    /// True if the statement was cancelled, by a user or by statement_timeout.
    pub fn is_cancelled(&self) -> bool {
        self.sqlstate == "57014"
    }

    /// True if the server ran out of something: a disk, memory, or what a setting allows (class 53).
    pub fn is_exhausted(&self) -> bool {
        self.sqlstate.starts_with("53")
    }

    /// True if a lock was not had in time.
    pub fn is_lock_timeout(&self) -> bool {
        self.sqlstate == "55P03"
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (SQLSTATE {})", self.message, self.sqlstate)?;
        for (name, text) in [("detail", &self.detail), ("hint", &self.hint)] {
            if let Some(text) = text {
                write!(f, "; {name}: {text}")?;
            }
        }
        if let (Some(at), Some(statement)) = (self.position, &self.statement) {
            let line = statement.lines().nth(at.line - 1).unwrap_or("").trim();
            write!(f, "; at line {}, column {}: {line}", at.line, at.column)?;
        }
        Ok(())
    }
}

impl std::error::Error for ServerError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_told_within_its_own_statement() {
        let sql = "SELECT 'ä;';\n  ALTER TABLE t\n  ADD COLUM x int; SELECT 2";
        let mut error = ServerError::default();
        error.locate(sql, sql.find("COLUM"));
        assert_eq!(error.statement.as_deref(), Some("ALTER TABLE t\n  ADD COLUM x int"));
        assert_eq!(error.statement_index, 1);
        assert_eq!(error.position, Some(Position { offset: 20, line: 2, column: 7 }));

        let mut error = ServerError { statement_index: 2, ..ServerError::default() };
        error.locate(sql, None);
        assert_eq!(error.statement.as_deref(), Some("SELECT 2"));
        assert_eq!(error.position, None);

        let mut error = ServerError::default();
        error.locate("SELECT", Some(6));
        assert_eq!(error.position.map(|p| p.column), Some(7));
    }
}
