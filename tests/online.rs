//! A column gets another type while others read and write it: the result is that of the direct way, and
//! every stop on the way leads on or back.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use common::{Case, DONE, REFUSED, dump, execute, on, rows, scalar};
use reconcile_testkit::{Database, database, majors};

/// The fixtures whose change can be made online.
const CASES: &[&str] = &[
    "messages/lived_in",
    "messages/production",
    "variants/enum_off_search_path",
    "variants/quoted_names",
    "variants/access_lists",
];

async fn as_the_direct_way(case: Case, major: u32) {
    let what = format!("{} on {major}", case.name);
    let (direct, online) = (case.database(major).await, case.database(major).await);
    let columns = rows::columns(&online).await;
    let before = dump::definitions(&online).await;
    let words = ["apply", "--yes", "--strategy", "direct", "--max-stall", "1h", &case.model()];
    on(&direct.url(), &words).await.expect(DONE);
    let url = online.url();
    let ran = common::apply_online(&url, &case.model()).await.expect(DONE);
    assert!(ran.out.contains("add a second column for"), "{what}: {ran:?}");
    assert_eq!(rows::rows(&online, &columns).await, rows::rows(&direct, &columns).await, "{what}");

    // In sync although the old column waits for its end; back, and forth again, in a moment each.
    on(&url, &["plan", "--exit-code", &case.model()])
        .await
        .expect(DONE)
        .says("`reconcile contract` drops it");
    on(&url, &["rollback", "--yes", "--max-stall", "1h"]).await.expect(DONE);
    on(&url, &["contract", "--yes"]).await.expect(DONE);
    let back = dump::definitions(&online).await;
    assert!(
        dump::plain(&back) == dump::plain(&before),
        "{what}: {}",
        dump::difference(&dump::plain(&before), &dump::plain(&back))
    );

    common::apply_online(&url, &case.model()).await.expect(DONE);
    on(&url, &["contract", "--yes"]).await.expect(DONE);
    let (theirs, ours) = (dump::definitions(&direct).await, dump::definitions(&online).await);
    assert!(
        dump::plain(&theirs) == dump::plain(&ours),
        "{what}: {}",
        dump::difference(&dump::plain(&theirs), &dump::plain(&ours))
    );
    assert!(!ours.contains("_rc_"), "{what}: {ours}");
    assert_eq!(rows::rows(&online, &columns).await, rows::rows(&direct, &columns).await, "{what}");
    on(&url, &["plan", "--exit-code", &case.model()]).await.expect(DONE).says_not("contract");
    on(&url, &["contract", "--yes"]).await.expect(DONE).says("no online change is afoot");
}

#[tokio::test]
async fn the_result_is_that_of_the_direct_way() {
    for major in majors() {
        common::all(CASES.iter().map(|name| as_the_direct_way(Case { name }, major))).await;
    }
}

const NUMBERS: &str = "CREATE TABLE counted (id serial PRIMARY KEY, n int NOT NULL DEFAULT 7, tag text, \
    price numeric(8,2), CONSTRAINT counted_n_key UNIQUE (n), CHECK (n > 0)); \
    INSERT INTO counted (n, price, tag) SELECT i, i / 4.0, 't' || i FROM generate_series(1, 3000) i; \
    CREATE INDEX counted_price ON counted (price DESC) WHERE price > 10; \
    CREATE STATISTICS counted_st ON price, tag FROM counted; \
    CREATE VIEW dear AS SELECT id, n, price FROM counted WHERE price > 100; \
    ALTER TABLE counted ALTER n SET STATISTICS 50;";

const MORE: &str = "tables:\n  counted:\n    columns:\n      id: {type: bigint, nullable: false, default: \"nextval('counted_id_seq')\"}\n      \
    n: {type: bigint, nullable: false, default: 7}\n      price: numeric(12,4)\n      tag: text\n    primary_key: [id]\n    unique:\n      counted_n_key: [n]\n    \
    checks:\n      counted_n_check: n > 0\n";

#[tokio::test]
async fn keys_numbers_and_several_columns_at_once() {
    for major in majors() {
        let (online, direct) = (database(major, NUMBERS).await, database(major, NUMBERS).await);
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("counted.yaml");
        std::fs::write(&model, MORE).unwrap();
        let model = model.to_str().unwrap();
        let url = online.url();
        common::apply_online(&url, model).await.expect(DONE);
        on(&direct.url(), &["apply", "--yes", "--strategy", "direct", "--max-stall", "1h", model])
            .await
            .expect(DONE);
        let mut connection = online.connect().await;
        // New rows get their keys, and the old columns know them.
        execute(
            &mut connection,
            "INSERT INTO counted (n, price, tag) VALUES (99999, 1.2345, 'new')",
        )
        .await;
        execute(&mut connection, "DELETE FROM counted WHERE n = 99999").await;
        on(&url, &["contract", "--yes"]).await.expect(DONE);
        let (theirs, ours) = (dump::definitions(&direct).await, dump::definitions(&online).await);
        assert!(
            dump::plain(&theirs) == dump::plain(&ours),
            "{major}: {}",
            dump::difference(&dump::plain(&theirs), &dump::plain(&ours))
        );
        let sum = "SELECT count(*) || '/' || sum(id) || '/' || sum(n) || '/' || sum(price) || '/' || md5(string_agg(tag, ',' ORDER BY id)) FROM counted";
        let mut other = direct.connect().await;
        assert_eq!(scalar(&mut connection, sum).await, scalar(&mut other, sum).await);
        on(&url, &["plan", "--exit-code", model]).await.expect(DONE);
    }
}

const FAMILY: &str = "CREATE TABLE people (id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, up int REFERENCES people, name text); \
    CREATE TABLE pets (person int NOT NULL CONSTRAINT owned REFERENCES people ON DELETE CASCADE, name text); \
    COMMENT ON CONSTRAINT owned ON pets IS 'whose'; \
    INSERT INTO people (up, name) SELECT nullif(i - 1, 0), 'p' || i FROM generate_series(1, 500) i; \
    INSERT INTO pets SELECT 1 + i % 500, 'pet' || i FROM generate_series(1, 900) i;";

#[tokio::test]
async fn an_identity_that_others_refer_to_goes_on_counting() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("people.yaml");
    std::fs::write(&model, "tables: {people: {columns: {id: {type: bigint, identity: by default, nullable: false}}}}\n").unwrap();
    let model = model.to_str().unwrap();
    for major in majors() {
        let (online, direct) = (database(major, FAMILY).await, database(major, FAMILY).await);
        let before = dump::definitions(&online).await;
        let url = online.url();
        on(&direct.url(), &["apply", "--yes", "--strategy", "direct", "--max-stall", "1h", model])
            .await
            .expect(DONE);
        common::apply_online(&url, model).await.expect(DONE);
        let mut connection = online.connect().await;
        let add = "INSERT INTO people (name) VALUES ('new') RETURNING id::text";
        assert_eq!(scalar(&mut connection, add).await, "501", "{major}");
        on(&url, &["rollback", "--yes", "--max-stall", "1h"]).await.expect(DONE);
        assert_eq!(scalar(&mut connection, add).await, "502", "{major}");
        on(&url, &["contract", "--yes"]).await.expect(DONE);
        let back = dump::definitions(&online).await;
        assert!(
            dump::plain(&back) == dump::plain(&before),
            "{major}: {}",
            dump::difference(&dump::plain(&before), &dump::plain(&back))
        );
        on(&url, &["apply", "--yes", "--strategy", "online", "--contract", model])
            .await
            .expect(DONE);
        assert_eq!(scalar(&mut connection, add).await, "503", "{major}");
        let (theirs, ours) = (dump::definitions(&direct).await, dump::definitions(&online).await);
        assert!(
            dump::plain(&theirs) == dump::plain(&ours),
            "{major}: {}",
            dump::difference(&dump::plain(&theirs), &dump::plain(&ours))
        );
        execute(&mut connection, "DELETE FROM people WHERE id > 250").await;
        let rows = "SELECT (SELECT count(*) FROM pets) || '/' || (SELECT count(*) FROM pets WHERE person > 250)";
        assert_eq!(scalar(&mut connection, rows).await, "499/0", "{major}");
        on(&url, &["plan", "--exit-code", model]).await.expect(DONE);
    }
}

/// What stands in the way of an online change, and the words that say so.
const OBSTACLES: &[(&str, &str)] = &[
    ("CREATE TABLE child () INHERITS (t)", "other tables inherit it"),
    ("ALTER TABLE t ADD doubled int GENERATED ALWAYS AS (n * 2) STORED", "is generated from it"),
    ("ALTER TABLE t ADD EXCLUDE USING btree (n WITH =)", "needs it; that is not supported yet"),
    (
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; \
         CREATE TRIGGER \"ärger\" BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION note()",
        "fires after ours",
    ),
    ("CREATE PUBLICATION p FOR TABLE t", "the table is published"),
    (
        "ALTER TABLE t ALTER n SET NOT NULL; ALTER TABLE t ALTER n ADD GENERATED ALWAYS AS IDENTITY",
        "or is one no more",
    ),
];

#[tokio::test]
async fn what_cannot_be_done_online_is_refused_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("t.yaml");
    for major in majors() {
        for (sql, words) in OBSTACLES {
            std::fs::write(&model, "tables: {t: {columns: {n: bigint}}}\n").unwrap();
            let base = "CREATE TABLE t (n int); INSERT INTO t SELECT generate_series(1, 10);";
            let database = database(major, &format!("{base} {sql};")).await;
            let before = dump::definitions(&database).await;
            common::apply_online(&database.url(), model.to_str().unwrap())
                .await
                .expect(REFUSED)
                .says(words);
            assert_eq!(before, dump::definitions(&database).await, "{sql}");
        }
    }
}

const BUSY: &str = "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy'); \
    CREATE TABLE busy (id int PRIMARY KEY, mood mood NOT NULL DEFAULT 'ok', n int NOT NULL, touched int NOT NULL DEFAULT 0, pad text NOT NULL DEFAULT repeat('x', 100)); \
    INSERT INTO busy (id, mood, n) SELECT i, (ARRAY['sad', 'ok', 'happy'])[1 + i % 3]::mood, i FROM generate_series(1, 40000) i; \
    CREATE INDEX busy_mood ON busy (mood, n); \
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.touched := OLD.touched + 1; RETURN NEW; END'; \
    CREATE TRIGGER touch BEFORE UPDATE ON busy FOR EACH ROW EXECUTE FUNCTION touch();";

const CALM: &str = "tables:\n  busy:\n    columns:\n      mood: {type: varchar(10), nullable: false, default: \"'ok'\"}\n";

/// Writes without a break until it is told to stop; keeps in `shadow` what every row has to be.
async fn write(database: Arc<Database>, writer: u64, stop: Arc<AtomicBool>, done: Arc<AtomicU64>) {
    let mut connection = database.connect().await;
    let mut seed = writer.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut own = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        // Each writer has rows of its own, so that it knows what they are.
        let id = 1 + (seed % 10_000) * 4 + writer;
        let mood = ["sad", "ok", "happy"][usize::try_from(seed % 3).unwrap()];
        let sql = match seed % 10 {
            0 => format!(
                "BEGIN; DELETE FROM busy WHERE id = {id}; DELETE FROM want WHERE id = {id}; COMMIT"
            ),
            1 | 2 => {
                own += 1;
                let id = 1_000_000 + own * 4 + writer;
                format!(
                    "BEGIN; INSERT INTO busy (id, mood, n) VALUES ({id}, '{mood}', 1); \
                     INSERT INTO want VALUES ({id}, '{mood}', 0); COMMIT"
                )
            }
            _ => format!(
                "BEGIN; UPDATE busy SET mood = '{mood}' WHERE id = {id}; \
                 UPDATE want SET mood = '{mood}', touched = touched + 1 WHERE id = {id}; COMMIT"
            ),
        };
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
        done.fetch_add(1, Ordering::Relaxed);
    }
}

/// Rows that are not what their writers left.
const WRONG: &str = "SELECT count(*)::text FROM busy b FULL JOIN want w USING (id) \
    WHERE b.mood::text IS DISTINCT FROM w.mood OR b.touched IS DISTINCT FROM w.touched";

#[tokio::test]
async fn writers_lose_nothing_forth_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("busy.yaml");
    std::fs::write(&model, CALM).unwrap();
    let model = model.to_str().unwrap().to_owned();
    for major in majors() {
        let database = Arc::new(database(major, BUSY).await);
        let mut connection = database.connect().await;
        execute(&mut connection, "CREATE TABLE want (id int PRIMARY KEY, mood text, touched int)")
            .await;
        execute(&mut connection, "INSERT INTO want SELECT id, mood::text, 0 FROM busy").await;
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let writers: Vec<_> = (0..4)
            .map(|w| {
                tokio::spawn(write(Arc::clone(&database), w, Arc::clone(&stop), Arc::clone(&done)))
            })
            .collect();
        let url = database.url();
        for words in [
            &["apply", "--yes", "--strategy", "online", &model][..],
            &["rollback", "--yes"],
            &["apply", "--yes", "--strategy", "online", "--throttle", "off", &model],
            &["contract", "--yes"],
        ] {
            let before = done.load(Ordering::Relaxed);
            on(&url, words).await.expect(DONE);
            assert!(
                done.load(Ordering::Relaxed) > before,
                "{major}: nobody wrote during {words:?}"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        stop.store(true, Ordering::Relaxed);
        for writer in writers {
            writer.await.unwrap();
        }
        assert_eq!(scalar(&mut connection, WRONG).await, "0", "{major}");
        on(&url, &["plan", "--exit-code", &model]).await.expect(DONE);
    }
}

/// An apply that meets a row which somebody holds for long once the rows are carried over.
async fn stopped_by_a_row(database: &Arc<Database>, model: &str) -> common::Ran {
    let mut connection = database.connect().await;
    let (url, model) = (database.url(), model.to_owned());
    let apply = tokio::spawn(async move {
        on(&url, &["apply", "--yes", "--strategy", "online", "--wait", "2s", &model]).await
    });
    let begun = "SELECT count(*)::text FROM pg_attribute WHERE attname LIKE '\\_rc\\_%'";
    while scalar(&mut connection, begun).await == "0" {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    execute(&mut connection, "BEGIN; UPDATE busy SET n = n WHERE id = 39999").await;
    let ran = apply.await.unwrap().expect(common::PARTIAL);
    execute(&mut connection, "ROLLBACK").await;
    ran
}

#[tokio::test]
async fn given_up_half_way_it_leaves_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("busy.yaml");
    std::fs::write(&model, CALM).unwrap();
    let model = model.to_str().unwrap();
    for major in majors() {
        let database = Arc::new(database(major, BUSY).await);
        let before = dump::definitions(&database).await;
        let url = database.url();
        let ran = stopped_by_a_row(&database, model).await;
        assert!(ran.err.contains("again goes on"), "{ran:?}");
        on(&url, &["contract", "--yes"]).await.expect(DONE).says("have not changed names yet");
        on(&url, &["status"]).await.expect(DONE).says("% of the table");
        on(&url, &["abort", "--yes"]).await.expect(DONE);
        let after = dump::definitions(&database).await;
        assert!(before == after, "{major}: {}", dump::difference(&before, &after));
        // Once more, and on from where it stopped.
        stopped_by_a_row(&database, model).await;
        on(&url, &["apply", "--yes", model]).await.expect(DONE);
        on(&url, &["abort", "--yes"]).await.expect(DONE).says("have changed names already");
        on(&url, &["contract", "--yes"]).await.expect(DONE);
        assert!(!dump::definitions(&database).await.contains("_rc_"));
        on(&url, &["plan", "--exit-code", model]).await.expect(DONE);
    }
}
