//! The preview of the first command of a newcomer.

#![allow(clippy::unwrap_used)]

mod common;

use common::{DIFFERENT, DONE, REFUSED, on, reconcile};

#[tokio::test]
async fn it_says_what_changes_what_is_locked_and_for_how_long() {
    let plan = reconcile(&["plan", "--live", "fixtures/messages/production.sql", "schema/"]).await;
    let text = plan.expect(DONE).out;
    let wanted = [
        "Database  fixtures/messages/production.sql in a throw-away server",
        "Model     schema/conversations.yaml, schema/messages.yaml",
        // The difference.
        "  -  column role public.message_role, not null, default 'user'::public.message_role",
        "  +  column role varchar(20), not null, default 'user'",
        "  +  column tool_call_id varchar(100), nullable",
        "  +  constraint check_role_values CHECK (role IN ('user', 'assistant', 'system', 'tool'))",
        "  -enum public.message_role enum ('user', 'assistant', 'system', 'tool')",
        // What is done, and what it means.
        "           ALTER COLUMN role TYPE varchar(20) USING role::text,",
        "Transaction 2 of 2",
        "  locks   ACCESS EXCLUSIVE on public.messages: nobody reads or writes meanwhile",
        "at the most (200 ms waiting for locks,",
        "metadata only · can be rolled back",
        "rewrites public.messages (about 96 rows, ",
        "drop enum type message_role, which nothing uses any more",
        "all of it can be rolled back.",
        "Left alone",
    ];
    for line in wanted {
        assert!(text.contains(line), "{line}\n{text}");
    }
    // Prose keeps to its width; definitions and statements are not broken.
    let prose = text.lines().filter(|line| !line.starts_with("  ") || line.starts_with("       A"));
    for line in prose {
        assert!(line.chars().count() <= 100, "{line}");
    }
    assert!(text.lines().all(|line| line == line.trim_end()));
}

#[tokio::test]
async fn what_is_right_needs_no_step() {
    let file = "fixtures/messages/already_right.sql";
    let plan = on(file, &["plan", "--exit-code", "--data"]).await.expect(DONE);
    assert!(plan.out.contains("Nothing to do: the database is as the model says."));
    let check = on(file, &["check"]).await.expect(DONE);
    assert!(check.out.contains("ok       messages.tool_call_id is varchar(100), nullable\n"));
    assert_eq!(on(file, &["check", "-q"]).await.expect(DONE).out, "");
}

#[tokio::test]
async fn differences_are_told_one_by_one() {
    let file = "fixtures/messages/production.sql";
    let check = on(file, &["check", "--quiet"]).await.expect(DIFFERENT);
    let expected = "\
differs  messages.role is varchar(20), not null, default 'user'
           type is public.message_role, shall be varchar(20)
missing  messages.tool_call_id is varchar(100), nullable
missing  messages.name is varchar(100), nullable
missing  messages.check_role_values is CHECK (role IN ('user', 'assistant', 'system', 'tool'))
";
    assert_eq!(check.out, expected);
    let json = on(file, &["check", "--quiet", "--format", "json"]).await.expect(DIFFERENT);
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["format"], 1);
    assert_eq!(json["in_sync"], false);
    assert_eq!(json["findings"].as_array().unwrap().len(), 4);
    assert_eq!(json["findings"][0]["standing"], "differs");
    assert_eq!(json["findings"][1]["address"], "column:public.messages.tool_call_id");
}

#[tokio::test]
async fn what_is_extra_is_drift_unless_it_is_allowed() {
    let file = "fixtures/messages/lived_in.sql";
    let check = on(file, &["check", "-q"]).await.expect(DIFFERENT);
    assert!(check.out.contains("extra    messages.messages_role_idx is btree (role)\n"));
    let right = "fixtures/messages/already_right.sql";
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model.yaml");
    let text = "tables: {conversations: {columns: {id: {type: bigint, identity: always}}}}";
    std::fs::write(&model, text).unwrap();
    let model = model.to_str().unwrap();
    on(right, &["check", model]).await.expect(DIFFERENT).says("extra conversations.title");
    on(right, &["check", "--allow-extra", model]).await.expect(DONE);
    on(right, &["plan", "--exit-code", model]).await.expect(DONE).says("absent: true");
}

#[tokio::test]
async fn rows_in_the_way_are_told_with_their_values() {
    let file = "fixtures/messages/dirty.sql";
    on(file, &["plan", "--data"])
        .await
        .expect(REFUSED)
        .says("longer than varchar(20) allows")
        .says("assistant_with_citations in")
        .says("Nothing was changed");
}
