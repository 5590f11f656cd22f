//! What was applied is undone: definitions, rows, privileges, comments, revisions.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Case, DONE, PARTIAL, REFUSED, cases, dump, execute, messages, on, rows, scalar};
use reconcile_testkit::majors;
use sqlx::Connection as _;

/// What a rollback leaves in another form: a constraint stays proven, and the server has its own
/// ways to spell an expression that it has read back.
const RESPELT: &[&str] =
    &["messages/check_name_taken", "variants/check_not_valid", "variants/domain_over_varchar"];

#[tokio::test]
async fn every_apply_is_undone_to_the_letter() {
    for major in majors() {
        for (case, steps, _) in cases::converging(major) {
            let database = case.database(major).await;
            let (url, model) = (database.url(), case.model());
            let columns = rows::columns(&database).await;
            let rows_before = rows::rows(&database, &columns).await;
            let before = dump::definitions(&database).await;
            on(&url, &["apply", "--yes", &model]).await.expect(DONE);
            let undone = on(&url, &["rollback", "--yes"]).await.expect(DONE);
            if steps == 0 {
                undone.says("Nothing to undo");
            } else {
                undone.says("Run 1 is undone").says("Proven");
            }
            assert_eq!(rows_before, rows::rows(&database, &columns).await, "{}", case.name);
            if !RESPELT.contains(&case.name) {
                let after = dump::definitions(&database).await;
                let changed = dump::difference(&before, &after);
                assert!(before == after, "{} on {major}:\n{changed}", case.name);
            }
            on(&url, &["rollback", "--yes"]).await.expect(DONE).says("Nothing to undo");
        }
    }
}

#[tokio::test]
async fn data_in_added_columns_are_counted_and_kept() {
    for major in majors() {
        let database = messages("messages/production").database(major).await;
        let url = database.url();
        on(&url, &["apply", "--yes", "--stamp", "alembic=001_fix_priority_schema..004"])
            .await
            .expect(DONE);
        let mut connection = database.connect().await;
        let revision = "SELECT version_num FROM alembic_version";
        assert_eq!(scalar(&mut connection, revision).await, "004");
        execute(&mut connection, "UPDATE messages SET name = 'x' WHERE id <= 5").await;

        let before = dump::everything(&database, major).await;
        on(&url, &["rollback", "--yes"])
            .await
            .expect(REFUSED)
            .says("5 values of messages.name would be lost")
            .says("--allow-data-loss");
        assert!(before == dump::everything(&database, major).await);

        on(&url, &["rollback", "--yes", "--allow-data-loss"]).await.expect(DONE);
        assert_eq!(scalar(&mut connection, revision).await, "001_fix_priority_schema");
        let columns = "SELECT count(*)::text FROM pg_attribute WHERE attrelid = 'messages'::regclass \
                       AND attname IN ('name', 'tool_call_id')";
        assert_eq!(scalar(&mut connection, columns).await, "0");
        connection.close().await.unwrap();
    }
}

#[tokio::test]
async fn values_that_are_no_label_are_counted_and_refused() {
    for major in majors() {
        let database = messages("messages/production").database(major).await;
        let url = database.url();
        on(&url, &["apply", "--yes"]).await.expect(DONE);
        let mut connection = database.connect().await;
        let sql = "ALTER TABLE messages DROP CONSTRAINT check_role_values; \
                   UPDATE messages SET role = 'critic' WHERE id <= 3";
        execute(&mut connection, sql).await;
        connection.close().await.unwrap();
        on(&url, &["rollback", "--yes"])
            .await
            .expect(REFUSED)
            .says("is no label of public.message_role: 3 rows")
            .says("critic in 3 rows");
    }
}

#[tokio::test]
async fn only_the_last_run_is_undone() {
    for major in majors() {
        let database = messages("messages/partly_migrated").database(major).await;
        let url = database.url();
        on(&url, &["rollback"]).await.expect(DONE).says("Nothing to undo");
        on(&url, &["apply", "--yes"]).await.expect(DONE);
        on(&url, &["rollback", "--yes", "--run", "7"]).await.expect(REFUSED).says("no such run");
        on(&url, &["rollback"]).await.expect(REFUSED).says("--yes");
        on(&url, &["rollback", "--yes", "--run", "1"]).await.expect(DONE);
        on(&url, &["rollback", "--yes", "--run", "1"]).await.expect(REFUSED).says("undone already");
        let status = on(&url, &["status"]).await.expect(DONE);
        status.says("Run 2: rollback of run 1, done").says("Run 1: apply, rolled back");
    }
}

#[tokio::test]
async fn an_unfinished_apply_is_undone_too() {
    for major in majors() {
        let case = Case { name: "messages/production" };
        let database = case.database(major).await;
        let url = database.url();
        let before = dump::definitions(&database).await;
        // The second transaction fails on what only it can see: a function that raises.
        let mut connection = database.connect().await;
        execute(
            &mut connection,
            "CREATE FUNCTION no_drops() RETURNS event_trigger LANGUAGE plpgsql AS \
             $$ BEGIN RAISE 'types stay'; END $$; \
             CREATE EVENT TRIGGER no_drops ON ddl_command_start WHEN TAG IN ('DROP TYPE') \
             EXECUTE FUNCTION no_drops()",
        )
        .await;
        on(&url, &["apply", "--yes"])
            .await
            .expect(PARTIAL)
            .says("types stay")
            .says("Done, and kept");
        on(&url, &["status"]).await.expect(DONE).says("Run 1: apply, stopped");
        let sql = "DROP EVENT TRIGGER no_drops; DROP FUNCTION no_drops()";
        execute(&mut connection, sql).await;
        connection.close().await.unwrap();
        on(&url, &["rollback", "--yes"]).await.expect(DONE).says("Run 1 is undone");
        let after = dump::definitions(&database).await;
        assert!(before == after, "{}", dump::difference(&before, &after));
    }
}
