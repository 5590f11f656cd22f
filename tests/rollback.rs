//! Rollback: back to where the last apply began, or not at all.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Case, DIFFERENT, DONE, REFUSED, cases, dump, execute, on, rows, scalar};
use reconcile_testkit::{Database, majors};

const PRODUCTION: Case = Case { name: "messages/production" };
const STAMP: &str = "alembic=001_fix_priority_schema..004";

async fn apply(database: &Database, case: Case, more: &[&str]) {
    let model = case.model();
    let arguments: Vec<&str> = ["apply", "--yes", &model].iter().chain(more).copied().collect();
    on(&database.url(), &arguments).await.expect(DONE);
}

async fn revision(database: &Database) -> String {
    let mut connection = database.connect().await;
    scalar(&mut connection, "SELECT string_agg(version_num, ',') FROM alembic_version").await
}

async fn there_and_back(major: u32, case: Case, steps: usize) {
    let database = case.database(major).await;
    let columns = rows::columns(&database).await;
    let rows_before = rows::rows(&database, &columns).await;
    let before = dump::definitions(&database).await;
    apply(&database, case, &[]).await;
    let after = dump::definitions(&database).await;
    let back = on(&database.url(), &["rollback", "--yes"]).await.expect(DONE);
    let restored = dump::definitions(&database).await;
    let difference = dump::difference(&dump::plain(&before), &dump::plain(&restored));
    assert!(difference.is_empty(), "{} on {major}\n{difference}\n{}", case.name, back.out);
    assert_eq!(rows::rows(&database, &columns).await, rows_before, "{} on {major}", case.name);
    if steps == 0 {
        back.says("Nothing to undo");
        return;
    }
    // There is nothing more to undo, and the way forth is open again.
    let twice = on(&database.url(), &["rollback", "--yes"]).await.expect(DONE);
    twice.says("Nothing to undo");
    apply(&database, case, &[]).await;
    let again = dump::definitions(&database).await;
    let difference = dump::difference(&dump::plain(&after), &dump::plain(&again));
    assert!(difference.is_empty(), "{} on {major}, applied again\n{difference}", case.name);
    on(&database.url(), &["status"]).await.expect(DONE).says("rolled back");
}

#[tokio::test]
async fn every_state_comes_back() {
    for major in majors() {
        let cases = cases::converging(major).into_iter();
        common::all(cases.map(|(case, steps, _)| there_and_back(major, case, steps))).await;
    }
}

#[tokio::test]
async fn the_revision_moves_back_too() {
    for major in majors() {
        let database = PRODUCTION.database(major).await;
        apply(&database, PRODUCTION, &["--stamp", STAMP]).await;
        assert_eq!(revision(&database).await, "004");
        on(&database.url(), &["rollback", "--yes"]).await.expect(DONE);
        assert_eq!(revision(&database).await, "001_fix_priority_schema");
        // Somebody else moved it since: not ours to move.
        apply(&database, PRODUCTION, &["--stamp", STAMP]).await;
        let mut connection = database.connect().await;
        execute(&mut connection, "UPDATE alembic_version SET version_num = '005'").await;
        let before = dump::everything(&database, major).await;
        let refused = on(&database.url(), &["rollback", "--yes"]).await.expect(REFUSED);
        refused.says("005");
        assert_eq!(before, dump::everything(&database, major).await);
    }
}

#[tokio::test]
async fn data_in_an_added_column_is_not_lost_by_mistake() {
    for major in majors() {
        let database = PRODUCTION.database(major).await;
        let before = dump::definitions(&database).await;
        apply(&database, PRODUCTION, &[]).await;
        let mut connection = database.connect().await;
        let sql = "UPDATE messages SET tool_call_id = 'call_' || id WHERE id <= 7; \
                   UPDATE messages SET name = 'calculator' WHERE id <= 3";
        execute(&mut connection, sql).await;
        let held = dump::everything(&database, major).await;
        let refused = on(&database.url(), &["rollback", "--yes"]).await.expect(REFUSED);
        refused
            .says("7 ")
            .says("3 ")
            .says("tool_call_id")
            .says("--allow-data-loss")
            .says("Nothing was changed");
        assert_eq!(held, dump::everything(&database, major).await);
        on(&database.url(), &["rollback", "--yes", "--allow-data-loss"]).await.expect(DONE);
        let restored = dump::definitions(&database).await;
        assert_eq!(
            dump::plain(&before),
            dump::plain(&restored),
            "{}",
            dump::difference(&before, &restored)
        );
    }
}

#[tokio::test]
async fn a_value_that_is_no_label_is_counted_and_refused() {
    // A model that lets more values in than the enum had.
    let folder = tempfile::tempdir().unwrap();
    let model = std::fs::read_to_string(common::root().join("schema/messages.yaml")).unwrap();
    let wider = model.replace("'system', 'tool')", "'system', 'tool', 'tool_x')");
    assert_ne!(model, wider);
    for (name, text) in [("messages.yaml", wider.as_str()), ("conversations.yaml", "")] {
        let path = folder.path().join(name);
        if text.is_empty() {
            std::fs::copy(common::root().join("schema").join(name), path).unwrap();
        } else {
            std::fs::write(path, text).unwrap();
        }
    }
    let model = folder.path().to_str().unwrap();
    for major in majors() {
        let database = PRODUCTION.database(major).await;
        on(&database.url(), &["apply", "--yes", model]).await.expect(DONE);
        let mut connection = database.connect().await;
        execute(&mut connection, "UPDATE messages SET role = 'tool_x' WHERE id <= 5").await;
        let held = dump::everything(&database, major).await;
        let refused = on(&database.url(), &["rollback", "--yes"]).await.expect(REFUSED);
        refused.says("5 rows").says("tool_x").says("message_role").says("Nothing was changed");
        assert_eq!(held, dump::everything(&database, major).await);
        // No approval can make a label of it; corrected rows can go back.
        let still = ["rollback", "--yes", "--allow-data-loss"];
        on(&database.url(), &still).await.expect(REFUSED).says("tool_x");
        execute(&mut connection, "UPDATE messages SET role = 'tool' WHERE role = 'tool_x'").await;
        on(&database.url(), &["rollback", "--yes"]).await.expect(DONE);
        on(&database.url(), &["check", "-q", model]).await.expect(DIFFERENT);
    }
}

#[tokio::test]
async fn rows_written_since_stay() {
    for major in majors() {
        let database = PRODUCTION.database(major).await;
        apply(&database, PRODUCTION, &[]).await;
        let mut connection = database.connect().await;
        let sql = "INSERT INTO messages (conversation_id, role, content) VALUES (1, 'tool', 'new')";
        execute(&mut connection, sql).await;
        on(&database.url(), &["rollback", "--yes"]).await.expect(DONE);
        let sql = "SELECT count(*) || ' ' || count(*) FILTER (WHERE role = 'tool'::message_role) \
                   FROM messages";
        assert_eq!(scalar(&mut connection, sql).await, "97 25");
    }
}

#[tokio::test]
async fn without_a_yes_nothing_happens() {
    for major in majors() {
        let database = PRODUCTION.database(major).await;
        apply(&database, PRODUCTION, &[]).await;
        let before = dump::everything(&database, major).await;
        let asked = on(&database.url(), &["rollback"]).await.expect(REFUSED);
        asked.says("CREATE TYPE public.message_role").says("--yes");
        assert_eq!(before, dump::everything(&database, major).await);
        let wrong = on(&database.url(), &["rollback", "--yes", "--run", "7"]).await;
        wrong.expect(REFUSED).says("no such run");
    }
}
