//! The revision of a migration tool moves with the last step, or not at all.

#![allow(clippy::unwrap_used)]

mod apply_kit;

use apply_kit::*;
use reconcile_live::apply::{Cause, Job};
use reconcile_live::journal::{Journal, RunState};
use reconcile_live::stamp::{Stamp, StampError};
use reconcile_testkit::{Database, database, majors};

const REVISION: &str = "SELECT string_agg(version_num, ',') FROM alembic_version";

fn stamped(text: &'static str) -> impl FnOnce(&mut Job<'_>) {
    move |job| job.stamp = Some(Stamp::parse(text).unwrap())
}

async fn fresh() -> (Database, reconcile_live::connect::Session) {
    let db = database(majors()[0], TABLES).await;
    let session = session(&db.url()).await;
    (db, session)
}

#[tokio::test]
async fn it_moves_with_the_last_step_and_once() {
    for major in majors() {
        let db = database(major, TABLES).await;
        let mut session = session(&db.url()).await;
        let (result, _) = run_with(&mut session, &two(), stamped("alembic=001..004")).await;
        assert!(result.unwrap().stamped);
        assert_eq!(ask(&db, REVISION).await, "004");
        let run = Journal::named("reconcile").unwrap().runs(&mut session).await.unwrap().remove(0);
        assert_eq!(run.stamp, Some(("001".to_owned(), "004".to_owned())));
        // Again: nothing to do, nothing noted.
        let (result, _) = run_with(&mut session, &plan(vec![]), stamped("alembic=001..004")).await;
        let applied = result.unwrap();
        assert_eq!((applied.run, applied.stamped), (None, false));
    }
}

#[tokio::test]
async fn it_moves_alone_and_after_a_step_outside_of_a_transaction() {
    let (db, mut session) = fresh().await;
    let (result, _) = run_with(&mut session, &plan(vec![]), stamped("alembic=001..002")).await;
    let applied = result.unwrap();
    assert_eq!((applied.run, applied.steps, applied.stamped), (Some(1), 0, true));
    assert_eq!(ask(&db, REVISION).await, "002");
    let build = "CREATE INDEX CONCURRENTLY t_role ON public.t (role)";
    let plan = plan(vec![outside(1, "t_role", build)]);
    run_with(&mut session, &plan, stamped("alembic=002..003")).await.0.unwrap();
    assert_eq!(ask(&db, REVISION).await, "003");
    let runs = Journal::named("reconcile").unwrap().runs(&mut session).await.unwrap();
    assert!(runs.iter().all(|run| run.state == RunState::Done));
}

#[tokio::test]
async fn it_goes_back_with_the_transaction() {
    let (db, mut session) = fresh().await;
    let plan = plan(vec![
        batch(vec![step(1, "ALTER TABLE public.t ADD COLUMN a int")]),
        batch(vec![step(2, "ALTER TABLE public.t ADD COLUMN a int")]),
    ]);
    let (result, _) = run_with(&mut session, &plan, stamped("alembic=001..004")).await;
    assert!(matches!(result.unwrap_err().cause, Cause::Step { number: 2, .. }));
    assert_eq!(ask(&db, REVISION).await, "001");
}

#[tokio::test]
async fn anything_but_the_old_revision_is_refused_before_a_step() {
    for (change, expected) in [
        ("UPDATE alembic_version SET version_num = '002'", "holds revision 002"),
        ("INSERT INTO alembic_version VALUES ('001b')", "holds 2 revisions (001, 001b)"),
        ("DELETE FROM alembic_version", "holds no revision"),
        ("DROP TABLE alembic_version", "there is no table alembic_version"),
    ] {
        let (db, mut session) = fresh().await;
        session.send(change).await.unwrap();
        let (result, _) = run_with(&mut session, &two(), stamped("alembic=001..004")).await;
        let stopped = result.unwrap_err();
        assert!(matches!(stopped.cause, Cause::Stamp(_)), "{change}: {stopped:?}");
        assert!(stopped.to_string().contains(expected), "{stopped}");
        assert!(stopped.is_refusal() && stopped.nothing_done);
        assert_eq!(columns(&db).await, "id,role");
    }
    let (_db, mut session) = fresh().await;
    let long = Stamp { from: "001".to_owned(), to: "x".repeat(33) };
    assert!(matches!(long.look(&mut session).await, Err(StampError::TooLong { length: 32, .. })));
    let role = reconcile_testkit::unique_name("reader");
    session.send(&format!("CREATE ROLE {role}; SET ROLE {role}")).await.unwrap();
    let stamp = Stamp::parse("alembic=001..004").unwrap();
    let words = stamp.look(&mut session).await.unwrap_err().to_string();
    let grant = format!("GRANT SELECT, UPDATE ON public.alembic_version TO {role}");
    assert!(words.contains(&grant), "{words}");
    session.send(&format!("RESET ROLE; DROP ROLE {role}")).await.unwrap();
}
