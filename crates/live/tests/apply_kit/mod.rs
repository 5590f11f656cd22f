//! Hand-made plans, and what the tests of apply ask the server afterwards.

#![allow(dead_code, clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::time::Duration;

use reconcile_catalog::{Address, Catalog};
use reconcile_kinds::{RelationLock, Work};
use reconcile_live::apply::{Applied, Event, Interrupt, Job, Settings, Stopped, Watch, apply};
use reconcile_live::connect::{ConnectOptions, Session, connect};
use reconcile_live::journal::Journal;
use reconcile_live::marks::Mark;
use reconcile_live::target::Target;
use reconcile_plan::{Batch, Plan, Step};
use reconcile_sql::{LockLevel, QName};
use reconcile_testkit::Database;

/// The objects that the plans are about.
pub(crate) const TABLES: &str = "
    CREATE TABLE t (id int PRIMARY KEY, role text NOT NULL);
    INSERT INTO t SELECT i, 'user' FROM generate_series(1, 10) i;
    CREATE TABLE other (id int PRIMARY KEY);
    CREATE VIEW v AS SELECT t.id, t.role FROM t JOIN other USING (id);
    CREATE MATERIALIZED VIEW m AS SELECT role FROM t;
    CREATE TABLE alembic_version (version_num varchar(32) NOT NULL PRIMARY KEY);
    INSERT INTO alembic_version VALUES ('001');
";

pub(crate) async fn session(url: &str) -> Session {
    let target = Target::parse(url).unwrap_or_else(|e| panic!("{url}: {e}")).target;
    connect(&target, &ConnectOptions::default()).await.unwrap_or_else(|e| panic!("{url}: {e}"))
}

pub(crate) fn table(name: &str) -> Address {
    Address::new("table", ["public", name])
}

pub(crate) fn step(number: usize, sql: &str) -> Step {
    Step {
        number,
        addresses: vec![table("t")],
        summary: vec![format!("does {number}")],
        sql: sql.to_owned(),
        locks: Vec::new(),
        work: Work::Catalog,
        size: None,
        irreversible: None,
        loses: None,
        preflights: Vec::new(),
        guards: Vec::new(),
        proofs: Vec::new(),
        pieces: None,
        formulas: Vec::new(),
    }
}

pub(crate) fn batch(steps: Vec<Step>) -> Batch {
    Batch {
        transaction: true,
        steps,
        locks: vec![lock("t")],
        lock_timeout: Duration::from_millis(300),
        hold: Duration::from_secs(5),
        estimate: Duration::from_millis(10),
        stall: Duration::from_secs(6),
    }
}

/// An index on `t` outside of a transaction.
pub(crate) fn outside(number: usize, index: &str, sql: &str) -> Batch {
    let mut step = step(number, sql);
    step.addresses = vec![Address::new("index", ["public", index])];
    let lock = RelationLock {
        relation: QName::new("public", "t"),
        level: LockLevel::ShareUpdateExclusive,
    };
    Batch { transaction: false, locks: vec![lock], hold: Duration::ZERO, ..batch(vec![step]) }
}

pub(crate) fn lock(relation: &str) -> RelationLock {
    let relation = QName::new("public", relation);
    RelationLock { relation, level: LockLevel::AccessExclusive }
}

pub(crate) fn plan(batches: Vec<Batch>) -> Plan {
    let touched = BTreeSet::from([table("t"), Address::new("view", ["public", "v"])]);
    Plan { batches, touched, ..Plan::default() }
}

/// Two batches of a step each.
pub(crate) fn two() -> Plan {
    plan(vec![
        batch(vec![step(1, "ALTER TABLE public.t ADD COLUMN a int")]),
        batch(vec![step(2, "ALTER TABLE public.t ADD COLUMN b int")]),
    ])
}

pub(crate) struct Run<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) live: Catalog,
    pub(crate) mark: Mark,
}

pub(crate) fn job<'a>(plan: &'a Plan, live: &'a Catalog, mark: Mark) -> Job<'a> {
    Job {
        plan,
        live,
        mark,
        journal: Journal::named("reconcile").unwrap(),
        fingerprint: "fingerprint".to_owned(),
        model_digest: "model".to_owned(),
        tool: "0.1.0".to_owned(),
        stamp: None,
        undoes: None,
        ends: false,
        settings: Settings { wait: Duration::from_secs(20), ..Settings::default() },
    }
}

/// What happened, in a line each.
#[derive(Default)]
pub(crate) struct Events(pub(crate) Vec<String>);

impl Watch for Events {
    fn event(&mut self, event: Event<'_>) {
        self.0.push(match event {
            Event::RunStarts { run } => format!("run {run}"),
            Event::BatchStarts { number, tries: 0, .. } => format!("batch {number}"),
            Event::BatchStarts { number, .. } => format!("batch {number} again"),
            Event::Waiting { blockers, .. } => {
                let pids: Vec<String> =
                    blockers.iter().filter_map(|b| b.pid.map(|pid| pid.to_string())).collect();
                format!("waits for {}", pids.join(","))
            }
            Event::StepDone { step } => format!("step {} done", step.number),
            Event::BatchDone { number, .. } => format!("batch {number} done"),
            _ => "something new".to_owned(),
        });
    }
}

/// Applies a plan that was made just now, with changes to the job.
pub(crate) async fn run_with(
    session: &mut Session,
    plan: &Plan,
    change: impl FnOnce(&mut Job<'_>),
) -> (Result<Applied, Box<Stopped>>, Vec<String>) {
    let mark = Mark::take(session, &plan.touched).await.unwrap();
    let live = Catalog::new();
    let mut job = job(plan, &live, mark);
    change(&mut job);
    let mut events = Events::default();
    let result = apply(session, &job, &mut events, &Interrupt::never()).await;
    (result, events.0)
}

pub(crate) async fn run(
    session: &mut Session,
    plan: &Plan,
) -> (Result<Applied, Box<Stopped>>, Vec<String>) {
    run_with(session, plan, |_| {}).await
}

/// The first value of a query, as the superuser on a new connection.
pub(crate) async fn ask(db: &Database, sql: &str) -> String {
    let mut session = session(&db.url()).await;
    let rows = session.send(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    let value = rows.first().and_then(|row| row.at(0)).unwrap_or("nothing").to_owned();
    session.close().await;
    value
}

/// The names of the columns of `t`.
pub(crate) async fn columns(db: &Database) -> String {
    ask(
        db,
        "SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute \
         WHERE attrelid = 't'::regclass AND attnum > 0 AND NOT attisdropped",
    )
    .await
}

/// Nothing of ours is left on the server: no open transaction, no lock, no lease.
pub(crate) async fn assert_nothing_stays(db: &Database) {
    let of_others = "datname = current_database() AND pid <> pg_backend_pid()";
    let open = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE {of_others} AND state <> 'idle' \
         AND application_name = 'reconcile'"
    );
    assert_eq!(ask(db, &open).await, "0", "open transactions");
    let locks = "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) \
                 WHERE a.application_name = 'reconcile' AND a.datname = current_database() \
                 AND pid <> pg_backend_pid() AND locktype IN ('relation', 'advisory')";
    assert_eq!(ask(db, locks).await, "0", "locks");
    let lease = "SELECT count(*) FROM reconcile.lease WHERE holder IS NOT NULL";
    assert_eq!(ask(db, lease).await, "0", "leases");
}
