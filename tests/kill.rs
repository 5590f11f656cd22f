//! Killed, cut off or thrown out at every boundary, and applied again: the work is finished, and
//! the result is that of an undisturbed apply.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::blow::{Blow, Recorded, disturb};
use common::proxy::When;
use common::{Case, DONE, JOURNAL, Ran, dump, execute, on, rows, scalar};
use reconcile_testkit::{Database, majors};

const CASES: &[Case] = &[
    Case { name: "messages/lived_in" },
    Case { name: "messages/check_name_taken" },
    Case { name: "messages/production" },
];

/// How a column's type is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// At once.
    Direct,
    /// On a second column, which `contract` ends.
    Online,
}

impl Way {
    fn apply(self, model: &str) -> Vec<&str> {
        let how = match self {
            Self::Direct => &["--strategy", "direct"][..],
            Self::Online => &["--strategy", "online", "--throttle", "off"],
        };
        [&["apply", "--yes"][..], how, &[model]].concat()
    }

    async fn end(self, url: &str) {
        if self == Self::Online {
            on(url, &["contract", "--yes"]).await.expect(DONE);
        }
    }
}

/// What an undisturbed apply leads to.
#[derive(Debug)]
struct Undisturbed {
    /// The state in which each apply begins, to copy.
    untouched: Database,
    before: String,
    after: String,
    columns: rows::Columns,
    rows: rows::Rows,
    recorded: Recorded,
}

async fn undisturbed(major: u32, case: Case, way: Way) -> Undisturbed {
    let untouched = case.database(major).await;
    let database = untouched.copy().await;
    let columns = rows::columns(&database).await;
    let before = dump::definitions(&database).await;
    let recorded = Recorded::of(&database, &way.apply(&case.model())).await;
    way.end(&database.url()).await;
    let after = dump::definitions(&database).await;
    let rows = rows::rows(&database, &columns).await;
    Undisturbed { untouched, before, after, columns, rows, recorded }
}

/// The second apply finishes the work; nothing tells that there was a first.
async fn finishes(database: &Database, case: Case, way: Way, expected: &Undisturbed, what: &str) {
    let url = database.url();
    let again = on(&url, &way.apply(&case.model())).await.expect(DONE);
    way.end(&url).await;
    let after = dump::definitions(database).await;
    let difference = || dump::difference(&expected.after, &after);
    assert!(after == expected.after, "{what}:\n{}\n{again:?}", difference());
    assert!(!after.contains("_rc_"), "{what}: {after}");
    assert_eq!(rows::rows(database, &expected.columns).await, expected.rows, "{what}");
    on(&url, &["plan", "--exit-code", &case.model()]).await.expect(DONE);

    let mut connection = database.connect().await;
    let locks = "SELECT count(*)::text FROM pg_locks l JOIN pg_database d ON d.oid = l.database \
                 WHERE d.datname = current_database() AND locktype = 'advisory'";
    assert_eq!(scalar(&mut connection, locks).await, "0", "{what}: a lease is still held");

    // The story: the last run is done, and one before it did not end well or there is none.
    let status = on(&url, &["status", "--format", "json"]).await.expect(DONE);
    let status: serde_json::Value = serde_json::from_str(&status.out).unwrap();
    let runs = status["runs"].as_array().expect("status lists runs");
    // The end of an online change is a run of its own.
    let runs = &runs[usize::from(way == Way::Online).min(runs.len())..];
    let states: Vec<&str> = runs.iter().filter_map(|run| run["state"].as_str()).collect();
    assert_eq!(states.first(), Some(&"done"), "{what}: {states:?}");
    assert!(states[1..].iter().all(|state| *state == "stopped"), "{what}: {states:?}");
    // The middle of the work is not done twice: a run that goes on says with which one.
    let first_did = runs.iter().skip(1).any(|run| run["steps_done"].as_u64() > Some(0));
    assert_eq!(first_did, runs[0]["continues"].is_number(), "{what}: {status}");
}

/// Rollback knows all of it, the beginning that the first apply did too.
async fn goes_back(database: &Database, expected: &Undisturbed, what: &str) {
    let back = on(&database.url(), &["rollback", "--yes"]).await.expect(DONE);
    let restored = dump::definitions(database).await;
    let difference = || dump::difference(&expected.before, &restored);
    assert!(
        dump::plain(&restored) == dump::plain(&expected.before),
        "{what}:\n{}\n{back:?}",
        difference()
    );
}

async fn disturbed_everywhere(blow: Blow, cases: &[Case], way: Way) {
    for major in majors() {
        for &case in cases {
            let expected = Arc::new(undisturbed(major, case, way).await);
            let mut boundaries = expected.recorded.boundaries();
            if way == Way::Online {
                // There are many; before a query it is as after the one before it.
                boundaries.retain(|(_, when)| !matches!(when, When::Before));
            }
            assert!(boundaries.len() > 10, "{boundaries:?}");
            let at = |boundary| disturbed(major, case, way, blow, boundary, Arc::clone(&expected));
            common::all(boundaries.into_iter().map(at)).await;
        }
    }
}

async fn disturbed(
    major: u32,
    case: Case,
    way: Way,
    blow: Blow,
    boundary: (usize, When),
    expected: Arc<Undisturbed>,
) {
    let what = format!("{} on {major}, {blow:?} at {boundary:?}", case.name);
    let database = expected.untouched.copy().await;
    let status = disturb(&database, &way.apply(&case.model()), boundary, blow).await;
    match blow {
        Blow::Kill => assert_eq!(status, None, "{what}: it was not killed"),
        Blow::Cut => assert!(matches!(status, Some(0 | 1 | 3 | 4)), "{what}: {status:?}"),
    }
    finishes(&database, case, way, &expected, &what).await;
    if way == Way::Direct
        && matches!(boundary.1, When::After)
        && expected.recorded.has_steps(boundary.0)
    {
        goes_back(&database, &expected, &what).await;
    }
}

#[tokio::test]
async fn killed_at_every_boundary() {
    disturbed_everywhere(Blow::Kill, CASES, Way::Direct).await;
}

#[tokio::test]
async fn killed_at_every_boundary_of_an_online_change() {
    disturbed_everywhere(Blow::Kill, &[CASES[0], CASES[2]], Way::Online).await;
}

#[tokio::test]
async fn cut_off_at_every_boundary() {
    // The server sees the same as when the program is killed; the program has to find out.
    disturbed_everywhere(Blow::Cut, &CASES[1..2], Way::Direct).await;
}

/// Waits until somebody waits for a lock of a session; the one who waits.
async fn waiting(watcher: &mut sqlx::PgConnection, holder: &str) -> String {
    let sql = format!(
        "SELECT coalesce((SELECT pid::text FROM pg_stat_activity \
         WHERE {holder} = ANY (pg_blocking_pids(pid)) LIMIT 1), '')"
    );
    for _ in 0..1000 {
        let pid = scalar(watcher, &sql).await;
        if !pid.is_empty() {
            return pid;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nobody waits for the lock");
}

#[tokio::test]
async fn its_backend_is_terminated_half_way() {
    for major in majors() {
        let case = CASES[0];
        let expected = undisturbed(major, case, Way::Direct).await;
        let database = expected.untouched.copy().await;
        // The second transaction needs this relation, the first does not: it is done by then.
        let mut holder = database.connect().await;
        let mut watcher = database.connect().await;
        let pid = scalar(&mut holder, "SELECT pg_backend_pid()::text").await;
        execute(&mut holder, "BEGIN; SELECT FROM role_counts LIMIT 1").await;
        let url = database.url();
        let (ran, ()) = tokio::join!(on(&url, &["apply", "--yes", "schema/"]), async {
            let victim = waiting(&mut watcher, &pid).await;
            execute(&mut watcher, &format!("SELECT pg_terminate_backend({victim})")).await;
        });
        execute(&mut holder, "ROLLBACK").await;
        let ran: Ran = ran;
        assert!(matches!(ran.status, Some(0 | 4)), "{ran:?}");
        if ran.status == Some(4) {
            ran.says("add column messages.tool_call_id");
            let mut connection = database.connect().await;
            let done = format!("SELECT count(*)::text FROM {JOURNAL}.step WHERE state = 'done'");
            assert_eq!(scalar(&mut connection, &done).await, "1");
        }
        finishes(&database, case, Way::Direct, &expected, "its backend was terminated").await;
        goes_back(&database, &expected, "its backend was terminated").await;
    }
}
