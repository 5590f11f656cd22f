//! Sessions on a real server: how they begin, what they send, how they end.

#![allow(clippy::unwrap_used)]

#[macro_use]
mod support;

use std::time::{Duration, Instant};

use reconcile_live::connect::{ConnectOptions, Engine, connect};
use reconcile_live::error::{ConnectKind, Error};
use reconcile_live::pooler::{Pooled, is_pooled};
use support::{PASSWORD, app_url, role, server, session, target};

const SOON: Duration = Duration::from_secs(15);

on_every_major! {
    a_session_knows_its_server
    every_spelling_reaches_the_database
    refusals_name_the_reason_and_never_the_password
    a_role_is_taken_for_the_session_or_by_a_preamble
    a_read_only_session_says_so
    rows_come_as_text_in_order_and_by_statement
    many_rows_come_quickly
    a_servers_error_is_told_in_full_and_in_its_place
    a_running_statement_is_cancelled_and_the_session_lives
    a_session_that_is_killed_is_lost
    text_in_no_encoding_is_refused_not_guessed
    a_server_is_not_taken_for_a_pooler
}

/// Connects to what must fail, and returns the kind and the text.
async fn refused(url: &str) -> (ConnectKind, String) {
    match connect(&target(url), &ConnectOptions::default()).await {
        Err(Error::Connect(error)) => (error.kind, error.to_string()),
        other => panic!("{url}: {other:?}"),
    }
}

async fn a_session_knows_its_server(major: u32) {
    let server = server(major).await;
    let session = session(&app_url(major).await).await;
    assert_eq!(session.version / 10_000, server.major());
    assert_eq!(session.engine, Engine::PostgreSql);
    assert_eq!((session.role.as_str(), session.login.as_str()), ("app", "app"));
    assert_eq!(session.database, "shop");
    assert!(!session.in_recovery && !session.read_only);
    assert!(session.backend_pid > 0 && session.backend_start.is_some());
    session.close().await;
}

async fn every_spelling_reaches_the_database(major: u32) {
    let server = server(major).await;
    let url = app_url(major).await;
    let rest = url.strip_prefix("postgresql://").unwrap();
    let socket = server.socket_dir().display();
    let port = server.port();
    for url in [
        format!("postgresql://{rest}"),
        format!("postgres://{rest}?sslmode=prefer"),
        format!("postgresql+asyncpg://{rest}?ssl=disable"),
        format!("postgresql+psycopg2://{rest}?sslmode=disable"),
        format!("postgresql+psycopg://{rest}?application_name=mine&connect_timeout=10"),
        format!("postgresql+pg8000://{rest}?ssl=false"),
        format!("host=127.0.0.1 port={port} user=app password='{PASSWORD}' dbname=shop"),
        format!("postgresql:///shop?host={socket}&port={port}&user=postgres"),
        format!("postgresql+psycopg://postgres@/shop?host={socket}&port={port}"),
        server.url("shop"),
    ] {
        assert_eq!(session(&url).await.database, "shop", "{url}");
    }

    let url = format!("{url}?application_name=mine&options=-c%20geqo%3Doff%20-c%20work_mem%3D5MB");
    let rows = session(&url)
        .await
        .send(
            "SELECT current_setting('application_name'), current_setting('geqo'), \
             current_setting('work_mem')",
        )
        .await
        .unwrap();
    assert_eq!(
        (rows[0].at(0), rows[0].at(1), rows[0].at(2)),
        (Some("mine"), Some("off"), Some("5MB"))
    );
    let rows = session(&app_url(major).await).await.send("SHOW application_name").await.unwrap();
    assert_eq!(rows[0].get("application_name"), Some("reconcile"));
}

async fn refusals_name_the_reason_and_never_the_password(major: u32) {
    let server = server(major).await;
    let port = server.port();
    let mut root = session(&server.url("shop")).await;
    root.send("CREATE ROLE nologin_role PASSWORD 'long-secret'").await.unwrap();
    for sql in [
        "CREATE DATABASE full_up CONNECTION LIMIT 0",
        "CREATE DATABASE closed",
        "REVOKE CONNECT ON DATABASE closed FROM PUBLIC",
    ] {
        root.send(sql).await.unwrap();
    }

    let closed_port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let app = server.tcp_url("app", PASSWORD, "").unwrap();
    for (url, kind, says) in [
        (
            server.tcp_url("app", "wr0ng-secret", "shop").unwrap(),
            ConnectKind::WrongPassword,
            "password authentication failed for user \"app\"",
        ),
        (
            format!("postgresql://app@127.0.0.1:{port}/shop"),
            ConnectKind::NoPassword,
            "none is known",
        ),
        (
            server.tcp_url("nobody_here", "wr0ng-secret", "shop").unwrap(),
            ConnectKind::WrongPassword,
            "nobody_here",
        ),
        (
            server.tcp_url("nologin_role", "long-secret", "shop").unwrap(),
            ConnectKind::NoSuchRole,
            "not permitted to log in",
        ),
        (format!("{app}missing"), ConnectKind::NoSuchDatabase, "\"missing\" does not exist"),
        (format!("{app}full_up"), ConnectKind::TooManyConnections, "too many connections"),
        (format!("{app}closed"), ConnectKind::NoPrivilege, "permission denied"),
        (
            format!("postgresql://app:wr0ng-secret@127.0.0.1:{closed_port}/shop"),
            ConnectKind::Unreachable,
            "nothing listens",
        ),
        (
            "postgresql://app:wr0ng-secret@no-such-host.invalid/shop".to_owned(),
            ConnectKind::UnknownHost,
            "has no address",
        ),
        (
            "postgresql://app:wr0ng-secret@/shop?host=/nonexistent".to_owned(),
            ConnectKind::Unreachable,
            "no such socket",
        ),
        (
            format!(
                "postgresql://nobody_here@/shop?host={}&port={port}",
                server.socket_dir().display()
            ),
            ConnectKind::NoSuchRole,
            "does not exist",
        ),
        (
            server.tcp_url("app", PASSWORD, "shop").unwrap() + "?sslmode=require",
            ConnectKind::Tls,
            "does not offer TLS",
        ),
    ] {
        let (found, text) = refused(&url).await;
        assert_eq!(found, kind, "{text}");
        assert!(text.contains(says), "{text}");
        assert!(!text.contains("secret") && !text.contains("p@ss"), "{text}");
        assert!(text.starts_with("cannot connect to postgresql://"), "{text}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_not_waited_for() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let begin = Instant::now();
    let url = format!("postgresql://u:secret@127.0.0.1:{port}/d?connect_timeout=1");
    let (kind, text) = refused(&url).await;
    assert_eq!(kind, ConnectKind::TimedOut, "{text}");
    assert!(begin.elapsed() < Duration::from_secs(5));
}

/// No PostgreSQL 12 can be had any more; this speaks its greeting.
#[tokio::test]
async fn a_server_that_is_too_old_is_refused_by_name() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 1024]).await;
        let mut greeting = b"R\0\0\0\x08\0\0\0\0".to_vec();
        greeting.extend(b"S\0\0\0\x19server_version\x0012.22\0");
        greeting.extend(b"Z\0\0\0\x05I");
        stream.write_all(&greeting).await.unwrap();
        let _ = stream.read(&mut [0; 1024]).await;
    });
    let url = format!("postgresql://u@127.0.0.1:{port}/d?sslmode=disable");
    let error = connect(&target(&url), &ConnectOptions::default()).await.unwrap_err();
    assert!(matches!(error, Error::TooOld { .. }), "{error}");
    assert!(error.to_string().contains("PostgreSQL 12.22; 13 is the oldest"), "{error}");
}

async fn a_role_is_taken_for_the_session_or_by_a_preamble(major: u32) {
    let url = app_url(major).await;
    let mut direct = connect(&target(&url), &role("We\"ird", false)).await.unwrap();
    assert_eq!((direct.role.as_str(), direct.login.as_str()), ("We\"ird", "app"));
    assert_eq!(direct.send("SELECT current_user").await.unwrap()[0].at(0), Some("We\"ird"));
    assert_eq!(direct.preamble(), None);
    // The role may not see the login's sessions, and the session knows its own all the same.
    assert!(direct.backend_start.is_some());
    assert!(direct.canceller().cancel().await.unwrap());

    let mut pooled = connect(&target(&url), &role("owner", true)).await.unwrap();
    assert_eq!((pooled.role.as_str(), pooled.login.as_str()), ("owner", "app"));
    assert_eq!(pooled.send("SELECT current_user").await.unwrap()[0].at(0), Some("app"));
    let sql = format!("BEGIN; {}; SELECT current_user; COMMIT", pooled.preamble().unwrap());
    assert_eq!(pooled.send(&sql).await.unwrap()[0].at(0), Some("owner"));

    for (name, says) in [("stranger", "permission denied"), ("missing", "does not exist")] {
        for pooled in [false, true] {
            let error = connect(&target(&url), &role(name, pooled)).await.unwrap_err();
            assert!(matches!(error, Error::Role { .. }), "{error:?}");
            let text = error.to_string();
            assert!(
                text.contains(says) && text.contains(&format!("GRANT {name} TO app")),
                "{text}"
            );
        }
    }
}

async fn a_read_only_session_says_so(major: u32) {
    let url = format!("{}?options=-c%20default_transaction_read_only%3Don", app_url(major).await);
    assert!(session(&url).await.read_only);
}

async fn rows_come_as_text_in_order_and_by_statement(major: u32) {
    let mut session = session(&app_url(major).await).await;
    let rows = session
        .send(
            "CREATE TYPE pg_temp.mood AS ENUM ('glad'); \
             SELECT 1 AS a, NULL AS b, true AS c, 'ü' AS a, '{1,2}'::int[] AS d, \
             'glad'::pg_temp.mood AS e, '{}'::jsonb AS f, '\\xff'::bytea AS g, '' AS h; \
             SELECT 2 AS z",
        )
        .await
        .unwrap();
    assert_eq!(rows.len(), 2);
    let row = &rows[0];
    assert_eq!((row.get("a"), row.get("b"), row.get("c")), (Some("1"), None, Some("t")));
    assert_eq!((row.at(3), row.get("d"), row.get("e")), (Some("ü"), Some("{1,2}"), Some("glad")));
    assert_eq!((row.get("f"), row.get("g"), row.get("h")), (Some("{}"), Some("\\xff"), Some("")));
    assert_eq!(rows[1].get("z"), Some("2"));
    assert_eq!(row.columns().len(), 9);

    let sets = session
        .send_sets("SELECT 1 WHERE false; SELECT generate_series(1, 3); SET geqo = off")
        .await
        .unwrap();
    let counts: Vec<_> = sets.iter().map(|set| (set.rows.len(), set.rows_affected)).collect();
    assert_eq!(counts, [(0, 0), (3, 3), (0, 0)]);
    assert!(session.send("").await.unwrap().is_empty());
    assert!(session.send("-- nothing").await.unwrap().is_empty());
}

async fn many_rows_come_quickly(major: u32) {
    let mut session = session(&app_url(major).await).await;
    let sql = "SELECT i AS oid, 'a name of usual length ' || i AS name, NULL AS comment, \
               true AS is_valid, repeat('x', 60) AS definition FROM generate_series(1, 200000) i";
    let begin = Instant::now();
    let rows = session.send(sql).await.unwrap();
    let took = begin.elapsed();
    assert_eq!(rows.len(), 200_000);
    assert_eq!(rows[199_999].get("name"), Some("a name of usual length 200000"));
    assert!(took < Duration::from_secs(20), "{took:?}");
    #[allow(clippy::print_stderr)]
    {
        eprintln!("200,000 rows in {took:?}");
    }
}

async fn a_servers_error_is_told_in_full_and_in_its_place(major: u32) {
    let mut session = session(&app_url(major).await).await;
    let sql = "CREATE TEMP TABLE t (a int PRIMARY KEY CONSTRAINT positive CHECK (a > 0));\n\
               SELECT 'ü;';\n  SELECT a,\n    mising\n  FROM t; SELECT 3";
    let error = session.send(sql).await.unwrap_err();
    let server = error.server().unwrap();
    assert_eq!(server.sqlstate, "42703");
    assert_eq!(server.statement.as_deref(), Some("SELECT a,\n    mising\n  FROM t"));
    assert_eq!(server.statement_index, 2);
    let at = server.position.unwrap();
    assert_eq!((at.offset, at.line, at.column), (14, 2, 5));
    let text = error.to_string();
    assert!(text.contains("column \"mising\" does not exist (SQLSTATE 42703)"), "{text}");
    assert!(text.contains("line 2, column 5: mising") && !text.contains("at line 3"), "{text}");

    session.send("CREATE TEMP TABLE t (a int CONSTRAINT positive CHECK (a > 0))").await.unwrap();
    let error = session.send("SELECT 1; INSERT INTO t VALUES (1), (-1)").await.unwrap_err();
    let server = error.server().unwrap();
    assert_eq!(
        (server.sqlstate.as_str(), server.constraint.as_deref()),
        ("23514", Some("positive"))
    );
    assert_eq!(server.table.as_deref(), Some("t"));
    assert_eq!(server.detail.as_deref(), Some("Failing row contains (-1)."));
    assert_eq!(server.statement.as_deref(), Some("INSERT INTO t VALUES (1), (-1)"));
    assert_eq!(server.position, None);

    // Inside of a function the position belongs to the function's own statement.
    let sql = "DO $$ BEGIN PERFORM mising FROM pg_class; END $$";
    let error = session.send(sql).await.unwrap_err();
    let server = error.server().unwrap();
    assert!(server.internal_query.as_deref().unwrap().contains("mising"));
    assert!(server.context.as_deref().unwrap().contains("PL/pgSQL"), "{server:?}");
    assert_eq!((server.position, server.statement.as_deref()), (None, Some(sql)));

    // An error in an explicit transaction leaves it open, and rollback ends it.
    session.send("BEGIN; SELECT 1/0; COMMIT").await.unwrap_err();
    assert_eq!(session.send("SELECT 1").await.unwrap_err().sqlstate(), Some("25P02"));
    session.rollback().await.unwrap();
    assert_eq!(session.send("SELECT 1").await.unwrap()[0].at(0), Some("1"));
}

async fn a_running_statement_is_cancelled_and_the_session_lives(major: u32) {
    let mut session = session(&app_url(major).await).await;
    let canceller = session.canceller();
    let begin = Instant::now();
    let running = tokio::spawn(async move {
        let result = session.send("SELECT pg_sleep(30)").await;
        (session, result)
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(canceller.cancel().await.unwrap());
    let (mut session, result) = running.await.unwrap();
    let error = result.unwrap_err();
    assert!(error.server().unwrap().is_cancelled(), "{error}");
    assert!(begin.elapsed() < Duration::from_millis(1200), "{:?}", begin.elapsed());
    assert_eq!(session.send("SELECT 1").await.unwrap()[0].at(0), Some("1"));

    // Another session with the same process number is not ours.
    session.backend_start = Some("2000-01-01 00:00:00+00".to_owned());
    assert!(!session.canceller().cancel().await.unwrap());
}

async fn a_session_that_is_killed_is_lost(major: u32) {
    let server = server(major).await;
    let mut root = session(&server.url("shop")).await;
    let mut session = session(&app_url(major).await).await;
    let kill = format!("SELECT pg_sleep(0.2), pg_terminate_backend({})", session.backend_pid);
    let (lost, _) = tokio::join!(session.send("SELECT pg_sleep(30)"), root.send(&kill));
    let error = lost.unwrap_err();
    assert!(matches!(error, Error::Lost { .. }), "{error:?}");
    assert!(error.to_string().contains("terminating connection"), "{error}");
    let error = session.send("SELECT 1").await.unwrap_err();
    assert!(matches!(error, Error::Lost { .. }), "{error:?}");
    assert!(!session.canceller().cancel().await.unwrap());

    // One that is killed while it is idle is noticed at its next word.
    let mut session = support::session(&app_url(major).await).await;
    root.send(&format!("SELECT pg_terminate_backend({})", session.backend_pid)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let error = session.send("SELECT 1").await.unwrap_err();
    assert!(matches!(error, Error::Lost { .. }), "{error:?}");
}

async fn text_in_no_encoding_is_refused_not_guessed(major: u32) {
    let server = server(major).await;
    let mut root = session(&server.url("shop")).await;
    root.send(
        "CREATE DATABASE ascii ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0",
    )
    .await
    .unwrap();
    let mut session = session(&server.url("ascii")).await;
    let error = session.send(r"SELECT 1 AS n, E'\xfc' AS odd").await.unwrap_err();
    assert_eq!(error.sqlstate(), Some("22021"), "{error}");
    assert_eq!(session.send("SELECT 1").await.unwrap()[0].at(0), Some("1"));
}

async fn a_server_is_not_taken_for_a_pooler(major: u32) {
    let app = target(&app_url(major).await);
    assert_eq!(is_pooled(&app, SOON).await.unwrap(), Pooled::Direct);
    let with_options = format!("{}?options=-c%20geqo%3Doff", app_url(major).await);
    assert_eq!(is_pooled(&target(&with_options), SOON).await.unwrap(), Pooled::Direct);
    let wrong = server(major).await.tcp_url("app", "wr0ng", "shop").unwrap();
    let error = is_pooled(&target(&wrong), SOON).await.unwrap_err();
    assert!(matches!(error, Error::Connect(_)), "{error}");
}
