//! Through a transaction pooler: reading works, changing is refused.

#![allow(clippy::unwrap_used)]

mod common;
#[path = "../crates/live/tests/support/pgbouncer.rs"]
mod pgbouncer;

use common::{Case, DIFFERENT, DONE, REFUSED, dump, has_journal, on};
use pgbouncer::PgBouncer;
use reconcile_testkit::majors;

#[tokio::test]
async fn plan_check_and_gate_work_and_apply_is_refused() {
    for major in majors() {
        let database = Case { name: "messages/production" }.database(major).await;
        let Some(pooler) = PgBouncer::start(database.server(), "").await else { return };
        let url = pooler.url("postgres", database.name());
        let before = dump::everything(&database, major).await;
        // The same answers as from the server itself, word for word.
        for command in [&["plan", "--format", "sql"][..], &["check"], &["gate"]] {
            let direct = on(&database.url(), command).await;
            let pooled = on(&url, command).await;
            assert_eq!(direct.status, pooled.status, "{pooled:?}");
            let body = |text: &str| -> Vec<String> {
                let lines = text.lines().filter(|line| !line.starts_with("-- Plan for"));
                lines.map(str::to_owned).collect()
            };
            assert_eq!(body(&direct.out), body(&pooled.out), "{command:?}");
        }
        on(&url, &["plan", "--exit-code", "--data"]).await.expect(DIFFERENT);
        let refused = on(&url, &["apply", "--yes"]).await.expect(REFUSED);
        refused.says("PgBouncer").says("Connect to the server itself");
        on(&url, &["rollback", "--yes"]).await.expect(REFUSED).says("PgBouncer");
        assert!(!has_journal(&database).await);
        assert_eq!(before, dump::everything(&database, major).await);

        on(&database.url(), &["apply", "--yes"]).await.expect(DONE);
        on(&url, &["check", "-q"]).await.expect(DONE);
        on(&url, &["gate"]).await.expect(DONE);
        on(&url, &["status"]).await.expect(DONE).says("Run 1");
    }
}
