//! Reads the whole catalog in one message.
//!
//! Invariant: what is returned was there all at once. The catalog's generation is asked for before
//! and after, inside the same message; if it moved, or an object vanished under the server's hands,
//! everything is read again.

use std::time::Duration;

use reconcile_catalog::Catalog;
use reconcile_kinds::online::{Afoot, split};
use reconcile_kinds::{Facts, KINDS, ReadError, Reader, Row};
use reconcile_sql::ServerVersion;

use crate::blockers::blockers_of_readers;
use crate::connect::Session;
use crate::error::Error;
use crate::reading::{self, Limits};
use crate::rows::TextRow;
use crate::{facts, generation};

/// How the catalog is read.
#[derive(Debug, Clone)]
pub struct ReadOptions {
    /// A namespace that is passed over: the journal's own.
    pub hidden_namespace: Option<String>,
    /// How long to wait for a relation that somebody holds exclusively.
    pub lock_timeout: Duration,
    /// How long one query may take.
    pub statement_timeout: Duration,
    /// Whether what online changes have made stays among the objects.
    pub whole: bool,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            hidden_namespace: None,
            lock_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(60),
            whole: false,
        }
    }
}

/// What is there.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The objects.
    pub catalog: Catalog,
    /// What online changes have made so far, apart from them.
    pub afoot: Afoot,
    /// What is no object; sizes are asked for when it is known of what.
    pub facts: Facts,
    /// The server.
    pub version: ServerVersion,
    /// A text that is another one once anything in the catalog changed.
    pub generation: String,
}

/// How often a moving catalog is read before that is an error.
const ATTEMPTS: u32 = 5;

impl Row for TextRow {
    fn get(&self, column: &str) -> Option<&str> {
        let index = self.columns().iter().position(|name| name == column)?;
        self.at(index)
    }
}

/// Reads the catalog as the session's role, in one message whatever the number of objects.
///
/// # Errors
/// If a lock is not had in time, with those who hold it; if the catalog never stands still; if the
/// server fails otherwise.
pub async fn introspect(session: &mut Session, options: &ReadOptions) -> Result<Snapshot, Error> {
    let sql = message(session, options);
    let mut last = None;
    for attempt in 1..=ATTEMPTS {
        let mut reading = Reading::new(options);
        match session.send_each(&sql, |row| reading.take(row)).await {
            Ok(()) => {
                if let Some(snapshot) = reading.finish(ServerVersion(session.version))? {
                    return Ok(snapshot);
                }
                last = None;
            }
            Err(Error::Server(error)) => {
                session.rollback().await?;
                if error.is_lock_timeout() {
                    let blockers = blockers_of_readers(session).await?;
                    // Who held it has let go a moment ago.
                    if blockers.is_empty() && attempt < ATTEMPTS {
                        last = Some(error);
                        continue;
                    }
                    let doing = "reading the catalog".to_owned();
                    return Err(Error::Blocked { doing, blockers, error });
                }
                if !vanished(&error.sqlstate) {
                    return Err(Error::Server(error));
                }
                last = Some(error);
            }
            Err(error) => return Err(error),
        }
        tokio::time::sleep(Duration::from_millis(50) * attempt).await;
    }
    Err(Error::Moving { target: session.target.display(), attempts: ATTEMPTS, last })
}

/// What the server says when an object goes while a function of its own looks at it: an internal
/// error (`cache lookup failed for …`), or that something does not exist.
fn vanished(sqlstate: &str) -> bool {
    matches!(sqlstate, "XX000" | "42P01" | "42703" | "42704" | "42883" | "3F000")
}

fn message(session: &Session, options: &ReadOptions) -> String {
    let version = ServerVersion(session.version);
    let limits = Limits { lock: options.lock_timeout, statement: options.statement_timeout };
    let mut statements = vec![generation::query()];
    statements.extend(KINDS.iter().flat_map(|kind| kind.queries(version)));
    statements.push(reconcile_kinds::dependencies());
    statements.extend(facts::queries(version, options.hidden_namespace.as_deref()));
    statements.push(generation::query());
    format!("{}{}; COMMIT", reading::begin(session, limits), statements.join("; "))
}

/// What was read so far. Rows are understood as they come and not kept.
struct Reading {
    reader: Reader,
    facts: Facts,
    generations: Vec<String>,
    failed: Option<ReadError>,
    whole: bool,
}

impl Reading {
    fn new(options: &ReadOptions) -> Self {
        Self {
            reader: Reader::new(options.hidden_namespace.clone()),
            facts: Facts::default(),
            generations: Vec::new(),
            failed: None,
            whole: options.whole,
        }
    }

    fn take(&mut self, row: &TextRow) {
        let understood = match Row::get(row, "kind") {
            Some("generation") => {
                self.generations.extend(Row::get(row, "generation").map(str::to_owned));
                Ok(())
            }
            _ if self.failed.is_some() => return,
            Some("depend") => self.reader.depend(row),
            Some("fact") => {
                facts::read(row, &mut self.facts);
                Ok(())
            }
            Some(name) => match reconcile_kinds::kind(name) {
                Some(kind) => kind.read(row, &mut self.reader),
                None => {
                    let reason = "no kind has this name".to_owned();
                    Err(ReadError { kind: name.to_owned(), reason })
                }
            },
            None => Ok(()),
        };
        if let Err(error) = understood {
            self.failed = Some(error);
        }
    }

    /// Nothing if the catalog moved meanwhile: what was read from a moving one can be anything, also
    /// something that was not understood.
    fn finish(self, version: ServerVersion) -> Result<Option<Snapshot>, Error> {
        let Self { reader, facts, generations, failed, whole } = self;
        let mut generations = generations.into_iter();
        let (before, after) = (generations.next(), generations.next());
        if before != after {
            return Ok(None);
        }
        if let Some(failed) = failed {
            return Err(failed.into());
        }
        let generation = before.unwrap_or_default();
        let all = whole.then(|| reader.catalog.clone());
        let (base, afoot) = split(reader.catalog);
        let catalog = all.unwrap_or(base);
        Ok(Some(Snapshot { catalog, afoot, facts, version, generation }))
    }
}
