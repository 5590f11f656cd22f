//! Plans that are applied on real servers, and what stops them.

#![allow(clippy::unwrap_used)]

mod apply_kit;

use std::time::Duration;

use apply_kit::*;
use reconcile_catalog::Catalog;
use reconcile_kinds::{Guard, Proof};
use reconcile_live::apply::{Cause, Interrupt, apply};
use reconcile_live::connect::ConnectOptions;
use reconcile_live::journal::{Journal, RunState, StepState};
use reconcile_live::lease::LeaseError;
use reconcile_live::marks::Mark;
use reconcile_live::target::Target;
use reconcile_sql::QName;
use reconcile_testkit::{Database, database, majors};

fn journal() -> Journal {
    Journal::named("reconcile").unwrap()
}

/// A database with the tables on each version.
async fn databases() -> Vec<Database> {
    let mut all = Vec::new();
    for major in majors() {
        all.push(database(major, TABLES).await);
    }
    all
}

#[tokio::test]
async fn a_plan_is_applied_and_noted() {
    for db in databases().await {
        let mut session = session(&db.url()).await;
        let mut first = step(1, "DROP VIEW public.v -- with a remark");
        first.proofs = vec![Proof {
            what: "rows of t".to_owned(),
            relation: QName::new("public", "t"),
            before: "SELECT count(*) FROM public.t".to_owned(),
            after: "SELECT count(*) FROM public.t WHERE a IS NULL".to_owned(),
        }];
        let mut dropping = batch(vec![
            first,
            step(2, "ALTER TABLE public.t ADD COLUMN a int"),
            step(3, "CREATE VIEW public.v AS SELECT id, role, a FROM public.t"),
        ]);
        dropping.locks = vec![lock("v"), lock("m"), lock("made_later"), lock("t")];
        let mut validating = batch(vec![step(4, "SELECT pg_sleep(0.02)")]);
        validating.hold = Duration::ZERO;
        let index = "CREATE INDEX CONCURRENTLY t_role ON public.t (role)";
        let plan = plan(vec![dropping, validating, outside(5, "t_role", index)]);
        let (result, events) = run(&mut session, &plan).await;
        let applied = result.unwrap_or_else(|e| panic!("{}: {e}", db.server().major()));
        assert_eq!((applied.run, applied.steps, applied.stamped), (Some(1), 5, false));
        assert_eq!(
            events.join("; "),
            "run 1; batch 1; step 1 done; step 2 done; step 3 done; batch 1 done; batch 2; \
             step 4 done; batch 2 done; batch 3; step 5 done; batch 3 done"
        );
        assert_eq!(columns(&db).await, "id,role,a");

        let runs = journal().runs(&mut session).await.unwrap();
        assert_eq!(runs.len(), 1);
        let run = &runs[0];
        assert_eq!((run.state, run.steps, run.steps_done), (RunState::Done, 5, 5));
        assert_eq!((run.role.as_str(), run.tool.as_str()), ("postgres", "0.1.0"));
        assert_eq!((run.client.as_str(), run.application.as_str()), ("local", "reconcile"));
        assert_eq!((&run.plan_digest, run.error.as_deref()), (&plan.digest(), None));
        assert!(run.started.ends_with('Z') && run.finished.is_some());
        let steps = journal().steps(&mut session, 1).await.unwrap();
        assert!(steps.iter().all(|s| s.state == StepState::Done && s.finished.is_some()));
        assert_eq!(steps[0].sql, "DROP VIEW public.v -- with a remark");
        assert!(steps[0].hold_ms.is_some() && steps[0].started.is_some());
        assert_eq!(steps.iter().map(|s| s.batch).collect::<Vec<_>>(), [1, 1, 1, 2, 3]);
        assert_nothing_stays(&db).await;
    }
}

#[tokio::test]
async fn a_view_is_locked_without_what_it_reads() {
    for db in databases().await {
        let mut session = session(&db.url()).await;
        let note = "CREATE TABLE public.seen AS SELECT c.relname, l.mode FROM pg_locks l \
                    JOIN pg_class c ON c.oid = l.relation WHERE l.pid = pg_backend_pid() \
                    AND c.relnamespace = 'public'::regnamespace AND l.mode = 'AccessExclusiveLock'";
        let mut noting = batch(vec![step(1, note)]);
        noting.locks = vec![lock("v"), lock("m")];
        let (result, _) = run(&mut session, &plan(vec![noting])).await;
        result.unwrap();
        let seen = "SELECT string_agg(relname, ',' ORDER BY relname) FROM seen \
                    WHERE relname <> 'seen'";
        assert_eq!(ask(&db, seen).await, "m,v");
        assert_eq!(ask(&db, "SELECT count(*) FROM pg_class WHERE relname = 'v'").await, "1");
    }
}

#[tokio::test]
async fn a_failed_statement_is_told_with_its_step_and_leaves_nothing() {
    let db = database(majors()[0], TABLES).await;
    let mut session = session(&db.url()).await;
    let plan = plan(vec![
        batch(vec![step(1, "ALTER TABLE public.t ADD COLUMN a int")]),
        batch(vec![
            step(2, "ALTER TABLE public.t ADD COLUMN b int"),
            step(3, "ALTER TABLE public.t ADD COLUMN c no_such_type"),
        ]),
    ]);
    let (result, _) = run(&mut session, &plan).await;
    let stopped = result.unwrap_err();
    let Cause::Step { number, error } = &stopped.cause else { panic!("{stopped:?}") };
    assert_eq!((*number, error.sqlstate.as_str()), (3, "42704"));
    assert!(error.position.is_some());
    assert_eq!((stopped.done.as_slice(), stopped.nothing_done), (&[1][..], false));
    assert!(stopped.to_string().contains("of 3 steps these are done: 1"), "{stopped}");
    assert_eq!(columns(&db).await, "id,role,a");
    let run = journal().runs(&mut session).await.unwrap().remove(0);
    assert_eq!((run.state, run.steps_done), (RunState::Stopped, 1));
    assert!(run.error.unwrap().contains("no_such_type"));
    assert_nothing_stays(&db).await;
}

#[tokio::test]
async fn a_second_apply_is_refused_by_name_and_works_later() {
    let db = database(majors()[0], TABLES).await;
    let mut first = session(&db.url()).await;
    let mut second = session(&db.url()).await;
    let pid = first.backend_pid;
    let slow = plan(vec![batch(vec![step(1, "SELECT pg_sleep(2)")])]);
    let quick = two();
    let refused = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        run_with(&mut second, &quick, |job| job.settings.lease_wait = Duration::ZERO).await
    };
    let (slow, (refused, _)) = tokio::join!(run(&mut first, &slow), refused);
    slow.0.unwrap();
    let stopped = refused.unwrap_err();
    let Cause::Lease(LeaseError::Held { pid: held, holder, since }) = &stopped.cause else {
        panic!("{stopped:?}")
    };
    assert_eq!(*held, pid);
    assert!(holder.contains("postgres (reconcile 0.1.0) from a local client"), "{holder}");
    assert!(since.is_some() && stopped.is_refusal() && stopped.nothing_done);
    assert_eq!(stopped.run, None);
    run(&mut second, &quick).await.0.unwrap();
    assert_eq!(columns(&db).await, "id,role,a,b");
}

#[tokio::test]
async fn a_message_that_outlives_its_lease_does_nothing() {
    let db = database(majors()[0], TABLES).await;
    let mut session = session(&db.url()).await;
    let mut root = apply_kit::session(&db.url()).await;
    let plan = plan(vec![
        batch(vec![step(1, "ALTER TABLE public.t ADD COLUMN a int")]),
        outside(2, "t_role", "CREATE INDEX CONCURRENTLY t_role ON public.t (role)"),
        batch(vec![step(3, "ALTER TABLE public.t ADD COLUMN b int")]),
    ]);
    // While the index waits for a snapshot, somebody raises the fence.
    root.send("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM other").await.unwrap();
    let mut thief = apply_kit::session(&db.url()).await;
    let steal = async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        thief.send("UPDATE reconcile.lease SET fence = fence + 1").await.unwrap();
        root.send("COMMIT").await.unwrap();
    };
    let ((result, _), ()) = tokio::join!(run(&mut session, &plan), steal);
    let stopped = result.unwrap_err();
    assert!(matches!(stopped.cause, Cause::LeaseLost), "{stopped:?}");
    assert_eq!(stopped.done, [1, 2]);
    assert_eq!(columns(&db).await, "id,role,a");
}

#[tokio::test]
async fn locks_are_waited_for_and_the_holder_is_named() {
    for db in databases().await {
        let mut session = session(&db.url()).await;
        let mut other = apply_kit::session(&db.url()).await;
        let pid = other.backend_pid;
        other.send("BEGIN; SELECT count(*) FROM t").await.unwrap();
        let release = async {
            tokio::time::sleep(Duration::from_millis(1200)).await;
            other.send("COMMIT").await.unwrap();
        };
        let plan_of_two = two();
        let ((result, events), ()) = tokio::join!(run(&mut session, &plan_of_two), release);
        result.unwrap();
        let waits = format!("waits for {pid}");
        assert!(
            events.contains(&waits) && events.contains(&"batch 1 again".to_owned()),
            "{events:?}"
        );

        other.send("BEGIN; SELECT count(*) FROM t").await.unwrap();
        let plan = plan(vec![batch(vec![step(1, "ALTER TABLE public.t ADD COLUMN c int")])]);
        let (result, _) =
            run_with(&mut session, &plan, |job| job.settings.wait = Duration::from_secs(1)).await;
        let stopped = result.unwrap_err();
        let Cause::Locked { blockers, waited } = &stopped.cause else { panic!("{stopped:?}") };
        assert_eq!(blockers.iter().map(|b| b.pid).collect::<Vec<_>>(), [Some(pid)]);
        assert!(*waited >= Duration::from_secs(1) && *waited < Duration::from_secs(4));
        assert!(stopped.is_refusal() && stopped.nothing_done);
        assert!(stopped.to_string().contains(&format!("process {pid}")), "{stopped}");
        other.send("COMMIT").await.unwrap();
        assert_nothing_stays(&db).await;
    }
}

#[tokio::test]
async fn a_table_that_changed_since_the_plan_is_left_alone() {
    for change in [
        "ALTER TABLE t ADD COLUMN x int",
        "CREATE VIEW newcomer AS SELECT role FROM t",
        "COMMENT ON COLUMN t.role IS 'hm'",
        "GRANT SELECT ON t TO PUBLIC",
        "DROP VIEW v",
    ] {
        let db = database(majors()[0], TABLES).await;
        let mut session = session(&db.url()).await;
        let plan = two();
        let mark = Mark::take(&mut session, &plan.touched).await.unwrap();
        session.send(change).await.unwrap();
        let before = columns(&db).await;
        let live = Catalog::new();
        let job = job(&plan, &live, mark);
        let result = apply(&mut session, &job, &mut (), &Interrupt::never()).await;
        let stopped = result.unwrap_err();
        assert!(matches!(stopped.cause, Cause::Changed), "{change}: {stopped:?}");
        assert!(stopped.nothing_done && stopped.is_refusal());
        assert_eq!(columns(&db).await, before, "{change}");
        assert_nothing_stays(&db).await;
    }
}

#[tokio::test]
async fn a_change_while_locks_are_waited_for_is_seen() {
    let db = database(majors()[0], TABLES).await;
    let mut session = session(&db.url()).await;
    let mut other = apply_kit::session(&db.url()).await;
    let plan = plan(vec![
        batch(vec![step(1, "ALTER TABLE public.t ADD COLUMN a int")]),
        outside(2, "t_role", "CREATE INDEX CONCURRENTLY t_role ON public.t (role)"),
        batch(vec![step(3, "ALTER TABLE public.t ADD COLUMN b int")]),
    ]);
    let mut holder = apply_kit::session(&db.url()).await;
    holder.send("BEGIN; LOCK TABLE t IN SHARE UPDATE EXCLUSIVE MODE").await.unwrap();
    let change = async {
        // Batch 1 waits for the lock, and meanwhile the table changes.
        tokio::time::sleep(Duration::from_millis(700)).await;
        other.send("COMMENT ON VIEW v IS 'other'").await.unwrap();
        holder.send("COMMIT").await.unwrap();
    };
    let ((result, _), ()) = tokio::join!(run(&mut session, &plan), change);
    let stopped = result.unwrap_err();
    assert!(matches!(stopped.cause, Cause::Changed), "{stopped:?}");
    assert!(stopped.nothing_done);
}

#[tokio::test]
async fn guards_and_proofs_end_the_transaction_in_the_words_of_the_plan() {
    for db in databases().await {
        let mut session = session(&db.url()).await;
        let mut guarded = step(3, "ALTER TABLE public.t DROP COLUMN role");
        guarded.guards = vec![Guard {
            sql: "SELECT count(role) FROM public.t".to_owned(),
            complaint: "values in column:public.t.role would be lost".to_owned(),
            lifted_by: Some("--allow-data-loss"),
            by_index: false,
        }];
        let plan_guarded = plan(vec![batch(vec![
            step(1, "DROP VIEW public.v"),
            step(2, "DROP MATERIALIZED VIEW public.m"),
            guarded,
        ])]);
        let (result, _) = run(&mut session, &plan_guarded).await;
        let stopped = result.unwrap_err();
        assert_eq!(
            stopped.to_string(),
            "10 values in column:public.t.role would be lost (nothing was changed)"
        );
        assert!(matches!(stopped.cause, Cause::Guard { step: 3, count: 10, .. }), "{stopped:?}");

        let mut proven = step(1, "DELETE FROM public.t WHERE id = 3");
        proven.proofs = vec![Proof {
            what: "rows of t".to_owned(),
            relation: QName::new("public", "t"),
            before: "SELECT count(*) FROM public.t".to_owned(),
            after: "SELECT count(*) FROM public.t".to_owned(),
        }];
        let (result, _) = run(&mut session, &plan(vec![batch(vec![proven])])).await;
        let stopped = result.unwrap_err();
        let Cause::Proof { step: 1, what, before, after } = &stopped.cause else {
            panic!("{stopped:?}")
        };
        assert_eq!((what.as_str(), before.as_str(), after.as_str()), ("rows of t", "10", "9"));
        assert_eq!(ask(&db, "SELECT count(*) FROM t").await, "10");

        let lift = |job: &mut reconcile_live::apply::Job<'_>| {
            job.settings.lifted = vec!["--allow-data-loss".to_owned()];
        };
        run_with(&mut session, &plan_guarded, lift).await.0.unwrap();
        assert_eq!(columns(&db).await, "id");
        assert_nothing_stays(&db).await;
    }
}

#[tokio::test]
async fn locks_are_not_held_longer_than_the_bound() {
    for db in databases().await {
        let mut session = session(&db.url()).await;
        // Each statement is within the bound, all of them together are not.
        let steps = (1..=4).map(|n| step(n, "SELECT pg_sleep(0.15)")).collect();
        let mut slow = batch(steps);
        slow.hold = Duration::from_millis(400);
        let begin = std::time::Instant::now();
        let (result, events) = run(&mut session, &plan(vec![slow])).await;
        let stopped = result.unwrap_err();
        let Cause::TooLong { batch: 1, bound, tries: 2, .. } = stopped.cause else {
            panic!("{stopped:?}")
        };
        assert_eq!(bound, Duration::from_millis(400));
        assert!(events.contains(&"batch 1 again".to_owned()), "{events:?}");
        assert!(begin.elapsed() < Duration::from_secs(8));
        assert!(stopped.nothing_done && stopped.to_string().contains("--max-stall"), "{stopped}");
        assert_nothing_stays(&db).await;
    }
}

#[tokio::test]
async fn an_interruption_leaves_nothing_behind() {
    for db in databases().await {
        let mut session = session(&db.url()).await;
        let mut slow = batch(vec![step(2, "SELECT pg_sleep(30)")]);
        slow.hold = Duration::from_secs(60);
        let plan = plan(vec![batch(vec![step(1, "ALTER TABLE public.t ADD COLUMN a int")]), slow]);
        let mark = Mark::take(&mut session, &plan.touched).await.unwrap();
        let live = Catalog::new();
        let job_slow = job(&plan, &live, mark);
        let (interrupter, interrupt) = Interrupt::new();
        let mut nobody = ();
        let begin = std::time::Instant::now();
        let raise = async {
            tokio::time::sleep(Duration::from_millis(900)).await;
            interrupter.raise();
        };
        let (result, ()) =
            tokio::join!(apply(&mut session, &job_slow, &mut nobody, &interrupt), raise);
        let stopped = result.unwrap_err();
        assert!(matches!(stopped.cause, Cause::Interrupted), "{stopped:?}");
        assert_eq!((stopped.done.as_slice(), stopped.nothing_done), (&[1][..], false));
        assert!(begin.elapsed() < Duration::from_secs(10));
        assert_nothing_stays(&db).await;
        let run = journal().runs(&mut session).await.unwrap().remove(0);
        assert_eq!((run.state, run.error.as_deref()), (RunState::Stopped, Some("interrupted")));

        // While it waits for a lock, and before it begins.
        let mut other = apply_kit::session(&db.url()).await;
        other.send("BEGIN; SELECT count(*) FROM t").await.unwrap();
        let (interrupter, interrupt) = Interrupt::new();
        let mark = Mark::take(&mut session, &plan.touched).await.unwrap();
        let plan = two();
        let job_two = job(&plan, &live, mark);
        let raise = async {
            tokio::time::sleep(Duration::from_millis(900)).await;
            interrupter.raise();
        };
        let (result, ()) =
            tokio::join!(apply(&mut session, &job_two, &mut nobody, &interrupt), raise);
        let stopped = result.unwrap_err();
        assert!(matches!(stopped.cause, Cause::Interrupted) && stopped.nothing_done);
        other.send("COMMIT").await.unwrap();
        let result = apply(&mut session, &job_two, &mut (), &interrupt).await;
        assert!(matches!(result.unwrap_err().cause, Cause::Interrupted));
        assert_nothing_stays(&db).await;
    }
}

#[tokio::test]
async fn a_session_that_is_terminated_is_told_truly_and_its_lease_taken_over() {
    for db in databases().await {
        let mut session = session(&db.url()).await;
        let mut root = apply_kit::session(&db.url()).await;
        let mut slow = batch(vec![
            step(2, "ALTER TABLE public.t ADD COLUMN b int"),
            step(3, "SELECT pg_sleep(30)"),
        ]);
        slow.hold = Duration::from_secs(60);
        let first = batch(vec![step(1, "ALTER TABLE public.t ADD COLUMN a int")]);
        let plan = plan(vec![first, slow]);
        let pid = session.backend_pid;
        let kill = async {
            tokio::time::sleep(Duration::from_millis(900)).await;
            root.send(&format!("SELECT pg_terminate_backend({pid})")).await.unwrap();
        };
        let ((result, _), ()) = tokio::join!(run(&mut session, &plan), kill);
        let stopped = result.unwrap_err();
        assert!(matches!(stopped.cause, Cause::Lost { certain: true, .. }), "{stopped:?}");
        assert_eq!((stopped.done.as_slice(), stopped.nothing_done), (&[1][..], false));
        assert_eq!(columns(&db).await, "id,role,a");
        // The session was replaced by a new one, and the next run goes on.
        let rest =
            apply_kit::plan(vec![batch(vec![step(1, "ALTER TABLE public.t ADD COLUMN b int")])]);
        let (result, _) = run(&mut session, &rest).await;
        assert_eq!(result.unwrap().run, Some(2));
        let runs = journal().runs(&mut session).await.unwrap();
        assert_eq!((runs[0].continues, runs[1].state), (Some(1), RunState::Stopped));
        assert_nothing_stays(&db).await;
    }
}

#[tokio::test]
async fn privileges_for_the_journal_are_asked_for_by_name() {
    for major in majors() {
        let role = reconcile_testkit::unique_name("plain");
        let db = database(major, TABLES).await;
        let mut root = session(&db.url()).await;
        let setup = format!(
            "CREATE ROLE {role} LOGIN PASSWORD 'pw'; ALTER TABLE t OWNER TO {role}; \
             ALTER VIEW v OWNER TO {role}"
        );
        root.send(&setup).await.unwrap();
        let mut plain = session(&db.tcp_url(&role, "pw")).await;
        let plan = two();
        let (result, _) = run(&mut plain, &plan).await;
        let stopped = result.unwrap_err();
        let words = stopped.to_string();
        assert!(stopped.is_refusal() && stopped.nothing_done);
        assert!(
            words.contains(&format!("GRANT CREATE ON DATABASE {} TO {role}", db.name())),
            "{words}"
        );

        root.send("CREATE SCHEMA notes").await.unwrap();
        let elsewhere = |job: &mut reconcile_live::apply::Job<'_>| {
            job.journal = Journal::named("notes").unwrap();
        };
        let (result, _) = run_with(&mut plain, &plan, elsewhere).await;
        let words = result.unwrap_err().to_string();
        assert!(
            words.contains(&format!("GRANT USAGE, CREATE ON SCHEMA notes TO {role}")),
            "{words}"
        );
        root.send(&format!("GRANT USAGE, CREATE ON SCHEMA notes TO {role}")).await.unwrap();
        run_with(&mut plain, &plan, elsewhere).await.0.unwrap();

        // A journal of somebody else's.
        let (result, _) =
            run(&mut root, &apply_kit::plan(vec![batch(vec![step(1, "SELECT 1")])])).await;
        result.unwrap();
        let (result, _) = run(&mut plain, &plan).await;
        let words = result.unwrap_err().to_string();
        assert!(words.contains("GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA"), "{words}");
        root.send("CREATE SCHEMA taken CREATE TABLE thing (a int)").await.unwrap();
        let (result, _) = run_with(&mut root, &plan, |job| {
            job.journal = Journal::named("taken").unwrap();
        })
        .await;
        assert!(result.unwrap_err().to_string().contains("holds thing"));
        drop(plain);
        root.send(&format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}")).await.unwrap();
    }
    for wrong in ["public", "pg_catalog", "information_schema", "", &"x".repeat(64)] {
        assert!(Journal::named(wrong).is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn a_role_that_was_taken_owns_what_is_made() {
    let role = reconcile_testkit::unique_name("owner");
    let db = database(majors()[0], TABLES).await;
    let mut root = session(&db.url()).await;
    root.send(&format!(
        "CREATE ROLE {role}; GRANT CREATE ON DATABASE {} TO {role}; ALTER TABLE t OWNER TO {role}; \
         ALTER VIEW v OWNER TO {role}; GRANT CREATE ON SCHEMA public TO {role}",
        db.name()
    ))
    .await
    .unwrap();
    let options = ConnectOptions { role: Some(role.clone()), ..ConnectOptions::default() };
    let target = Target::parse(&db.url()).unwrap().target;
    let mut acting = reconcile_live::connect::connect(&target, &options).await.unwrap();
    let plan = plan(vec![batch(vec![step(1, "CREATE TABLE public.made (a int)")])]);
    run(&mut acting, &plan).await.0.unwrap();
    let owner = "SELECT relowner::regrole::text FROM pg_class WHERE relname = 'made'";
    assert_eq!(ask(&db, owner).await, role);
    let runs = journal().runs(&mut acting).await.unwrap();
    assert_eq!((runs[0].role.as_str(), runs[0].login.as_str()), (role.as_str(), "postgres"));
    acting.close().await;
    root.send(&format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}")).await.unwrap();
}

#[tokio::test]
async fn readers_of_a_view_that_is_rebuilt_see_no_error() {
    for db in databases().await {
        let mut session = session(&db.url()).await;
        let mut change = batch(vec![
            step(1, "DROP VIEW public.v"),
            step(2, "ALTER TABLE public.t ALTER role TYPE varchar(20) USING role::text"),
            step(3, "CREATE VIEW public.v AS SELECT id, role FROM public.t"),
        ]);
        change.locks = vec![lock("v"), lock("t")];
        change.lock_timeout = Duration::from_millis(500);
        let mut changing = plan(vec![change]);
        changing.batches.insert(0, batch(vec![step(4, "DROP MATERIALIZED VIEW public.m")]));
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let mut clients = Vec::new();
        for client in 0..6 {
            let (url, stop) = (db.url(), std::sync::Arc::clone(&stop));
            clients.push(tokio::spawn(async move {
                let mut session = apply_kit::session(&url).await;
                let mut reads = 0;
                while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                    // Some transactions read the view, some the table, some both.
                    let sql = match client % 3 {
                        0 => "SELECT count(*) FROM v",
                        1 => "BEGIN; SELECT count(*) FROM t; SELECT count(*) FROM v; COMMIT",
                        _ => "BEGIN; SELECT * FROM v LIMIT 1; SELECT pg_sleep(0.005); COMMIT",
                    };
                    session.send(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
                    reads += 1;
                    tokio::time::sleep(Duration::from_millis(15 + client)).await;
                }
                reads
            }));
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        let (result, events) = run(&mut session, &changing).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        stop.store(true, std::sync::atomic::Ordering::SeqCst);
        for client in clients {
            assert!(client.await.unwrap() > 10);
        }
        let applied = result.unwrap_or_else(|stopped| panic!("{stopped}: {events:?}"));
        assert!(applied.longest_hold < Duration::from_secs(2), "{applied:?}");
    }
}

#[tokio::test]
async fn somebody_who_waits_the_other_way_round_is_not_the_one_to_be_ended() {
    for db in databases().await {
        let mut session = session(&db.url()).await;
        let mut other = apply_kit::session(&db.url()).await;
        let mut change = batch(vec![
            step(1, "DROP VIEW public.v"),
            step(2, "ALTER TABLE public.t ADD COLUMN a int"),
        ]);
        change.locks = vec![lock("v"), lock("t")];
        change.lock_timeout = Duration::from_secs(5);
        // The third has v, we wait for it, and behind us the other, who has t. Then the third
        // goes, we have v and want t: the other has waited for longer than we.
        let mut third = apply_kit::session(&db.url()).await;
        third.send("BEGIN; SELECT count(*) FROM v").await.unwrap();
        other.send("BEGIN; SELECT count(*) FROM t").await.unwrap();
        // Transactions of half a second are worth a try of more than that.
        tokio::time::sleep(Duration::from_millis(600)).await;
        let release = async {
            tokio::time::sleep(Duration::from_millis(1500)).await;
            third.send("COMMIT").await.unwrap();
        };
        let ask = async {
            tokio::time::sleep(Duration::from_millis(1000)).await;
            let answer = other.send("SELECT count(*) FROM v; COMMIT").await;
            answer.unwrap_or_else(|e| panic!("{}: {e}", db.server().major()));
        };
        let against = async {
            tokio::join!(release, ask);
        };
        let changing = plan(vec![change]);
        let ((result, events), ()) = tokio::join!(run(&mut session, &changing), against);
        result.unwrap();
        assert!(events.contains(&"batch 1 again".to_owned()), "{events:?}");
    }
}
