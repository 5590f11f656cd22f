//! Work in pieces harms nobody who follows the server, and says for whom it waits.

#![allow(clippy::unwrap_used)]

mod apply_kit;

use std::time::Duration;

use apply_kit::*;
use reconcile_catalog::Catalog;
use reconcile_kinds::Pieces;
use reconcile_live::apply::{
    Applied, Bounds, Cause, Event, Interrupt, Interrupter, Job, Pause, Stopped, Watch, apply,
};
use reconcile_live::connect::Session;
use reconcile_live::marks::Mark;
use reconcile_plan::{Batch, Plan};
use reconcile_sql::QName;
use reconcile_testkit::{database, majors, own_server};
use reconcile_throwaway::Options;

const BIG: &str = "CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL, b int, pad text); \
    INSERT INTO t SELECT i, i, NULL, repeat('x', 100) FROM generate_series(1, 150000) i; ANALYZE t;";

/// A slot that keeps what is written from now on. Made before the rows, it keeps too much at the first
/// look: however fast the machine is, there is a pause.
const FORGOTTEN: &str = "SELECT pg_create_physical_replication_slot('forgotten', true)";

/// Makes the rows take some seconds, as fast as the machine may be.
const SLOW: &str = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN \
    IF NEW.id % 100 = 0 THEN PERFORM pg_sleep(0.002); END IF; RETURN NEW; END$$; \
    CREATE TRIGGER slow BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION slow()";

const LEFT: &str = "SELECT count(*) FROM t WHERE b IS DISTINCT FROM a";

/// A plan that carries a column over in pieces.
fn carrying() -> Plan {
    let sql = "UPDATE ONLY public.t SET b = a WHERE b IS DISTINCT FROM a";
    let mut one = step(1, sql);
    let relation = QName::new("public", "t");
    one.pieces = Some(Pieces {
        relation,
        note: "b".to_owned(),
        replica: false,
        alone: false,
        full_identity: false,
        fires: Vec::new(),
    });
    let batch = Batch { transaction: false, locks: Vec::new(), ..batch(vec![one]) };
    Plan { batches: vec![batch], ..Plan::default() }
}

/// What is told; the first pause of a sort may set something going.
#[derive(Default)]
struct Told {
    pauses: Vec<Pause>,
    vacuums: usize,
    blockers: Vec<Option<i32>>,
    paused: Option<tokio::sync::oneshot::Sender<()>>,
}

impl Watch for Told {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Paused { why, .. } => {
                self.pauses.extend(why.iter().cloned());
                self.paused.take().map(|paused| paused.send(()));
            }
            Event::Vacuum { .. } => self.vacuums += 1,
            Event::Waiting { blockers, .. } => {
                self.blockers.extend(blockers.iter().map(|blocker| blocker.pid));
            }
            _ => {}
        }
    }
}

async fn carry(
    session: &mut Session,
    told: &mut Told,
    interrupt: &Interrupt,
    change: impl FnOnce(&mut Job<'_>),
) -> Result<Applied, Box<Stopped>> {
    let plan = carrying();
    let mark = Mark::take(session, &plan.touched).await.unwrap();
    let live = Catalog::new();
    let mut job = job(&plan, &live, mark);
    job.settings.throttle = false;
    change(&mut job);
    let result = apply(session, &job, told, interrupt).await;
    // Whoever still waits for a pause learns that there was none.
    told.paused = None;
    result
}

/// Somebody who hears of the first pause.
fn told() -> (Told, tokio::sync::oneshot::Receiver<()>) {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    (Told { paused: Some(sender), ..Told::default() }, receiver)
}

fn bounds(lag: u64, retained: u64) -> Bounds {
    Bounds { lag: Duration::from_secs(lag), retained }
}

#[tokio::test]
async fn a_slot_that_nobody_reads_is_waited_for_until_it_is_gone() {
    for major in majors() {
        let server = own_server(major, Options::default()).await;
        let mut other = session(&server.url("postgres")).await;
        other.send(FORGOTTEN).await.unwrap();
        other.send(BIG).await.unwrap();
        let mut ours = session(&server.url("postgres")).await;
        let (mut told, paused) = told();
        let drop = async {
            paused.await.unwrap();
            tokio::time::sleep(Duration::from_millis(1500)).await;
            // Who asks in another process reads it in the journal.
            let sql = "SELECT waits, waits_since IS NOT NULL AS since FROM reconcile.step";
            let row = other.send(sql).await.unwrap().remove(0);
            assert!(row.get("waits").unwrap().contains("forgotten"), "{row:?}");
            assert_eq!(row.get("since"), Some("t"));
            assert_ne!(other.send(LEFT).await.unwrap()[0].at(0), Some("0"));
            other.send("SELECT pg_drop_replication_slot('forgotten')").await.unwrap();
        };
        let never = Interrupt::never();
        let applying =
            carry(&mut ours, &mut told, &never, |job| job.settings.bounds = bounds(10, 1 << 20));
        let (result, ()) = tokio::join!(applying, drop);
        result.unwrap();
        let Pause::Retained { slot, active: false, bytes, bound } = &told.pauses[0] else {
            panic!("{:?}", told.pauses)
        };
        assert_eq!((slot.as_str(), *bound), ("forgotten", 1 << 20));
        assert!(bytes > bound, "{bytes}");
        let sql = "SELECT waits, waits_since FROM reconcile.step";
        let row = other.send(sql).await.unwrap().remove(0);
        assert_eq!((row.at(0), row.at(1)), (None, None));
        assert_eq!(other.send(LEFT).await.unwrap()[0].at(0), Some("0"));
    }
}

#[tokio::test]
async fn a_pause_ends_when_somebody_wants_an_end() {
    let server = own_server(majors()[0], Options::default()).await;
    let mut other = session(&server.url("postgres")).await;
    other.send(FORGOTTEN).await.unwrap();
    other.send(BIG).await.unwrap();
    let mut ours = session(&server.url("postgres")).await;
    let (interrupter, interrupt): (Interrupter, _) = Interrupt::new();
    let (mut told, paused) = told();
    let stop = async {
        paused.await.unwrap();
        interrupter.raise();
    };
    let applying = carry(&mut ours, &mut told, &interrupt, |job| {
        // It does not give up for it: a lag is no lock.
        job.settings.wait = Duration::ZERO;
        job.settings.bounds = bounds(10, 1 << 20);
    });
    let (result, ()) = tokio::join!(applying, stop);
    assert!(matches!(result.unwrap_err().cause, Cause::Interrupted));
    other.send("SELECT pg_drop_replication_slot('forgotten')").await.unwrap();
    let mut again = session(&server.url("postgres")).await;
    carry(&mut again, &mut Told::default(), &Interrupt::never(), |_| {}).await.unwrap();
    assert_eq!(other.send(LEFT).await.unwrap()[0].at(0), Some("0"));
}

#[tokio::test]
async fn a_standby_whose_replay_stands_still_is_waited_for() {
    for major in majors() {
        let hba = "local all all trust\nlocal replication all trust\n";
        let server = own_server(major, Options::default().hba(hba)).await;
        let mut other = session(&server.url("postgres")).await;
        other.send(BIG).await.unwrap();
        other.send(SLOW).await.unwrap();
        let standby = server.standby().await.unwrap();
        let mut follower = session(&standby.url("postgres")).await;
        let primary = format!(
            "ALTER SYSTEM SET primary_conninfo = 'host={} port={} user=postgres application_name=behind'",
            server.socket_dir().display(),
            server.port(),
        );
        follower.send(&primary).await.unwrap();
        follower.send("SELECT pg_reload_conf()").await.unwrap();
        let streams = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'";
        while other.send(streams).await.unwrap()[0].at(0) != Some("1") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        follower.send("SELECT pg_wal_replay_pause()").await.unwrap();
        let mut ours = session(&server.url("postgres")).await;
        let (mut told, paused) = told();
        let resume = async {
            paused.await.unwrap();
            follower.send("SELECT pg_wal_replay_resume()").await.unwrap();
        };
        let never = Interrupt::never();
        let applying = carry(&mut ours, &mut told, &never, |job| {
            job.settings.bounds = Bounds { lag: Duration::from_millis(300), retained: 4 << 30 };
        });
        let (result, ()) = tokio::join!(applying, resume);
        result.unwrap();
        let Pause::Behind { standby, lag_ms, bytes, bound_ms: 300 } = &told.pauses[0] else {
            panic!("{:?}", told.pauses)
        };
        assert_eq!(standby, "behind");
        assert!(*lag_ms > 300 && *bytes > 0, "{:?}", told.pauses[0]);
    }
}

#[tokio::test]
async fn a_disk_that_is_full_stops_it_and_the_next_apply_goes_on() {
    for major in majors() {
        let db = database(major, BIG).await;
        let mut ours = session(&db.url()).await;
        let full = "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN \
            IF NEW.id > 100000 THEN RAISE 'could not extend file: No space left on device' USING ERRCODE = '53100'; \
            END IF; RETURN NEW; END$$; \
            CREATE TRIGGER full_disk BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION full_disk()";
        ours.send(full).await.unwrap();
        let never = Interrupt::never();
        let stopped = carry(&mut ours, &mut Told::default(), &never, |_| {}).await.unwrap_err();
        let Cause::Exhausted { number: Some(1), error } = &stopped.cause else {
            panic!("{stopped:?}")
        };
        assert_eq!(error.sqlstate, "53100");
        assert!(!stopped.is_refusal());
        let left: u64 = ask(&db, LEFT).await.parse().unwrap();
        assert!((50_000..150_000).contains(&left), "{left}");
        ours.send("DROP TRIGGER full_disk ON t").await.unwrap();
        carry(&mut ours, &mut Told::default(), &never, |_| {}).await.unwrap();
        assert_eq!(ask(&db, LEFT).await, "0");
        assert_nothing_stays(&db).await;
    }
}

#[tokio::test]
async fn who_holds_a_row_is_named_while_it_is_waited_for_and_afterwards() {
    for major in majors() {
        let db = database(major, BIG).await;
        let mut ours = session(&db.url()).await;
        let mut other = session(&db.url()).await;
        other.send("BEGIN; UPDATE t SET pad = 'mine' WHERE id = 149000").await.unwrap();
        let mut told = Told::default();
        let wait = Duration::from_secs(2);
        let result =
            carry(&mut ours, &mut told, &Interrupt::never(), |job| job.settings.wait = wait).await;
        let stopped = result.unwrap_err();
        let Cause::Locked { blockers, waited } = &stopped.cause else { panic!("{stopped:?}") };
        assert!(*waited >= wait);
        assert_eq!(blockers[0].pid, Some(other.backend_pid));
        assert!(told.blockers.contains(&Some(other.backend_pid)), "{:?}", told.blockers);
        other.send("ROLLBACK").await.unwrap();
        carry(&mut ours, &mut told, &Interrupt::never(), |_| {}).await.unwrap();
        assert_eq!(ask(&db, LEFT).await, "0");
    }
}

#[tokio::test]
async fn the_room_of_old_rows_is_used_again() {
    for major in majors() {
        let size = "SELECT pg_relation_size('t')";
        let db = database(major, BIG).await;
        let before: u64 = ask(&db, size).await.parse().unwrap();
        let mut ours = session(&db.url()).await;
        let mut told = Told::default();
        carry(&mut ours, &mut told, &Interrupt::never(), |_| {}).await.unwrap();
        // How many there are depends on when the server counts the dead rows; what they are for is the size.
        assert!(told.vacuums >= 2, "{major}: {}", told.vacuums);
        let after: u64 = ask(&db, size).await.parse().unwrap();
        assert!(after < before * 3 / 2, "{major}: {before} to {after}");
        // The settings of the session are what they were.
        let rows = ours.send("SHOW lock_timeout; SHOW vacuum_cost_delay").await.unwrap();
        assert_eq!((rows[0].at(0), rows[1].at(0)), (Some("0"), Some("0")));
    }
}

#[tokio::test]
async fn a_vacuum_waits_for_nobody() {
    let db = database(majors()[0], BIG).await;
    let mut ours = session(&db.url()).await;
    let mut other = session(&db.url()).await;
    // As another VACUUM does, and an index that is built.
    other.send("BEGIN; LOCK TABLE t IN SHARE UPDATE EXCLUSIVE MODE").await.unwrap();
    let mut told = Told::default();
    carry(&mut ours, &mut told, &Interrupt::never(), |job| job.settings.wait = Duration::ZERO)
        .await
        .unwrap();
    assert!(told.vacuums > 0);
    let count = "SELECT vacuum_count FROM pg_stat_all_tables WHERE relid = 't'::regclass";
    assert_eq!(ask(&db, count).await, "0");
    other.send("ROLLBACK").await.unwrap();
}

#[tokio::test]
async fn a_vacuum_that_prevents_wraparound_is_left_to_its_work() {
    for major in majors() {
        let options = Options::default()
            .setting("autovacuum", "on")
            .setting("autovacuum_naptime", "1s")
            .setting("autovacuum_freeze_max_age", "100000")
            .setting("vacuum_freeze_min_age", "0")
            .setting("autovacuum_vacuum_cost_delay", "0");
        let server = own_server(major, options).await;
        let mut other = session(&server.url("postgres")).await;
        other.send(BIG).await.unwrap();
        let slow = "ALTER TABLE t SET (autovacuum_enabled = off, autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1)";
        other.send(slow).await.unwrap();
        let age = "DO $$BEGIN FOR i IN 1..100100 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END$$";
        other.send(age).await.unwrap();
        let runs = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'autovacuum:%public.t (to prevent wraparound)'";
        while other.send(runs).await.unwrap()[0].at(0) != Some("1") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let mut ours = session(&server.url("postgres")).await;
        let (mut told, paused) = told();
        let hurry = async {
            paused.await.unwrap();
            // The worker holds the lock that this needs, so it is ended; the next one is quick.
            let mut helper = session(&server.url("postgres")).await;
            let quick = other.send("ALTER TABLE t RESET (autovacuum_vacuum_cost_delay)");
            let end = async {
                tokio::time::sleep(Duration::from_millis(300)).await;
                let end = format!("SELECT pg_terminate_backend(pid) FROM ({runs}) w");
                helper.send(&end.replace("count(*)", "pid")).await.unwrap();
            };
            let (quick, ()) = tokio::join!(quick, end);
            quick.unwrap();
        };
        let never = Interrupt::never();
        let (result, ()) = tokio::join!(carry(&mut ours, &mut told, &never, |_| {}), hurry);
        result.unwrap();
        assert!(matches!(told.pauses[0], Pause::Wraparound { .. }), "{:?}", told.pauses);
        assert_eq!(other.send(LEFT).await.unwrap()[0].at(0), Some("0"));
    }
}
