//! Sends SQL and receives rows as text, by the simple protocol.
//!
//! Invariant: this is the only place that hands SQL of ours to the driver. Nothing is prepared, so
//! a transaction pooler has nothing to mix up, and one call is one round trip whatever the number
//! of statements.

use std::borrow::Cow;
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Column as _, Either, PgConnection, Row as _, ValueRef as _};

use crate::connect::Session;
use crate::error::{Error, ServerError};
use crate::target::Target;

/// The rows of one statement.
#[derive(Debug, Clone, Default)]
pub struct ResultSet {
    /// The rows in the server's order.
    pub rows: Vec<TextRow>,
    /// How many rows the statement returned or changed, as the server counts.
    pub rows_affected: u64,
}

/// One row, its values as the server writes them.
#[derive(Debug, Clone)]
pub struct TextRow {
    columns: Arc<[String]>,
    text: Box<str>,
    cells: Box<[Option<(u32, u32)>]>,
}

impl TextRow {
    /// The value of a column, none for NULL.
    ///
    /// # Panics
    ///
    /// If the result has no such column: the statement and its reader then disagree.
    pub fn get(&self, column: &str) -> Option<&str> {
        match self.columns.iter().position(|name| name == column) {
            Some(index) => self.at(index),
            None => panic!("the result has no column {column:?}, only {:?}", self.columns),
        }
    }

    /// The value of a column by its number from 0, none for NULL.
    ///
    /// # Panics
    ///
    /// If the result has fewer columns.
    pub fn at(&self, index: usize) -> Option<&str> {
        self.cells[index].map(|(start, end)| &self.text[start as usize..end as usize])
    }

    /// The names of the columns, shared by all rows of a statement.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// None if a value is not UTF-8, which a server does not send to a client with that encoding.
    fn new(row: &PgRow, columns: &Arc<[String]>) -> Option<Self> {
        let mut text = String::new();
        let mut cells = Vec::with_capacity(columns.len());
        for index in 0..columns.len() {
            let value = row.try_get_raw(index).ok()?;
            if value.is_null() {
                cells.push(None);
                continue;
            }
            let start = offset(&text);
            text.push_str(value.as_str().ok()?);
            cells.push(Some((start, offset(&text))));
        }
        Some(Self { columns: Arc::clone(columns), text: text.into(), cells: cells.into() })
    }
}

/// A message of the protocol, and so a row, is shorter than 2 GiB.
fn offset(text: &str) -> u32 {
    u32::try_from(text.len()).expect("a row is one message, whose length is a 31-bit number")
}

impl Session {
    /// Sends statements in one message and returns all their rows, in order.
    ///
    /// Several statements in one message are one transaction unless they say otherwise. After an
    /// error behind a `BEGIN` in the same message the transaction is still open, as failed: end it
    /// with [`Session::rollback`].
    pub async fn send(&mut self, sql: &str) -> Result<Vec<TextRow>, Error> {
        let sets = self.send_sets(sql).await?;
        Ok(sets.into_iter().flat_map(|set| set.rows).collect())
    }

    /// Sends statements in one message and returns the rows of each statement by itself.
    pub async fn send_sets(&mut self, sql: &str) -> Result<Vec<ResultSet>, Error> {
        let (sql, skip) = self.tagged(sql);
        send(&mut self.conn, &self.target, &sql, skip).await
    }

    /// Sends statements in one message and hands over each row as it comes, so that all of them
    /// need not be kept. The server works on the next one meanwhile.
    pub(crate) async fn send_each(
        &mut self,
        sql: &str,
        mut take: impl FnMut(&TextRow) + Send,
    ) -> Result<(), Error> {
        let (sql, skip) = self.tagged(sql);
        let take = |step: Received| match step {
            Received::Row(row) => take(&row),
            Received::Done(_) => {}
        };
        receive(&mut self.conn, &self.target, &sql, skip, take).await
    }

    /// The statements as they are sent, and how many bytes in front are not the caller's.
    fn tagged<'a>(&self, sql: &'a str) -> (Cow<'a, str>, usize) {
        match &self.tag {
            Some(tag) => (Cow::Owned(format!("{tag}{sql}")), tag.len()),
            None => (Cow::Borrowed(sql), 0),
        }
    }

    /// Ends an open transaction without keeping what it did; harmless if there is none.
    pub async fn rollback(&mut self) -> Result<(), Error> {
        self.send_sets("ROLLBACK").await.map(|_| ())
    }
}

/// Sends `sql`, whose first `skip` bytes are not the caller's and are left out of errors.
pub(crate) async fn send(
    conn: &mut PgConnection,
    target: &Target,
    sql: &str,
    skip: usize,
) -> Result<Vec<ResultSet>, Error> {
    let mut done = Vec::new();
    let mut current = ResultSet::default();
    let take = |step: Received| match step {
        Received::Row(row) => current.rows.push(row),
        Received::Done(rows_affected) => {
            current.rows_affected = rows_affected;
            done.push(std::mem::take(&mut current));
        }
    };
    receive(conn, target, sql, skip, take).await?;
    Ok(done)
}

/// What comes in answer to a message.
enum Received {
    Row(TextRow),
    /// The end of a statement, and how many rows it returned or changed.
    Done(u64),
}

async fn receive(
    conn: &mut PgConnection,
    target: &Target,
    sql: &str,
    skip: usize,
    mut take: impl FnMut(Received) + Send,
) -> Result<(), Error> {
    let mut completed = 0;
    let mut columns: Option<Arc<[String]>> = None;
    let mut broken = false;
    let mut stream = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_many(conn);
    loop {
        match stream.try_next().await {
            Ok(None) => break,
            Ok(Some(Either::Left(result))) => {
                take(Received::Done(result.rows_affected()));
                completed += 1;
                columns = None;
            }
            Ok(Some(Either::Right(row))) => {
                let columns = columns.get_or_insert_with(|| {
                    row.columns().iter().map(|column| column.name().to_owned()).collect()
                });
                // A value that cannot be read does not stop the reading: the connection is only
                // usable again when everything was received.
                match TextRow::new(&row, columns) {
                    Some(row) => take(Received::Row(row)),
                    None => broken = true,
                }
            }
            Err(error) => return Err(from_driver(error, target, sql, skip, completed)),
        }
    }
    if broken {
        let reason = "a value is not UTF-8, although that is the connection's encoding".to_owned();
        return Err(Error::Protocol { target: target.display(), reason });
    }
    Ok(())
}

/// Translates an error of a connection that stood.
fn from_driver(
    error: sqlx::Error,
    target: &Target,
    sql: &str,
    skip: usize,
    completed: usize,
) -> Error {
    let reason = match error {
        sqlx::Error::Database(error) => {
            let error = error.downcast_ref::<sqlx::postgres::PgDatabaseError>();
            let server = ServerError::new(error, &sql[skip..], skip, completed);
            // Class 08 is a broken connection, 57P01 to 57P03 a server that goes down.
            let ends = server.sqlstate.starts_with("08") || server.sqlstate.starts_with("57P0");
            if !server.is_fatal() && !ends {
                return Error::Server(Box::new(server));
            }
            target.scrub(&server.to_string())
        }
        sqlx::Error::Io(error) => match error.kind() {
            std::io::ErrorKind::UnexpectedEof => "the other side closed it".to_owned(),
            _ => target.scrub(&error.to_string()),
        },
        sqlx::Error::Tls(error) => target.scrub(&error.to_string()),
        other => {
            let reason = target.scrub(&other.to_string());
            return Error::Protocol { target: target.display(), reason };
        }
    };
    Error::Lost { target: target.display(), reason }
}
