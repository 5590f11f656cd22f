//! Marks move with definitions and with nothing else.

#![allow(clippy::unwrap_used)]

mod apply_kit;

use std::collections::BTreeSet;

use apply_kit::session;
use reconcile_catalog::Address;
use reconcile_live::introspect::{ReadOptions, introspect};
use reconcile_live::marks::Mark;
use reconcile_testkit::{database, majors};

const OBJECTS: &str = "
    CREATE TYPE mood AS ENUM ('glad', 'sad');
    CREATE TABLE t (id int PRIMARY KEY, role mood NOT NULL DEFAULT 'glad', n int CHECK (n > 0));
    INSERT INTO t SELECT i, 'glad', i FROM generate_series(1, 1000) i;
    CREATE TABLE beside (id int);
    CREATE INDEX t_n ON t (n) WHERE role = 'glad';
    CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER tr BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f();
    CREATE POLICY p ON t USING (true);
";

fn touched() -> BTreeSet<Address> {
    let table = Address::new("table", ["public", "t"]);
    let column = table.child("column", "role");
    BTreeSet::from([table, column, Address::new("enum", ["public", "mood"])])
}

#[tokio::test]
async fn definitions_move_them() {
    for major in majors() {
        let db = database(major, OBJECTS).await;
        let mut session = session(&db.url()).await;
        let mut last = Mark::take(&mut session, &touched()).await.unwrap();
        for change in [
            "ALTER TABLE t ADD COLUMN x int",
            "ALTER TABLE t ALTER n TYPE bigint",
            "ALTER TABLE t ALTER role SET DEFAULT 'sad'",
            "ALTER TABLE t ALTER role DROP NOT NULL",
            "ALTER TABLE t ADD CONSTRAINT c CHECK (x > 1) NOT VALID",
            "ALTER TABLE t VALIDATE CONSTRAINT c",
            "ALTER TABLE t RENAME CONSTRAINT c TO c2",
            "CREATE INDEX t_x ON t (x)",
            "ALTER INDEX t_x RENAME TO t_y",
            "ALTER INDEX t_y SET (fillfactor = 80)",
            "ALTER TABLE t DISABLE TRIGGER tr",
            "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
            "ALTER POLICY p ON t USING (n > 3)",
            "GRANT SELECT ON t TO PUBLIC",
            "GRANT UPDATE (n) ON t TO PUBLIC",
            "COMMENT ON TABLE t IS 'x'",
            "COMMENT ON COLUMN t.n IS 'x'",
            "ALTER TYPE mood ADD VALUE 'so so'",
            "ALTER TYPE mood RENAME VALUE 'sad' TO 'low'",
            "CREATE TABLE user_of_mood (m mood)",
            "CREATE VIEW v AS SELECT n FROM t",
            "CREATE TABLE child () INHERITS (t)",
            "CREATE TABLE refers (t int REFERENCES t)",
            "CREATE STATISTICS s ON n, x FROM t",
            "ALTER TABLE t REPLICA IDENTITY FULL",
            "DROP TABLE t CASCADE",
        ] {
            session.send(change).await.unwrap();
            let next = Mark::take(&mut session, &touched()).await.unwrap();
            assert_ne!(next, last, "{major}: {change}");
            last = next;
        }
    }
}

#[tokio::test]
async fn rows_statistics_and_others_do_not() {
    for major in majors() {
        let db = database(major, OBJECTS).await;
        let mut session = session(&db.url()).await;
        let mark = Mark::take(&mut session, &touched()).await.unwrap();
        for change in [
            "INSERT INTO t VALUES (0, 'sad', 1)",
            "UPDATE t SET n = n + 1",
            "DELETE FROM t WHERE id < 500",
            "ANALYZE t",
            "VACUUM t",
            "VACUUM FULL t",
            "REINDEX TABLE t",
            "TRUNCATE t",
            "ALTER TABLE beside ADD COLUMN x int",
            "CREATE TABLE another (t int)",
            "SET search_path = pg_catalog",
            "SET quote_all_identifiers = on",
        ] {
            session.send(change).await.unwrap();
            let next = Mark::take(&mut session, &touched()).await.unwrap();
            assert_eq!(next, mark, "{major}: {change}");
        }
    }
}

#[tokio::test]
async fn a_mark_belongs_to_what_was_read_or_there_is_none() {
    let db = database(majors()[0], OBJECTS).await;
    let mut session = session(&db.url()).await;
    let snapshot = introspect(&mut session, &ReadOptions::default()).await.unwrap();
    let generation = snapshot.generation;
    let mark = Mark::of_generation(&mut session, &touched(), &generation).await.unwrap();
    assert!(mark.is_some());
    session.send("ALTER TABLE t ADD COLUMN x int").await.unwrap();
    let mark = Mark::of_generation(&mut session, &touched(), &generation).await.unwrap();
    assert_eq!(mark, None);
}
