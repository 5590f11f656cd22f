//! Others take their locks in another order than we do: they never pay for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reconcile_testkit::majors;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::task::JoinHandle;

use crate::busy::{Busy, Load, Nerves};
use crate::common::{DONE, on};

/// A client that goes through its transactions again and again, with a pause between their statements;
/// how often it went through, and its errors.
fn client(
    busy: &Busy,
    transactions: &'static [&'static [&'static str]],
    pause: Duration,
    stop: &Arc<AtomicBool>,
) -> JoinHandle<(usize, Vec<String>)> {
    let (url, stop) = (busy.url(), Arc::clone(stop));
    tokio::spawn(async move {
        let mut connection = PgConnection::connect(&url).await.unwrap();
        let (mut done, mut errors) = (0_usize, Vec::new());
        while !stop.load(Ordering::Relaxed) {
            for statements in transactions {
                for sql in [&["BEGIN"][..], *statements, &["COMMIT"]].concat() {
                    let ran = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await;
                    if let Err(error) = ran {
                        errors.push(format!("{sql}: {error}"));
                    }
                    tokio::time::sleep(pause).await;
                }
                done += 1;
            }
        }
        (done, errors)
    })
}

/// Two rows of the first piece and two of later ones, which no writer has, in either order.
const ROWS: &[&[&str]] = &[
    &[
        "UPDATE want SET mood = mood WHERE id = 400",
        "UPDATE busy SET n = n + 1 WHERE id = 600",
        "UPDATE busy SET n = n + 1 WHERE id = 8",
    ],
    &["UPDATE busy SET n = n + 1 WHERE id = 24000", "UPDATE busy SET n = n + 1 WHERE id = 600"],
    &["UPDATE busy SET n = n + 1 WHERE id = 8", "UPDATE busy SET n = n + 1 WHERE id = 24000"],
];

/// A table and a view of it, which change together, in either order.
const RELATIONS: &[&[&str]] = &[
    &["SELECT FROM busy LIMIT 1", "SELECT FROM merry LIMIT 1"],
    &["SELECT FROM merry LIMIT 1", "LOCK TABLE busy IN ROW EXCLUSIVE MODE"],
    &[
        "LOCK TABLE other IN ACCESS EXCLUSIVE MODE",
        "SELECT FROM merry LIMIT 1",
        "SELECT FROM busy LIMIT 1",
    ],
];

#[tokio::test]
async fn who_locks_crosswise_is_never_the_victim() {
    for major in majors() {
        let busy = Busy::new(major).await;
        let url = busy.url();
        let load = Load::start(&url, Nerves::Weak).await;
        let stop = Arc::new(AtomicBool::new(false));
        let clients = [
            client(&busy, ROWS, Duration::from_millis(30), &stop),
            client(&busy, RELATIONS, Duration::from_millis(45), &stop),
            client(&busy, RELATIONS, Duration::from_millis(110), &stop),
        ];
        busy.apply(&["--throttle", "off"]).await.expect(DONE);
        on(&url, &["rollback", "--yes", "--max-stall", "1h"]).await.expect(DONE);
        busy.apply(&[]).await.expect(DONE);
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            let (done, errors) = client.await.unwrap();
            assert!(done > 0, "{major}");
            assert!(errors.is_empty(), "{major}: {errors:?}");
        }
        // The rows that were locked crosswise were written besides, so they are known no more.
        let sql = "UPDATE want SET touched = b.touched FROM busy b WHERE b.id = want.id AND want.id % 4 = 0";
        let mut connection = busy.database.connect().await;
        crate::common::execute(&mut connection, sql).await;
        busy.finish(load, &format!("{major}")).await;
    }
}
