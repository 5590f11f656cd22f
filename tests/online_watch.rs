//! Whoever looks sees how far an online change is, what it waits for and who is in its way.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{DONE, PARTIAL, Ran, dump, execute, on, scalar};
use reconcile_testkit::{Database, database, majors, own_server};
use reconcile_throwaway::Options;
use tokio::task::JoinHandle;

const WIDE: &str = "CREATE TYPE mood AS ENUM ('sad', 'ok'); \
    CREATE TABLE talk (id int PRIMARY KEY, mood mood NOT NULL DEFAULT 'ok', pad text NOT NULL DEFAULT repeat('x', 100)); \
    INSERT INTO talk (id, mood) SELECT i, (ARRAY['sad', 'ok'])[1 + i % 2]::mood FROM generate_series(1, 60000) i; \
    CREATE INDEX talk_mood ON talk (mood); CREATE TABLE other (id int); ANALYZE talk;";

const TEXT: &str = "tables:\n  talk:\n    columns:\n      mood: {type: varchar(10), nullable: false, default: \"'ok'\"}\n";

/// A file with the model.
fn model() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.yaml");
    std::fs::write(&file, TEXT).unwrap();
    let name = file.to_str().unwrap().to_owned();
    (folder, name)
}

/// An apply that runs beside the test.
fn apply(url: &str, model: &str, more: &[&str]) -> JoinHandle<Ran> {
    let mut words: Vec<String> =
        ["apply", "--yes", "--strategy", "online"].map(str::to_owned).to_vec();
    words.extend(more.iter().map(|word| (*word).to_owned()));
    words.push(model.to_owned());
    let url = url.to_owned();
    tokio::spawn(async move {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        on(&url, &words).await
    })
}

/// The status, as soon as it says something.
async fn status_that_says(url: &str, words: &str) -> Ran {
    let mut last = None;
    for _ in 0..150 {
        let ran = on(url, &["status"]).await.expect(DONE);
        if ran.words().contains(words) {
            return ran;
        }
        last = Some(ran);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("nobody says {words}: {last:?}");
}

#[tokio::test]
async fn a_pause_is_shown_with_its_figures_here_and_in_another_process() {
    let (_folder, model) = model();
    for major in majors() {
        let server = own_server(major, Options::default()).await;
        let mut other = server.connect("postgres").await.unwrap();
        execute(&mut other, WIDE).await;
        execute(&mut other, "SELECT pg_create_physical_replication_slot('forgotten', true)").await;
        let url = server.url("postgres");
        let applying = apply(&url, &model, &["--throttle", "off", "--max-retained", "1MB"]);
        let words = "replication slot forgotten, from which nobody reads, keeps";
        let seen = status_that_says(&url, words)
            .await
            .says("Online change of column:public.talk.mood")
            .says("phase carrying the rows over")
            .says("is at work, as process")
            .says("carry the values of")
            .says("of 60,000 rows")
            .says("more than 1 MB is too much (--max-retained)");
        assert!(seen.out.contains("% "), "{seen:?}");
        let json = on(&url, &["status", "--format", "json"]).await.expect(DONE).out;
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["online"][0]["phase"], "carrying the rows over", "{json}");
        assert_eq!(json["work"]["run"], 1, "{json}");
        assert_eq!(json["work"]["rows"][1], 60_000, "{json}");
        assert!(json["work"]["blocks"][0].as_u64() < json["work"]["blocks"][1].as_u64(), "{json}");
        assert!(json["work"]["waits_for"][0].as_str().unwrap().contains("forgotten"), "{json}");
        execute(&mut other, "SELECT pg_drop_replication_slot('forgotten')").await;
        applying
            .await
            .unwrap()
            .expect(DONE)
            .says(&format!("so far: {words}"))
            .says("`reconcile contract` drops it");
        on(&url, &["status"])
            .await
            .expect(DONE)
            .says("the names are changed, and the old column is kept for the way back")
            .says("`reconcile rollback` changes the names back")
            .says_not("at work");
        on(&url, &["contract", "--yes"]).await.expect(DONE);
        on(&url, &["status"]).await.expect(DONE).says_not("Online change of");
    }
}

#[tokio::test]
async fn who_holds_a_lock_is_shown_to_whoever_asks() {
    let (_folder, model) = model();
    for major in majors() {
        let database = database(major, WIDE).await;
        let mut other = database.connect().await;
        let pid = scalar(&mut other, "SELECT pg_backend_pid()::text").await;
        execute(&mut other, "BEGIN; SELECT count(*) FROM talk").await;
        let url = database.url();
        let applying = apply(&url, &model, &["--throttle", "off"]);
        status_that_says(&url, &format!("process {pid} of postgres"))
            .await
            .says("is at work, as process")
            .says("step 1. add a second column for")
            .says("holds ACCESS SHARE on public.talk, idle in transaction");
        execute(&mut other, "COMMIT").await;
        applying.await.unwrap().expect(DONE).says(&format!("process {pid} of postgres"));
    }
}

/// Holds a snapshot in another table until it is told to end, once the rows are carried over.
async fn with_an_old_snapshot(database: &Arc<Database>, model: &str, wait: &str) -> (Ran, String) {
    let mut other = database.connect().await;
    let pid = scalar(&mut other, "SELECT pg_backend_pid()::text").await;
    let url = database.url();
    execute(&mut other, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM other").await;
    let ran = apply(&url, model, &["--throttle", "off", "--wait", wait]).await.unwrap();
    execute(&mut other, "COMMIT").await;
    (ran, pid)
}

#[tokio::test]
async fn an_old_snapshot_of_another_table_is_named_and_the_next_apply_goes_on() {
    let (_folder, model) = model();
    for major in majors() {
        let database = Arc::new(database(major, WIDE).await);
        let direct = reconcile_testkit::database(major, WIDE).await;
        let url = database.url();
        let (ran, pid) = with_an_old_snapshot(&database, &model, "3s").await;
        let words = format!("process {pid} of postgres");
        let ran = ran.expect(PARTIAL).says(&words).says("a lock was not had within 3 s");
        assert!(
            ran.words().contains("a transaction that has to end, idle in transaction"),
            "{ran:?}"
        );
        on(&url, &["status"])
            .await
            .expect(DONE)
            .says("preparing indexes and constraints")
            .says("did not come to its end, and nobody is at work on it")
            .says("`reconcile apply` goes on, `reconcile abort` gives it up");
        apply(&url, &model, &["--throttle", "off"]).await.unwrap().expect(DONE);
        on(&url, &["contract", "--yes"]).await.expect(DONE);
        on(&direct.url(), &["apply", "--yes", "--strategy", "direct", "--max-stall", "1h", &model])
            .await
            .expect(DONE);
        let (theirs, ours) = (dump::definitions(&direct).await, dump::definitions(&database).await);
        let (theirs, ours) = (dump::plain(&theirs), dump::plain(&ours));
        assert!(theirs == ours, "{major}: {}", dump::difference(&theirs, &ours));
        on(&url, &["plan", "--exit-code", &model]).await.expect(DONE);
    }
}

#[tokio::test]
async fn what_a_full_disk_stopped_says_what_to_do() {
    let (_folder, model) = model();
    for major in majors() {
        let full = "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN \
            IF NEW.id > 30000 THEN RAISE 'could not extend file: No space left on device' USING ERRCODE = '53100'; \
            END IF; RETURN NEW; END$$; \
            CREATE TRIGGER full_disk BEFORE UPDATE ON talk FOR EACH ROW EXECUTE FUNCTION full_disk(); \
            ALTER TABLE talk ENABLE ALWAYS TRIGGER full_disk";
        let database = database(major, &format!("{WIDE} {full}")).await;
        let url = database.url();
        apply(&url, &model, &["--throttle", "off"])
            .await
            .unwrap()
            .expect(PARTIAL)
            .says("the server ran out of what step 6 needs")
            .says("A disk of the server is full, and what ran was rolled back")
            .says("`reconcile apply` again goes on from here");
        let mut other = database.connect().await;
        execute(&mut other, "DROP TRIGGER full_disk ON talk; DROP FUNCTION full_disk").await;
        apply(&url, &model, &["--throttle", "off"]).await.unwrap().expect(DONE);
        on(&url, &["contract", "--yes"]).await.expect(DONE);
        on(&url, &["plan", "--exit-code", &model]).await.expect(DONE);
    }
}
