//! Every side on either side: databases, .sql files, snapshots, models.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::{Path, PathBuf};

use common::{DIFFERENT, DONE, ERROR, REFUSED, finish, on, program, reconcile};
use reconcile_testkit::{Database, database, majors, unique_name};
use sqlx::Connection;

const BEFORE: &str = "
    CREATE TYPE mood AS ENUM ('sad', 'happy');
    CREATE TABLE users (id bigint PRIMARY KEY, mood mood DEFAULT 'sad', age int);
    CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, owner bigint REFERENCES users,
        body text CHECK (length(body) < 1000));
    CREATE INDEX notes_owner_idx ON notes (owner) WHERE body IS NOT NULL;
    INSERT INTO users VALUES (1, 'happy', 3);
    INSERT INTO notes (owner, body) VALUES (1, 'x');";

const AFTER: &str = "
    CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
    CREATE TABLE users (id bigint PRIMARY KEY, mood mood DEFAULT 'sad', age int, email varchar(200));
    CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, owner bigint REFERENCES users,
        body text CHECK (length(body) < 1000), CONSTRAINT short CHECK (length(body) < 500));
    CREATE INDEX notes_owner_idx ON notes (owner) WHERE body IS NOT NULL;";

async fn execute(database: &Database, sql: &str) {
    let mut connection = database.connect().await;
    common::execute(&mut connection, sql).await;
    connection.close().await.unwrap();
}

async fn loaded(major: u32, sql: &str) -> Database {
    database(major, sql).await
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

struct Files {
    _folder: tempfile::TempDir,
    script: PathBuf,
    snapshot: PathBuf,
    model: PathBuf,
}

/// The same schema as each sort of file.
async fn files(url: &str, sql: &str) -> Files {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (script, snapshot, model) = (at("side.sql"), at("side.json"), at("model.yaml"));
    std::fs::write(&script, sql).unwrap();
    on(url, &["inspect", "--format", "snapshot", "--out", text(&snapshot)]).await.expect(DONE);
    on(url, &["inspect", "--single", "--out", text(&model)]).await.expect(DONE);
    Files { _folder: folder, script, snapshot, model }
}

/// The statements of a plan.
fn statements(plan: &str) -> String {
    let lines = plan.lines().filter(|line| line.starts_with("       ") && line.ends_with(';'));
    lines.map(|line| format!("{line}\n")).collect()
}

#[tokio::test]
async fn every_side_means_the_same_on_either_side() {
    for major in majors() {
        let (before, after) = (loaded(major, BEFORE).await, loaded(major, AFTER).await);
        let (live, desired) =
            (files(&before.url(), BEFORE).await, files(&after.url(), AFTER).await);
        let (before, after) = (before.url(), after.url());
        let lives = [&*before, text(&live.script), text(&live.snapshot), text(&live.model)];
        let desires =
            [&*after, text(&desired.script), text(&desired.snapshot), text(&desired.model)];
        let mut first = None;
        for (at, live) in lives.into_iter().enumerate() {
            for desired in [desires[at], desires[(at + 1) % desires.len()]] {
                let ran = reconcile(&["plan", "--live", live, desired]).await.expect(DONE);
                let ran = ran.says("add label 'ok' to enum type").says("add check short");
                let found = statements(&ran.out);
                assert!(found.contains("ADD COLUMN email"), "{found}");
                let first = first.get_or_insert_with(|| found.clone());
                assert_eq!(*first, found, "{major}: {live} {desired}");
            }
        }
        for (live, desired) in lives.iter().zip(&desires) {
            let ran = reconcile(&["check", "-q", "--live", live, desired]).await;
            ran.expect(DIFFERENT).says("missing users.email");
        }
        for same in &lives[1..] {
            reconcile(&["check", "--live", &before, same]).await.expect(DONE);
            reconcile(&["check", "--live", same, &before]).await.expect(DONE);
            reconcile(&["gate", "--live", same, &before]).await.expect(DONE);
        }
    }
}

#[tokio::test]
async fn a_database_becomes_like_another_one() {
    for major in majors() {
        let (before, after) = (loaded(major, BEFORE).await, loaded(major, AFTER).await);
        on(&before.url(), &["apply", "--yes", &after.url()]).await.expect(DONE).says("Proven");
        on(&before.url(), &["check", "--prune", &after.url()]).await.expect(DONE);
        on(&after.url(), &["check", "--prune", &before.url()]).await.expect(DONE);
        // And back, from a snapshot; what is superfluous goes.
        let former = loaded(major, BEFORE).await;
        let files = files(&former.url(), BEFORE).await;
        let arguments = ["apply", "--yes", "--prune", "--max-stall", "1h", text(&files.snapshot)];
        on(&before.url(), &arguments)
            .await
            .expect(REFUSED)
            .says("--allow-drop column:public.users.email");
    }
}

#[tokio::test]
async fn a_snapshot_is_the_same_bytes_and_knows_no_password() {
    let major = majors()[0];
    let database = loaded(major, BEFORE).await;
    let files = files(&database.url(), BEFORE).await;
    let first = std::fs::read_to_string(&files.snapshot).unwrap();
    let role = unique_name("snap");
    execute(&database, &format!("CREATE ROLE {role} LOGIN PASSWORD 'open sesame'")).await;
    let again = on(&database.url(), &["inspect", "--format", "snapshot"]).await.expect(DONE).out;
    assert_eq!(first, again);
    assert!(!again.contains("sesame"));
    // Through a file it stays what it is.
    let through = on(text(&files.snapshot), &["inspect", "--format", "snapshot"]).await;
    assert_eq!(first, through.expect(DONE).out);
    let model = on(text(&files.snapshot), &["inspect"]).await.expect(DONE).out;
    assert_eq!(model, on(&database.url(), &["inspect"]).await.expect(DONE).out);
    execute(&database, &format!("DROP ROLE {role}")).await;
}

#[tokio::test]
async fn a_snapshot_without_any_server_leaves_unproven_what_it_cannot_ask() {
    let database = loaded(majors()[0], "CREATE TABLE t (a text CHECK (a IN ('x', 'y')))").await;
    let files = files(&database.url(), "").await;
    let model = files.model.with_file_name("other.yaml");
    std::fs::write(
        &model,
        "tables: {t: {columns: {a: text}, checks: {t_a_check: \"a IN ('x', 'y')\"}}}\n",
    )
    .unwrap();
    let arguments = ["check", "--live", text(&files.snapshot), text(&model)];
    reconcile(&arguments).await.expect(DONE);
    let mut command = program(&arguments);
    command.env("npm_config_offline", "true").env("npm_config_registry", "http://127.0.0.1:9");
    command
        .env("RECONCILE_CACHE", files.model.with_file_name("none"))
        .env_remove("RECONCILE_PG_BIN");
    let ran = finish(command).await;
    if ran.err.contains("can be asked about expressions") {
        ran.expect(DIFFERENT).says("unproven");
    }
}

#[tokio::test]
async fn bad_snapshots_are_told() {
    let database = loaded(majors()[0], BEFORE).await;
    let files = files(&database.url(), BEFORE).await;
    let good = std::fs::read_to_string(&files.snapshot).unwrap();
    let bad = files.snapshot.with_file_name("bad.json");
    let cases = [
        (String::new(), "is no snapshot"),
        ("{}".to_owned(), "is no snapshot"),
        ("[1]".to_owned(), "is no snapshot"),
        (good[..good.len() / 2].to_owned(), "cut off"),
        (good.replace("\"version\": 1,", "\"version\": 99,"), "version 99"),
        (good.replace("\"nullable\":false", "\"nullable\":true"), "digest"),
        (good.replace("\"kind\":\"column\"", "\"kind\":\"colum\""), "no kind is called `colum`"),
        (good.replace("\"database\"", "\"databas\""), "unknown field `databas`"),
    ];
    for (text_, words) in cases {
        std::fs::write(&bad, &text_).unwrap();
        for arguments in [
            ["plan", "--live", text(&bad), "schema"],
            ["plan", "--live", &database.url(), text(&bad)],
        ] {
            let ran = reconcile(&arguments).await.expect(ERROR).says(words);
            assert!(!ran.err.contains("panicked"), "{}", ran.err);
        }
    }
}

#[tokio::test]
async fn what_is_mixed_up_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let empty = text(folder.path());
    let database = loaded(majors()[0], BEFORE).await;
    let url = database.url();
    let files = files(&url, BEFORE).await;
    on(&url, &["plan", empty]).await.expect(ERROR).says("there is no model in");
    on(empty, &["plan", "schema"]).await.expect(ERROR).says("there is no model in");
    on("nowhere.sql", &["plan", "schema"]).await.expect(ERROR).says("cannot read nowhere.sql");
    on(&url, &["plan", "nowhere.sql"]).await.expect(ERROR).says("cannot read nowhere.sql");
    on(&url, &["plan", "nowhere"]).await.expect(ERROR).says("`nowhere` is not there");
    on("nowhere", &["plan", "schema"])
        .await
        .expect(ERROR)
        .says("There is no file or folder nowhere");
    on(&url, &["plan", &url]).await.expect(ERROR).says("both sides are the same");
    let spelt = url.replacen("postgresql://", "postgres://", 1);
    on(&url, &["plan", &spelt]).await.expect(ERROR).says("both sides are the same");
    for file in [&files.script, &files.snapshot, &files.model] {
        on(text(file), &["plan", text(file)]).await.expect(ERROR).says("both sides are the same");
        on(text(file), &["apply", "schema"])
            .await
            .expect(REFUSED)
            .says("needs a database that stays");
        on(text(file), &["status"]).await.expect(REFUSED).says("needs a database that stays");
    }
    on(&url, &["plan", text(&files.model), text(&files.script)])
        .await
        .expect(ERROR)
        .says("cannot be one of several");
    let broken = folder.path().join("broken.yaml");
    std::fs::write(&broken, "tables: {t: {columns: {a: no_such_type}}}\n").unwrap();
    on(text(&broken), &["plan", "schema"]).await.expect(ERROR).says("no_such_type");
}

#[tokio::test]
async fn different_major_versions_are_allowed_and_said() {
    let majors = majors();
    let (Some(one), Some(other)) = (majors.first(), majors.last()) else { return };
    if one == other {
        return;
    }
    let (live, desired) = (loaded(*one, BEFORE).await, loaded(*other, AFTER).await);
    let ran = on(&live.url(), &["plan", &desired.url()]).await.expect(DONE);
    ran.says("different major versions");
    // A dump without a version of its own gets the live side's.
    let files = files(&desired.url(), AFTER).await;
    let ran = on(&live.url(), &["plan", text(&files.script)]).await.expect(DONE);
    ran.says_not("different major versions").says(&format!("side.sql (PostgreSQL {one}."));
}
