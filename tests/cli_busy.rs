//! Somebody else is at work on the database.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{DONE, REFUSED, dump, execute, messages, on, program, scalar};
use reconcile_testkit::majors;
use sqlx::Connection as _;

#[tokio::test]
async fn a_lock_that_is_held_for_long_is_named_and_nothing_is_done() {
    for major in majors() {
        let database = messages("messages/production").database(major).await;
        let url = database.url();
        let mut holder = database.connect().await;
        let before = dump::definitions(&database).await;
        execute(&mut holder, "BEGIN; SELECT count(*) FROM messages").await;
        on(&url, &["apply", "--yes", "--wait", "1s"])
            .await
            .expect(REFUSED)
            .says("holds ACCESS SHARE on public.messages, idle in transaction")
            .says("SELECT count(*) FROM messages")
            .says("Nothing was changed");
        // Readers have never waited for longer than --lock-timeout, and do not wait now.
        let mut reader = database.connect().await;
        execute(&mut reader, "SET lock_timeout = '50ms'; SELECT count(*) FROM messages").await;
        execute(&mut holder, "COMMIT").await;
        assert!(before == dump::definitions(&database).await);
        on(&url, &["apply", "--yes"]).await.expect(DONE);
        holder.close().await.unwrap();
        reader.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_second_apply_at_the_same_time_is_refused() {
    for major in majors() {
        let database = messages("messages/production").database(major).await;
        let url = database.url();
        let mut holder = database.connect().await;
        execute(&mut holder, "BEGIN; LOCK TABLE messages IN ROW EXCLUSIVE MODE").await;
        let first = program(&["apply", "--yes", "--live", &url]).spawn().unwrap();
        let begun = "SELECT coalesce((SELECT 'yes' FROM pg_tables WHERE schemaname = 'reconcile' LIMIT 1), 'no')";
        let mut watcher = database.connect().await;
        for _ in 0..400 {
            if scalar(&mut watcher, begun).await == "yes" {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        on(&url, &["apply", "--yes"]).await.expect(REFUSED).says("another apply is at work");
        execute(&mut holder, "COMMIT").await;
        let output = first.wait_with_output().await.unwrap();
        let words = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(DONE), "{words}");
        assert!(words.contains("waiting for a lock"), "{words}");
        on(&url, &["plan", "--exit-code"]).await.expect(DONE);
        holder.close().await.unwrap();
        watcher.close().await.unwrap();
    }
}
