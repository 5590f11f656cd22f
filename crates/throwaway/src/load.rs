//! Loads a script into a throw-away server.
//!
//! Invariant: every statement of the script either took effect exactly once, or is in the report
//! with the reason why it did not, or is the error that is returned. Statements are sent in
//! groups where PostgreSQL makes a group one transaction; a group that fails has done nothing and
//! is sent again one by one, so an error is always that of one statement.

use std::time::Duration;

use sqlx::postgres::{PgConnection, PgDatabaseError};
use sqlx::{AssertSqlSafe, Connection, Executor, Row};

use crate::script::{self, Kind, Piece};
use crate::trace::Trace;
use crate::{Error, Server, StatementError};

mod failure;
mod manner;
mod remedy;

use failure::Failure;
use manner::{Manner, manner};

/// A group is sent when it has this many statements …
const GROUP_STATEMENTS: usize = 200;
/// … or this many bytes.
const GROUP_BYTES: usize = 256 * 1024;
/// COPY data go out in pieces of this size.
const COPY_CHUNK: usize = 256 * 1024;
/// How often a statement is sent again at the most (a role made, a race lost).
const ATTEMPTS: u32 = 50;

/// What happened while a script was loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadReport {
    /// What was not run, in the order of the script.
    pub skipped: Vec<Skipped>,
    /// Extensions that the script creates and the server does not have.
    pub missing_extensions: Vec<String>,
    /// Roles that the script names and that were made, without login.
    pub created_roles: Vec<String>,
    /// How many statements took effect.
    pub statements: usize,
    /// How many rows COPY brought in.
    pub copied_rows: u64,
}

/// A statement or backslash line that was not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The line that it begins on, counted from 1.
    pub line: usize,
    /// Its beginning, on one line.
    pub statement_head: String,
    /// Why it was not run.
    pub reason: String,
}

/// Loads what pg_dump (or a person) wrote into a database, which is made if it is missing.
///
/// `file_name` is what errors call the script. Afterwards the database is analysed, so that the
/// planner's statistics speak of the rows that are in it.
pub async fn load(
    server: &Server,
    database: &str,
    sql: &str,
    file_name: &str,
) -> Result<LoadReport, Error> {
    let pieces = script::split(sql).map_err(|unclosed| Error::Unclosed {
        file: file_name.to_owned(),
        line: sql[..unclosed.offset].matches('\n').count() + 1,
        what: unclosed.what,
    })?;
    server.create_database(database).await?;
    let connection = server.connect(database).await?;
    let mut loader = Loader {
        server,
        connection,
        file: file_name,
        trace: Trace::new(&pieces),
        report: LoadReport::default(),
        in_transaction: false,
        begun: (0, String::new()),
    };
    loader.run(&pieces).await?;
    if !sql.contains("pg_restore_relation_stats") {
        loader.analyse().await;
    }
    let Loader { connection, mut report, .. } = loader;
    let _ = connection.close().await;
    report.skipped.sort_by_key(|skipped| skipped.line);
    Ok(report)
}

struct Loader<'a> {
    server: &'a Server,
    connection: PgConnection,
    file: &'a str,
    trace: Trace,
    report: LoadReport,
    /// Whether the script itself has begun a transaction.
    in_transaction: bool,
    /// Where it has begun the last one.
    begun: (usize, String),
}

impl Loader<'_> {
    async fn run(&mut self, pieces: &[Piece<'_>]) -> Result<(), Error> {
        let mut group: Vec<(usize, &str)> = Vec::new();
        let mut bytes = 0;
        let mut group_manner = Manner::Alone;
        for piece in pieces {
            match piece.kind {
                Kind::Statement(text) => {
                    if let Some(reason) = remedy::not_for_us(text) {
                        self.skip(piece.line, text, reason.to_owned());
                        continue;
                    }
                    let manner = manner(text);
                    if manner != group_manner
                        || group.len() >= GROUP_STATEMENTS
                        || bytes >= GROUP_BYTES
                    {
                        self.send_group(&std::mem::take(&mut group)).await?;
                        bytes = 0;
                        group_manner = manner;
                    }
                    match manner {
                        Manner::Definition | Manner::Rows => {
                            bytes += text.len();
                            group.push((piece.line, text));
                        }
                        Manner::Alone => self.send(piece.line, text, true).await?,
                        Manner::Begin | Manner::End => {
                            self.send(piece.line, text, false).await?;
                            self.in_transaction = manner == Manner::Begin;
                            self.begun = (piece.line, text.to_owned());
                        }
                    }
                }
                Kind::Copy { statement, data } => {
                    self.send_group(&std::mem::take(&mut group)).await?;
                    bytes = 0;
                    self.copy(piece.line, statement, data).await?;
                }
                Kind::Backslash(text) => {
                    if let Some(reason) = remedy::backslash(text) {
                        self.skip(piece.line, text, reason.to_owned());
                    }
                }
            }
        }
        self.send_group(&group).await?;
        if self.in_transaction {
            self.execute("ROLLBACK").await.map_err(self.broken())?;
            let (line, text) = std::mem::take(&mut self.begun);
            self.skip(line, &text, "this transaction is never committed, so it is undone".into());
        }
        Ok(())
    }

    /// Sends statements as one message, which is one transaction; if it fails, one by one.
    async fn send_group(&mut self, group: &[(usize, &str)]) -> Result<(), Error> {
        if group.len() > 1 {
            let texts: Vec<&str> = group.iter().map(|(_, text)| *text).collect();
            // A line comment may end a statement.
            match self.execute_guarded(&texts.join("\n;\n")).await {
                Ok(()) => {
                    self.report.statements += group.len();
                    return Ok(());
                }
                Err(error) => {
                    self.database_error(error)?;
                    self.undo().await?;
                }
            }
        }
        for (line, text) in group {
            self.send(*line, text, true).await?;
        }
        Ok(())
    }

    /// Sends one statement, and again after a cure; `guard` unless it steers transactions.
    async fn send(&mut self, line: usize, text: &str, guard: bool) -> Result<(), Error> {
        let guard = guard && !remedy::steers_transaction(text);
        for attempt in 1.. {
            let result = match guard {
                true => self.execute_guarded(text).await,
                false => self.execute(text).await,
            };
            let Err(error) = result else { break };
            let error = self.database_error(error)?;
            if guard {
                self.undo().await?;
            }
            if !self.cure(line, text, &error, attempt).await? {
                return Ok(());
            }
        }
        self.report.statements += 1;
        Ok(())
    }

    async fn copy(&mut self, line: usize, statement: &str, data: &str) -> Result<(), Error> {
        for attempt in 1.. {
            if self.in_transaction {
                self.execute("SAVEPOINT reconcile_load").await.map_err(self.broken())?;
            }
            match self.copy_once(statement, data).await {
                Ok(rows) => {
                    self.report.copied_rows += rows;
                    if self.in_transaction {
                        let release = "RELEASE SAVEPOINT reconcile_load";
                        self.execute(release).await.map_err(self.broken())?;
                    }
                    break;
                }
                Err(error) => {
                    let error = self.database_error(error)?;
                    self.undo().await?;
                    let error = Failure { copy: true, ..error };
                    if !self.cure(line, statement, &error, attempt).await? {
                        return Ok(());
                    }
                }
            }
        }
        self.report.statements += 1;
        Ok(())
    }

    async fn copy_once(&mut self, statement: &str, data: &str) -> Result<u64, sqlx::Error> {
        let mut copy = self.connection.copy_in_raw(statement).await?;
        for chunk in data.as_bytes().chunks(COPY_CHUNK) {
            if let Err(error) = copy.send(chunk).await {
                // The server's own error comes with the end.
                return copy.finish().await.and(Err(error));
            }
        }
        copy.finish().await
    }

    /// Acts on a failure: true to send the statement again, false if it was skipped.
    async fn cure(
        &mut self,
        line: usize,
        text: &str,
        failure: &Failure,
        attempt: u32,
    ) -> Result<bool, Error> {
        match remedy::cure(text, failure, &self.report, &self.trace) {
            _ if attempt >= ATTEMPTS => {}
            remedy::Cure::Fail => {}
            remedy::Cure::Again => {
                tokio::time::sleep(Duration::from_millis(u64::from(attempt.min(20)))).await;
                return Ok(true);
            }
            remedy::Cure::MakeRole(role) => {
                self.server.create_role(&role).await?;
                self.report.created_roles.push(role);
                if self.in_transaction {
                    self.notice_changes().await?;
                }
                return Ok(true);
            }
            remedy::Cure::MakeTablespace(name) => {
                self.server.create_tablespace(&name).await?;
                return Ok(true);
            }
            remedy::Cure::Skip(reason) => {
                self.skip(line, text, reason);
                return Ok(false);
            }
            remedy::Cure::MissingExtension => {
                let name = remedy::extension_name(text);
                if !self.report.missing_extensions.contains(&name) {
                    self.report.missing_extensions.push(name);
                }
                self.skip(line, text, failure.message.clone());
                return Ok(false);
            }
            remedy::Cure::BlameExtension => {
                self.trace.lose(text);
                let missing = self.report.missing_extensions.join(", ");
                self.skip(
                    line,
                    text,
                    format!("{} (missing extensions: {missing})", failure.message),
                );
                return Ok(false);
            }
        }
        Err(self.refused(line, text, failure))
    }

    /// Makes the session see, inside of a transaction, what another session has just made.
    ///
    /// A session remembers that it did not find a role until it reads invalidations, which in a
    /// transaction it does when it takes a lock that it does not hold yet (LockRelationOid in
    /// src/backend/storage/lmgr/lmgr.c).
    async fn notice_changes(&mut self) -> Result<(), Error> {
        self.execute("SAVEPOINT reconcile_load").await.map_err(self.broken())?;
        if let Err(error) = self.execute("LOCK TABLE pg_catalog.pg_am IN ROW SHARE MODE").await {
            self.database_error(error)?;
        }
        self.undo().await
    }

    /// Counts the rows of what the script made. The catalog is left out, which would take longer
    /// than all else. It cannot fail the load: an index expression may raise an error on its own.
    async fn analyse(&mut self) {
        let query = sqlx::raw_sql(
            "SELECT pg_catalog.string_agg(pg_catalog.format('%I.%I', n.nspname, c.relname), ', ') \
             FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relkind IN ('r', 'm', 'p') AND n.nspname <> 'information_schema' \
             AND n.nspname !~ '^pg_'",
        );
        let _ = self.execute("RESET SESSION AUTHORIZATION").await;
        let row = self.connection.fetch_one(query).await;
        if let Some(tables) = row.ok().and_then(|row| row.get::<Option<String>, _>(0)) {
            let _ = self.execute(&format!("ANALYZE {tables}")).await;
        }
    }

    fn skip(&mut self, line: usize, text: &str, reason: String) {
        self.report.skipped.push(Skipped { line, statement_head: head(text), reason });
    }

    fn refused(&self, line: usize, text: &str, failure: &Failure) -> Error {
        let offset = failure.position.unwrap_or(1).saturating_sub(1);
        let inside = text.chars().take(offset).filter(|character| *character == '\n').count();
        // COPY says the line of the data, which begin below the statement.
        let below = failure.copy.then(|| failure.data_line()).flatten().unwrap_or(0);
        let statement_lines = if below > 0 { text.matches('\n').count() } else { 0 };
        Error::Statement(Box::new(StatementError {
            file: self.file.to_owned(),
            line: line + inside + statement_lines + below,
            statement_line: line,
            statement_head: head(text),
            code: failure.code.clone(),
            message: failure.message.clone(),
            detail: failure.detail.clone(),
            hint: failure.hint.clone(),
            context: failure.context.clone(),
        }))
    }

    /// Inside of the script's own transaction a failure must not abort it.
    async fn execute_guarded(&mut self, text: &str) -> Result<(), sqlx::Error> {
        if !self.in_transaction {
            return self.execute(text).await;
        }
        self.execute("SAVEPOINT reconcile_load").await?;
        self.execute(text).await?;
        self.execute("RELEASE SAVEPOINT reconcile_load").await
    }

    async fn undo(&mut self) -> Result<(), Error> {
        match self.in_transaction {
            true => self
                .execute("ROLLBACK TO SAVEPOINT reconcile_load; RELEASE SAVEPOINT reconcile_load")
                .await
                .map_err(self.broken()),
            false => Ok(()),
        }
    }

    async fn execute(&mut self, text: &str) -> Result<(), sqlx::Error> {
        let query = sqlx::raw_sql(AssertSqlSafe(text.to_owned()));
        self.connection.execute(query).await.map(|_| ())
    }

    /// The server's words, or the error that ends the load because there is no server any more.
    fn database_error(&self, error: sqlx::Error) -> Result<Failure, Error> {
        let failure = error
            .as_database_error()
            .and_then(|inner| inner.try_downcast_ref::<PgDatabaseError>())
            .map(Failure::new);
        failure.ok_or_else(|| self.broken()(error))
    }

    fn broken(&self) -> impl FnOnce(sqlx::Error) -> Error + use<> {
        Error::database(format!("{}: the throw-away server cannot go on", self.file))
    }
}

/// The beginning of a statement on one line.
fn head(text: &str) -> String {
    let mut head = String::new();
    for word in text.split_whitespace() {
        if !head.is_empty() {
            head.push(' ');
        }
        head.push_str(word);
        if head.chars().count() > 80 {
            return head.chars().take(79).chain(['…']).collect();
        }
    }
    head
}
