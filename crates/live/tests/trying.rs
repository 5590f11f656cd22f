//! Locks are tried for as long as it is of use, and nobody queues behind a try that has no chance.

#![allow(clippy::unwrap_used)]

mod apply_kit;

use std::time::Duration;

use apply_kit::*;
use reconcile_live::apply::Cause;
use reconcile_live::connect::Session;
use reconcile_plan::Plan;
use reconcile_testkit::{database, majors, own_server, unique_name};
use reconcile_throwaway::{Options, Server};

fn adding() -> Plan {
    plan(vec![batch(vec![step(1, "ALTER TABLE public.t ADD COLUMN a int")])])
}

#[tokio::test]
async fn nothing_queues_behind_a_transaction_that_is_not_about_to_end() {
    for major in majors() {
        let db = database(major, TABLES).await;
        let mut ours = session(&db.url()).await;
        let (mut other, mut eye) = (session(&db.url()).await, session(&db.url()).await);
        let pid = other.backend_pid;
        other.send("BEGIN; SELECT * FROM t").await.unwrap();
        tokio::time::sleep(Duration::from_millis(2200)).await;
        let plan = adding();
        let looks = async {
            let sql =
                "SELECT count(*) FROM pg_locks WHERE relation = 't'::regclass AND NOT granted";
            for _ in 0..60 {
                assert_eq!(eye.send(sql).await.unwrap()[0].at(0), Some("0"), "{major}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            other.send("COMMIT").await.unwrap();
        };
        let ((result, events), ()) = tokio::join!(run(&mut ours, &plan), looks);
        result.unwrap();
        let first: Vec<&str> = events.iter().take(2).map(String::as_str).collect();
        assert_eq!(first, ["run 1", format!("waits for {pid}").as_str()], "{events:?}");
        assert!(!events.contains(&"batch 1 again".to_owned()), "{events:?}");
    }
}

#[tokio::test]
async fn who_stays_is_named_when_the_wait_is_over() {
    for major in majors() {
        let db = database(major, TABLES).await;
        let mut ours = session(&db.url()).await;
        let mut other = session(&db.url()).await;
        other.send("BEGIN; SELECT * FROM t").await.unwrap();
        tokio::time::sleep(Duration::from_millis(2200)).await;
        let wait = Duration::from_secs(1);
        let (result, _) = run_with(&mut ours, &adding(), |job| job.settings.wait = wait).await;
        let stopped = result.unwrap_err();
        let Cause::Locked { blockers, .. } = &stopped.cause else { panic!("{stopped:?}") };
        assert_eq!(blockers[0].pid, Some(other.backend_pid));
        assert!(stopped.nothing_done && stopped.to_string().contains("idle in transaction for"));
        other.send("COMMIT").await.unwrap();
        assert_nothing_stays(&db).await;
    }
}

#[tokio::test]
async fn a_role_that_sees_nothing_tries_as_the_plan_says() {
    for major in majors() {
        let db = database(major, TABLES).await;
        let role = unique_name("blind");
        let mut owner = session(&db.url()).await;
        let grants = format!(
            "CREATE ROLE {role}; ALTER TABLE t OWNER TO {role}; GRANT CREATE ON DATABASE \"{}\" TO {role}; \
             GRANT ALL ON SCHEMA public TO {role}",
            db.name()
        );
        owner.send(&grants).await.unwrap();
        let mut ours = session(&db.url()).await;
        let mut other = session(&db.url()).await;
        other.send("BEGIN; SELECT * FROM t").await.unwrap();
        ours.send(&format!("SET SESSION AUTHORIZATION {role}")).await.unwrap();
        let plan = adding();
        let release = async {
            tokio::time::sleep(Duration::from_millis(1500)).await;
            other.send("COMMIT").await.unwrap();
        };
        let ((result, events), ()) = tokio::join!(run(&mut ours, &plan), release);
        result.unwrap();
        assert!(events.contains(&"batch 1 again".to_owned()), "{events:?}");
        drop(ours);
        owner
            .send(&format!(
                "REASSIGN OWNED BY {role} TO postgres; DROP OWNED BY {role}; DROP ROLE {role}"
            ))
            .await
            .unwrap();
    }
}

/// A server on which autovacuum takes very long over `t`, as process of the returned number.
async fn slow_autovacuum(server: &Server, wraparound: bool) -> (Session, i32) {
    let mut other = session(&server.url("postgres")).await;
    other.send(TABLES).await.unwrap();
    let enabled = if wraparound { ", autovacuum_enabled = off" } else { "" };
    let slow = format!(
        "INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(11, 50000) i; \
         ALTER TABLE t SET (autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1{enabled})"
    );
    other.send(&slow).await.unwrap();
    if wraparound {
        let age = "DO $$BEGIN FOR i IN 1..100100 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END$$";
        other.send(age).await.unwrap();
    }
    let runs = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'autovacuum: VACUUM%public.t%'";
    loop {
        if let Some(row) = other.send(runs).await.unwrap().first() {
            return (other, row.at(0).unwrap().parse().unwrap());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn with_autovacuum() -> Options {
    Options::default()
        .setting("autovacuum", "on")
        .setting("autovacuum_naptime", "1s")
        .setting("autovacuum_freeze_max_age", "100000")
        .setting("vacuum_freeze_min_age", "0")
        .setting("autovacuum_vacuum_cost_delay", "0")
}

#[tokio::test]
async fn an_autovacuum_gives_way_without_anybody_queueing() {
    for major in majors() {
        let server = own_server(major, with_autovacuum()).await;
        let (_other, pid) = slow_autovacuum(&server, false).await;
        let mut ours = session(&server.url("postgres")).await;
        let (result, events) = run(&mut ours, &adding()).await;
        result.unwrap();
        assert!(events.contains(&format!("waits for {pid}")), "{events:?}");
    }
}

#[tokio::test]
async fn one_that_prevents_wraparound_is_left_alone_and_named() {
    for major in majors() {
        let server = own_server(major, with_autovacuum()).await;
        let (mut other, pid) = slow_autovacuum(&server, true).await;
        let mut ours = session(&server.url("postgres")).await;
        let wait = Duration::from_secs(3);
        let (result, _) = run_with(&mut ours, &adding(), |job| job.settings.wait = wait).await;
        let stopped = result.unwrap_err();
        let Cause::Locked { blockers, .. } = &stopped.cause else { panic!("{stopped:?}") };
        assert_eq!(blockers[0].pid, Some(pid));
        assert!(
            stopped.to_string().contains("(to prevent wraparound), which may not be put off"),
            "{stopped}"
        );
        let there = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}");
        assert_eq!(other.send(&there).await.unwrap()[0].at(0), Some("1"));
    }
}
