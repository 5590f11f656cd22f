//! A backup that can be restored, or none.

#![allow(clippy::unwrap_used)]

mod apply_kit;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use apply_kit::{ask, session};
use reconcile_live::backup::{BackupError, backup, find};
use reconcile_sql::QName;
use reconcile_testkit::{database, majors, pg_dump_program};

const OBJECTS: &str = r#"
    CREATE SCHEMA "My App";
    CREATE TABLE "My App"."userData" (id int PRIMARY KEY, body text);
    INSERT INTO "My App"."userData" SELECT i, 'row ' || i FROM generate_series(1, 500) i;
    CREATE TABLE parts (id int, k text) PARTITION BY LIST (k);
    CREATE TABLE parts_a PARTITION OF parts FOR VALUES IN ('a');
    CREATE TABLE parts_b PARTITION OF parts FOR VALUES IN ('b');
    INSERT INTO parts SELECT i, CASE WHEN i % 2 = 0 THEN 'a' ELSE 'b' END FROM generate_series(1, 100) i;
    CREATE TABLE untouched (id int);
    INSERT INTO untouched VALUES (1);
    CREATE VIEW v AS SELECT id FROM parts;
"#;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn touched() -> Vec<QName> {
    let public = |name: &str| QName::new("public", name);
    vec![QName::new("My App", "userData"), public("parts"), public("v"), public("made later")]
}

fn files_in(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(files_in(&path)) } else { all.push(path) }
    }
    all
}

#[tokio::test]
async fn what_was_backed_up_is_there_again_after_a_restore() {
    for major in majors() {
        let db = database(major, OBJECTS).await;
        let mut session = session(&db.url()).await;
        let dir = tempfile::tempdir().unwrap();
        let into = dir.path().join("a/b");
        let program = pg_dump_program(major);
        let files = backup(&mut session, &into, &touched(), Some(&program)).await;
        let files = files.unwrap_or_else(|e| panic!("{major}: {e}"));
        let [schema, data] = files.as_slice() else { panic!("{files:?}") };
        assert_eq!((mode(schema), mode(data)), (0o600, 0o600));
        assert_eq!(mode(schema.parent().unwrap()), 0o700);
        let again = backup(&mut session, &into, &[], Some(&program)).await.unwrap();
        assert_eq!(again.len(), 1);
        assert_ne!(again[0].parent(), schema.parent());

        let fresh = database(major, "").await;
        fresh.load_file(schema).await;
        // As a script, so that the settings that only a newer server knows are passed over.
        let script = dir.path().join("data.sql");
        let output = Command::new(program.with_file_name("pg_restore"))
            .arg("--file")
            .args([&script, data])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fresh.load_file(&script).await;
        let digest = "SELECT md5(string_agg(x, ',' ORDER BY x)) FROM (SELECT u::text FROM \
                      \"My App\".\"userData\" u UNION ALL SELECT p::text FROM parts p) AS r(x)";
        assert_eq!(ask(&fresh, digest).await, ask(&db, digest).await);
        assert_eq!(ask(&fresh, "SELECT count(*) FROM parts").await, "100");
        assert_eq!(ask(&fresh, "SELECT count(*) FROM untouched").await, "0");
    }
}

#[tokio::test]
async fn a_failed_run_leaves_no_file_and_no_password() {
    let major = majors()[0];
    let role = reconcile_testkit::unique_name("blind");
    let db = database(major, OBJECTS).await;
    let mut root = session(&db.url()).await;
    root.send(&format!("CREATE ROLE {role} LOGIN PASSWORD 's3cret-word'")).await.unwrap();
    let mut blind = session(&db.tcp_url(&role, "s3cret-word")).await;
    let dir = tempfile::tempdir().unwrap();
    let program = pg_dump_program(major);
    let relations = [QName::new("public", "untouched")];
    let error = backup(&mut blind, dir.path(), &relations, Some(&program)).await.unwrap_err();
    let BackupError::Failed { words, .. } = &error else { panic!("{error:?}") };
    assert!(words.contains("permission denied"), "{words}");
    assert!(!error.to_string().contains("s3cret-word"));
    assert_eq!(files_in(dir.path()), Vec::<PathBuf>::new());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    drop(blind);
    root.send(&format!("DROP ROLE {role}")).await.unwrap();
}

#[test]
fn a_program_is_found_or_its_lack_explained() {
    let dir = tempfile::tempdir().unwrap();
    let script = |name: &str, says: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\necho '{says}'\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    };
    let old = script("old", "pg_dump (PostgreSQL) 12.4");
    let error = find(Some(&old), 15).unwrap_err();
    assert!(matches!(error, BackupError::TooOld { found: 12, wanted: 15, .. }), "{error}");
    assert!(error.to_string().contains("--pg-dump"));
    assert_eq!(find(Some(&old), 12).unwrap().major, 12);
    let odd = script("odd", "hello");
    assert!(matches!(find(Some(&odd), 15), Err(BackupError::NotAProgram { .. })));
    let missing = dir.path().join("missing");
    assert!(matches!(find(Some(&missing), 15), Err(BackupError::NotAProgram { .. })));
    let error = find(None, 1000).unwrap_err();
    assert!(matches!(error, BackupError::TooOld { .. } | BackupError::NoProgram { .. }), "{error}");
}
