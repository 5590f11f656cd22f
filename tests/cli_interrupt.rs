//! Ctrl-C and SIGTERM: the statement ends on the server, no lock stays, the status tells.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{DONE, REFUSED, dump, execute, messages, on, program, scalar};
use reconcile_testkit::majors;
use sqlx::Connection as _;

#[tokio::test]
async fn a_signal_while_a_lock_is_waited_for_leaves_nothing() {
    for major in majors() {
        for signal in ["INT", "TERM"] {
            let database = messages("messages/production").database(major).await;
            let url = database.url();
            let mut holder = database.connect().await;
            let before = dump::definitions(&database).await;
            execute(&mut holder, "BEGIN; LOCK TABLE messages IN ROW EXCLUSIVE MODE").await;

            let mut command = program(&["apply", "--yes", "--live", &url]);
            let child = command.spawn().unwrap();
            let pid = child.id().unwrap();
            let mut watcher = database.connect().await;
            let waiting = "SELECT count(*)::text FROM pg_locks l JOIN pg_class c ON c.oid = l.relation \
                           WHERE c.relname = 'messages' AND NOT l.granted";
            let runs = "SELECT coalesce((SELECT 'yes' FROM pg_tables WHERE schemaname = 'reconcile' LIMIT 1), 'no')";
            for _ in 0..400 {
                if scalar(&mut watcher, runs).await == "yes"
                    && scalar(&mut watcher, waiting).await != "0"
                {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            let sent = std::process::Command::new("kill")
                .args([format!("-{signal}"), pid.to_string()])
                .status();
            assert!(sent.unwrap().success());
            let output = child.wait_with_output().await.unwrap();
            let words = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(REFUSED), "{signal}: {words}");
            assert!(words.contains("Nothing was changed"), "{words}");

            let others = "SELECT count(*)::text FROM pg_locks l JOIN pg_class c ON c.oid = l.relation \
                          WHERE c.relname = 'messages' AND l.mode = 'AccessExclusiveLock'";
            assert_eq!(scalar(&mut watcher, others).await, "0", "{signal}");
            execute(&mut holder, "ROLLBACK").await;
            assert!(before == dump::definitions(&database).await);
            holder.close().await.unwrap();
            watcher.close().await.unwrap();
            on(&url, &["apply", "--yes"]).await.expect(DONE).says("Proven");
        }
    }
}
