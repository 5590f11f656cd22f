//! Reads the journal, for `status` and `rollback`.

use std::collections::BTreeMap;
use std::time::Duration;

use reconcile_catalog::Address;
use reconcile_sql::quote_literal;
use serde::Serialize;

use super::saved::Cells;
use super::{Journal, JournalError, Saved};
use crate::apply::Pause;
use crate::connect::Session;
use crate::rows::TextRow;
use crate::standing::{AtWork, Done};

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// It began, and has not ended or its program was killed.
    Running,
    /// All its steps are done.
    Done,
    /// It ended before its last step.
    Stopped,
    /// A later run undid it.
    RolledBack,
}

/// One apply, or one rollback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Run {
    /// Its number, from 1.
    pub id: i64,
    /// How it stands.
    pub state: RunState,
    /// When it began, in UTC.
    pub started: String,
    /// When it ended, in UTC.
    pub finished: Option<String>,
    /// The role that it acted as.
    pub role: String,
    /// The role that logged in.
    pub login: String,
    /// The address that it came from, as the server saw it; `local` for a socket.
    pub client: String,
    /// The `application_name`.
    pub application: String,
    /// The version of the program.
    pub tool: String,
    /// The digest of its plan.
    pub plan_digest: String,
    /// The fingerprint that the plan was made for.
    pub fingerprint: String,
    /// The digest of the model.
    pub model_digest: String,
    /// Where its stamp moves from and to.
    pub stamp: Option<(String, String)>,
    /// The run that it undoes.
    pub undoes: Option<i64>,
    /// Whether it only ended an online change.
    pub ends: bool,
    /// The unfinished run of the same model before it.
    pub continues: Option<i64>,
    /// Why it stopped.
    pub error: Option<String>,
    /// How many steps it has.
    pub steps: usize,
    /// How many of them are done.
    pub steps_done: usize,
}

impl Run {
    /// Whether it began and did not get to its end.
    pub fn is_unfinished(&self) -> bool {
        matches!(self.state, RunState::Running | RunState::Stopped)
    }
}

/// How a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Nothing of it is done.
    Planned,
    /// It began outside of a transaction; the catalog says how far it got.
    Running,
    /// It is done.
    Done,
    /// It failed outside of a transaction.
    Failed,
}

/// A step of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepRecord {
    /// Its number in the plan, from 1.
    pub number: usize,
    /// The number of its batch, from 1.
    pub batch: usize,
    /// What it does, a line each.
    pub summary: String,
    /// The statement.
    pub sql: String,
    /// How it stands.
    pub state: StepState,
    /// When it began, in UTC.
    pub started: Option<String>,
    /// When it ended, in UTC.
    pub finished: Option<String>,
    /// How long its transaction waited for its locks.
    pub lock_wait_ms: Option<u64>,
    /// How long its transaction held them.
    pub hold_ms: Option<u64>,
    /// Of a step that is done in pieces: how many are done, and how many there are.
    pub pieces: Option<(u64, u64)>,
}

/// A time as text in UTC, whatever the session's TimeZone is.
fn utc(column: &str) -> String {
    format!("to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') AS {column}")
}

impl Journal {
    /// All runs, the latest first.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub async fn runs(&self, session: &mut Session) -> Result<Vec<Run>, JournalError> {
        let step = self.sql_name("step");
        let sql = format!(
            "SELECT id, state, {}, {}, role, login, client, application, tool, plan_digest, \
             fingerprint, model_digest, stamp_from, stamp_to, undoes, to_jsonb(r) ->> 'ends' AS ends, continues, error, \
             (SELECT count(*) FROM {step} s WHERE s.run = r.id) AS steps, \
             (SELECT count(*) FROM {step} s WHERE s.run = r.id AND s.state = 'done') AS steps_done \
             FROM {} r ORDER BY id DESC",
            utc("started"),
            utc("finished"),
            self.sql_name("run"),
        );
        session.send(&sql).await?.iter().map(|row| self.run(row)).collect()
    }

    fn run(&self, row: &TextRow) -> Result<Run, JournalError> {
        let owned = |column: &str| row.get(column).map(str::to_owned);
        let text = |column: &str| owned(column).unwrap_or_default();
        let state = match row.get("state") {
            Some("running") => RunState::Running,
            Some("done") => RunState::Done,
            Some("stopped") => RunState::Stopped,
            Some("rolled_back") => RunState::RolledBack,
            other => return Err(self.unreadable(format!("a run is `{}`", other.unwrap_or("")))),
        };
        Ok(Run {
            id: self.parse(row, "id")?,
            state,
            started: text("started"),
            finished: owned("finished"),
            role: text("role"),
            login: text("login"),
            client: text("client"),
            application: text("application"),
            tool: text("tool"),
            plan_digest: text("plan_digest"),
            fingerprint: text("fingerprint"),
            model_digest: text("model_digest"),
            stamp: owned("stamp_from").zip(owned("stamp_to")),
            undoes: self.parse_option(row, "undoes")?,
            // The tables of an earlier release do not say.
            ends: row.get("ends") == Some("true"),
            continues: self.parse_option(row, "continues")?,
            error: owned("error"),
            steps: self.parse(row, "steps")?,
            steps_done: self.parse(row, "steps_done")?,
        })
    }

    /// The steps of a run, in order.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub async fn steps(
        &self,
        session: &mut Session,
        run: i64,
    ) -> Result<Vec<StepRecord>, JournalError> {
        let sql = format!(
            "SELECT number, batch, summary, sql, state, {}, {}, lock_wait_ms, hold_ms, \
             to_jsonb(s) ->> 'pieces_done' AS pieces_done, to_jsonb(s) ->> 'pieces' AS pieces FROM {} s \
             WHERE run = {run} ORDER BY number",
            utc("started"),
            utc("finished"),
            self.sql_name("step"),
        );
        let rows = session.send(&sql).await?;
        let step = |row: &TextRow| {
            let state = match row.get("state") {
                Some("planned") => StepState::Planned,
                Some("running") => StepState::Running,
                Some("done") => StepState::Done,
                Some("failed") => StepState::Failed,
                other => {
                    return Err(self.unreadable(format!("a step is `{}`", other.unwrap_or(""))));
                }
            };
            Ok(StepRecord {
                number: self.parse(row, "number")?,
                batch: self.parse(row, "batch")?,
                summary: row.get("summary").unwrap_or_default().to_owned(),
                sql: row.get("sql").unwrap_or_default().to_owned(),
                state,
                started: row.get("started").map(str::to_owned),
                finished: row.get("finished").map(str::to_owned),
                lock_wait_ms: self.parse_option(row, "lock_wait_ms")?,
                hold_ms: self.parse_option(row, "hold_ms")?,
                // The tables of an earlier release have none.
                pieces: self
                    .parse_option(row, "pieces_done")?
                    .zip(self.parse_option(row, "pieces")?),
            })
        };
        rows.iter().map(step).collect()
    }

    /// The step of a run that is at work, or the first that is not done.
    pub(crate) async fn at_work(
        &self,
        session: &mut Session,
        run: i64,
    ) -> Result<Option<AtWork>, JournalError> {
        let step = self.sql_name("step");
        let millis = |since: &str| {
            format!("(extract(epoch FROM pg_catalog.clock_timestamp() - {since}) * 1000)::int8")
        };
        // The tables of an earlier release lack some columns. Whose pieces they are begins with the relation's OID.
        let sql = format!(
            "SELECT s.number, s.summary, {} AS since, j.pieces_done, j.pieces, j.waits, {} AS waited, \
             (SELECT max((to_jsonb(p) ->> 'pieces_done')::int8) FROM {step} p WHERE p.run < s.run AND p.state <> 'done' \
             AND to_jsonb(p) ->> 'pieces_of' = j.pieces_of) AS before, \
             (SELECT CASE WHEN c.reltuples > 0 THEN c.reltuples::int8 END FROM pg_catalog.pg_class c \
             WHERE c.oid::text = split_part(j.pieces_of, '/', 1)) AS rows \
             FROM {step} s CROSS JOIN LATERAL jsonb_to_record(to_jsonb(s)) AS j(pieces_of text, pieces_done int8, \
             pieces int8, waits text, waits_since timestamptz) \
             WHERE s.run = {run} AND s.state <> 'done' ORDER BY s.state = 'running' DESC, s.number LIMIT 1",
            millis("s.started"),
            millis("j.waits_since"),
        );
        let rows = session.send(&sql).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let time = |column| Ok(self.parse_option(row, column)?.map(Duration::from_millis));
        let waits: Option<Vec<Pause>> =
            row.get("waits").and_then(|json| serde_json::from_str(json).ok());
        let waited: Result<Option<Duration>, JournalError> = time("waited");
        let since: Result<Option<Duration>, JournalError> = time("since");
        let pieces = self.parse_option(row, "pieces_done")?.zip(self.parse_option(row, "pieces")?);
        let (before, rows) = (self.parse_option(row, "before")?, self.parse_option(row, "rows")?);
        let done = |(done, of)| Done { done, of, before: before.unwrap_or(0).min(done), rows };
        Ok(Some(AtWork {
            number: self.parse(row, "number")?,
            summary: row.get("summary").unwrap_or_default().to_owned(),
            since: since?,
            pieces: pieces.map(done),
            waits: waits.zip(waited?),
        }))
    }

    /// How many pieces of something are done, and how many there are, if the latest run that worked on it
    /// did not finish it: what was finished is looked at as a whole the next time.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub(crate) async fn pieces_done(
        &self,
        session: &mut Session,
        of: &str,
    ) -> Result<Option<(u64, u64)>, JournalError> {
        let sql = format!(
            "SELECT state, pieces_done, pieces FROM {} WHERE pieces_of = {} ORDER BY run DESC LIMIT 1",
            self.sql_name("step"),
            quote_literal(of)
        );
        let rows = session.send(&sql).await?;
        let Some(row) = rows.first().filter(|row| row.get("state") != Some("done")) else {
            return Ok(None);
        };
        Ok(self.parse_option(row, "pieces_done")?.zip(self.parse_option(row, "pieces")?))
    }

    /// The run that `rollback` would undo: the latest that did something and is neither undone
    /// nor an undoing itself.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub async fn last_to_undo(&self, session: &mut Session) -> Result<Option<Run>, JournalError> {
        let runs = self.runs(session).await?;
        let continued: Vec<i64> = runs.iter().filter_map(|run| run.continues).collect();
        let did_something = |run: &&Run| {
            let chain = continued.contains(&run.id);
            run.undoes.is_none()
                && !run.ends
                && run.state != RunState::RolledBack
                && !chain
                && (run.steps_done > 0 || run.continues.is_some() || run.stamp.is_some())
        };
        Ok(runs.iter().find(did_something).cloned())
    }

    /// What was there before a run, in the order of the addresses; of a run that continued an
    /// unfinished one, what was there before the first of them.
    ///
    /// # Errors
    /// If the journal cannot be read, or a later release wrote what is in it.
    pub async fn saved_objects(
        &self,
        session: &mut Session,
        run: i64,
    ) -> Result<Vec<Saved>, JournalError> {
        let sql = format!(
            "WITH RECURSIVE chain AS (SELECT id, continues FROM {run_table} WHERE id = {run} \
             UNION SELECT r.id, r.continues FROM {run_table} r JOIN chain c ON r.id = c.continues) \
             SELECT s.place, s.parent, s.depends_on, s.definition FROM {saved} s \
             JOIN chain ON chain.id = s.run ORDER BY s.run DESC, s.number",
            run_table = self.sql_name("run"),
            saved = self.sql_name("saved"),
        );
        let mut found: BTreeMap<Address, Saved> = BTreeMap::new();
        for row in session.send(&sql).await? {
            let owned = |column: &str| row.get(column).map(str::to_owned);
            let cells = Cells {
                place: owned("place").unwrap_or_default(),
                parent: owned("parent"),
                depends_on: owned("depends_on").unwrap_or_default(),
                definition: owned("definition"),
            };
            let saved = Saved::decode(&cells).map_err(|reason| self.unreadable(reason))?;
            // The earliest run comes last and has the last word.
            found.insert(saved.address.clone(), saved);
        }
        Ok(found.into_values().collect())
    }

    fn parse<T: std::str::FromStr>(&self, row: &TextRow, column: &str) -> Result<T, JournalError> {
        let value = self.parse_option(row, column)?;
        value.ok_or_else(|| self.unreadable(format!("`{column}` is null")))
    }

    fn parse_option<T: std::str::FromStr>(
        &self,
        row: &TextRow,
        column: &str,
    ) -> Result<Option<T>, JournalError> {
        let Some(text) = row.get(column) else { return Ok(None) };
        let wrong = |_| self.unreadable(format!("`{column}` is `{text}`"));
        text.parse().map(Some).map_err(wrong)
    }
}
