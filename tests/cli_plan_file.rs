//! Plans that are saved, carried out later, and run by psql.

#![allow(clippy::unwrap_used)]

mod common;

use common::{DIFFERENT, DONE, ERROR, REFUSED, dump, execute, messages, on};
use reconcile_testkit::majors;
use serde_json::Value;
use sqlx::Connection as _;

#[tokio::test]
async fn the_same_database_gives_the_same_bytes() {
    for major in majors() {
        let database = messages("messages/lived_in").database(major).await;
        let url = database.url();
        for format in ["text", "json", "sql"] {
            let first = on(&url, &["plan", "--format", format]).await.expect(DONE);
            let second = on(&url, &["plan", "--format", format]).await.expect(DONE);
            assert_eq!(first.out, second.out, "{format}");
        }
    }
}

#[tokio::test]
async fn a_plan_file_says_what_is_planned_and_for_what() {
    for major in majors() {
        let database = messages("messages/production").database(major).await;
        let plan = on(&database.url(), &["plan", "--format", "json"]).await.expect(DONE);
        let plan: Value = serde_json::from_str(&plan.out).unwrap();
        assert_eq!(plan["format"], 1);
        assert_eq!(plan["in_sync"], false);
        assert_eq!(plan["server_version_num"].as_u64().unwrap() / 10_000, u64::from(major));
        for key in ["digest", "fingerprint"] {
            assert_eq!(plan[key].as_str().unwrap().len(), 64, "{key}");
        }
        let batches = plan["batches"].as_array().unwrap();
        assert!(!batches.is_empty());
        for step in batches.iter().flat_map(|batch| batch["steps"].as_array().unwrap()) {
            assert!(step["sql"].is_string() && step["summary"].is_array(), "{step}");
            assert!(step["locks"].is_array() && step["work"]["class"].is_string(), "{step}");
        }
        assert!(batches.iter().all(|batch| batch["worst_stall_ms"].is_u64()));
    }
}

#[tokio::test]
async fn a_saved_plan_is_applied_only_while_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    for major in majors() {
        let database = messages("messages/production").database(major).await;
        let url = database.url();
        let path = folder.path().join(format!("plan-{major}.json"));
        let path = path.to_str().unwrap();
        on(&url, &["plan", "--out", path]).await.expect(DONE);

        let mut connection = database.connect().await;
        execute(&mut connection, "ALTER TABLE messages ADD COLUMN name varchar(100)").await;
        let before = dump::everything(&database, major).await;
        on(&url, &["apply", "--yes", "--plan", path])
            .await
            .expect(REFUSED)
            .says("stale")
            .says("- ADD COLUMN name varchar(100);")
            .says("Nothing was changed");
        assert!(before == dump::everything(&database, major).await);

        execute(&mut connection, "ALTER TABLE messages DROP COLUMN name").await;
        connection.close().await.unwrap();
        on(&url, &["apply", "--yes", "--plan", path]).await.expect(DONE).says("Proven");
        on(&url, &["apply", "--yes", "--plan", path]).await.expect(DONE).says("Nothing to do");
    }
}

#[tokio::test]
async fn what_is_no_plan_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plan.json");
    let url = "postgresql://nobody@127.0.0.1:1/none";
    for (text, words) in [
        ("", "no plan"),
        ("{\"format\": 1}", "no plan"),
        ("{\"format\": 99}", "format 99"),
        ("[1, 2]", "no plan"),
    ] {
        std::fs::write(&path, text).unwrap();
        let arguments = ["apply", "--yes", "--plan", path.to_str().unwrap()];
        on(url, &arguments).await.expect(ERROR).says(words).says("plan.json");
    }
    on(url, &["apply", "--plan", "no-such-file.json"])
        .await
        .expect(ERROR)
        .says("no-such-file.json");
    on(url, &["plan", "--out", "/no/such/folder/plan.json"]).await.expect(ERROR);
}

#[tokio::test]
async fn psql_runs_the_script() {
    for major in majors() {
        for case in ["messages/production", "messages/lived_in", "messages/check_name_taken"] {
            let database = messages(case).database(major).await;
            let url = database.url();
            on(&url, &["plan", "--exit-code"]).await.expect(DIFFERENT);
            let script = on(&url, &["plan", "--format", "sql"]).await.expect(DONE);
            let psql = std::process::Command::new("psql")
                .args(["--no-psqlrc", "--quiet", "--file", "-", &url])
                .stdin(std::process::Stdio::piped())
                .stdout(std::process::Stdio::piped())
                .stderr(std::process::Stdio::piped())
                .spawn();
            let Ok(mut psql) = psql else { panic!("the test needs psql on PATH") };
            let mut stdin = psql.stdin.take().unwrap();
            std::io::Write::write_all(&mut stdin, script.out.as_bytes()).unwrap();
            drop(stdin);
            let output = psql.wait_with_output().unwrap();
            let words = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{case} on {major}: {words}");
            on(&url, &["plan", "--exit-code"]).await.expect(DONE);
        }
    }
}

#[tokio::test]
async fn a_script_with_a_refusal_stops_before_it_begins() {
    for major in majors() {
        let database = messages("variants/partition_key").database(major).await;
        let model = "fixtures/variants/partition_key/model.yaml";
        let script = on(&database.url(), &["plan", "--format", "sql", model]).await.expect(REFUSED);
        let stop = script.out.find("RAISE EXCEPTION 'this plan has refusals").unwrap();
        assert!(script.out.find("ALTER").is_none_or(|first| stop < first));
    }
}
