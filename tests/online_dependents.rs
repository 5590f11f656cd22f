//! What hangs on a column that is changed online comes along, prepared beside readers and writers: the result is
//! that of the direct way, and nobody waits for a materialized view to be computed.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use common::{DONE, PARTIAL, REFUSED, apply_online, dump, execute, on, rows, scalar};
use reconcile_testkit::{Database, database, majors, unique_name};

const WITHIN: [&str; 4] = ["apply", "--yes", "--strategy", "online"];

/// A folder with one model.
fn model(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.yaml");
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap().to_owned();
    (folder, file)
}

#[track_caller]
fn same(before: &str, after: &str, what: &str) {
    let (before, after) = (dump::plain(before), dump::plain(after));
    assert!(before == after, "{what}: {}", dump::difference(&before, &after));
}

/// Forth, back, forth again and to the end; no lock needs an approval anywhere.
async fn there_and_back(major: u32, sql: &str, model: &str) {
    let (direct, online) = (database(major, sql).await, database(major, sql).await);
    let columns = rows::columns(&online).await;
    let before = dump::definitions(&online).await;
    let words = ["apply", "--yes", "--strategy", "direct", "--max-stall", "1h", model];
    on(&direct.url(), &words).await.expect(DONE);
    let url = online.url();
    let forth = [&WITHIN[..], &["--throttle", "off", model]].concat();
    let ran = on(&url, &forth).await.expect(DONE).says("add a second column for");
    assert_eq!(rows::rows(&online, &columns).await, rows::rows(&direct, &columns).await, "{ran:?}");
    on(&url, &["plan", "--exit-code", model])
        .await
        .expect(DONE)
        .says("`reconcile contract` drops it");
    on(&url, &["rollback", "--yes"]).await.expect(DONE);
    on(&url, &["contract", "--yes"]).await.expect(DONE);
    same(&before, &dump::definitions(&online).await, &format!("the way back on {major}"));
    on(&url, &forth).await.expect(DONE);
    on(&url, &["contract", "--yes"]).await.expect(DONE);
    let after = dump::definitions(&online).await;
    same(&dump::definitions(&direct).await, &after, &format!("the way forth on {major}"));
    assert!(!after.contains("_rc_"), "{major}: {after}");
    assert_eq!(rows::rows(&online, &columns).await, rows::rows(&direct, &columns).await, "{major}");
    on(&url, &["plan", "--exit-code", model]).await.expect(DONE).says_not("contract");
}

const STORED: &str = "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy'); \
    CREATE TABLE talk (id int PRIMARY KEY, mood mood NOT NULL DEFAULT 'ok', note text); \
    INSERT INTO talk SELECT i, (ARRAY['sad', 'ok', 'happy'])[1 + i % 3]::mood, 'n' || i FROM generate_series(1, 900) i; \
    CREATE VIEW moods WITH (security_barrier=true) AS SELECT id, mood AS feeling, note FROM talk WHERE mood <> 'sad'; \
    CREATE VIEW unread AS SELECT id FROM talk WHERE mood = 'sad'; \
    CREATE MATERIALIZED VIEW counts WITH (fillfactor=70) AS SELECT mood, count(*) AS n FROM talk GROUP BY mood; \
    CREATE UNIQUE INDEX counts_mood ON counts (mood); CREATE INDEX counts_n ON counts ((n + 1)) WHERE mood = 'ok'; \
    ALTER INDEX counts_n ALTER COLUMN 1 SET STATISTICS 77; ALTER MATERIALIZED VIEW counts CLUSTER ON counts_mood; \
    CREATE STATISTICS counts_st ON mood, n FROM counts; ALTER STATISTICS counts_st SET STATISTICS 40; \
    ALTER MATERIALIZED VIEW counts ALTER mood SET STATISTICS 33, ALTER n SET (n_distinct = 3); \
    COMMENT ON MATERIALIZED VIEW counts IS 'how many'; COMMENT ON COLUMN counts.n IS 'so many'; \
    COMMENT ON INDEX counts_mood IS 'the key'; COMMENT ON STATISTICS counts_st IS 'both'; COMMENT ON VIEW moods IS 'not sad'; \
    CREATE MATERIALIZED VIEW through AS SELECT feeling, max(id) AS last FROM moods GROUP BY feeling; \
    CREATE MATERIALIZED VIEW further AS SELECT c.n, t.last, t.feeling FROM counts c JOIN through t ON t.feeling = c.mood; \
    CREATE MATERIALIZED VIEW empty AS SELECT mood, note FROM talk WITH NO DATA; CREATE INDEX empty_note ON empty (note); \
    ALTER MATERIALIZED VIEW empty ALTER note SET STORAGE EXTERNAL; \
    CREATE MATERIALIZED VIEW other AS SELECT id, note FROM talk; \
    CREATE VIEW above AS SELECT n FROM further WHERE feeling = 'ok'; COMMENT ON VIEW above IS 'on top'; \
    CREATE FUNCTION instead() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; \
    CREATE TRIGGER instead INSTEAD OF INSERT ON moods FOR EACH ROW EXECUTE FUNCTION instead(); \
    COMMENT ON TRIGGER instead ON moods IS 'nothing'; \
    GRANT SELECT ON counts, moods, above TO pg_monitor; GRANT SELECT (last) ON through TO pg_monitor; \
    ALTER MATERIALIZED VIEW counts OWNER TO pg_signal_backend; ALTER VIEW moods OWNER TO pg_signal_backend; \
    GRANT SELECT ON talk TO pg_signal_backend; ALTER STATISTICS counts_st OWNER TO pg_signal_backend; \
    ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO pg_read_all_stats;";

const TEXT: &str = "tables:\n  talk:\n    columns:\n      mood: {type: varchar(10), nullable: false, default: \"'ok'\"}\n";

#[tokio::test]
async fn materialized_views_are_computed_beforehand() {
    let (_folder, model) = model(TEXT);
    for major in majors() {
        there_and_back(major, STORED, &model).await;
    }
}

/// What the model says itself, in words that only the server understands.
const STATED: &str = "tables:\n  talk:\n    columns:\n      mood: {type: varchar(10), nullable: false, default: \"'ok'\"}\n\
    views:\n  moods: {query: \"select id, mood, note from talk t where mood <> 'sad'\"}\n\
    materialized_views:\n  counts: {query: \"select mood, count(*) from talk group by 1\"}\n  \
    pairs: {query: \"select mood, a.id, b.note from talk a join talk b using (id, mood)\"}\n  \
    all_of_them: {query: \"select m.*, 2 * m.id as twice from moods m\"}\n";

#[tokio::test]
async fn queries_are_the_models_in_its_own_words() {
    let sql = "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy'); \
        CREATE TABLE talk (id int PRIMARY KEY, mood mood NOT NULL DEFAULT 'ok', note text); \
        INSERT INTO talk SELECT i, (ARRAY['sad', 'ok', 'happy'])[1 + i % 3]::mood, 'n' || i FROM generate_series(1, 900) i; \
        CREATE VIEW moods AS SELECT * FROM talk WHERE mood <> 'sad'; \
        CREATE MATERIALIZED VIEW counts AS SELECT mood, count(*) FROM talk GROUP BY mood; \
        CREATE MATERIALIZED VIEW pairs AS SELECT mood, a.id, b.note FROM talk a JOIN talk b USING (id, mood); \
        CREATE MATERIALIZED VIEW all_of_them AS SELECT m.*, 2 * m.id AS twice FROM moods m;";
    let (_folder, model) = model(STATED);
    for major in majors() {
        there_and_back(major, sql, &model).await;
    }
}

#[tokio::test]
async fn a_query_of_the_model_names_its_columns() {
    let sql = "CREATE TABLE t (n int, tag text); CREATE VIEW v AS SELECT * FROM t;";
    for query in ["select x.* from t as x", "select * from t"] {
        let (_folder, model) = model(&format!(
            "tables: {{t: {{columns: {{n: bigint, tag: text}}}}}}\nviews: {{v: {{query: {query}}}}}\n"
        ));
        for major in majors() {
            let database = database(major, sql).await;
            let before = dump::definitions(&database).await;
            apply_online(&database.url(), &model)
                .await
                .expect(REFUSED)
                .says("the query of view:public.v says `*`");
            assert_eq!(before, dump::definitions(&database).await, "{major}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_made_beforehand_is_made_at_once() {
    let keyed = "CREATE TABLE t (id int PRIMARY KEY, n int, m int, tag text); \
        INSERT INTO t SELECT i, i, i, 't' || i FROM generate_series(1, 300) i;";
    let by_key =
        "CREATE MATERIALIZED VIEW by_key AS SELECT id, tag, count(*) AS k FROM t GROUP BY id;";
    let both =
        "CREATE MATERIALIZED VIEW sums AS SELECT n + m AS sum FROM t; CREATE INDEX ON sums (sum);";
    for (more, columns) in
        [(by_key, "id: {type: bigint, nullable: false}"), (both, "n: bigint, m: bigint")]
    {
        let (_folder, model) = model(&format!("tables: {{t: {{columns: {{{columns}}}}}}}\n"));
        for major in majors() {
            there_and_back(major, &format!("{keyed} {more}"), &model).await;
        }
    }
}

#[tokio::test]
async fn a_successor_needs_rows_to_read() {
    let sql = "CREATE TABLE t (n int); INSERT INTO t VALUES (1); CREATE MATERIALIZED VIEW below AS SELECT n FROM t; \
        CREATE VIEW between AS SELECT n FROM below; CREATE MATERIALIZED VIEW above AS SELECT n FROM between; \
        REFRESH MATERIALIZED VIEW below WITH NO DATA;";
    let (_folder, model) = model("tables: {t: {columns: {n: bigint}}}\n");
    for major in majors() {
        let database = database(major, sql).await;
        let before = dump::definitions(&database).await;
        apply_online(&database.url(), &model).await.expect(REFUSED).says(
            "it reads materialized_view:public.below, which holds no rows; refresh that first",
        );
        assert_eq!(before, dump::definitions(&database).await, "{major}");
    }
}

/// An apply that has prepared everything, and is stopped by somebody who holds a view.
async fn stopped_before_the_names(database: &Database, model: &str) {
    let mut connection = database.connect().await;
    execute(&mut connection, "BEGIN; COMMENT ON VIEW unread IS 'held'").await;
    let words = [&WITHIN[..], &["--throttle", "off", "--wait", "1s", model]].concat();
    on(&database.url(), &words).await.expect(PARTIAL).says("compute the successor of counts done");
    execute(&mut connection, "ROLLBACK").await;
}

#[tokio::test]
async fn successors_that_are_left_are_made_anew_or_given_up() {
    let (_folder, model) = model(TEXT);
    for major in majors() {
        let database = database(major, STORED).await;
        let url = database.url();
        let before = dump::definitions(&database).await;
        stopped_before_the_names(&database, &model).await;
        assert!(dump::definitions(&database).await.contains("_further"), "{major}");
        on(&url, &["abort", "--yes"]).await.expect(DONE);
        let after = dump::definitions(&database).await;
        assert!(before == after, "{major}: {}", dump::difference(&before, &after));
        stopped_before_the_names(&database, &model).await;
        let mut connection = database.connect().await;
        execute(
            &mut connection,
            "INSERT INTO talk VALUES (1000, 'happy', 'late'); DROP VIEW above",
        )
        .await;
        execute(
            &mut connection,
            "DROP MATERIALIZED VIEW further; REFRESH MATERIALIZED VIEW counts",
        )
        .await;
        on(&url, &[&WITHIN[..], &[&model]].concat())
            .await
            .expect(DONE)
            .says("_further of an earlier attempt");
        let fresh = "SELECT n::text FROM counts WHERE mood = 'happy'";
        assert_eq!(scalar(&mut connection, fresh).await, "301", "{major}");
        on(&url, &["contract", "--yes"]).await.expect(DONE);
        assert!(!dump::definitions(&database).await.contains("_rc_"), "{major}");
        on(&url, &["plan", "--exit-code", &model]).await.expect(DONE);
    }
}

/// Runs a statement without a break, and wants every one to be done.
async fn go_on(
    database: Arc<Database>,
    sql: &'static str,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
) {
    let mut connection = database.connect().await;
    while !stop.load(Ordering::Relaxed) {
        execute(&mut connection, sql).await;
        done.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn readers_and_writers_go_on() {
    let (_folder, model) = model(TEXT);
    for major in majors() {
        let database = Arc::new(database(major, STORED).await);
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let statements = [
            "SELECT count(*) FROM counts WHERE mood <> 'sad'",
            "SELECT n FROM above",
            "UPDATE talk SET mood = 'ok' WHERE id = 1 + (random() * 800)::int",
            "INSERT INTO talk SELECT 1 + max(id), 'happy', 'more' FROM talk",
        ];
        let at_work: Vec<_> = statements
            .into_iter()
            .map(|sql| {
                tokio::spawn(go_on(
                    Arc::clone(&database),
                    sql,
                    Arc::clone(&stop),
                    Arc::clone(&done),
                ))
            })
            .collect();
        let url = database.url();
        for words in
            [&["apply", "--yes", "--strategy", "online", &model][..], &["rollback", "--yes"]]
        {
            let before = done.load(Ordering::Relaxed);
            on(&url, words).await.expect(DONE);
            assert!(
                done.load(Ordering::Relaxed) > before,
                "{major}: nobody went on during {words:?}"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        stop.store(true, Ordering::Relaxed);
        for work in at_work {
            work.await.unwrap();
        }
        on(&url, &["contract", "--yes"]).await.expect(DONE);
    }
}

const WATCHED: &str = "CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL, touched int NOT NULL DEFAULT 0); \
    CREATE TABLE seen (what text); INSERT INTO t SELECT i, i FROM generate_series(1, 400) i; \
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS \
    'BEGIN INSERT INTO seen VALUES (TG_NAME); IF TG_OP = ''UPDATE'' AND TG_WHEN = ''BEFORE'' THEN NEW.touched := OLD.touched + 1; END IF; RETURN NEW; END'; \
    CREATE TRIGGER before_row BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION note(); \
    CREATE TRIGGER after_row AFTER INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION note(); \
    CREATE TRIGGER after_statement AFTER UPDATE ON t EXECUTE FUNCTION note(); \
    CREATE TRIGGER of_n AFTER UPDATE OF n ON t FOR EACH ROW EXECUTE FUNCTION note(); \
    CREATE TRIGGER never AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION note(); ALTER TABLE t DISABLE TRIGGER never;";

const WIDER: &str = "tables: {t: {columns: {n: {type: bigint, nullable: false}}}}\n";

/// How often each trigger fired, in the order of their names.
const SEEN: &str = "SELECT coalesce((SELECT string_agg(what || ' ' || n, ', ' ORDER BY what) \
    FROM (SELECT what, count(*) AS n FROM seen GROUP BY what) s), 'nothing') || ', ' || (SELECT sum(touched) FROM t)";

#[tokio::test]
async fn triggers_do_not_see_what_nobody_wrote() {
    let (_folder, model) = model(WIDER);
    for major in majors() {
        let database = database(major, WATCHED).await;
        let mut connection = database.connect().await;
        apply_online(&database.url(), &model).await.expect(DONE).says_not("fire for every row");
        assert_eq!(scalar(&mut connection, SEEN).await, "nothing, 0", "{major}");
        // The next write is somebody's.
        execute(&mut connection, "UPDATE t SET n = 7000000000 WHERE id = 1").await;
        let seen = "after_row 1, after_statement 1, before_row 1, of_n 1, 1";
        assert_eq!(scalar(&mut connection, SEEN).await, seen, "{major}");
        on(&database.url(), &["contract", "--yes"]).await.expect(DONE);
        on(&database.url(), &["plan", "--exit-code", &model]).await.expect(DONE);
    }
}

#[tokio::test]
async fn a_trigger_that_fires_for_every_row_is_approved_by_name() {
    let (_folder, model) = model(WIDER);
    for major in majors() {
        let database = database(major, WATCHED).await;
        let mut connection = database.connect().await;
        let role = unique_name("clerk");
        execute(
            &mut connection,
            &format!(
                "CREATE ROLE {role}; ALTER TABLE t OWNER TO {role}; ALTER TABLE seen OWNER TO {role}; \
                 GRANT CREATE ON SCHEMA public TO {role}; CREATE SCHEMA reconcile AUTHORIZATION {role}"
            ),
        )
        .await;
        let url = database.url();
        let before = dump::definitions(&database).await;
        let words = [&["--role", &role][..], &WITHIN, &["--throttle", "off"]].concat();
        on(&url, &[&words[..], &[&model]].concat())
            .await
            .expect(REFUSED)
            .says("--allow-trigger trigger:public.t.after_row")
            .says("it would fire once for every piece of the rows that are carried over; approve that with")
            .says("trigger:public.t.before_row would see a write of each row that is carried over (about 400)")
            .says_not("allow-trigger trigger:public.t.of_n")
            .says_not("allow-trigger trigger:public.t.never");
        let one = [&words[..], &["--allow-trigger", "trigger:public.t.after_row", &model]].concat();
        on(&url, &one)
            .await
            .expect(REFUSED)
            .says("it fires for every row that is carried over (about 400): that is approved")
            .says("--allow-trigger trigger:public.t.after_statement");
        assert_eq!(before, dump::definitions(&database).await, "{major}");
        on(&url, &[&words[..], &["--allow-trigger", "trigger:public.t.after_*", &model]].concat())
            .await
            .expect(DONE);
        let seen = scalar(&mut connection, SEEN).await;
        assert!(seen.starts_with("after_row 400, after_statement "), "{major}: {seen}");
        assert!(seen.ends_with("before_row 400, 0"), "{major}: {seen}");
        on(&url, &["contract", "--yes"]).await.expect(DONE);
        assert!(!dump::definitions(&database).await.contains("_rc_"), "{major}");
        execute(&mut connection, &format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
    }
}

#[tokio::test]
async fn who_may_be_a_replica_needs_no_approval() {
    let (_folder, model) = model(WIDER);
    for major in majors().into_iter().filter(|major| *major >= 15) {
        let database = database(major, WATCHED).await;
        let mut connection = database.connect().await;
        let role = unique_name("clerk");
        execute(
            &mut connection,
            &format!(
                "CREATE ROLE {role}; ALTER TABLE t OWNER TO {role}; ALTER TABLE seen OWNER TO {role}; \
                 GRANT CREATE ON SCHEMA public TO {role}; CREATE SCHEMA reconcile AUTHORIZATION {role}; \
                 GRANT SET ON PARAMETER session_replication_role TO {role}"
            ),
        )
        .await;
        let words = [&["--role", &role][..], &WITHIN, &[&model]].concat();
        on(&database.url(), &words).await.expect(DONE);
        assert_eq!(scalar(&mut connection, SEEN).await, "nothing, 0", "{major}");
        execute(
            &mut connection,
            &format!(
                "REVOKE SET ON PARAMETER session_replication_role FROM {role}; DROP OWNED BY {role}; DROP ROLE {role}"
            ),
        )
        .await;
    }
}

#[tokio::test]
async fn triggers_for_replicas_are_judged_too() {
    let (_folder, model) = model(WIDER);
    let always = "ALTER TABLE t ENABLE ALWAYS TRIGGER after_row;";
    let replica = "ALTER TABLE t ENABLE REPLICA TRIGGER never;";
    for major in majors() {
        // One that always fires does; the others still do not.
        let one = database(major, &format!("{WATCHED} {always}")).await;
        apply_online(&one.url(), &model)
            .await
            .expect(REFUSED)
            .says("--allow-trigger trigger:public.t.after_row")
            .says_not("after_statement, or");
        let words = [&WITHIN[..], &["--allow-trigger", "all", &model]].concat();
        on(&one.url(), &words).await.expect(DONE);
        let seen = scalar(&mut one.connect().await, SEEN).await;
        assert_eq!(seen, "after_row 400, 0", "{major}");
        // One that is only for replicas shall not fire, so the rows are carried over as usual.
        let other = database(major, &format!("{WATCHED} {replica}")).await;
        apply_online(&other.url(), &model)
            .await
            .expect(REFUSED)
            .says("--allow-trigger trigger:public.t.after_row")
            .says("--allow-trigger trigger:public.t.after_statement")
            .says_not("allow-trigger trigger:public.t.never");
        on(&other.url(), &words).await.expect(DONE);
        let seen = scalar(&mut other.connect().await, SEEN).await;
        assert!(!seen.contains("never") && seen.contains("before_row 400"), "{major}: {seen}");
    }
}

#[tokio::test]
async fn virtual_columns_come_along_and_stored_ones_are_refused() {
    let sql = "CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL, twice bigint GENERATED ALWAYS AS (n * 2) VIRTUAL, \
        CONSTRAINT small CHECK (twice < 100000)); INSERT INTO t SELECT i, i FROM generate_series(1, 400) i; \
        COMMENT ON COLUMN t.twice IS 'double'; COMMENT ON CONSTRAINT small ON t IS 'not large'; \
        CREATE VIEW doubles AS SELECT id, twice FROM t; GRANT SELECT ON doubles TO pg_monitor; \
        CREATE MATERIALIZED VIEW sums AS SELECT sum(twice) AS s, n % 7 AS r FROM t GROUP BY 2; \
        CREATE UNIQUE INDEX sums_r ON sums (r); GRANT SELECT (twice) ON t TO pg_monitor;";
    let (_folder, model) = model(WIDER);
    for major in majors().into_iter().filter(|major| *major >= 18) {
        there_and_back(major, sql, &model).await;
    }
    for major in majors() {
        let stored = sql.replace("VIRTUAL", "STORED");
        let database = database(major, &stored).await;
        let before = dump::definitions(&database).await;
        apply_online(&database.url(), &model)
            .await
            .expect(REFUSED)
            .says("column:public.t.twice is generated from it and stored");
        assert_eq!(before, dump::definitions(&database).await, "{major}");
    }
}
