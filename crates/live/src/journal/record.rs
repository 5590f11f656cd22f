//! The statements that write the journal; whoever sends them puts them into a transaction.

use reconcile_plan::{Batch, Plan, Step};
use reconcile_sql::quote_literal;
use sea_query::{Expr, ExprTrait, PostgresQueryBuilder, Query};

use super::{Journal, Saved};
use crate::apply::Pause;

/// What the journal notes of a run when it begins.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// The steps.
    pub plan: &'a Plan,
    /// What was there before.
    pub saved: &'a [Saved],
    /// The fingerprint that the plan was made for.
    pub fingerprint: &'a str,
    /// A digest of the model, by which a second try knows the first.
    pub model_digest: &'a str,
    /// The version of this program.
    pub tool: &'a str,
    /// Where the stamp moves from and to.
    pub stamp: Option<(&'a str, &'a str)>,
    /// The run that this one undoes.
    pub undoes: Option<i64>,
    /// Whether it only ends an online change, which cannot be undone.
    pub ends: bool,
}

/// The time as of the statement.
const NOW: &str = "pg_catalog.clock_timestamp()";

/// A text literal that reads the same under every `backslash_quote`.
fn text(text: &str) -> Expr {
    Expr::cust(quote_literal(&text.replace('\0', "\u{fffd}")))
}

fn maybe(value: Option<&str>) -> Expr {
    value.map_or_else(|| Expr::cust("NULL"), text)
}

fn number(value: Option<i64>) -> Expr {
    value.map_or_else(|| Expr::cust("NULL"), |n| Expr::cust(n.to_string()))
}

impl Journal {
    /// Notes the beginning of run `id`, its steps and what was there before; runs that ended
    /// without a word are closed.
    pub(crate) fn begin_run(&self, id: i64, continues: Option<i64>, record: &Record<'_>) -> String {
        let mut sql = vec![self.close_forgotten_runs()];
        let run = Query::insert()
            .into_table(self.table("run"))
            .columns([
                "id",
                "state",
                "started",
                "role",
                "login",
                "client",
                "application",
                "tool",
                "plan_digest",
                "fingerprint",
                "model_digest",
                "stamp_from",
                "stamp_to",
                "undoes",
                "ends",
                "continues",
            ])
            .values_panic([
                number(Some(id)),
                text("running"),
                Expr::cust(NOW),
                Expr::cust("current_user"),
                Expr::cust("session_user"),
                Expr::cust("coalesce(pg_catalog.host(pg_catalog.inet_client_addr()), 'local')"),
                Expr::cust("pg_catalog.current_setting('application_name')"),
                text(record.tool),
                text(&record.plan.digest()),
                text(record.fingerprint),
                text(record.model_digest),
                maybe(record.stamp.map(|(from, _)| from)),
                maybe(record.stamp.map(|(_, to)| to)),
                number(record.undoes),
                Expr::cust(if record.ends { "true" } else { "false" }),
                number(continues),
            ])
            .to_string(PostgresQueryBuilder);
        sql.push(run);
        sql.extend(self.insert_steps(id, &record.plan.batches));
        sql.extend(self.insert_saved(id, record.saved));
        sql.join(";\n")
    }

    fn close_forgotten_runs(&self) -> String {
        Query::update()
            .table(self.table("run"))
            .value("state", text("stopped"))
            .value("finished", Expr::cust(NOW))
            .value("error", text("the program ended without a word"))
            .and_where(Expr::col("state").eq(text("running")))
            .to_string(PostgresQueryBuilder)
    }

    fn insert_steps(&self, run: i64, batches: &[Batch]) -> Option<String> {
        let columns = ["run", "number", "batch", "summary", "sql", "state"];
        let mut insert = Query::insert();
        insert.into_table(self.table("step")).columns(columns);
        for (batch, step) in numbered(batches) {
            insert.values_panic([
                number(Some(run)),
                number(i64::try_from(step.number).ok()),
                number(i64::try_from(batch).ok()),
                text(&step.summary.join("\n")),
                text(&step.sql),
                text("planned"),
            ]);
        }
        let some = numbered(batches).next().is_some();
        some.then(|| insert.to_string(PostgresQueryBuilder))
    }

    fn insert_saved(&self, run: i64, saved: &[Saved]) -> Option<String> {
        let columns = ["run", "number", "address", "place", "parent", "depends_on", "definition"];
        let mut insert = Query::insert();
        insert.into_table(self.table("saved")).columns(columns);
        for (index, object) in saved.iter().enumerate() {
            let cells = object.encode();
            insert.values_panic([
                number(Some(run)),
                number(i64::try_from(index).ok()),
                text(&object.address.to_string()),
                text(&cells.place),
                maybe(cells.parent.as_deref()),
                text(&cells.depends_on),
                maybe(cells.definition.as_deref()),
            ]);
        }
        (!saved.is_empty()).then(|| insert.to_string(PostgresQueryBuilder))
    }

    /// Notes a new state of a step; one that is running begins now, any other ends now.
    pub(crate) fn step_is(&self, run: i64, step: usize, state: &str) -> String {
        let mut update = Query::update();
        update.table(self.table("step")).value("state", text(state));
        for column in ["waits", "waits_since"] {
            update.value(column, Expr::cust("NULL"));
        }
        update
            .value(if state == "running" { "started" } else { "finished" }, Expr::cust(NOW))
            .and_where(Expr::col("run").eq(number(Some(run))))
            .and_where(Expr::col("number").eq(number(i64::try_from(step).ok())))
            .to_string(PostgresQueryBuilder)
    }

    /// Notes how far a step is that is done in pieces; `of` tells whose pieces they are.
    pub(crate) fn pieces_are(
        &self,
        run: i64,
        step: usize,
        of: &str,
        done: u64,
        all: u64,
    ) -> String {
        Query::update()
            .table(self.table("step"))
            .value("pieces_of", text(of))
            .value("pieces_done", Expr::cust(done.to_string()))
            .value("pieces", Expr::cust(all.to_string()))
            .and_where(Expr::col("run").eq(number(Some(run))))
            .and_where(Expr::col("number").eq(number(i64::try_from(step).ok())))
            .to_string(PostgresQueryBuilder)
    }

    /// Notes what a step waits for, or that it waits no more.
    pub(crate) fn step_waits(&self, run: i64, step: usize, why: Option<&[Pause]>) -> String {
        let json = why.map(|why| serde_json::to_string(why).expect("texts and numbers"));
        let since = match why {
            Some(_) => format!("coalesce(waits_since, {NOW})"),
            None => "NULL".to_owned(),
        };
        Query::update()
            .table(self.table("step"))
            .value("waits", maybe(json.as_deref()))
            .value("waits_since", Expr::cust(since))
            .and_where(Expr::col("run").eq(number(Some(run))))
            .and_where(Expr::col("number").eq(number(i64::try_from(step).ok())))
            .to_string(PostgresQueryBuilder)
    }

    /// Notes that steps which follow each other are done, in one statement: they hold locks meanwhile.
    ///
    /// `times` is SQL for when a step began and ended.
    pub(crate) fn steps_are_done(
        &self,
        run: i64,
        (first, last): (usize, usize),
        times: (&str, &str),
    ) -> String {
        Query::update()
            .table(self.table("step"))
            .value("state", text("done"))
            .value("waits", Expr::cust("NULL"))
            .value("waits_since", Expr::cust("NULL"))
            .value("started", Expr::cust(times.0.to_owned()))
            .value("finished", Expr::cust(times.1.to_owned()))
            .and_where(Expr::col("run").eq(number(Some(run))))
            .and_where(Expr::cust(format!("number BETWEEN {first} AND {last}")))
            .to_string(PostgresQueryBuilder)
    }

    /// Notes how long a batch waited for its locks and held them; both are SQL.
    pub(crate) fn batch_took(&self, run: i64, batch: usize, wait: &str, hold: &str) -> String {
        Query::update()
            .table(self.table("step"))
            .value("lock_wait_ms", Expr::cust(wait.to_owned()))
            .value("hold_ms", Expr::cust(hold.to_owned()))
            .and_where(Expr::col("run").eq(number(Some(run))))
            .and_where(Expr::col("batch").eq(number(i64::try_from(batch).ok())))
            .to_string(PostgresQueryBuilder)
    }

    /// Notes that a run is done; the run that it undoes is rolled back then, with every run that
    /// that one continued.
    pub(crate) fn run_is_done(&self, run: i64, undoes: Option<i64>) -> String {
        let mut sql = vec![self.run_is(run, "done", None)];
        if let Some(undone) = undoes {
            let table = self.sql_name("run");
            sql.push(format!(
                "WITH RECURSIVE undone AS (SELECT id, continues FROM {table} WHERE id = {undone} \
                 UNION SELECT r.id, r.continues FROM {table} r JOIN undone u ON r.id = u.continues) \
                 UPDATE {table} SET state = 'rolled_back' WHERE id IN (SELECT id FROM undone)"
            ));
        }
        sql.join(";\n")
    }

    /// Notes that a run stopped, and why; one that came to its end, unheard, stays done.
    pub(crate) fn run_stopped(&self, run: i64, error: &str) -> String {
        let stopped = self.run_is(run, "stopped", Some(error));
        format!("{stopped} AND \"state\" = 'running'")
    }

    fn run_is(&self, run: i64, state: &str, error: Option<&str>) -> String {
        Query::update()
            .table(self.table("run"))
            .value("state", text(state))
            .value("finished", Expr::cust(NOW))
            .value("error", maybe(error))
            .and_where(Expr::col("id").eq(number(Some(run))))
            .to_string(PostgresQueryBuilder)
    }
}

fn numbered(batches: &[Batch]) -> impl Iterator<Item = (usize, &Step)> {
    let numbered = batches.iter().enumerate();
    numbered.flat_map(|(index, batch)| batch.steps.iter().map(move |step| (index + 1, step)))
}
