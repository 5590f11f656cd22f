//! A plan is tried on a copy of the catalog, and the server itself says what a statement means.

#![allow(clippy::unwrap_used)]

mod common;

use common::{DIFFERENT, DONE, REFUSED, finish, program, root};
use reconcile_testkit::{database, majors};

/// Runs the program with its rehearsals, which the other tests do without.
async fn rehearsing(url: &str, arguments: &[&str]) -> common::Ran {
    let mut command = program(&["--live", url]);
    command.args(arguments).env("RECONCILE_REHEARSE", "auto");
    finish(command).await
}

#[tokio::test]
async fn a_plan_is_tried_out_before_it_is_applied() {
    let sql = std::fs::read_to_string(root().join("fixtures/messages/production.sql")).unwrap();
    for major in majors() {
        let met = database(major, &sql).await;
        let shown = rehearsing(&met.url(), &["plan", "--rehearse", "schema/"]).await;
        shown.expect(DONE).says("Rehearsed: on a copy of the catalog the plan leads to the model");
        let applied = rehearsing(&met.url(), &["apply", "--yes", "schema/"]).await;
        applied.expect(DONE).says("Rehearsed").says("Proven");
        let again = rehearsing(&met.url(), &["apply", "--yes", "schema/"]).await;
        again.expect(DONE).says_not("Rehearsed");
    }
}

#[tokio::test]
async fn what_fails_on_the_copy_is_not_begun() {
    // Only the server knows that the predicate has no meaning for the enum.
    const LIVE: &str = "CREATE TABLE t (id int PRIMARY KEY, state text NOT NULL);
        CREATE INDEX open ON t (id) WHERE lower(state) = 'open';
        INSERT INTO t VALUES (1, 'open');";
    const MODEL: &str = "enums: {state: [open, done]}
tables:
  t:
    columns: {id: integer, state: {type: state, nullable: false}}
    primary_key: [id]
";
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model.yaml");
    std::fs::write(&model, MODEL).unwrap();
    let model = model.to_str().unwrap();
    for major in majors() {
        let met = database(major, LIVE).await;
        let before = common::dump::definitions(&met).await;
        let applied = rehearsing(&met.url(), &["apply", "--yes", model]).await;
        applied.expect(REFUSED).says("rehearsal failed").says("Nothing was changed");
        assert_eq!(before, common::dump::definitions(&met).await);
    }
}

#[tokio::test]
async fn a_view_is_the_same_in_other_words() {
    const LIVE: &str = "CREATE TABLE t (id int PRIMARY KEY, state text NOT NULL);
        CREATE VIEW open AS SELECT id, state FROM t WHERE state IN ('open', 'new');";
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model.yaml");
    let path = model.to_str().unwrap();
    let says = |query: &str| std::fs::write(&model, format!("views:\n  open: {query}\n")).unwrap();
    for major in majors() {
        let met = database(major, LIVE).await;
        says("select id, state from t where state in ('open', 'new')");
        rehearsing(&met.url(), &["check", path]).await.expect(DONE);
        says("select t.id, t.state from public.t where t.state = 'open' or t.state = 'new'");
        rehearsing(&met.url(), &["check", path]).await.expect(DIFFERENT);
        rehearsing(&met.url(), &["apply", "--yes", path]).await.expect(DONE).says("Proven");
        rehearsing(&met.url(), &["check", path]).await.expect(DONE);
        rehearsing(&met.url(), &["plan", "--exit-code", path]).await.expect(DONE);
    }
}
