//! Columns that are added to a large table with a value of its own for each row: by a default that is
//! volatile, or by an expression of the model. Beside writers the result is that of the direct way, and
//! whoever goes on after a stop finds in the catalog what is left to do.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::place::Model;
use common::{DIFFERENT, DONE, ERROR, PARTIAL, REFUSED, dump, execute, on, rows, scalar};
use reconcile_testkit::{Database, database, majors};
use sqlx::PgConnection;

/// A model of the table with these columns beside those that it has.
fn with(columns: &str, more: &str) -> Model {
    Model::new(&format!(
        "{more}tables:\n  t:\n    columns:\n      id: {{type: integer, nullable: false}}\n      name: text\n      \
         touched: {{type: integer, nullable: false, default: 0}}\n      pad: {{type: text, default: \"repeat('x', 200)\"}}\n\
         {columns}    primary_key: [id]\n"
    ))
}

/// More than is filled at once.
const LARGE: &str = "CREATE TABLE t (id int PRIMARY KEY, name text, touched int NOT NULL DEFAULT 0, pad text DEFAULT repeat('x', 200)); \
    INSERT INTO t (id, name) SELECT i, 'n' || i FROM generate_series(1, 60000) i; ANALYZE t;";

const VOLATILE: &str = "      u: {type: uuid, nullable: false, default: gen_random_uuid()}\n      \
    seen: {type: timestamptz, default: clock_timestamp()}\n      \
    n: {type: integer, nullable: false, default: \"nextval('t_n_seq'::regclass)\"}\n      \
    w: {type: \"varchar(20)\", nullable: false, default: \"'x'\", using: \"left(name || '/' || id, 20)\"}\n      \
    len: {type: bigint, using: length(name)}\n      \
    k: {type: bigint, nullable: false, using: id + length(name)}\n";

const SEQUENCE: &str = "sequences: {t_n_seq: {owned_by: t(n), type: integer}}\n";

/// The same by hand.
const DIRECTLY: &str = "ALTER TABLE t ADD u uuid NOT NULL DEFAULT gen_random_uuid(), ADD seen timestamptz DEFAULT clock_timestamp(), \
    ADD n serial, ADD w varchar(20), ADD len bigint, ADD k bigint; \
    UPDATE t SET w = left(name || '/' || id, 20), len = length(name), k = id + length(name); \
    ALTER TABLE t ALTER w SET DEFAULT 'x', ALTER w SET NOT NULL, ALTER k SET NOT NULL;";

/// Rows that have not the values that they shall have; those that a writer added are above 1,000,000, and
/// those that he changed are odd.
const WRONG: &str = "SELECT count(*)::text FROM t WHERE u IS NULL OR seen IS NULL OR n IS NULL OR id < 1000000 AND \
    (w IS DISTINCT FROM left('n' || id || '/' || id, 20) OR len <> length('n' || id) OR k <> id + length('n' || id))";

/// The clock may strike for two rows at once.
const ALIKE: &str = "SELECT (2 * count(*) - count(DISTINCT u) - count(DISTINCT n) + (count(DISTINCT seen) < count(*) / 2)::int)::text FROM t";

async fn none(connection: &mut PgConnection, sql: &str, what: &str) {
    assert_eq!(scalar(connection, sql).await, "0", "{what}: {sql}");
}

async fn same_definitions(one: &Database, other: &Database, what: &str) {
    let (one, other) = (dump::definitions(one).await, dump::definitions(other).await);
    let (one, other) = (dump::plain(&one), dump::plain(&other));
    assert!(one == other, "{what}: {}", dump::difference(&one, &other));
}

/// Adds rows, with and without the new columns, and changes old ones, whose versions go elsewhere in the
/// table. What fails may only fail because a value is demanded.
async fn writer(database: Arc<Database>, stop: Arc<AtomicBool>) -> u64 {
    let mut connection = database.connect().await;
    let mut n = 0;
    while !stop.load(Ordering::Relaxed) {
        n += 1;
        for sql in [
            format!("INSERT INTO t (id, name, k) VALUES ({}, 'a', 1)", 1_000_000 + n),
            format!(
                "INSERT INTO t (id, name, u, w, len, k) VALUES ({}, 'b', gen_random_uuid(), 'w', 2, 3)",
                2_000_000 + n
            ),
            format!("INSERT INTO t (id, name) VALUES ({}, 'c')", 3_000_000 + n),
            format!("UPDATE t SET touched = touched + 1 WHERE id = {}", 1 + n * 7919 % 60_000),
        ] {
            let done = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await;
            if let Err(error) = done {
                let words = error.to_string();
                assert!(words.contains("null") || words.contains("does not exist"), "{words}");
            }
        }
    }
    n
}

#[tokio::test]
async fn each_row_gets_a_value_of_its_own_beside_writers() {
    for major in majors() {
        let what = format!("on {major}");
        let model = with(VOLATILE, SEQUENCE);
        let before = database(major, LARGE).await;
        let direct = database(major, &format!("{LARGE} {DIRECTLY}")).await;
        let calm = database(major, LARGE).await;
        let words = ["apply", "--yes", "--throttle", "off", &model.path()];
        let ran = on(&calm.url(), &words).await.expect(DONE);
        ran.says("in pieces").says("counts as no value");
        same_definitions(&direct, &calm, &what).await;
        let mut kept = rows::columns(&direct).await;
        let random = ["u", "seen", "n"].map(String::from);
        kept.values_mut().for_each(|columns| columns.retain(|c| !random.contains(c)));
        assert_eq!(rows::rows(&direct, &kept).await, rows::rows(&calm, &kept).await, "{what}");
        let mut connection = calm.connect().await;
        none(&mut connection, WRONG, &what).await;
        none(&mut connection, ALIKE, &what).await;
        let next = "SELECT (nextval('t_n_seq') - max(n) - 1)::text FROM t";
        none(&mut connection, next, &what).await;
        on(&calm.url(), &["plan", "--exit-code", &model.path()]).await.expect(DONE);
        on(&calm.url(), &["rollback", "--yes"]).await.says("would be lost");
        on(&calm.url(), &["rollback", "--yes", "--allow-data-loss"]).await.expect(DONE);
        same_definitions(&before, &calm, &what).await;

        let busy = Arc::new(database(major, LARGE).await);
        let stop = Arc::new(AtomicBool::new(false));
        let at_work = tokio::spawn(writer(Arc::clone(&busy), Arc::clone(&stop)));
        on(&busy.url(), &words).await.expect(DONE);
        stop.store(true, Ordering::Relaxed);
        assert!(at_work.await.unwrap() > 0);
        let mut connection = busy.connect().await;
        none(&mut connection, WRONG, &what).await;
        none(&mut connection, ALIKE, &what).await;
        same_definitions(&direct, &busy, &what).await;
        on(&busy.url(), &["plan", "--exit-code", &model.path()]).await.expect(DONE);
    }
}

/// The batches of a plan, each as its statements.
async fn batches(url: &str, model: &Model) -> Vec<Vec<String>> {
    let words = ["plan", "--format", "json", &model.path()];
    let plan = on(url, &words).await.expect(DONE).out;
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    let list = |value: &serde_json::Value| value.as_array().unwrap().clone();
    let of_batch = |batch: &serde_json::Value| {
        list(&batch["steps"]).iter().map(|s| s["sql"].as_str().unwrap().to_owned()).collect()
    };
    list(&plan["batches"]).iter().map(of_batch).collect()
}

/// A statement that fills rows, for the first half of them.
fn half(statements: &[String]) -> Option<String> {
    let one =
        statements.first().filter(|sql| statements.len() == 1 && sql.starts_with("UPDATE"))?;
    Some(format!("{one} AND id <= 30000"))
}

/// Columns whose plans differ in how they end.
const STOPPED: &[(&str, &str)] = &[
    ("      u: {type: uuid, nullable: false, default: gen_random_uuid()}\n", "u"),
    ("      u: {type: uuid, default: gen_random_uuid()}\n", "u"),
    ("      u: {type: text, nullable: false, using: \"nullif('u' || id, 'u70000')\"}\n", "u"),
    ("      u: {type: text, default: \"'x'\", using: \"'u' || id\"}\n", "u"),
];

#[tokio::test]
async fn after_any_step_another_process_goes_on_with_what_the_catalog_tells() {
    for major in majors() {
        for (columns, name) in STOPPED {
            let model = with(columns, "");
            let origin = database(major, LARGE).await;
            let direct = origin.copy().await;
            let (url, path) = (direct.url(), model.path());
            on(&url, &["apply", "--yes", "--strategy", "direct", &path])
                .await
                .expect(DONE)
                .says_not("in pieces");
            let steps = batches(&origin.url(), &model).await;
            assert!(steps.len() > 3, "{columns} on {major}: {steps:?}");
            for stop in 1..=steps.len() {
                let what = format!("{columns} on {major}, after {stop} of {}", steps.len());
                let stopped = origin.copy().await;
                let mut connection = stopped.connect().await;
                for (at, statements) in steps[..stop].iter().enumerate() {
                    let last = half(statements).filter(|_| at + 1 == stop);
                    let sql = last.unwrap_or_else(|| statements.join("; "));
                    execute(&mut connection, &sql).await;
                }
                // A row that needs nothing of what the expression does not give.
                execute(&mut connection, "INSERT INTO t (id, u) VALUES (70000, gen_random_uuid())")
                    .await;
                let words = ["apply", "--yes", "--throttle", "off", &path];
                on(&stopped.url(), &words).await.expect(DONE);
                let nulls = format!("SELECT count(*)::text FROM t WHERE {name} IS NULL");
                none(&mut connection, &nulls, &what).await;
                let alike = format!("SELECT (count(*) - count(DISTINCT {name}))::text FROM t");
                none(&mut connection, &alike, &what).await;
                same_definitions(&direct, &stopped, &what).await;
                on(&stopped.url(), &["plan", "--exit-code", &path]).await.expect(DONE);
            }
        }
    }
}

/// A default that waits for somebody when it has been computed for some of the rows.
const WAITS: &str = "CREATE SEQUENCE calls; CREATE FUNCTION fresh() RETURNS uuid LANGUAGE plpgsql AS \
    'BEGIN IF nextval(''public.calls'') > 20000 THEN PERFORM pg_advisory_xact_lock_shared(20000); END IF; \
    RETURN gen_random_uuid(); END';";

#[tokio::test]
async fn a_stop_among_the_pieces_is_gone_on_from_or_undone() {
    for major in majors() {
        for nullable in [true, false] {
            let what = format!("nullable: {nullable} on {major}");
            let columns =
                format!("      u: {{type: uuid, nullable: {nullable}, default: public.fresh()}}\n");
            let model = with(&columns, "");
            let database = database(major, &format!("{LARGE} {WAITS}")).await;
            let before = dump::definitions(&database).await;
            let mut connection = database.connect().await;
            let (url, path) = (database.url(), model.path());
            execute(&mut connection, "SELECT pg_advisory_lock(20000)").await;
            let stop = ["apply", "--yes", "--wait", "1s", "--throttle", "off", &path];
            on(&url, &stop).await.expect(PARTIAL);
            let some = "SELECT (count(u) BETWEEN 1 AND 59999)::text FROM t";
            assert_eq!(scalar(&mut connection, some).await, "true", "{what}");
            on(&url, &["check", &path]).await.expect(DIFFERENT);
            on(&url, &["rollback", "--yes", "--allow-data-loss"]).await.expect(DONE);
            assert_eq!(before, dump::definitions(&database).await, "{what}");

            execute(&mut connection, "SELECT setval('calls', 1)").await;
            on(&url, &stop).await.expect(PARTIAL);
            // Another type would lose the mark.
            let other = with("      u: varchar(50)\n", "");
            let words = ["apply", "--yes", "--max-stall", "1h", &other.path()];
            let ran = on(&url, &words).await.expect(REFUSED);
            ran.says("its rows do not all have their values yet");
            let keep = "SELECT pg_advisory_unlock(20000); CREATE TEMP TABLE was AS SELECT id, u FROM t WHERE u IS NOT NULL";
            execute(&mut connection, keep).await;
            on(&url, &["apply", "--yes", &path]).await.expect(DONE);
            none(&mut connection, "SELECT count(*)::text FROM t WHERE u IS NULL", &what).await;
            let anew = "SELECT count(*)::text FROM t JOIN was USING (id) WHERE t.u <> was.u";
            none(&mut connection, anew, &what).await;
            on(&url, &["plan", "--exit-code", &path]).await.expect(DONE);
            assert!(!dump::definitions(&database).await.contains("reconcile.filling"), "{what}");
        }
    }
}

/// Triggers that say what they saw.
const TRIGGERS: &str = "CREATE TABLE seen (what text); \
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.touched := OLD.touched + 1; RETURN NEW; END'; \
    CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO seen VALUES (TG_NAME); RETURN NULL; END'; \
    CREATE TRIGGER touch BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION touch(); \
    CREATE TRIGGER tell AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION tell();";

#[tokio::test]
async fn no_trigger_sees_that_rows_are_filled() {
    for major in majors() {
        let apply = ["apply", "--yes", "--throttle", "off", "--max-stall", "1h"];
        let unseen = "SELECT (sum(touched) + (SELECT count(*) FROM seen))::text FROM t";
        let nulls = "SELECT count(*)::text FROM t WHERE u IS NULL";
        for (columns, _) in &STOPPED[..3] {
            let model = with(columns, "");
            let database = database(major, &format!("{LARGE} {TRIGGERS}")).await;
            let mut connection = database.connect().await;
            let path = model.path();
            let words = [&apply[..], &[&path]].concat();
            on(&database.url(), &words).await.expect(DONE).says("in pieces");
            none(&mut connection, unseen, columns).await;
            none(&mut connection, nulls, columns).await;
            on(&database.url(), &["plan", "--exit-code", &model.path()]).await.expect(DONE);
        }
        // One that fires always sees it: a default is then given by a rewrite, and an expression says so.
        let always = format!("{LARGE} {TRIGGERS} ALTER TABLE t ENABLE ALWAYS TRIGGER tell");
        for (at, (columns, _)) in STOPPED[..3].iter().enumerate() {
            let model = with(columns, "");
            let database = database(major, &always).await;
            let mut connection = database.connect().await;
            let path = model.path();
            let words = [&apply[..], &[&path]].concat();
            let ran = on(&database.url(), &words).await.expect(DONE);
            none(&mut connection, nulls, columns).await;
            if at < 2 {
                ran.says_not("in pieces");
                none(&mut connection, unseen, columns).await;
            } else {
                ran.says("triggers of public.t fire for each row that is filled: tell, touch");
            }
        }
    }
}

#[tokio::test]
async fn small_tables_and_tables_with_children_are_filled_at_once() {
    let small = "CREATE TABLE t (id int PRIMARY KEY, name text, touched int NOT NULL DEFAULT 0, pad text DEFAULT repeat('x', 200)); \
                 INSERT INTO t (id, name) SELECT i, 'n' || i FROM generate_series(1, 100) i;";
    let child = format!(
        "{LARGE} CREATE TABLE c () INHERITS (t); INSERT INTO c (id, name) SELECT i, 'n' || i FROM generate_series(60001, 60100) i"
    );
    for major in majors() {
        for sql in [small, &child] {
            let what = format!("{sql} on {major}");
            let model = with(VOLATILE, SEQUENCE);
            let direct = database(major, &format!("{sql}; {DIRECTLY}")).await;
            let database = database(major, sql).await;
            let mut connection = database.connect().await;
            let words = ["apply", "--yes", "--max-stall", "1h", &model.path()];
            on(&database.url(), &words).await.expect(DONE).says_not("in pieces");
            none(&mut connection, WRONG, &what).await;
            none(&mut connection, ALIKE, &what).await;
            same_definitions(&direct, &database, &what).await;
            on(&database.url(), &["plan", "--exit-code", &model.path()]).await.expect(DONE);
        }
    }
}

/// Models whose expression gives no values, and the words that say why.
const FAULTS: &[(&str, i32, &str)] = &[
    (
        "      w: {type: text, nullable: false, using: nowhere}\n",
        ERROR,
        "\"nowhere\" does not exist",
    ),
    ("      w: {type: text, nullable: false, using: w}\n", ERROR, "\"w\" does not exist"),
    (
        "      w: {type: text, nullable: false, using: \"nullif(name, 'n7')\"}\n",
        REFUSED,
        "public.t.w is null as text: 1 row",
    ),
    (
        "      w: {type: varchar(4), using: name}\n",
        REFUSED,
        "public.t.w becomes longer than varchar(4) allows",
    ),
    (
        "      w: {type: integer, nullable: false, using: name::int}\n",
        ERROR,
        "invalid input syntax",
    ),
    ("      w: {type: text, nullable: false, using: random()::text}\n", ERROR, "it is volatile"),
];

#[tokio::test]
async fn an_expression_that_gives_no_value_is_refused_before_anything_starts() {
    for major in majors() {
        let database = database(major, LARGE).await;
        let before = dump::definitions(&database).await;
        for (columns, status, words) in FAULTS {
            let model = with(columns, "");
            let ran = on(&database.url(), &["apply", "--yes", &model.path()]).await;
            ran.expect(*status).says(words);
        }
        let using = "      w: {type: text, nullable: false, using: touched::text}\n";
        let retyped = with(using, "");
        let text = std::fs::read_to_string(retyped.path()).unwrap();
        let of = |from: &str, to: &str| Model::new(&text.replace(from, to));
        let retyped = of("touched: {type: integer,", "touched: {type: bigint,");
        let words = ["apply", "--yes", "--max-stall", "1h", &retyped.path()];
        on(&database.url(), &words).await.expect(REFUSED).says("change one after the other");
        assert_eq!(before, dump::definitions(&database).await, "{major}");
        // What it reads goes when the rows have their values.
        let gone =
            of("touched: {type: integer, nullable: false, default: 0}", "touched: {absent: true}");
        let words = ["apply", "--yes", "--allow-drop", "all", &gone.path()];
        on(&database.url(), &words).await.expect(DONE);
        let mut connection = database.connect().await;
        none(&mut connection, "SELECT count(*)::text FROM t WHERE w <> '0'", "").await;
        on(&database.url(), &["plan", "--exit-code", &gone.path()]).await.expect(DONE);
        // So does what another type is converted by, but for a change whose trigger goes on reading it.
        let converted = with("", "");
        let text = std::fs::read_to_string(converted.path()).unwrap();
        let text =
            text.replace("name: text", "name: {type: bigint, using: length(name) + length(pad)}");
        let text =
            text.replace("pad: {type: text, default: \"repeat('x', 200)\"}", "pad: {absent: true}");
        let text = text.replace("    primary_key", "      w: {absent: true}\n    primary_key");
        let converted = Model::new(&text.replace(
            "touched: {type: integer, nullable: false, default: 0}",
            "touched: {absent: true}",
        ));
        let path = converted.path();
        let drop = ["apply", "--yes", "--allow-drop", "all", "--max-stall", "1h"];
        let words = [&drop[..], &["--strategy", "online", &path]].concat();
        on(&database.url(), &words).await.expect(REFUSED).says("which the same plan drops");
        let words = [&drop[..], &["--strategy", "direct", &path]].concat();
        on(&database.url(), &words).await.expect(DONE);
        let wrong = "SELECT count(*)::text FROM t WHERE name <> length('n' || id) + 200";
        none(&mut connection, wrong, "").await;
    }
}

#[tokio::test]
async fn names_in_an_expression_are_those_of_the_table_s_own_namespace() {
    let sql = format!(
        "CREATE SCHEMA app; SET search_path = app; {LARGE} CREATE SEQUENCE counter; \
         CREATE FUNCTION points(text) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN length($1); END'; \
         CREATE FUNCTION fresh() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN nextval(''app.counter''); END'; \
         RESET search_path"
    );
    let columns = "      p: {type: integer, nullable: false, using: points(t.name)}\n      \
                   q: {type: bigint, nullable: false, default: fresh()}\n      \
                   r: {type: bigint, default: \"nextval('counter')\"}\n      \
                   \"Name\": {type: text, nullable: false, using: \"points(name) || pad\"}\n";
    for major in majors() {
        let database = database(major, &sql).await;
        let model = with(columns, "namespace: app\n");
        let words = ["apply", "--yes", "--throttle", "off", &model.path()];
        on(&database.url(), &words).await.expect(DONE).says("in pieces");
        let mut connection = database.connect().await;
        let wrong = "SELECT (count(*) FILTER (WHERE p <> length(name) OR \"Name\" IS NULL) + 120000 \
                     - count(DISTINCT q) - count(DISTINCT r))::text FROM app.t";
        none(&mut connection, wrong, "").await;
        on(&database.url(), &["plan", "--exit-code", &model.path()]).await.expect(DONE);
    }
}

#[tokio::test]
async fn no_rule_takes_the_place_of_a_fill() {
    let rule = "CREATE RULE none AS ON UPDATE TO t DO INSTEAD NOTHING;";
    for major in majors() {
        let database = database(major, &format!("{LARGE} {rule}")).await;
        let mut connection = database.connect().await;
        // A table that is made anew has its rows from no UPDATE.
        let model =
            with("      u: {type: uuid, nullable: false, default: gen_random_uuid()}\n", "");
        let words = ["apply", "--yes", "--max-stall", "1h"];
        let ran = on(&database.url(), &[&words[..], &[&model.path()]].concat()).await;
        ran.expect(DONE).says_not("in pieces");
        none(&mut connection, "SELECT count(*)::text FROM t WHERE u IS NULL", "rewritten").await;
        let columns = "      u: {type: uuid, nullable: false, default: gen_random_uuid()}\n      \
            k: {type: bigint, nullable: false, using: id + 1}\n";
        let model = with(columns, "");
        let before = dump::definitions(&database).await;
        let ran = on(&database.url(), &[&words[..], &[&model.path()]].concat()).await;
        ran.expect(REFUSED).says("the table's rule none acts beside every UPDATE or in its place");
        assert_eq!(before, dump::definitions(&database).await, "{major}");
        execute(&mut connection, "ALTER TABLE t ADD k bigint").await;
        let ran = on(&database.url(), &[&words[..], &[&model.path()]].concat()).await;
        ran.expect(REFUSED).says("the table's rule none acts beside every UPDATE or in its place");
        execute(&mut connection, "DROP RULE none ON t").await;
        let ran = on(&database.url(), &[&words[..], &[&model.path()]].concat()).await;
        ran.expect(DONE);
        none(
            &mut connection,
            "SELECT count(*)::text FROM t WHERE k IS DISTINCT FROM id + 1",
            "filled",
        )
        .await;
        on(&database.url(), &["plan", "--exit-code", &model.path()]).await.expect(DONE);
    }
}
