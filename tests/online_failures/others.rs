//! Others do with the table what they like.

use reconcile_testkit::majors;

use crate::busy::{Busy, HALF_WAY, Held, Load, Nerves, until};
use crate::common::{DONE, PARTIAL, execute, on, scalar};

#[tokio::test]
async fn an_old_transaction_elsewhere_holds_an_index_up() {
    for major in majors() {
        let busy = Busy::new(major).await;
        let load = Load::start(&busy.url(), Nerves::Weak).await;
        let mut old = busy.database.connect().await;
        execute(&mut old, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM other").await;
        let pid = scalar(&mut old, "SELECT pg_backend_pid()::text").await;
        let ran = busy.apply(&["--wait", "3s", "--throttle", "off"]).await.expect(PARTIAL);
        let ran = ran.says("a lock was not had within").says(&format!("process {pid}"));
        drop(ran.says("`reconcile apply` again goes on"));
        let mut connection = busy.database.connect().await;
        let invalid = "SELECT count(*)::text FROM pg_index WHERE NOT indisvalid";
        assert_eq!(scalar(&mut connection, invalid).await, "0", "{major}");
        execute(&mut old, "COMMIT").await;
        busy.finish(load, &format!("{major}")).await;
    }
}

/// What is done while the rows are half carried over; the statements of one transaction.
const HALF_WAY_DONE: &[(&str, &str)] = &[
    (
        "a stretch of rows is deleted",
        "DELETE FROM busy WHERE id BETWEEN 15000 AND 22000; DELETE FROM want WHERE id BETWEEN 15000 AND 22000",
    ),
    (
        "all rows are deleted",
        "LOCK TABLE busy, want IN SHARE ROW EXCLUSIVE MODE; DELETE FROM busy; DELETE FROM want",
    ),
    ("the table is emptied", "TRUNCATE busy, want"),
    (
        "the table is emptied and filled again",
        "TRUNCATE busy, want; INSERT INTO busy (id, mood, n) SELECT i, 'sad', i FROM generate_series(1, 9000) i; \
         INSERT INTO want SELECT id, mood::text, 0 FROM busy",
    ),
    ("the table gets another order", "CLUSTER busy USING busy_mood"),
    ("the table is compacted", "VACUUM FULL busy"),
];

#[tokio::test]
async fn rows_go_and_the_table_gets_other_files() {
    for major in majors() {
        for (number, (what, sql)) in HALF_WAY_DONE.iter().enumerate() {
            let what = format!("{major}: {what}");
            let busy = Busy::new(major).await;
            let load = Load::start(&busy.url(), Nerves::Weak).await;
            let mut watcher = busy.database.connect().await;
            let held = Held::half_way(&busy).await;
            let apply = busy.begin(&[]);
            until(&mut watcher, HALF_WAY).await;
            execute(&mut watcher, sql).await;
            held.let_go().await;
            apply.await.unwrap().expect(DONE);
            match number % 2 {
                0 => busy.finish(load, &what).await,
                _ => {
                    on(&busy.url(), &["rollback", "--yes", "--max-stall", "1h"]).await.expect(DONE);
                    on(&busy.url(), &["contract", "--yes"]).await.expect(DONE);
                    busy.give_up(load, &what).await;
                }
            }
        }
    }
}

#[tokio::test]
async fn the_table_is_rewritten_again_and_again() {
    for major in majors() {
        let busy = Busy::new(major).await;
        let load = Load::start(&busy.url(), Nerves::Weak).await;
        let mut watcher = busy.database.connect().await;
        let apply = busy.begin(&[]);
        until(&mut watcher, HALF_WAY).await;
        while !apply.is_finished() {
            execute(&mut watcher, "VACUUM FULL busy").await;
            tokio::time::sleep(std::time::Duration::from_millis(150)).await;
        }
        let ran = apply.await.unwrap();
        if ran.status != Some(DONE) {
            drop(ran.expect(PARTIAL).says("was given other files"));
        }
        busy.finish(load, &format!("{major}")).await;
    }
}
