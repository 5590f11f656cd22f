//! The test kit's own promises: databases are apart, compare by pg_dump, and go.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use reconcile_testkit::{database, majors, pg_dump, server};
use sqlx::{Executor, Row};

const TABLE: &str = "-- a comment\nCREATE TABLE t (a int); COMMENT ON TABLE t IS '-- kept';";

#[tokio::test]
async fn databases_compare_by_what_they_hold() {
    for major in majors() {
        let (one, two, other) = tokio::join!(
            database(major, TABLE),
            database(major, TABLE),
            database(major, "CREATE TABLE t (a bigint);"),
        );
        assert_ne!(one.name(), two.name());
        assert!(std::ptr::eq(one.server(), two.server()));
        let dump = pg_dump(&one.url(), &[]);
        assert!(dump.contains("CREATE TABLE public.t (\n    a integer\n);\n"), "{dump}");
        assert!(dump.contains("COMMENT ON TABLE public.t IS '-- kept';\n"), "{dump}");
        assert!(!dump.contains("restrict") && !dump.contains("SET statement_timeout"), "{dump}");
        assert_eq!(dump, pg_dump(&two.url(), &[]));
        assert_ne!(dump, pg_dump(&other.url(), &[]));
        assert_eq!(pg_dump(&one.url(), &["--exclude-table=t"]), pg_dump(&other.url(), &["-Tt"]));
    }
}

#[tokio::test]
async fn a_database_goes_with_its_guard() {
    let major = majors()[0];
    let gone = database(major, "").await;
    let name = gone.name().to_owned();
    let mut still_connected = gone.connect().await;
    drop(gone);
    let mut connection = server(major).await.connect("postgres").await.unwrap();
    for _ in 0..200 {
        let query = sqlx::raw_sql("SELECT datname::text FROM pg_database");
        let rows = connection.fetch_all(query).await.unwrap();
        if !rows.iter().any(|row| row.get::<String, _>(0) == name) {
            assert!(still_connected.execute("SELECT 1").await.is_err());
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{name} is still there");
}
