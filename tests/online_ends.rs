//! What may happen while the old column of an online change is kept, and how it ends.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::place::Place;
use common::{DONE, ERROR, PARTIAL, REFUSED, apply_online, dump, execute, on, scalar};
use reconcile_testkit::{Database, database, majors, unique_name};

const TALK: &str = "CREATE TYPE mood AS ENUM ('sad', 'ok'); \
    CREATE TABLE talk (id int PRIMARY KEY, mood mood NOT NULL DEFAULT 'ok', price numeric(8,4) CHECK (price > 0)); \
    INSERT INTO talk SELECT i, (ARRAY['sad', 'ok'])[1 + i % 2]::mood, i FROM generate_series(1, 300) i; \
    CREATE INDEX talk_mood ON talk (mood); CREATE UNIQUE INDEX talk_price ON talk (price); \
    CREATE INDEX talk_share ON talk ((1 / price));";

const TEXT: &str = "tables:\n  talk:\n    columns:\n      mood: {type: varchar(10), nullable: false, default: \"'ok'\"}\n";

/// A database of which the column is changed, and its model.
async fn changed(major: u32, sql: &str, model: &str) -> (Database, tempfile::TempDir, String) {
    let database = database(major, sql).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.yaml");
    std::fs::write(&file, model).unwrap();
    let file = file.to_str().unwrap().to_owned();
    apply_online(&database.url(), &file).await.expect(DONE).says("`reconcile contract` drops it");
    (database, folder, file)
}

#[tokio::test]
async fn a_value_that_the_old_type_cannot_hold_is_named_before_the_way_back() {
    for major in majors() {
        let (database, _folder, model) = changed(major, TALK, TEXT).await;
        let mut connection = database.connect().await;
        execute(
            &mut connection,
            "INSERT INTO talk (id, mood, price) VALUES (1000, 'elated', 1000)",
        )
        .await;
        let before = dump::definitions(&database).await;
        let url = database.url();
        on(&url, &["rollback", "--yes"])
            .await
            .expect(REFUSED)
            .says("is no label of public.mood: 1 row")
            .says("elated");
        assert_eq!(before, dump::definitions(&database).await, "{major}");
        execute(&mut connection, "DELETE FROM talk WHERE id = 1000").await;
        on(&url, &["rollback", "--yes"]).await.expect(DONE);
        assert_eq!(
            scalar(&mut connection, "SELECT pg_typeof(mood)::text FROM talk LIMIT 1").await,
            "mood"
        );
        on(&url, &["plan", &model]).await.expect(DONE);
    }
}

#[tokio::test]
async fn the_way_back_is_a_change_of_names_and_nothing_before_it() {
    for major in majors() {
        let (database, _folder, model) = changed(major, TALK, TEXT).await;
        let mut connection = database.connect().await;
        let write = "INSERT INTO talk (id, mood, price) VALUES (500, 'sad', 500); UPDATE talk SET mood = 'ok' WHERE id < 20";
        execute(&mut connection, write).await;
        let url = database.url();
        let back = on(&url, &["rollback", "--yes"]).await.expect(DONE);
        let swap =
            back.out.find("change talk.mood from varchar(10) to public.mood").expect("it is said");
        for words in ["in pieces", "prove that", "build index", "VACUUM"] {
            let at = back.out.find(words);
            assert!(at.is_none_or(|at| at > swap), "{major}: {words} before the swap: {back:?}");
        }
        let moods = "SELECT string_agg(mood || '/' || n, ' ' ORDER BY mood::text) FROM \
                     (SELECT mood, count(*) n FROM talk GROUP BY 1) AS counted";
        assert_eq!(scalar(&mut connection, moods).await, "ok/159 sad/142", "{major}");
        let demands = "SELECT attnotnull::text FROM pg_attribute WHERE attrelid = 'talk'::regclass AND attname = 'mood'";
        assert_eq!(scalar(&mut connection, demands).await, "true", "{major}");
        // Forth again: the text holds every label, so there is nothing to look for.
        let forth = apply_online(&url, &model).await.expect(DONE);
        assert!(!forth.out.contains("in pieces"), "{major}: {forth:?}");
        on(&url, &["contract", "--yes"]).await.expect(DONE);
        on(&url, &["plan", "--exit-code", &model]).await.expect(DONE);
        assert!(!dump::definitions(&database).await.contains("_rc_"), "{major}");
    }
}

#[tokio::test]
async fn a_number_that_would_be_rounded_is_named_before_the_way_back() {
    let model = "tables: {talk: {columns: {price: {type: \"numeric(12, 6)\"}}}}\n";
    for major in majors() {
        let (database, _folder, _model) = changed(major, TALK, model).await;
        let mut connection = database.connect().await;
        execute(&mut connection, "UPDATE talk SET price = 0.500001 WHERE id = 7").await;
        let before = dump::definitions(&database).await;
        let url = database.url();
        on(&url, &["rollback", "--yes"]).await.expect(REFUSED).says("0.500001").says("1 row");
        assert_eq!(before, dump::definitions(&database).await, "{major}");
        execute(&mut connection, "UPDATE talk SET price = 0.5 WHERE id = 7").await;
        on(&url, &["rollback", "--yes"]).await.expect(DONE);
        let sum = "SELECT sum(price)::text FROM talk";
        assert_eq!(scalar(&mut connection, sum).await, "45143.5000", "{major}");
    }
}

#[tokio::test]
async fn a_second_column_that_has_missed_writes_is_not_trusted() {
    for major in majors() {
        let (database, _folder, _model) = changed(major, TALK, TEXT).await;
        let mut connection = database.connect().await;
        let name =
            "SELECT tgname FROM pg_trigger WHERE tgrelid = 'talk'::regclass AND NOT tgisinternal";
        let name = scalar(&mut connection, name).await;
        execute(&mut connection, &format!("ALTER TABLE talk DISABLE TRIGGER \"{name}\"")).await;
        let url = database.url();
        on(&url, &["rollback", "--yes"])
            .await
            .expect(REFUSED)
            .says(&format!("the trigger {name} was disabled"));
        on(&url, &["contract", "--yes"]).await.expect(DONE);
        assert!(!dump::definitions(&database).await.contains("_rc_"), "{major}");
    }
}

#[tokio::test]
async fn the_old_column_demands_nothing_of_new_values() {
    let model = "tables: {talk: {columns: {price: \"numeric(12, 6)\"}}}\n"
        .replace("\"numeric", "{type: \"numeric")
        .replace(")\"", ")\"}");
    for major in majors() {
        let (database, _folder, _model) = changed(major, TALK, &model).await;
        let mut connection = database.connect().await;
        // In the old type these are equal to each other, 0, or too large.
        execute(
            &mut connection,
            "INSERT INTO talk (id, mood, price) VALUES (1001, 'ok', 0.500001), (1002, 'ok', 0.500002)",
        )
        .await;
        execute(
            &mut connection,
            "INSERT INTO talk (id, mood, price) VALUES (1003, 'ok', 0.000001), (1004, 'ok', 123456.5)",
        )
        .await;
        on(&database.url(), &["contract", "--yes"]).await.expect(DONE);
        let sum = "SELECT sum(price)::text FROM talk WHERE id > 1000";
        assert_eq!(scalar(&mut connection, sum).await, "123457.500004", "{major}");
    }
}

#[tokio::test]
async fn what_was_contracted_can_still_be_undone() {
    for major in majors() {
        let fresh = database(major, TALK).await;
        let (database, _folder, _model) = changed(major, TALK, TEXT).await;
        let url = database.url();
        let ended = on(&url, &["contract", "--yes"])
            .await
            .expect(DONE)
            .says_not("undoes it")
            .says_not("restart");
        assert!(
            ended.out.contains("drop enum type mood, which nothing uses any more")
                || ended.out.contains("drop enum type mood"),
            "{ended:?}"
        );
        on(&url, &["status"]).await.expect(DONE).says("end of an online change");
        on(&url, &["rollback", "--yes", "--run", "2"])
            .await
            .expect(REFUSED)
            .says("it ended an online change");
        on(&url, &["rollback", "--yes", "--max-stall", "1h"])
            .await
            .expect(DONE)
            .says("Run 1 is undone");
        let (before, after) = (dump::definitions(&fresh).await, dump::definitions(&database).await);
        let (before, after) = (dump::plain(&before), dump::plain(&after));
        assert!(before == after, "{major}: {}", dump::difference(&before, &after));
    }
}

#[tokio::test]
async fn a_type_that_a_body_names_stays() {
    let sql = format!(
        "{TALK} CREATE FUNCTION is_ok(text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN $1::mood = ''ok''; END';"
    );
    for major in majors() {
        let (database, _folder, _model) = changed(major, &sql, TEXT).await;
        on(&database.url(), &["contract", "--yes"])
            .await
            .expect(DONE)
            .says("still used by function:public.\"is_ok(text)\"");
        let mut connection = database.connect().await;
        assert_eq!(scalar(&mut connection, "SELECT is_ok('ok')::text").await, "true", "{major}");
        assert!(!dump::definitions(&database).await.contains("_rc_"), "{major}");
    }
}

#[tokio::test]
async fn its_column_and_table_stay_until_it_ends() {
    for major in majors() {
        let (database, folder, _model) = changed(major, TALK, TEXT).await;
        let url = database.url();
        let before = dump::definitions(&database).await;
        for (number, model) in [
            "tables: {talk: {columns: {mood: {absent: true}}}}",
            "tables: {talk: {absent: true}}",
            "tables: {talk: {columns: {feeling: {type: varchar(10), nullable: false, default: \"'ok'\", renamed_from: mood}}}}",
            "tables: {chat: {renamed_from: talk, columns: {id: {type: int, nullable: false}}}}",
        ]
        .iter()
        .enumerate()
        {
            let file = folder.path().join(format!("other{number}.yaml"));
            std::fs::write(&file, format!("{model}\n")).unwrap();
            let words = ["apply", "--yes", "--allow-drop", "all", file.to_str().unwrap()];
            on(&url, &words).await.expect(REFUSED).says("end it first, with `reconcile contract`");
        }
        assert_eq!(before, dump::definitions(&database).await, "{major}");
    }
}

#[tokio::test]
async fn a_role_that_may_not_make_objects_is_told_before() {
    for major in majors() {
        let database = database(major, TALK).await;
        let mut connection = database.connect().await;
        let role = unique_name("keeper");
        execute(
            &mut connection,
            &format!(
                "CREATE ROLE {role}; ALTER TABLE talk OWNER TO {role}; ALTER TYPE mood OWNER TO {role}; \
                 REVOKE CREATE ON SCHEMA public FROM PUBLIC; CREATE SCHEMA reconcile AUTHORIZATION {role}"
            ),
        )
        .await;
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("talk.yaml");
        std::fs::write(&model, TEXT).unwrap();
        let before = dump::definitions(&database).await;
        let words =
            ["--role", &role, "apply", "--yes", "--strategy", "online", model.to_str().unwrap()];
        on(&database.url(), &words)
            .await
            .expect(REFUSED)
            .says(&format!("GRANT CREATE ON SCHEMA public TO {role}"));
        assert_eq!(before, dump::definitions(&database).await, "{major}");
        execute(&mut connection, &format!("GRANT CREATE ON SCHEMA public TO {role}")).await;
        on(&database.url(), &words).await.expect(DONE);
        on(&database.url(), &["--role", &role, "contract", "--yes"]).await.expect(DONE);
        execute(&mut connection, &format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
    }
}

#[tokio::test]
async fn a_script_does_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("talk.yaml");
    std::fs::write(&model, TEXT).unwrap();
    let database = database(majors()[0], TALK).await;
    let words = ["plan", "--strategy", "online", "--format", "sql", model.to_str().unwrap()];
    let script = on(&database.url(), &words).await.expect(DONE).out;
    let mut connection = database.connect().await;
    // psql sends one statement at a time; our steps stand apart by an empty line.
    for part in script.split("\n\n").map(|part| part.replace("\\set ON_ERROR_STOP on", "")) {
        let alone: Vec<&str> = match part.contains("CONCURRENTLY") || part.contains("VACUUM") {
            true => part.split_inclusive(";\n").collect(),
            false => vec![&part],
        };
        for sql in alone {
            execute(&mut connection, sql).await;
        }
    }
    assert!(script.contains("SET reconcile.backfill = '-_rc_"), "{script}");
    on(&database.url(), &["plan", "--exit-code", model.to_str().unwrap()]).await.expect(DONE);
}

#[tokio::test]
async fn a_way_back_that_stopped_before_the_names_changed_is_given_up() {
    let sql = "CREATE TABLE talk (id int PRIMARY KEY, n int NOT NULL); \
        INSERT INTO talk SELECT i, i FROM generate_series(1, 300) i;";
    let model = "tables: {talk: {columns: {n: {type: text, nullable: false}}}}\n";
    for major in majors() {
        let place = Place::new(major, sql).await;
        let before = dump::definitions(&place.database).await;
        place.online(model).await.expect(DONE);
        // A row that is not there yet when rows are looked at, and is before the next one is refused.
        let mut late = place.database.connect().await;
        execute(&mut late, "BEGIN; INSERT INTO talk (id, n) VALUES (1000, 'many')").await;
        let url = place.database.url();
        let back =
            tokio::spawn(
                async move { on(&url, &["rollback", "--yes", "--max-stall", "1h"]).await },
            );
        let looked = "SELECT coalesce(bool_or(state = 'done'), false)::text FROM reconcile.step \
            WHERE run = (SELECT max(id) FROM reconcile.run WHERE undoes IS NOT NULL) AND sql LIKE 'VACUUM%'";
        while place.ask(looked).await != "true" {
            assert!(!back.is_finished(), "{major}: {:?}", back.await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        execute(&mut late, "COMMIT").await;
        back.await.unwrap().expect(PARTIAL).says("`reconcile abort` gives the way back");
        let status = place.on(&["status"]).await.expect(DONE);
        drop(
            status
                .says("writes of values that the old type cannot hold fail")
                .says("reconcile abort"),
        );
        let insert = "INSERT INTO talk (id, n) VALUES (1001, 'more')";
        let refused = sqlx::raw_sql(insert).execute(&mut late).await.unwrap_err();
        assert!(refused.to_string().contains("violates"), "{major}: {refused}");
        place.on(&["abort", "--yes"]).await.expect(DONE);
        execute(&mut late, insert).await;
        place
            .on(&["status"])
            .await
            .expect(DONE)
            .says("is kept for the way back")
            .says_not("a way back was begun");
        place.on(&["abort", "--yes"]).await.expect(DONE).says("the columns have changed names");
        let model = place.model(model);
        place.on(&["plan", "--exit-code", &model]).await.expect(DONE);
        // Before 16 nothing tells without trying what is no number.
        let status = if major >= 16 { REFUSED } else { ERROR };
        place.back().await.expect(status).says("many").says("Nothing was changed");
        execute(&mut late, "DELETE FROM talk WHERE id >= 1000").await;
        place.back().await.expect(DONE);
        place.contract().await;
        let after = dump::definitions(&place.database).await;
        let (before, after) = (dump::plain(&before), dump::plain(&after));
        assert!(before == after, "{major}: {}", dump::difference(&before, &after));
    }
}

#[tokio::test]
async fn what_is_proven_once_the_names_have_changed_back_is_not_given_up() {
    for major in majors() {
        let place = Place::new(major, TALK).await;
        place.online(TEXT).await.expect(DONE);
        place.back().await.expect(DONE);
        // As a way back leaves it that is killed before its proof: the first column alone is demanded of.
        let id = "SELECT left(attname, 13)::text FROM pg_attribute WHERE attrelid = 'talk'::regclass AND attname LIKE '\\_rc\\_%'";
        let id = place.ask(id).await;
        let proof = format!("{id}mood_full_public.mood");
        place
            .run(&format!(
                "ALTER TABLE talk ADD CONSTRAINT \"{proof}\" CHECK (mood IS NOT NULL) NOT VALID"
            ))
            .await;
        let status = place.on(&["status"]).await.expect(DONE);
        drop(status.says("is kept for the way back").says_not("a way back was begun"));
        let abort = place.on(&["abort", "--yes"]).await.expect(DONE);
        drop(abort.says("the columns have changed names"));
        let there = format!("SELECT count(*)::text FROM pg_constraint WHERE conname = '{proof}'");
        assert_eq!(place.ask(&there).await, "1", "{major}");
        place.contract().await;
    }
}
