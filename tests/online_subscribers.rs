//! Around an online change: the disk and the log that it takes, and who is sent the rows that it writes.

#![allow(clippy::unwrap_used)]

mod common;

use common::application::{Model, ONLINE, TALK, TEXT, apply};
use common::{DONE, REFUSED, dump, execute, on, scalar};
use reconcile_testkit::{database, majors, own_server, pg_dump};
use reconcile_throwaway::{Options, Server, load};
use sqlx::PgConnection;

/// A table of some size, and what an online change of it takes.
const LARGE: &str = "CREATE TYPE mood AS ENUM ('sad', 'ok'); \
    CREATE TABLE large (id bigint PRIMARY KEY, mood mood NOT NULL, n int, content text); \
    INSERT INTO large SELECT i, 'ok', i % 1000, repeat('x', 120) FROM generate_series(1, 100000) i; \
    CREATE INDEX large_n ON large (n, id); CREATE INDEX large_mood ON large (mood);";

const LARGE_TEXT: &str =
    "tables: {large: {columns: {mood: {type: varchar(10), nullable: false}}}}\n";

async fn measured(connection: &mut PgConnection, sql: &str) -> f64 {
    scalar(connection, &format!("SELECT ({sql})::text")).await.parse().unwrap()
}

/// Whether an estimate is of the size of what was measured.
fn about(what: &str, estimate: &serde_json::Value, measured: f64) {
    let estimate = estimate.as_f64().unwrap();
    assert!(
        estimate > measured / 3.0 && estimate < measured * 3.0,
        "{what}: {estimate} for {measured}"
    );
}

#[tokio::test]
async fn what_it_takes_of_disk_and_log_is_said_before() {
    let model = Model::new(LARGE_TEXT);
    let file = &*model.path();
    for major in majors() {
        for logical in [false, true] {
            let options = match logical {
                true => Options::default().setting("wal_level", "logical"),
                false => Options::default(),
            };
            let server = own_server(major, options).await;
            server.create_database("app").await.unwrap();
            let mut connection = server.connect("app").await.unwrap();
            execute(&mut connection, LARGE).await;
            if logical {
                execute(&mut connection, "ALTER TABLE large REPLICA IDENTITY FULL").await;
                let slot = "SELECT pg_create_logical_replication_slot('downstream', 'pgoutput')";
                execute(&mut connection, slot).await;
            }
            execute(&mut connection, "VACUUM (ANALYZE, FREEZE) large").await;
            execute(&mut connection, "CHECKPOINT").await;
            let url = server.url("app");
            let words = ["plan", "--strategy", "online", "--format", "json", file];
            let json = on(&url, &words).await.expect(DONE).out;
            let json: serde_json::Value = serde_json::from_str(&json).unwrap();
            let space = &json["space"][0];
            assert_eq!(space["relation"]["name"], "large", "{json}");

            let size = "pg_table_size('large') + pg_indexes_size('large')";
            let log = "pg_current_wal_lsn() - '0/0'";
            let before =
                (measured(&mut connection, size).await, measured(&mut connection, log).await);
            let ran = on(&url, &[ONLINE, &[file]].concat())
                .await
                .expect(DONE)
                .says("more on disk until `reconcile contract`, and writes about");
            assert_eq!(ran.words().contains("replication slot downstream"), logical, "{ran:?}");
            let after =
                (measured(&mut connection, size).await, measured(&mut connection, log).await);
            let what = format!("{major}, logical: {logical}");
            about(&format!("disk, {what}"), &space["disk_bytes"], after.0 - before.0);
            about(&format!("log, {what}"), &space["wal_bytes"], after.1 - before.1);
            // The end needs none.
            on(&url, &["contract", "--yes"]).await.expect(DONE).says_not("more on disk");
        }
    }
}

/// A table that is published to another database of the same server.
struct Published {
    server: Server,
    publisher: PgConnection,
    subscriber: PgConnection,
}

impl Published {
    async fn new(major: u32, what: &str) -> Self {
        let server = own_server(major, Options::default().setting("wal_level", "logical")).await;
        for name in ["app", "copy"] {
            server.create_database(name).await.unwrap();
        }
        let mut publisher = server.connect("app").await.unwrap();
        execute(&mut publisher, TALK).await;
        execute(&mut publisher, &format!("CREATE PUBLICATION p FOR TABLE talk {what}")).await;
        execute(&mut publisher, "SELECT pg_create_logical_replication_slot('s', 'pgoutput')").await;
        let mut subscriber = server.connect("copy").await.unwrap();
        let table = "CREATE TYPE mood AS ENUM ('sad', 'ok'); \
            CREATE TABLE talk (id int PRIMARY KEY, mood mood, n int)";
        execute(&mut subscriber, table).await;
        let (host, port) = (server.socket_dir().display(), server.port());
        let subscription = format!(
            "CREATE SUBSCRIPTION s CONNECTION 'host={host} port={port} dbname=app user=postgres' \
             PUBLICATION p WITH (create_slot = false, slot_name = 's')"
        );
        execute(&mut subscriber, &subscription).await;
        Self { server, publisher, subscriber }
    }

    /// Writes a row and waits until it has arrived.
    async fn carries(&mut self, id: u32, what: &str) {
        let insert = format!("INSERT INTO talk (id, mood, n) VALUES ({id}, 'sad', {id})");
        execute(&mut self.publisher, &insert).await;
        let there = format!("SELECT count(*)::text FROM talk WHERE id = {id} AND n = {id}");
        for _ in 0..600 {
            if scalar(&mut self.subscriber, &there).await == "1" {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("{what}: row {id} did not arrive");
    }
}

#[tokio::test]
async fn a_column_list_without_the_column_lets_subscribers_go_on() {
    let model = Model::new(TEXT);
    let file = &*model.path();
    for major in majors().into_iter().filter(|major| *major >= 15) {
        let mut published = Published::new(major, "(id, n)").await;
        let url = published.server.url("app");
        published.carries(1001, "before").await;
        on(&url, &[ONLINE, &[file]].concat())
            .await
            .expect(DONE)
            .says("only what is in the list concerns the subscribers")
            .says_not("change the subscribers first");
        published.carries(1002, "after the change of names").await;
        on(&url, &["rollback", "--yes", "--max-stall", "1h"]).await.expect(DONE);
        published.carries(1003, "after the way back").await;
        on(&url, &["contract", "--yes"]).await.expect(DONE);
        on(&url, &[ONLINE, &["--contract", file]].concat()).await.expect(DONE);
        published.carries(1004, "after the end").await;
    }
}

#[tokio::test]
async fn a_list_or_a_filter_with_the_column_is_in_the_way() {
    // Both follow the number of the column, and would go on with the old one under its new name.
    let numbers = Model::new("tables: {talk: {columns: {n: bigint}}}\n");
    for major in majors().into_iter().filter(|major| *major >= 15) {
        for what in ["(id, n)", "(id) WHERE (n > 7)", "(id, mood) WHERE (n IS NOT NULL)"] {
            let database = database(major, TALK).await;
            let publication =
                format!("CREATE PUBLICATION p FOR TABLE talk {what} WITH (publish = 'insert')");
            execute(&mut database.connect().await, &publication).await;
            let before = dump::definitions(&database).await;
            apply(&database, &numbers, &[])
                .await
                .expect(REFUSED)
                .says("names the column in its column list or row filter; take the table out");
            assert_eq!(before, dump::definitions(&database).await, "{major}: {what}");
        }
        // One publication with a list does not make up for one without.
        let database = database(major, TALK).await;
        let both = "CREATE PUBLICATION p FOR TABLE talk (id); CREATE PUBLICATION q FOR ALL TABLES";
        execute(&mut database.connect().await, both).await;
        apply(&database, &numbers, &[]).await.expect(REFUSED).says("the table is published");
    }
}

#[tokio::test]
async fn subscribers_that_have_the_second_column_go_on() {
    let model = Model::new(TEXT);
    let file = &*model.path();
    for major in majors() {
        let mut published = Published::new(major, "").await;
        let url = published.server.url("app");
        published.carries(1001, "before").await;
        let add = "ALTER TABLE public.talk ADD COLUMN _rc_e6179cc5_mood varchar(10)";
        on(&url, &[ONLINE, &[file]].concat()).await.expect(REFUSED).says(&format!(
            "run {add} there first, and say so with --allow-published table:public.talk"
        ));
        execute(&mut published.subscriber, add).await;
        let words = [ONLINE, &["--allow-published", "table:public.talk", file]].concat();
        on(&url, &words).await.expect(DONE);
        published.carries(1002, "after the change of names").await;
        on(&url, &["rollback", "--yes", "--max-stall", "1h"]).await.expect(DONE);
        published.carries(1003, "after the way back").await;
        on(&url, &["contract", "--yes"]).await.expect(DONE);
        on(&url, &[&words[..], &["--contract"]].concat()).await.expect(DONE);
        published.carries(1004, "after the end").await;
        let sad = "SELECT count(*)::text FROM talk WHERE id > 1000 AND mood = 'sad'";
        assert_eq!(scalar(&mut published.subscriber, sad).await, "4", "{major}");
    }
}

#[tokio::test]
async fn subscribers_of_all_tables_need_those_of_the_journal() {
    let model = Model::new("tables: {talk: {columns: {extra: text}}}\n");
    for major in majors() {
        let mut published = Published::new(major, "").await;
        let all = ["DROP PUBLICATION p", "CREATE PUBLICATION p FOR ALL TABLES"];
        for sql in all {
            execute(&mut published.publisher, sql).await;
        }
        execute(&mut published.subscriber, "ALTER TABLE talk ADD extra text").await;
        let url = published.server.url("app");
        on(&url, &["apply", "--yes", &model.path()])
            .await
            .expect(DONE)
            .says("publication p is one of all tables, so the journal's are published too");
        let dumped = tokio::task::spawn_blocking(move || pg_dump(&url, &["--schema=reconcile"]));
        let journal = dumped.await.unwrap();
        load(&published.server, "copy", &journal, "journal.sql").await.unwrap();
        published.carries(1001, "with the journal's tables").await;
    }
}
