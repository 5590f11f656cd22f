//! Steps that cannot run in a transaction.

#![allow(clippy::unwrap_used)]

mod apply_kit;

use std::time::Duration;

use apply_kit::*;
use reconcile_catalog::Catalog;
use reconcile_live::apply::{Cause, Interrupt, apply};
use reconcile_live::journal::{Journal, StepState};
use reconcile_live::marks::Mark;
use reconcile_testkit::{Database, database, majors};

const BUILD: &str = "CREATE UNIQUE INDEX CONCURRENTLY t_role ON public.t (role)";

/// How the index stands: `t` valid, `f` invalid, or nothing.
async fn index(db: &Database) -> String {
    let sql = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('t_role')";
    ask(db, sql).await
}

async fn step_states(db: &Database, run: i64) -> Vec<StepState> {
    let mut session = session(&db.url()).await;
    let steps = Journal::named("reconcile").unwrap().steps(&mut session, run).await.unwrap();
    steps.iter().map(|step| step.state).collect()
}

#[tokio::test]
async fn a_build_that_fails_is_cleared_away_and_told() {
    for major in majors() {
        let db = database(major, TABLES).await;
        let mut session = session(&db.url()).await;
        // All ten rows have the same role.
        let plan = plan(vec![
            batch(vec![step(1, "ALTER TABLE public.t ADD COLUMN a int")]),
            outside(2, "t_role", BUILD),
        ]);
        let (result, _) = run(&mut session, &plan).await;
        let stopped = result.unwrap_err();
        let Cause::Step { number: 2, error } = &stopped.cause else { panic!("{stopped:?}") };
        assert_eq!(error.sqlstate, "23505");
        assert_eq!((stopped.done.as_slice(), stopped.leftovers.len()), (&[1][..], 0));
        assert_eq!(index(&db).await, "nothing");
        assert_eq!(step_states(&db, 1).await, [StepState::Done, StepState::Failed]);
        // The settings of the session are what they were.
        let rows = session.send("SHOW lock_timeout; SHOW search_path").await.unwrap();
        assert_eq!((rows[0].at(0), rows[1].at(0)), (Some("0"), Some("\"$user\", public")));
        assert_nothing_stays(&db).await;
    }
}

#[tokio::test]
async fn an_old_snapshot_is_waited_for_and_its_holder_named() {
    for major in majors() {
        let db = database(major, TABLES).await;
        let mut session = session(&db.url()).await;
        let mut other = apply_kit::session(&db.url()).await;
        let pid = other.backend_pid;
        other.send("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT * FROM other").await.unwrap();
        let build = "CREATE INDEX CONCURRENTLY t_role ON public.t (role)";
        let plan = plan(vec![outside(1, "t_role", build)]);
        let (result, events) =
            run_with(&mut session, &plan, |job| job.settings.wait = Duration::from_secs(2)).await;
        let stopped = result.unwrap_err();
        let Cause::Locked { blockers, .. } = &stopped.cause else { panic!("{stopped:?}") };
        assert!(blockers.iter().all(|b| b.pid == Some(pid)) && !blockers.is_empty(), "{stopped}");
        assert!(events.contains(&format!("waits for {pid}")), "{events:?}");
        // What cannot be cleared away while the other is there is said, or it is gone.
        match index(&db).await.as_str() {
            "nothing" => assert!(stopped.leftovers.is_empty() && stopped.nothing_done),
            "f" => {
                assert_eq!(stopped.leftovers.len(), 1, "{stopped:?}");
                assert!(
                    stopped.leftovers[0].words.contains("DROP INDEX CONCURRENTLY public.t_role")
                );
                assert!(!stopped.nothing_done);
            }
            other => panic!("{other}"),
        }
        other.send("COMMIT").await.unwrap();
        assert_nothing_stays(&db).await;
    }
}

#[tokio::test]
async fn it_succeeds_when_the_snapshot_goes() {
    let db = database(majors()[0], TABLES).await;
    let mut session = session(&db.url()).await;
    let mut other = apply_kit::session(&db.url()).await;
    other.send("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT * FROM other").await.unwrap();
    let plan = plan(vec![
        outside(1, "t_role", "CREATE INDEX CONCURRENTLY t_role ON public.t (role)"),
        outside(2, "t_role", "DROP INDEX CONCURRENTLY public.t_role"),
    ]);
    let release = async {
        tokio::time::sleep(Duration::from_millis(1800)).await;
        other.send("COMMIT").await.unwrap();
    };
    let ((result, _), ()) = tokio::join!(run(&mut session, &plan), release);
    assert_eq!(result.unwrap().steps, 2);
    assert_eq!(index(&db).await, "nothing");
    assert_nothing_stays(&db).await;
}

#[tokio::test]
async fn it_is_interrupted_and_cleared_away() {
    let db = database(majors()[0], TABLES).await;
    let mut session = session(&db.url()).await;
    let mut other = apply_kit::session(&db.url()).await;
    other.send("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT * FROM other").await.unwrap();
    let build = "CREATE INDEX CONCURRENTLY t_role ON public.t (role)";
    let plan = plan(vec![outside(1, "t_role", build)]);
    let mark = Mark::take(&mut session, &plan.touched).await.unwrap();
    let live = Catalog::new();
    let job = job(&plan, &live, mark);
    let (interrupter, interrupt) = Interrupt::new();
    let mut nobody = ();
    let raise = async {
        tokio::time::sleep(Duration::from_millis(800)).await;
        interrupter.raise();
        tokio::time::sleep(Duration::from_millis(800)).await;
        other.send("COMMIT").await.unwrap();
    };
    let (result, ()) = tokio::join!(apply(&mut session, &job, &mut nobody, &interrupt), raise);
    let stopped = result.unwrap_err();
    assert!(matches!(stopped.cause, Cause::Interrupted), "{stopped:?}");
    assert!(stopped.leftovers.is_empty() && stopped.nothing_done, "{stopped:?}");
    assert_eq!(index(&db).await, "nothing");
    assert_nothing_stays(&db).await;
}

#[tokio::test]
async fn a_session_that_is_lost_is_judged_by_the_catalog() {
    let db = database(majors()[0], TABLES).await;
    let mut session = session(&db.url()).await;
    let mut other = apply_kit::session(&db.url()).await;
    other.send("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT * FROM other").await.unwrap();
    let build = "CREATE INDEX CONCURRENTLY t_role ON public.t (role)";
    let plan = plan(vec![outside(1, "t_role", build)]);
    let pid = session.backend_pid;
    let kill = async {
        tokio::time::sleep(Duration::from_millis(800)).await;
        other.send(&format!("SELECT pg_terminate_backend({pid}); COMMIT")).await.unwrap();
    };
    let ((result, _), ()) = tokio::join!(run(&mut session, &plan), kill);
    let stopped = result.unwrap_err();
    assert!(matches!(stopped.cause, Cause::Lost { certain: true, .. }), "{stopped:?}");
    assert_eq!(index(&db).await, "f");
    assert_eq!(stopped.leftovers.len(), 1, "{stopped:?}");
    assert!(stopped.done.is_empty() && !stopped.nothing_done);
}
