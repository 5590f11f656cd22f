//! The application around an online change: statements that still name the old type, and what the preview
//! says of those that will not survive.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use common::application::{Model, ONLINE, TALK, TEXT, apply};
use common::{DONE, REFUSED, dump, execute, on, scalar};
use reconcile_testkit::{Database, database, majors, own_server, unique_name};
use reconcile_throwaway::{Options, Server};
use sqlx::PgConnection;

/// Statements of an application that was built for the enum type; they fail without it.
const OLD: &[&str] = &[
    "SELECT count(*)::text FROM talk WHERE mood = 'ok'::mood",
    "SELECT count(*)::text FROM talk WHERE mood IN ('ok'::mood, 'sad'::mood)",
    "SELECT count(*)::text FROM talk WHERE mood = ANY (ARRAY['ok', 'sad']::mood[])",
    "SELECT count(*)::text FROM talk JOIN (VALUES ('ok'::mood)) AS v (m) ON v.m = talk.mood",
];

/// The same through the extended protocol, with a parameter of the type.
async fn prepared(connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT count(*) FROM talk WHERE mood = $1::mood")
        .bind("ok")
        .fetch_one(connection)
        .await
}

async fn old_statements_work(connection: &mut PgConnection, expected: &[String]) {
    for (sql, count) in OLD.iter().zip(expected) {
        assert_eq!(&scalar(connection, sql).await, count, "{sql}");
    }
    assert_eq!(prepared(connection).await.unwrap().to_string(), expected[0]);
    execute(connection, "INSERT INTO talk (id, mood) VALUES (1000, 'ok'::mood)").await;
    execute(connection, "UPDATE talk SET mood = 'sad'::mood WHERE id = 1000 AND mood = 'ok'::mood")
        .await;
    execute(connection, "EXECUTE old ('sad')").await;
    execute(connection, "DELETE FROM talk WHERE id = 1000 AND mood = 'sad'::mood").await;
}

const CAST: &str =
    "SELECT count(*)::text FROM pg_cast WHERE oid >= 16384 AND casttarget = 'text'::regtype";

#[tokio::test]
async fn old_statements_go_on_until_the_end() {
    let model = Model::new(TEXT);
    for major in majors() {
        let (direct, database) = (database(major, TALK).await, database(major, TALK).await);
        let before = dump::definitions(&database).await;
        let url = database.url();
        on(&direct.url(), &["apply", "--yes", "--strategy", "direct", &model.path()])
            .await
            .expect(DONE);
        let mut connection = database.connect().await;
        let mut expected = Vec::new();
        for sql in OLD {
            expected.push(scalar(&mut connection, sql).await);
        }
        execute(&mut connection, "PREPARE old (mood) AS SELECT count(*) FROM talk WHERE mood = $1")
            .await;
        old_statements_work(&mut connection, &expected).await;

        let words = "holds for the whole database until `reconcile contract`";
        apply(&database, &model, &["--bridge"]).await.expect(DONE).says(words);
        old_statements_work(&mut connection, &expected).await;
        // It is no difference to the model, and nothing that the model leaves alone.
        for words in [
            &["plan", "--exit-code"][..],
            &["plan", "--exit-code", "--bridge"],
            &["check", "--allow-extra"],
        ] {
            on(&url, &[words, &[&model.path()]].concat()).await.expect(DONE).says_not("cast");
        }

        // The way back takes it away, the way forth brings it again, the end takes it for good.
        on(&url, &["rollback", "--yes", "--max-stall", "1h"]).await.expect(DONE);
        assert_eq!(scalar(&mut connection, CAST).await, "0", "{major}");
        old_statements_work(&mut connection, &expected).await;
        on(&url, &["contract", "--yes"]).await.expect(DONE);
        let back = dump::definitions(&database).await;
        let (before, back) = (dump::plain(&before), dump::plain(&back));
        assert!(before == back, "{major}: {}", dump::difference(&before, &back));
        apply(&database, &model, &["--bridge"]).await.expect(DONE);
        old_statements_work(&mut connection, &expected).await;
        on(&url, &["contract", "--yes"]).await.expect(DONE).says("drop enum type mood");
        assert_eq!(scalar(&mut connection, CAST).await, "0", "{major}");
        let (theirs, ours) = (dump::definitions(&direct).await, dump::definitions(&database).await);
        let (theirs, ours) = (dump::plain(&theirs), dump::plain(&ours));
        assert!(theirs == ours, "{major}: {}", dump::difference(&theirs, &ours));
        on(&url, &["plan", "--exit-code", &model.path()]).await.expect(DONE);
    }
}

#[tokio::test]
async fn a_bridge_can_be_made_once_the_statements_have_failed() {
    let model = Model::new(TEXT);
    for major in majors() {
        let database = database(major, TALK).await;
        let mut connection = database.connect().await;
        apply(&database, &model, &[]).await.expect(DONE).says_not("CREATE CAST");
        let error = prepared(&mut connection).await.unwrap_err().to_string();
        assert!(error.contains("operator does not exist"), "{error}");
        apply(&database, &model, &["--bridge"]).await.expect(DONE);
        assert_eq!(prepared(&mut connection).await.unwrap(), 150, "{major}");
        apply(&database, &model, &["--bridge"]).await.expect(DONE).says("Nothing to do");
        on(&database.url(), &["contract", "--yes"]).await.expect(DONE);
        assert_eq!(scalar(&mut connection, CAST).await, "0", "{major}");
    }
}

#[tokio::test]
async fn a_saved_plan_carries_its_bridge() {
    let model = Model::new(TEXT);
    for major in majors() {
        let database = database(major, TALK).await;
        let (url, file) = (database.url(), model.beside("plan.json"));
        let words = ["plan", "--strategy", "online", "--bridge", "--out", &file, &model.path()];
        on(&url, &words).await.expect(DONE).says("CREATE CAST (public.mood AS text)");
        apply(&database, &model, &["--plan", &file]).await.expect(DONE);
        let mut connection = database.connect().await;
        assert_eq!(scalar(&mut connection, CAST).await, "1", "{major}");
    }
}

#[tokio::test]
async fn one_bridge_serves_all_columns_of_the_type() {
    let sql = format!(
        "{TALK} CREATE TABLE walk (id int PRIMARY KEY, mood mood, other mood); INSERT INTO walk VALUES (1, 'ok', 'sad');"
    );
    let model = Model::new(&format!(
        "{TEXT}  walk:\n    columns:\n      mood: varchar(10)\n      other: text\n"
    ));
    let statements = [
        "SELECT count(*)::text FROM walk WHERE mood = 'ok'::mood AND other <> 'ok'::mood",
        "SELECT (count(*) - 149)::text FROM talk WHERE mood = 'ok'::mood",
    ];
    for major in majors() {
        let database = database(major, &sql).await;
        let url = database.url();
        let mut connection = database.connect().await;
        let ran = apply(&database, &model, &["--bridge"]).await.expect(DONE);
        assert_eq!(ran.out.matches("CREATE CAST").count(), 1, "{major}: {}", ran.out);
        for sql in statements {
            assert_eq!(scalar(&mut connection, sql).await, "1", "{major}: {sql}");
        }
        let ran = on(&url, &["rollback", "--yes", "--max-stall", "1h"]).await.expect(DONE);
        assert_eq!(ran.out.matches("DROP CAST").count(), 1, "{major}: {}", ran.out);
        for sql in statements {
            assert_eq!(scalar(&mut connection, sql).await, "1", "{major}: {sql}");
        }
        on(&url, &["contract", "--yes"]).await.expect(DONE);
        apply(&database, &model, &["--bridge"]).await.expect(DONE);
        on(&url, &["contract", "--yes"]).await.expect(DONE).says("drop enum type mood");
        assert!(!dump::definitions(&database).await.contains("_rc_"), "{major}");
    }
}

/// Dependents that name the type, some of which are built anew on the way back.
const MORE: &str = "ALTER TABLE talk ADD CONSTRAINT known CHECK (mood IN ('sad', 'ok')); \
    CREATE INDEX talk_ok ON talk (n) WHERE mood = 'ok'; CREATE VIEW fine AS SELECT id, mood FROM talk WHERE mood = 'ok'; \
    CREATE POLICY seen ON talk USING (mood <> 'sad'); ALTER TABLE talk ENABLE ROW LEVEL SECURITY;";

/// One that has to be built anew before the way back, since it does more than to compare.
const COMPUTED: &str = "CREATE INDEX talk_or ON talk ((coalesce(mood, 'ok')));";
/// The same for rows that are computed.
const STORED: &str = "CREATE MATERIALIZED VIEW fine AS SELECT id FROM talk WHERE mood = 'ok';";

#[tokio::test]
async fn what_names_the_type_is_there_again_after_the_way_back() {
    let model = Model::new(TEXT);
    for major in majors() {
        for (more, built) in [(MORE, false), (COMPUTED, true), (STORED, true)] {
            let database = database(major, &format!("{TALK} {more}")).await;
            let before = dump::definitions(&database).await;
            let url = database.url();
            apply(&database, &model, &["--bridge"]).await.expect(DONE);
            let mut connection = database.connect().await;
            assert_eq!(prepared(&mut connection).await.unwrap(), 150, "{major}");
            let plan = on(&url, &["rollback", "--yes", "--max-stall", "1h"]).await.expect(DONE);
            let without = plan
                .words()
                .contains("has to do without until the columns have changed names back");
            assert_eq!(without, built, "{major}: {plan:?}");
            let first = plan.out.contains("  1. let values of mood be taken for text no more");
            assert!(first, "{plan:?}");
            assert_eq!(prepared(&mut connection).await.unwrap(), 150, "{major}");
            on(&url, &["contract", "--yes"]).await.expect(DONE);
            let back = dump::definitions(&database).await;
            let (before, back) = (dump::plain(&before), dump::plain(&back));
            assert!(before == back, "{major}: {}", dump::difference(&before, &back));
        }
    }
}

/// Old statements without a break; the first that fails.
async fn ask(
    database: Arc<Database>,
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
) -> Option<String> {
    let mut connection = database.connect().await;
    while !stop.load(Ordering::Relaxed) {
        for sql in OLD {
            let result =
                sqlx::raw_sql(sqlx::AssertSqlSafe((*sql).to_owned())).execute(&mut connection);
            if let Err(error) = result.await {
                return Some(format!("{sql}: {error}"));
            }
            asked.fetch_add(1, Ordering::Relaxed);
        }
    }
    None
}

#[tokio::test]
async fn there_is_no_moment_at_which_an_old_statement_fails() {
    let model = Model::new(TEXT);
    for major in majors() {
        let database = Arc::new(database(major, TALK).await);
        let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let client =
            tokio::spawn(ask(Arc::clone(&database), Arc::clone(&stop), Arc::clone(&asked)));
        for _ in 0..3 {
            let before = asked.load(Ordering::Relaxed);
            apply(&database, &model, &["--bridge"]).await.expect(DONE);
            on(&database.url(), &["rollback", "--yes", "--max-stall", "1h"]).await.expect(DONE);
            on(&database.url(), &["contract", "--yes"]).await.expect(DONE);
            assert!(asked.load(Ordering::Relaxed) > before || client.is_finished());
        }
        stop.store(true, Ordering::Relaxed);
        assert_eq!(client.await.unwrap(), None, "{major}");
    }
}

#[tokio::test]
async fn what_is_left_of_a_bridge_goes_with_the_next_plan() {
    let model = Model::new("enums: {mood: [sad, ok]}\n");
    for major in majors() {
        let database = database(major, TALK).await;
        let mut connection = database.connect().await;
        execute(
            &mut connection,
            "CREATE CAST (mood AS text) WITH INOUT AS IMPLICIT; COMMENT ON CAST (mood AS text) IS '_rc_bridge: made by reconcile'",
        )
        .await;
        let url = database.url();
        on(&url, &["abort", "--yes"]).await.expect(DONE).says("DROP CAST");
        assert_eq!(scalar(&mut connection, CAST).await, "0", "{major}");
        on(&url, &["plan", "--exit-code", &model.path()]).await.expect(DONE);
    }
}

#[tokio::test]
async fn somebody_elses_cast_is_left_alone() {
    let model = Model::new(TEXT);
    for major in majors() {
        let implicit = format!("{TALK} CREATE CAST (mood AS text) WITH INOUT AS IMPLICIT;");
        let database = database(major, &implicit).await;
        let url = database.url();
        apply(&database, &model, &["--bridge"])
            .await
            .expect(DONE)
            .says("somebody's own implicit cast to text is the bridge")
            .says_not("CREATE CAST");
        on(&url, &["contract", "--yes"]).await.expect(DONE).says("is still used by");
        let mut connection = database.connect().await;
        assert_eq!(scalar(&mut connection, CAST).await, "1", "{major}");
    }
}

#[tokio::test]
async fn where_no_bridge_can_be_it_is_said_why() {
    let numbers = Model::new("tables: {talk: {columns: {n: bigint}}}\n");
    let model = Model::new(TEXT);
    for major in majors() {
        let assignment = format!("{TALK} CREATE CAST (mood AS text) WITH INOUT AS ASSIGNMENT;");
        let taken = database(major, &assignment).await;
        let before = dump::definitions(&taken).await;
        apply(&taken, &model, &["--bridge"])
            .await
            .expect(REFUSED)
            .says("somebody has given it a cast to text that is not implicit");
        assert_eq!(before, dump::definitions(&taken).await, "{major}");

        // Values of the type could not be compared with each other meanwhile.
        let other = database(major, &format!("{TALK} CREATE TABLE walk (mood mood);")).await;
        apply(&other, &model, &["--bridge"])
            .await
            .expect(REFUSED)
            .says("no bridge can be made: column:public.walk.mood is of it too");

        let database = database(major, TALK).await;
        let url = database.url();
        let plan = |how: &'static str, model: &Model| {
            let (url, model) = (url.clone(), model.path());
            async move { on(&url, &["plan", "--bridge", "--strategy", how, &model]).await }
        };
        plan("online", &numbers).await.expect(DONE).says("that takes an enum that becomes a text");
        plan("direct", &model).await.expect(DONE).says("`--strategy online` keeps it until");
        let same = Model::new("enums: {mood: [sad, ok]}\n");
        plan("auto", &same).await.expect(DONE).says("no enum becomes a text here");

        // Only the owner of the type may make a cast from it.
        let mut connection = database.connect().await;
        let role = unique_name("writer");
        execute(
            &mut connection,
            &format!(
                "CREATE ROLE {role}; ALTER TABLE talk OWNER TO {role}; GRANT ALL ON SCHEMA public TO {role}; \
                 CREATE SCHEMA reconcile AUTHORIZATION {role}"
            ),
        )
        .await;
        let before = dump::definitions(&database).await;
        let file = model.path();
        let words = [&["--role", &role][..], ONLINE, &["--bridge", &file]].concat();
        on(&url, &words)
            .await
            .expect(REFUSED)
            .says("public.mood belongs to postgres, and only its owner may alter it");
        assert_eq!(before, dump::definitions(&database).await, "{major}");
        execute(&mut connection, &format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
    }
}

/// A server on which pg_stat_statements can be installed, and a database of it.
async fn watched(major: u32, sql: &str) -> (Server, PgConnection) {
    let options = Options::default().setting("shared_preload_libraries", "pg_stat_statements");
    let server = own_server(major, options).await;
    server.create_database("app").await.unwrap();
    let mut connection = server.connect("app").await.unwrap();
    execute(&mut connection, sql).await;
    execute(&mut connection, "SELECT \"Seen\".pg_stat_statements_reset()").await;
    (server, connection)
}

const SEEN: &str = "CREATE SCHEMA \"Seen\"; CREATE EXTENSION pg_stat_statements SCHEMA \"Seen\";";

#[tokio::test]
async fn statements_that_will_not_survive_are_listed() {
    let model = Model::new(TEXT);
    let file = &*model.path();
    for major in majors() {
        let (server, mut connection) = watched(major, &format!("{TALK} {SEEN}")).await;
        let url = server.url("app");
        for _ in 0..3 {
            execute(&mut connection, "SELECT id FROM talk WHERE mood = 'ok'::mood").await;
        }
        execute(&mut connection, "INSERT INTO talk VALUES (2000, 'ok', 1)").await;
        execute(&mut connection, "SELECT * FROM talk WHERE id = 7").await;
        execute(&mut connection, "SELECT id FROM talk WHERE mood::text = 'ok'").await;
        let online = ["plan", "--strategy", "online", file];
        let ran = on(&url, &online)
            .await
            .expect(DONE)
            .says("3 calls by postgres: SELECT id FROM talk WHERE mood = $1::mood it casts to the old type mood")
            .says("1 call by postgres: INSERT INTO talk VALUES ($1, $2, $3) it names no columns")
            .says("1 call by postgres: SELECT * FROM talk WHERE id = $1 it takes all columns")
            .says_not("WHERE mood::text");
        let place = |words: &str| ran.out.find(words).unwrap();
        assert!(place("3 calls") < place("1 call by"), "{ran:?}");
        // A bridge keeps the casts alive; done at once, the column stays where it is.
        let bridged = [&online[..], &["--bridge"]].concat();
        on(&url, &bridged)
            .await
            .expect(DONE)
            .says_not("casts to the old type")
            .says("takes all columns");
        let direct = ["plan", "--strategy", "direct", file];
        on(&url, &direct)
            .await
            .expect(DONE)
            .says("it casts to the old type mood")
            .says_not("stands last");
        let json = [&online[..], &["--format", "json"]].concat();
        let json = on(&url, &json).await.expect(DONE).out;
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["workload"]["found"][0]["calls"], 3, "{json}");
        assert_eq!(json["workload"]["found"].as_array().unwrap().len(), 3, "{json}");

        // It is a warning: the change is made. Then nothing is left that could fail, and nobody looks.
        on(&url, &[ONLINE, &[&model.path()]].concat())
            .await
            .expect(DONE)
            .says("3 calls by postgres");
        on(&url, &online)
            .await
            .expect(DONE)
            .says_not("pg_stat_statements")
            .says_not("will not survive");
        let asked = "SELECT coalesce(sum(calls), 0)::text FROM \"Seen\".pg_stat_statements WHERE query LIKE 'SELECT s.query%'";
        assert_eq!(scalar(&mut connection, asked).await, "5", "once for each plan: {major}");
    }
}

#[tokio::test]
async fn at_most_ten_statements_are_shown() {
    let model = Model::new(TEXT);
    let major = majors()[0];
    let (server, mut connection) = watched(major, &format!("{TALK} {SEEN}")).await;
    for n in 0..12 {
        execute(
            &mut connection,
            &format!("SELECT * FROM talk WHERE id = 1 AND {n} = n{}", " AND n = 1".repeat(n)),
        )
        .await;
    }
    on(&server.url("app"), &["plan", "--strategy", "online", &model.path()])
        .await
        .expect(DONE)
        .says("and 2 more, called less often");
}

#[tokio::test]
async fn where_nobody_can_look_that_is_said() {
    let model = Model::new(TEXT);
    let file = &*model.path();
    for major in majors() {
        let plain = database(major, TALK).await;
        let words = ["plan", "--strategy", "online", file];
        on(&plain.url(), &words).await.expect(DONE).says(
            "were not looked for in pg_stat_statements: it is not installed in this database.",
        );
        // Installed without its library: the server says why.
        execute(&mut plain.connect().await, "CREATE EXTENSION pg_stat_statements").await;
        on(&plain.url(), &words).await.expect(DONE).says("pg_stat_statements must be loaded via");

        let (server, mut connection) = watched(major, &format!("{TALK} {SEEN}")).await;
        let role = "CREATE ROLE keeper; ALTER TABLE talk OWNER TO keeper; ALTER TYPE mood OWNER TO keeper;";
        execute(&mut connection, role).await;
        execute(&mut connection, "SELECT id FROM talk WHERE mood = 'ok'::mood").await;
        let words = ["--role", "keeper", "plan", "--strategy", "online", file];
        on(&server.url("app"), &words).await.expect(DONE).says("permission denied for schema Seen");
        execute(&mut connection, "GRANT USAGE ON SCHEMA \"Seen\" TO keeper").await;
        on(&server.url("app"), &words)
            .await
            .expect(DONE)
            .says("of other roles cannot be seen in pg_stat_statements")
            .says_not("3 calls");
        execute(&mut connection, "GRANT pg_read_all_stats TO keeper").await;
        on(&server.url("app"), &words)
            .await
            .expect(DONE)
            .says("1 call by postgres: SELECT id FROM talk");
    }
}
