//! What a script may hold, and what is said of what it holds.
#![allow(clippy::unwrap_used)]

use reconcile_testkit::{database, majors, own_server, unique_name};
use reconcile_throwaway::{Error, LoadReport, Options, StatementError, load};
use sqlx::{Connection, Executor, Row};

async fn fails(sql: &str) -> StatementError {
    let database = database(majors()[0], "").await;
    let result = load(database.server(), database.name(), sql, "x.sql").await;
    match result {
        Err(Error::Statement(error)) => *error,
        other => panic!("{other:?}"),
    }
}

async fn strings(database: &reconcile_testkit::Database, sql: &'static str) -> Vec<String> {
    let mut connection = database.connect().await;
    let rows = connection.fetch_all(sqlx::raw_sql(sql)).await.unwrap();
    connection.close().await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

fn skipped(report: &LoadReport) -> Vec<(usize, &str)> {
    report.skipped.iter().map(|skipped| (skipped.line, skipped.reason.as_str())).collect()
}

#[tokio::test]
async fn roles_are_made_without_login_wherever_they_are_named() {
    for major in majors() {
        let role = |prefix: &str| unique_name(&format!("Role {prefix}"));
        let roles: Vec<String> =
            ["owner", "grant", "default", "policy", "set", "session", "in"].map(role).to_vec();
        let [owner, grant, default, policy, set, session, inside] = &roles[..] else { panic!() };
        let sql = format!(
            r#"CREATE TABLE public.t (a int);
ALTER TABLE public.t OWNER TO "{owner}";
GRANT SELECT (a) ON public.t TO "{grant}";
ALTER DEFAULT PRIVILEGES FOR ROLE "{default}" IN SCHEMA public GRANT SELECT ON TABLES TO "{grant}";
CREATE POLICY p ON public.t TO "{policy}" USING (true);
SET ROLE "{set}";
RESET ROLE;
SET SESSION AUTHORIZATION '{session}';
RESET SESSION AUTHORIZATION;
BEGIN;
CREATE TABLE public.u (a int);
ALTER TABLE public.u OWNER TO "{inside}";
INSERT INTO public.u VALUES (1);
COMMIT;
"#
        );
        let database = database(major, "").await;
        let report = database.load(&sql).await;
        assert_eq!(report.created_roles, roles);
        assert_eq!(report.skipped, []);
        assert_eq!(report.statements, 14);
        let logins = strings(
            &database,
            "SELECT rolname::text FROM pg_roles WHERE rolname LIKE 'Role %' AND rolcanlogin",
        )
        .await;
        assert_eq!(logins, [""; 0]);
        let owners = strings(
            &database,
            "SELECT pg_get_userbyid(relowner)::text FROM pg_class WHERE relname IN ('t', 'u') \
             ORDER BY relname",
        )
        .await;
        assert_eq!(owners, [owner.clone(), inside.clone()]);
    }
}

#[tokio::test]
async fn what_another_version_or_machine_has_is_skipped_and_said() {
    for major in majors() {
        let database = database(major, "").await;
        let sql = "\\restrict abc\nSET no_such_timeout = 0;\nSET client_encoding = 'LATIN1';\n\
                   SET client_encoding = 'UTF8';\nSET default_tablespace = fast_disks;\n\
                   CREATE TABLE t (a int) TABLESPACE other_disks;\n\
                   \\connect other\nCREATE DATABASE other;\nALTER DATABASE other SET work_mem = 1;\n\
                   CREATE SCHEMA public;\nDROP TABLE gone;\nALTER SYSTEM SET work_mem = 1;\n\
                   INSERT INTO t VALUES (1);\n\\unrestrict abc\n";
        let report = database.load(sql).await;
        assert_eq!(
            skipped(&report),
            [
                (2, "unrecognized configuration parameter \"no_such_timeout\""),
                (3, "the script was read as UTF-8"),
                (5, "invalid value for parameter \"default_tablespace\": \"fast_disks\""),
                (7, "everything is loaded into one database, as its superuser"),
                (8, "the database is made by the loader"),
                (9, "database \"other\" does not exist"),
                (10, "schema \"public\" already exists"),
                (11, "table \"gone\" does not exist"),
                (12, "the settings of the throw-away server stay as they are"),
            ]
        );
        let found = strings(
            &database,
            "SELECT spcname || (SELECT count(*) FROM t) FROM pg_class c \
             JOIN pg_tablespace s ON s.oid = reltablespace WHERE relname = 't'",
        )
        .await;
        assert_eq!(found, ["other_disks1"]);
    }
}

#[tokio::test]
async fn a_missing_extension_is_named_and_what_needs_it_is_skipped() {
    for major in majors() {
        let database = database(major, "").await;
        let sql = "CREATE EXTENSION IF NOT EXISTS no_such_vector WITH SCHEMA public;\n\
                   COMMENT ON EXTENSION no_such_vector IS 'x';\n\
                   CREATE TABLE public.plain (a int);\n\
                   CREATE TABLE public.items (id int, v public.no_such_vector(3));\n\
                   ALTER TABLE ONLY public.items ADD CONSTRAINT items_pkey PRIMARY KEY (id);\n\
                   COPY public.items (id, v) FROM stdin;\n1\t[1]\n\\.\n\
                   COPY public.plain (a) FROM stdin;\n1\n2\n\\.\n\
                   CREATE VIEW public.v AS SELECT id FROM public.items;\n\
                   CREATE VIEW public.w AS SELECT id FROM public.v;\n\
                   CREATE INDEX i ON public.plain USING no_such_method (a);\n\
                   CREATE VIEW public.x AS SELECT a FROM public.plain;\n";
        let report = database.load(sql).await;
        assert_eq!(report.missing_extensions, ["no_such_vector"]);
        let lines: Vec<usize> = report.skipped.iter().map(|skipped| skipped.line).collect();
        assert_eq!(lines, [1, 2, 4, 5, 6, 13, 14, 15], "{report:#?}");
        assert!(report.skipped[2].reason.contains("missing extensions: no_such_vector"));
        assert_eq!(report.copied_rows, 2);
        let relations = strings(
            &database,
            "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace \
             ORDER BY 1",
        )
        .await;
        assert_eq!(relations, ["plain", "x"]);
    }
}

#[tokio::test]
async fn a_failing_statement_is_said_with_its_place() {
    let error = fails(
        "CREATE TABLE t (a int);\n\n-- a comment\nCREATE TABLE u (\n  a int,\n  b no_such_type\n);\n\
         CREATE TABLE v (a int);",
    )
    .await;
    assert_eq!((error.line, error.statement_line), (6, 4));
    assert_eq!(error.statement_head, "CREATE TABLE u ( a int, b no_such_type )");
    assert_eq!(error.message, "type \"no_such_type\" does not exist");
    assert_eq!(error.code, "42704");
    assert!(error.to_string().starts_with("x.sql:6: type"), "{error}");

    let error = fails("BEGIN;\nCREATE TABLE t (a int);\nCRATE TABLE u;\nCOMMIT;").await;
    assert_eq!((error.line, error.code.as_str()), (3, "42601"));

    let error =
        fails("CREATE TABLE t (a int,\n b int);\nCOPY t\n (a, b) FROM stdin;\n1\t2\n1\tx\n\\.\n")
            .await;
    assert_eq!((error.line, error.statement_line), (6, 3));
    assert!(error.context.is_some_and(|context| context.contains("line 2")));

    let database = database(majors()[0], "").await;
    let unclosed = load(database.server(), database.name(), "SELECT 1;\n\nSELECT 'a", "x.sql");
    let error = unclosed.await.unwrap_err().to_string();
    assert_eq!(error, "x.sql:3: a quoted string is never closed");
}

/// A group that fails is sent again one by one; nothing of it may have happened twice.
#[tokio::test]
async fn what_is_sent_again_happens_once() {
    for major in majors() {
        let database = database(major, "").await;
        let role = unique_name("once");
        let sql = format!(
            "CREATE TYPE mood AS ENUM ('a');\nCREATE TABLE t (id serial, m mood);\n\
             INSERT INTO t (m) VALUES ('a');\nINSERT INTO t (m) VALUES ('a');\n\
             ALTER TYPE mood ADD VALUE 'b';\nINSERT INTO t (m) VALUES ('b');\n\
             ALTER TABLE t OWNER TO {role};\nSET no_such_setting = 1;\n\
             CREATE INDEX CONCURRENTLY i ON t (id); -- a comment\nVACUUM t;\n\
             INSERT INTO t (m) VALUES ('b') -- another\n;\nSELECT set_config('work_mem', '1MB', false);"
        );
        let report = database.load(&sql).await;
        assert_eq!(report.statements, 11, "{report:?}");
        let rows = strings(&database, "SELECT id || m::text FROM t ORDER BY id").await;
        assert_eq!(rows, ["1a", "2a", "3b", "4b"]);
    }
}

#[tokio::test]
async fn scripts_that_make_the_same_role_load_at_the_same_time() {
    let major = majors()[0];
    let server = own_server(major, Options::default()).await;
    let sql = "CREATE ROLE app; CREATE ROLE readers; GRANT readers TO app;\n\
               ALTER ROLE app SET search_path = public; CREATE TABLE t (a int);\n\
               ALTER TABLE t OWNER TO app; GRANT SELECT ON t TO others;";
    let names: Vec<String> = (0..6).map(|number| format!("db{number}")).collect();
    let mut tasks = Vec::new();
    for name in &names {
        tasks.push(load(&server, name, sql, "x.sql"));
    }
    let [a, b, c, d, e, f] = <[_; 6]>::try_from(tasks).ok().unwrap();
    let reports = tokio::join!(a, b, c, d, e, f);
    for report in [reports.0, reports.1, reports.2, reports.3, reports.4, reports.5] {
        let report = report.unwrap();
        assert!(report.missing_extensions.is_empty());
        assert!(report.skipped.iter().all(|s| s.reason.contains("already exists")), "{report:?}");
    }
}

#[tokio::test]
async fn rows_are_counted_for_the_planner() {
    let sql = "CREATE TABLE t AS SELECT generate_series(1, 1234) AS a;";
    let database = database(majors()[0], sql).await;
    let estimate =
        strings(&database, "SELECT reltuples::text FROM pg_class WHERE relname = 't'").await;
    assert_eq!(estimate, ["1234"]);
}

#[tokio::test]
async fn a_transaction_that_is_never_committed_is_said() {
    let database = database(majors()[0], "CREATE TABLE t (a int);").await;
    let report = database.load("SELECT 1;\nBEGIN;\nINSERT INTO t VALUES (1);\n").await;
    assert_eq!(skipped(&report), [(2, "this transaction is never committed, so it is undone")]);
    assert_eq!(strings(&database, "SELECT count(*)::text FROM t").await, ["0"]);
}
