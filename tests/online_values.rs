//! How values become others when a column gets another type: by an expression of the model, by the rules of
//! PostgreSQL, and back; beside writers the result is that of the direct way.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::place::Model;
use common::{DONE, ERROR, REFUSED, dump, execute, on, rows, scalar};
use reconcile_testkit::{Database, database, majors};

async fn same(what: &str, one: &Database, other: &Database) {
    let (one_dump, other_dump) = (dump::definitions(one).await, dump::definitions(other).await);
    assert!(
        dump::plain(&one_dump) == dump::plain(&other_dump),
        "{what}: {}",
        dump::difference(&dump::plain(&one_dump), &dump::plain(&other_dump))
    );
    let columns = rows::columns(one).await;
    assert_eq!(rows::rows(one, &columns).await, rows::rows(other, &columns).await, "{what}");
}

const DIRECT: &[&str] = &["apply", "--yes", "--strategy", "direct", "--max-stall", "1h"];

/// Changes a database in both ways, and the one that was changed online back and forth again.
async fn both_ways(major: u32, sql: &str, yaml: &str) -> (Database, Database, Model) {
    let what = format!("{yaml} on {major}");
    let model = Model::new(yaml);
    let path = model.path();
    let (before, direct, online) =
        (database(major, sql).await, database(major, sql).await, database(major, sql).await);
    on(&direct.url(), &[DIRECT, &[&path]].concat()).await.expect(DONE);
    let url = online.url();
    let ran = common::apply_online(&url, &path).await.expect(DONE);
    assert!(ran.out.contains("add a second column for"), "{what}: {ran:?}");
    on(&url, &["plan", "--exit-code", &path]).await.expect(DONE).says("`reconcile contract`");

    on(&url, &["rollback", "--yes", "--max-stall", "1h"]).await.expect(DONE);
    on(&url, &["contract", "--yes"]).await.expect(DONE);
    same(&format!("back: {what}"), &before, &online).await;
    on(&direct.url(), &["rollback", "--yes", "--max-stall", "1h", "--strategy", "direct"])
        .await
        .expect(DONE);
    same(&format!("back directly: {what}"), &before, &direct).await;

    on(&direct.url(), &[DIRECT, &[&path]].concat()).await.expect(DONE);
    common::apply_online(&url, &path).await.expect(DONE);
    on(&url, &["contract", "--yes"]).await.expect(DONE);
    same(&format!("forth: {what}"), &direct, &online).await;
    assert!(!dump::definitions(&online).await.contains("_rc_"), "{what}");
    on(&url, &["plan", "--exit-code", &path]).await.expect(DONE).says_not("contract");
    (direct, online, model)
}

/// A conversion by functions of the user's own, one of which calls another one by its name alone.
const GRADES: &str = "CREATE SCHEMA app; \
    CREATE FUNCTION app.place(g text) RETURNS int LANGUAGE plpgsql IMMUTABLE AS \
      'BEGIN IF g !~ ''^[A-F]$'' THEN RAISE EXCEPTION ''no grade: %'', g; END IF; RETURN ascii(g) - 64; END'; \
    CREATE FUNCTION app.points(g text) RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN place(g) * 10; END'; \
    CREATE FUNCTION app.letter(p int) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT chr(64 + p / 10)'; \
    CREATE TABLE app.pupils (id int PRIMARY KEY, grade text DEFAULT 'B', \"Bonus\" int NOT NULL DEFAULT 0, note text); \
    CREATE INDEX pupils_grade ON app.pupils (grade); \
    CREATE VIEW app.good AS SELECT id, grade FROM app.pupils; \
    INSERT INTO app.pupils SELECT i, chr(65 + i % 6), i % 2, 'n' || i FROM generate_series(1, 3000) i; \
    INSERT INTO app.pupils VALUES (9001, NULL, 0, NULL);";

const POINTS: &str = "namespace: app\ntables:\n  pupils:\n    columns:\n      id: {type: integer, nullable: false}\n      \
    grade:\n        type: bigint\n        default: 20\n        using: points(pupils.grade) + \"Bonus\"\n        \
    back: letter((grade - \"Bonus\")::int)\n      Bonus: {type: integer, nullable: false, default: 0}\n      note: text\n    \
    primary_key: [id]\n";

#[tokio::test]
async fn an_expression_of_the_model_serves_both_ways_forth_and_back() {
    for major in majors() {
        let (_, online, _) = both_ways(major, GRADES, POINTS).await;
        let mut connection = online.connect().await;
        let sum = "SELECT sum(grade)::text || '/' || count(grade) FROM app.pupils";
        assert_eq!(scalar(&mut connection, sum).await, "106500/3000", "{major}");
    }
}

/// Writes through a view, as somebody who may do nothing else and whose session has settings of its own,
/// until it is told to stop.
async fn clerk(database: Arc<Database>, stop: Arc<AtomicBool>) -> u64 {
    let mut connection = database.connect().await;
    execute(&mut connection, "SET ROLE clerk; SET search_path = ''; SET TimeZone = 'Asia/Tokyo'")
        .await;
    let mut n = 0;
    while !stop.load(Ordering::Relaxed) {
        n += 1;
        let sql = match n % 3 {
            0 => format!("UPDATE public.through SET grade = 'C' WHERE id = {}", 1 + n % 3000),
            1 => format!("INSERT INTO public.through VALUES ({}, 'D', 1, now()::text)", 20_000 + n),
            _ => format!("DELETE FROM public.through WHERE id = {}", 1 + n * 7 % 3000),
        };
        execute(&mut connection, &sql).await;
    }
    n
}

#[tokio::test]
async fn who_writes_meanwhile_needs_no_rights_and_no_settings() {
    for major in majors() {
        let database = Arc::new(database(major, GRADES).await);
        let mut owner = database.connect().await;
        execute(
            &mut owner,
            "ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC; \
             REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA app FROM PUBLIC; DROP VIEW app.good; \
             CREATE VIEW through AS SELECT id, 'B'::text AS grade, \"Bonus\", note FROM app.pupils; DROP VIEW through; \
             DROP ROLE IF EXISTS clerk; CREATE ROLE clerk; \
             CREATE VIEW through AS SELECT * FROM app.pupils; GRANT ALL ON through TO clerk",
        )
        .await;
        let stop = Arc::new(AtomicBool::new(false));
        let writer = tokio::spawn(clerk(Arc::clone(&database), Arc::clone(&stop)));
        // The types of the old and of the new column both take these words.
        let model = Model::new(
            &POINTS
                .replace("bigint", "varchar(40)")
                .replace("default: 20", "default: \"'B'\"")
                .replace(
                    "points(pupils.grade) + \"Bonus\"",
                    "grade || points(grade) || '2024-01-01 00:00+00'::timestamptz",
                )
                .replace("letter((grade - \"Bonus\")::int)", "left(grade, 1)"),
        );
        let url = database.url();
        common::apply_online(&url, &model.path()).await.expect(DONE);
        tokio::time::sleep(Duration::from_millis(100)).await;
        on(&url, &["rollback", "--yes"]).await.expect(DONE);
        common::apply_online(&url, &model.path()).await.expect(DONE);
        on(&url, &["contract", "--yes"]).await.expect(DONE);
        stop.store(true, Ordering::Relaxed);
        assert!(writer.await.unwrap() > 0, "{major}");
        let mut connection = database.connect().await;
        execute(&mut connection, "DROP VIEW through; DROP OWNED BY clerk; DROP ROLE clerk").await;
    }
}

/// Expressions that cannot be used, and the words that say why.
const FAULTS: &[(&str, &str)] = &[
    ("nowhere + 1", "column \"nowhere\" does not exist"),
    ("lower(n", "is not closed"),
    ("count(n)", "aggregate functions are not allowed"),
    ("row_number() OVER ()", "window functions are not allowed"),
    ("generate_series(1, n)", "set-returning functions are not allowed"),
    ("(SELECT max(n) FROM t)", "has a query in it"),
    ("n + (random() * 10)::int", "it is volatile"),
    ("mine(n)", "it is volatile"),
    ("n::text", "which is not assigned to bigint; cast it: (n::text)::bigint"),
];

#[tokio::test]
async fn what_the_server_does_not_understand_is_said_with_its_place() {
    for major in majors() {
        let sql = "CREATE TABLE t (n int); INSERT INTO t VALUES (1); \
                   CREATE FUNCTION mine(int) RETURNS int LANGUAGE sql AS 'SELECT $1'";
        let database = database(major, sql).await;
        let before = dump::definitions(&database).await;
        for (text, words) in FAULTS {
            for key in ["using", "back"] {
                if key == "back" && (words.contains("bigint") || *text == "mine(n)") {
                    continue;
                }
                let yaml = format!(
                    "tables:\n  t:\n    columns:\n      n:\n        type: bigint\n        {key}: {text}\n"
                );
                let model = Model::new(&yaml);
                let ran = common::apply_online(&database.url(), &model.path()).await.expect(ERROR);
                ran.says(words).says("model.yaml:6:");
            }
        }
        assert_eq!(before, dump::definitions(&database).await, "{major}");
        // Once the type is there, neither says anything.
        let model = Model::new(
            "tables: {t: {columns: {n: {type: integer, using: nowhere + 1, back: nothing}}}}\n",
        );
        on(&database.url(), &["plan", "--exit-code", &model.path()]).await.expect(DONE);
    }
}

#[tokio::test]
async fn rows_that_an_expression_fails_for_are_found_before_anything_starts() {
    for major in majors() {
        let database = database(major, GRADES).await;
        let mut connection = database.connect().await;
        execute(&mut connection, "UPDATE app.pupils SET grade = 'X' WHERE id = 7").await;
        let before = dump::definitions(&database).await;
        let model = Model::new(POINTS);
        for strategy in ["direct", "online"] {
            let words =
                ["apply", "--yes", "--strategy", strategy, "--max-stall", "1h", &model.path()];
            on(&database.url(), &words).await.expect(ERROR).says("no grade: X");
        }
        // Where null is no value, what becomes null is named.
        let model =
            Model::new(&POINTS.replace("default: 20", "default: 20\n        nullable: false"));
        execute(&mut connection, "UPDATE app.pupils SET grade = 'A' WHERE id = 7").await;
        common::apply_online(&database.url(), &model.path())
            .await
            .expect(REFUSED)
            .says("is null as bigint: 1 row");
        assert_eq!(before, dump::definitions(&database).await, "{major}");
    }
}

#[tokio::test]
async fn inspect_writes_no_expression_and_keeps_those_of_a_model() {
    for major in majors() {
        let database = database(major, "CREATE TABLE t (a int, b int)").await;
        for (block, kept) in [
            (
                "a:\n        type: text\n        using: f(a)\n        back: g(a)\n      b: {type: text, using: h(b)}\n",
                ["using: f(a)", "back: g(a)", "using: h(b)"],
            ),
            (
                "a: integer\n      b: {type: text, using: \"h(b)\", back: \"a::text\"}\n",
                ["a: integer", "using: h(b)", "back: \"a::text\""],
            ),
        ] {
            let model = Model::new(&format!("tables:\n  t:\n    columns:\n      {block}"));
            let folder = model.folder();
            on(&database.url(), &["inspect", "--out", &folder]).await.expect(DONE);
            let text = std::fs::read_to_string(model.path()).unwrap();
            assert!(text.contains("integer") && !text.contains("type: text"), "{major}: {text}");
            assert!(kept.iter().all(|words| text.contains(words)), "{major}: {text}");
        }
        let plain = on(&database.url(), &["inspect"]).await.expect(DONE);
        plain.says_not("using");
    }
}

/// Changes that need no expression: what the column was and shall be, values of it, and what hangs on it.
const PAIRS: &[(&str, &str, &str, &str)] = &[
    (
        "timestamp",
        "timestamptz",
        "'2024-02-29 12:00', '1800-01-01 00:00:00.5', 'infinity'",
        "CREATE INDEX ON t (v)",
    ),
    ("timestamptz", "timestamp(3)", "'2024-02-29 12:00+02', '-infinity'", ""),
    ("date", "timestamptz", "'2024-02-29', '0044-03-15 BC', 'infinity'", ""),
    ("time", "timetz", "'12:00', '23:59:59.999999', '24:00'", ""),
    ("timetz", "time", "'12:00+00', '23:59:59.5+00'", ""),
    ("timestamp[]", "timestamptz[]", "'{2024-02-29 12:00}'", ""),
    ("timestamptz", "text", "'2024-02-29 12:00+02', '0044-03-15 BC'", ""),
    ("text", "timestamptz", "'2024-02-29 12:00:00+00'", ""),
    ("interval", "text", "'1 mon 3 days', '-04:00:00'", ""),
    ("double precision", "text", "'0.1', 'NaN', '1e300'", ""),
    ("char(5)", "varchar(5)", "'ab   ', '', 'abcde'", "CREATE INDEX ON t (v)"),
    ("char(3)", "text", "'a', 'abc'", ""),
    ("varchar(4)", "char(6)", "'a', 'abcd', ''", "CREATE INDEX ON t (v, id)"),
    ("json", "jsonb", "'{\"a\": [1, 2.50]}', 'null'", "CREATE INDEX ON t ((v->>'a'))"),
    ("jsonb", "json", "'{\"a\": [1, 2.50]}', 'null'", ""),
    ("text", "xml", "'<a>1</a>'", ""),
    ("text", "point", "'(1,2)'", ""),
    ("mood", "text", "'sad', 'ok'", ""),
    ("text", "mood", "'sad', 'ok'", "CREATE INDEX ON t (v)"),
    ("mood[]", "varchar(5)[]", "'{sad,ok}', '{}'", "CREATE INDEX ON t USING gin (v)"),
    ("text[]", "mood[]", "'{sad,ok}', '{NULL}'", ""),
    ("few", "text", "'a', 'b'", ""),
    ("mood_of", "varchar(9)", "'sad'", ""),
    ("text", "plain", "'a', 'b'", ""),
    ("mood", "mood_plain", "'ok'", ""),
    ("text", "pair", "'(1,x)'", ""),
    ("text", "span", "'[1,2)'", ""),
];

const TYPES: &str = "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN few AS text CHECK (value IN ('a', 'b')); \
    CREATE DOMAIN mood_of AS mood CHECK (value <> 'ok'); CREATE DOMAIN plain AS text; CREATE DOMAIN mood_plain AS mood; \
    CREATE TYPE pair AS (n int, t text); CREATE TYPE span AS RANGE (subtype = int8);";

/// Writes the values again and again, from a session whose settings are as odd as can be.
async fn odd(database: Arc<Database>, stop: Arc<AtomicBool>) {
    let mut connection = database.connect().await;
    execute(
        &mut connection,
        "SET TimeZone = 'Asia/Kolkata'; SET DateStyle = 'SQL, DMY'; SET IntervalStyle = 'iso_8601'; SET extra_float_digits = -5",
    )
    .await;
    while !stop.load(Ordering::Relaxed) {
        execute(
            &mut connection,
            "BEGIN; INSERT INTO t (id, v) SELECT id + 1000, v FROM t WHERE id <= 900; \
             UPDATE t SET v = v WHERE id % 7 = 0; DELETE FROM t WHERE id > 900; COMMIT",
        )
        .await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn pair(major: u32, (from, to, values, more): (&str, &str, &str, &str)) {
    let what = format!("{from} to {to} on {major}");
    let sql = format!(
        "{TYPES} CREATE TABLE t (id int, v {from}); INSERT INTO t SELECT row_number() OVER (), x::{from} \
         FROM generate_series(1, 100), unnest(ARRAY[{values}, NULL]) AS x; {more}"
    );
    let model = Model::new(&format!("tables: {{t: {{columns: {{id: integer, v: \"{to}\"}}}}}}\n"));
    let direct = database(major, &sql).await;
    on(&direct.url(), &[DIRECT, &[&model.path()]].concat()).await.expect(DONE);
    let online = Arc::new(database(major, &sql).await);
    let url = online.url();
    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn(odd(Arc::clone(&online), Arc::clone(&stop)));
    let ran = common::apply_online(&url, &model.path()).await.expect(DONE);
    assert!(ran.out.contains("add a second column for"), "{what}: {ran:?}");
    on(&url, &["rollback", "--yes", "--max-stall", "1h"]).await.expect(DONE);
    common::apply_online(&url, &model.path()).await.expect(DONE);
    stop.store(true, Ordering::Relaxed);
    writer.await.unwrap();
    on(&url, &["contract", "--yes"]).await.expect(DONE);
    same(&what, &direct, &online).await;
    on(&url, &["plan", "--exit-code", &model.path()]).await.expect(DONE);
}

#[tokio::test]
async fn times_texts_and_types_of_the_user_are_what_the_direct_way_makes_of_them() {
    for major in majors() {
        for some in PAIRS.chunks(7) {
            common::all(some.iter().map(|one| pair(major, *one))).await;
        }
    }
}

/// What stands in the way of an online change because of how values are converted: the column, what it shall
/// be, what hangs on it, and the words that say so.
const OBSTACLES: &[(&str, &str, &str, &str)] = &[
    ("text", "{type: few}", "", "PostgreSQL rewrites a table that gets a column of one"),
    ("text", "{type: over}", "", "is a domain with constraints"),
    ("never", "{type: text}", "", "forbids nulls"),
    (
        "int",
        "{type: bigint, using: v + w}",
        "ALTER TABLE t ADD w int GENERATED ALWAYS AS (id * 2) STORED",
        "reads t.w, which is generated",
    ),
    ("int", "{type: text, using: t::text}", "", "reads the whole row; name the columns"),
    ("int", "{type: text, using: (t.*)::text}", "", "reads the whole row; name the columns"),
];

#[tokio::test]
async fn what_cannot_be_converted_beside_writers_is_refused_before_anything_starts() {
    for major in majors() {
        for (from, to, more, words) in OBSTACLES {
            let sql = format!(
                "{TYPES} CREATE DOMAIN over AS few; CREATE DOMAIN never AS text NOT NULL; \
                 CREATE TABLE t (id int, v {from}); {more}"
            );
            let obstructed = database(major, &sql).await;
            let before = dump::definitions(&obstructed).await;
            let w = if more.is_empty() { "" } else { ", w: {type: integer, generated: id * 2}" };
            let yaml = format!("tables: {{t: {{columns: {{id: integer, v: {to}{w}}}}}}}\n");
            let model = Model::new(&yaml.replace("(t.*)::text", "\"(t.*)::text\""));
            let ran = common::apply_online(&obstructed.url(), &model.path()).await.expect(REFUSED);
            let said = ran.words();
            assert!(said.contains(words), "{yaml} on {major}: {said}");
            assert_eq!(before, dump::definitions(&obstructed).await, "{yaml} on {major}");
        }
        // The rows of a table that is made anew wait elsewhere meanwhile.
        let sql = "CREATE TABLE p (a int) PARTITION BY RANGE (a); CREATE TABLE q PARTITION OF p FOR VALUES FROM (0) TO (9)";
        let anew = database(major, sql).await;
        let yaml = "tables:\n  p: {partition_by: RANGE (a), columns: {a: {type: bigint, using: a + 1}}}\n  \
                    q: {partition_of: p, bound: FOR VALUES FROM (0) TO (9)}\n";
        let model = Model::new(yaml);
        let words = ["apply", "--yes", &model.path()];
        on(&anew.url(), &words).await.expect(REFUSED).says("`using:` is not taken there");
        // Whichever way, an expression reads what is there and not what is made of it meanwhile.
        let database = database(major, "CREATE TABLE t (a int, b int)").await;
        let yaml = "tables: {t: {columns: {a: {type: bigint, using: a + b}, b: bigint}}}\n";
        let model = Model::new(yaml);
        for strategy in ["direct", "online"] {
            let words = ["apply", "--yes", "--strategy", strategy, &model.path()];
            on(&database.url(), &words).await.expect(REFUSED).says("change one after the other");
        }
    }
}

#[tokio::test]
async fn what_an_expression_reads_stays_until_the_change_has_ended() {
    for major in majors() {
        let database = database(major, GRADES).await;
        let (url, model) = (database.url(), Model::new(POINTS));
        common::apply_online(&url, &model.path()).await.expect(DONE);
        for other in ["Bonus: {type: bigint, nullable: false, default: 0}", "Bonus: {absent: true}"]
        {
            let changed =
                POINTS.replace("Bonus: {type: integer, nullable: false, default: 0}", other);
            let changed = Model::new(
                &changed.replace("        back: letter((grade - \"Bonus\")::int)\n", ""),
            );
            let words = ["apply", "--yes", "--allow-drop", "all", &changed.path()];
            on(&url, &words).await.expect(REFUSED).says("is afoot and reads it");
        }
        // Another expression is another change.
        on(&url, &["rollback", "--yes"]).await.expect(DONE);
        let other = Model::new(&POINTS.replace("points(pupils.grade) +", "1000 +"));
        common::apply_online(&url, &other.path())
            .await
            .expect(REFUSED)
            .says("with another `using:`");
        on(&url, &["contract", "--yes"]).await.expect(DONE);
        common::apply_online(&url, &other.path()).await.expect(DONE);
        on(&url, &["contract", "--yes"]).await.expect(DONE);
        assert!(!dump::definitions(&database).await.contains("_rc_"), "{major}");
    }
}

/// Writes nulls, and rows that have one, until nulls are forbidden; what fails then fails for that alone.
async fn nullifier(database: Arc<Database>, stop: Arc<AtomicBool>) {
    let mut connection = database.connect().await;
    let mut n = 0;
    while !stop.load(Ordering::Relaxed) {
        n += 1;
        for sql in [
            format!("INSERT INTO t (id, name) VALUES ({}, NULL)", 1_000_000 + n),
            format!("UPDATE t SET touched = touched + 1 WHERE id = {}", 1 + n * 13 % 60_000),
        ] {
            let done = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await;
            if let Err(error) = done {
                assert!(error.to_string().contains("null"), "{error}");
            }
        }
    }
}

const NULLS: &str = "CREATE TABLE t (id int PRIMARY KEY, name text, touched int NOT NULL DEFAULT 0, pad text DEFAULT repeat('x', 200)); \
    INSERT INTO t (id, name) SELECT i, CASE WHEN i % 3 = 0 THEN 'n' || i END FROM generate_series(1, 60000) i; ANALYZE t;";

const FILLED: &str = "tables: {t: {columns: {id: {type: integer, nullable: false}, name: {type: text, nullable: false, using: \
    \"coalesce(name, 'of ' || id)\"}, touched: {type: integer, nullable: false, default: 0}, pad: {type: text, default: \"repeat('x', 200)\"}}}}\n";

#[tokio::test]
async fn nulls_are_filled_in_pieces_and_then_forbidden() {
    for major in majors() {
        let model = Model::new(FILLED);
        let words = ["apply", "--yes", "--throttle", "off", &model.path()];
        // By hand, in one statement each.
        let by_hand = database(major, NULLS).await;
        let mut connection = by_hand.connect().await;
        let sql = "UPDATE t SET name = coalesce(name, 'of ' || id); ALTER TABLE t ALTER name SET NOT NULL";
        execute(&mut connection, sql).await;
        let calm = database(major, NULLS).await;
        let ran = on(&calm.url(), &words).await.expect(DONE);
        ran.says("in pieces").says("which rows had no value is not kept");
        same(&format!("{major}"), &by_hand, &calm).await;
        on(&calm.url(), &["plan", "--exit-code", &model.path()]).await.expect(DONE);

        let busy = Arc::new(database(major, NULLS).await);
        let stop = Arc::new(AtomicBool::new(false));
        let writer = tokio::spawn(nullifier(Arc::clone(&busy), Arc::clone(&stop)));
        on(&busy.url(), &words).await.expect(DONE);
        stop.store(true, Ordering::Relaxed);
        writer.await.unwrap();
        let mut connection = busy.connect().await;
        let wrong = "SELECT count(*)::text FROM t WHERE name IS DISTINCT FROM \
                     CASE WHEN id % 3 = 0 AND id <= 60000 THEN 'n' || id ELSE 'of ' || id END";
        assert_eq!(scalar(&mut connection, wrong).await, "0", "{major}");
        on(&busy.url(), &["plan", "--exit-code", &model.path()]).await.expect(DONE);
        on(&busy.url(), &["rollback", "--yes"]).await.expect(DONE);
        execute(&mut connection, "UPDATE t SET name = NULL WHERE id < 10").await;

        // What gives no value is no way.
        let none = Model::new(&FILLED.replace("coalesce(name, 'of ' || id)", "name"));
        on(&busy.url(), &["apply", "--yes", &none.path()])
            .await
            .expect(REFUSED)
            .says("and so is what `using:` gives: 9 rows");
        on(&busy.url(), &words).await.expect(DONE);
        assert_eq!(scalar(&mut connection, wrong).await, "3", "{major}: 3, 6 and 9 had names");
    }
}

#[tokio::test]
async fn a_fill_that_was_stopped_goes_on() {
    for major in majors() {
        let model = Model::new(FILLED);
        let database = Arc::new(database(major, NULLS).await);
        let mut connection = database.connect().await;
        let (url, path) = (database.url(), model.path());
        execute(&mut connection, "BEGIN; UPDATE t SET touched = 1 WHERE id = 59999").await;
        on(&url, &["apply", "--yes", "--wait", "1s", &path]).await.expect(common::PARTIAL);
        execute(&mut connection, "ROLLBACK").await;
        let filled = "SELECT (count(*) > 0)::text FROM t WHERE name LIKE 'of %'";
        assert_eq!(scalar(&mut connection, filled).await, "true", "{major}");
        on(&url, &["apply", "--yes", &path]).await.expect(DONE);
        let nulls = "SELECT count(*)::text FROM t WHERE name IS NULL";
        assert_eq!(scalar(&mut connection, nulls).await, "0", "{major}");
        on(&url, &["plan", "--exit-code", &path]).await.expect(DONE);
        assert!(!dump::definitions(&database).await.contains("_rc_"), "{major}");
    }
}
