//! The program is killed at every boundary; afterwards the journal is true, and applying again
//! finishes the work.

#![allow(clippy::unwrap_used)]

mod apply_kit;

use std::process::Command;
use std::time::{Duration, Instant};

use apply_kit::*;
use reconcile_live::apply::{Cause, Stopped};
use reconcile_live::connect::Session;
use reconcile_live::journal::{Journal, StepState};
use reconcile_live::stamp::Stamp;
use reconcile_plan::{Batch, Plan};
use reconcile_testkit::{Database, database, majors};

const URL: &str = "RECONCILE_TEST_CHILD_URL";

/// Every place at which the program can be killed.
const PLACES: &[&str] = &[
    "lease",
    "run",
    "batch.1.before",
    "batch.1.sent",
    "batch.1.after",
    "batch.2.before",
    "batch.2.sent",
    "batch.2.after",
    "batch.3.before",
    "batch.3.sent",
    "batch.3.after",
    "end",
];

/// What is still to be done, numbered anew; the full plan on a fresh database.
async fn remaining(session: &mut Session) -> Plan {
    let sql = "SELECT string_agg(attname, ',') FROM pg_attribute WHERE attrelid = 't'::regclass; \
               SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('t_role')";
    let sets = session.send_sets(sql).await.unwrap();
    let columns = sets[0].rows[0].at(0).unwrap().to_owned();
    let has = |name: &str| columns.split(',').any(|column| column == name);
    let index = sets[1].rows.first().and_then(|row| row.at(0).map(str::to_owned));
    let mut batches: Vec<Batch> = Vec::new();
    if !has("a") {
        batches.push(batch(vec![
            step(0, "ALTER TABLE public.t ADD COLUMN a int"),
            step(0, "SELECT pg_sleep(0.4)"),
        ]));
    }
    if index.as_deref() == Some("f") {
        batches.push(outside(0, "t_role", "DROP INDEX CONCURRENTLY public.t_role"));
    }
    if index.as_deref() != Some("t") {
        let build = "CREATE INDEX CONCURRENTLY t_role ON public.t (role)";
        batches.push(outside(0, "t_role", build));
    }
    if !has("b") {
        batches.push(batch(vec![
            step(0, "ALTER TABLE public.t ADD COLUMN b int"),
            step(0, "SELECT pg_sleep(0.4)"),
        ]));
    }
    let steps = batches.iter_mut().flat_map(|batch| batch.steps.iter_mut());
    for (index, step) in steps.enumerate() {
        step.number = index + 1;
    }
    plan(batches)
}

async fn apply_rest(session: &mut Session) -> Result<(), Box<Stopped>> {
    let plan = remaining(session).await;
    let stamp = Stamp::parse("alembic=001..004").unwrap();
    run_with(session, &plan, |job| job.stamp = Some(stamp)).await.0.map(|_| ())
}

/// Not a test: what is killed.
#[tokio::test]
#[ignore = "started by the other test"]
async fn child() {
    let mut session = session(&std::env::var(URL).unwrap()).await;
    apply_rest(&mut session).await.unwrap();
}

fn run_child(db: &Database, place: &str) -> bool {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .env(URL, db.url())
        .env("RECONCILE_STOP_AT", place)
        .output()
        .unwrap();
    output.status.success()
}

/// Waits until the server has noticed that the program is gone.
async fn wait_for_its_end(db: &Database) {
    let begin = Instant::now();
    let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                  AND pid <> pg_backend_pid() AND application_name = 'reconcile'";
    while ask(db, others).await != "0" {
        assert!(begin.elapsed() < Duration::from_secs(10), "a session of the dead stays");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What the journal says of the killed run is what the database says.
async fn assert_the_journal_is_true(db: &Database, place: &str) {
    let mut session = session(&db.url()).await;
    let journal = Journal::named("reconcile").unwrap();
    if !journal.exists(&mut session).await.unwrap() {
        return;
    }
    let columns = columns(db).await;
    for step in journal.steps(&mut session, 1).await.unwrap() {
        let done = step.state == StepState::Done;
        for (sql, column) in [("COLUMN a", "a"), ("COLUMN b", "b")] {
            if step.sql.contains(sql) {
                assert_eq!(columns.split(',').any(|c| c == column), done, "{place}: {step:?}");
            }
        }
    }
    let revision = ask(db, "SELECT version_num FROM alembic_version").await;
    assert_eq!(
        revision == "004",
        columns.contains('b'),
        "{place}: the stamp goes with the last step"
    );
}

#[tokio::test]
async fn killed_at_every_boundary_it_is_finished_by_a_second_apply() {
    for major in majors() {
        for place in PLACES {
            let db = database(major, TABLES).await;
            assert!(!run_child(&db, place), "{major} {place}: the program was not killed there");
            wait_for_its_end(&db).await;
            assert_the_journal_is_true(&db, place).await;
            let mut session = session(&db.url()).await;
            let is_done = remaining(&mut session).await.batches.is_empty();
            let result = apply_rest(&mut session).await;
            result.unwrap_or_else(|stopped| panic!("{major} {place}: {stopped}"));
            assert_eq!(columns(&db).await, "id,role,a,b", "{major} {place}");
            let valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 't_role'::regclass";
            assert_eq!(ask(&db, valid).await, "t", "{major} {place}");
            assert_eq!(ask(&db, "SELECT version_num FROM alembic_version").await, "004");
            let rest = remaining(&mut session).await;
            assert!(rest.batches.is_empty(), "{major} {place}");
            if !is_done {
                assert_nothing_stays(&db).await;
            }
        }
        // Nobody stops it where nobody asks for it.
        let db = database(major, TABLES).await;
        assert!(run_child(&db, "nowhere"));
    }
}

#[tokio::test]
async fn a_second_apply_right_after_the_kill_takes_the_lease_over() {
    let db = database(majors()[0], TABLES).await;
    assert!(!run_child(&db, "batch.1.sent"));
    // The server may still be at the killed program's last message: it is waited for, and if it
    // was committed meanwhile, the plan is made again.
    let mut session = session(&db.url()).await;
    let mut tries = 0;
    while let Err(stopped) = apply_rest(&mut session).await {
        let expected = matches!(stopped.cause, Cause::Changed | Cause::Step { .. });
        assert!(expected && tries < 3, "{stopped:?}");
        tries += 1;
    }
    assert_eq!(columns(&db).await, "id,role,a,b");
    assert_nothing_stays(&db).await;
}
