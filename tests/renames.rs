//! What the model calls otherwise is renamed, and nothing else is done to it or to what mentions it.

#![allow(clippy::unwrap_used)]

mod common;

use common::{DIFFERENT, DONE, dump, execute, on, rows};
use reconcile_testkit::{Database, database, majors};

/// A database, and the model that it becomes.
struct Pair {
    before: String,
    model: String,
}

fn pair(name: &str) -> Pair {
    let folder = common::root().join("tests/renames");
    let before = std::fs::read_to_string(folder.join(format!("{name}.sql"))).unwrap();
    let model = folder.join(format!("{name}.yaml")).to_str().unwrap().to_owned();
    Pair { before, model }
}

/// What the rows are, whatever their relations are called.
async fn values(database: &Database) -> Vec<String> {
    let columns = rows::columns(database).await;
    let mut values: Vec<String> = rows::rows(database, &columns).await.into_values().collect();
    values.sort();
    values
}

/// The statements of the plan.
async fn steps(url: &str, model: &str) -> Vec<String> {
    let plan = on(url, &["plan", "--prune", "--format", "json", model]).await;
    let document: serde_json::Value = serde_json::from_str(&plan.out).unwrap();
    let list = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
    let steps = list(&document["batches"]).into_iter().flat_map(|batch| list(&batch["steps"]));
    steps.map(|step| step["sql"].as_str().unwrap().to_owned()).collect()
}

async fn apply(url: &str, model: &str) {
    let arguments = ["apply", "--prune", "--yes", "--max-stall", "1h", model];
    on(url, &arguments).await.expect(DONE);
    on(url, &["plan", "--prune", "--exit-code", model]).await.expect(DONE);
    on(url, &["check", "--prune", "-q", model]).await.expect(DONE);
}

/// Renamed, it is what the model alone makes; and it can be had back.
async fn there_and_back(major: u32, name: &str, fresh: &str) -> Vec<String> {
    let Pair { before, model } = pair(name);
    let (live, made) = (database(major, &before).await, database(major, fresh).await);
    let (url, was) = (live.url(), dump::definitions(&live).await);
    let held = values(&live).await;
    on(&url, &["check", "--prune", "-q", &model]).await.expect(DIFFERENT);
    let steps = steps(&url, &model).await;

    apply(&url, &model).await;
    apply(&made.url(), &model).await;
    let (renamed, wanted) = (dump::definitions(&live).await, dump::definitions(&made).await);
    let difference = dump::difference(&dump::plain(&wanted), &dump::plain(&renamed));
    assert!(difference.is_empty(), "{name} on {major}: {difference}");
    assert_eq!(values(&live).await, held, "{name} on {major}");

    on(&url, &["rollback", "--yes", "--max-stall", "1h"]).await.expect(DONE);
    let back = dump::definitions(&live).await;
    let difference = dump::difference(&dump::plain(&was), &dump::plain(&back));
    assert!(difference.is_empty(), "{name} on {major}, rolled back: {difference}");
    assert_eq!(values(&live).await, held, "{name} on {major}, rolled back");
    steps
}

#[tokio::test]
async fn all_of_it_is_renamed_and_nothing_else_is_done() {
    let fresh = "CREATE SCHEMA core; \
                 CREATE FUNCTION core.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'";
    for major in majors() {
        let steps = there_and_back(major, "all", fresh).await;
        assert!(steps.len() > 40, "{steps:#?}");
        for step in steps {
            assert!(step.starts_with("ALTER ") && step.contains(" RENAME "), "{major}: {step}");
        }
    }
}

#[tokio::test]
async fn names_are_exchanged_handed_on_and_changed_with_the_rest() {
    for major in majors() {
        let steps = there_and_back(major, "crossing", "").await;
        let aside = steps.iter().filter(|step| step.contains("_rc_")).count();
        assert_eq!(aside, 4, "two rings, two steps each: {steps:#?}");
        // What is on a column that gets another type may be made again.
        let made = steps.iter().filter(|step| step.contains("INDEX t_")).count();
        assert_eq!(made, 0, "no other index is made again: {steps:#?}");
    }
}

#[tokio::test]
async fn what_is_joined_inherited_or_made_anew_is_renamed_too() {
    for major in majors() {
        let steps = there_and_back(major, "around", "").await;
        let columns = steps.iter().filter(|step| step.contains("RENAME COLUMN")).count();
        assert_eq!(columns, 5, "those of child tables follow: {steps:#?}");
    }
}

#[tokio::test]
async fn a_text_that_goes_on_saying_the_old_name_is_told() {
    let before = "CREATE TABLE a (id int); \
                  CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT count(*)::int FROM a'; \
                  CREATE FUNCTION g() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT count(*)::int FROM a; END";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.yaml");
    std::fs::write(&path, "tables: {b: {renamed_from: a, columns: {id: integer}}}\n").unwrap();
    for major in majors() {
        let live = database(major, before).await;
        let plan = on(&live.url(), &["plan", path.to_str().unwrap()]).await;
        let plan = plan.expect(DONE).says("function \"f()\": its text says a");
        plan.says_not("function \"g()\": its text");
    }
}

#[tokio::test]
async fn a_likely_rename_is_told_and_not_assumed() {
    let before = "CREATE TYPE mood AS ENUM ('sad', 'ok'); \
                  CREATE TABLE t (id int, a text, m mood); CREATE TABLE old (x int, y int)";
    let model = "enums: {mood: [blue, ok]}\n\
                 tables:\n  t: {columns: {id: integer, b: text, m: mood}}\n  \
                 new: {columns: {x: integer, y: integer}}\n";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.yaml");
    std::fs::write(&path, model).unwrap();
    let path = path.to_str().unwrap();
    for major in majors() {
        let live = database(major, before).await;
        let plan = on(&live.url(), &["plan", "--prune", "--allow-drop", "all", path]).await;
        plan.expect(DONE)
            .says("column a has the same type: a rename?")
            .says("table old has the same columns: a rename?")
            .says("`sad` goes and `blue` comes in the same place: a rename?");
        let steps = steps(&live.url(), path).await;
        assert!(!steps.iter().any(|step| step.contains("RENAME COLUMN")), "{steps:#?}");
    }
}

#[tokio::test]
async fn the_old_name_is_free_for_something_new() {
    let before = "CREATE TABLE a (id int PRIMARY KEY, x int); INSERT INTO a VALUES (1, 2)";
    let model = "tables:\n  a: {columns: {id: integer}}\n  \
                 b: {renamed_from: a, columns: {id: integer, x: integer}, \
                 primary_key: {name: a_pkey, columns: [id]}}\n";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.yaml");
    std::fs::write(&path, model).unwrap();
    for major in majors() {
        let live = database(major, before).await;
        apply(&live.url(), path.to_str().unwrap()).await;
        let mut connection = live.connect().await;
        execute(&mut connection, "DO 'BEGIN ASSERT (SELECT x FROM b) = 2; END'").await;
        execute(&mut connection, "DO 'BEGIN ASSERT (SELECT count(*) FROM a) = 0; END'").await;
    }
}
