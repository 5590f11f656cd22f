//! Models that are wrong: each is told with its place, and nothing is done.

#![allow(clippy::unwrap_used)]

mod common;

use common::{ERROR, finish, program};

/// A model file's text, and what has to be said about it.
const WRONG: &[(&str, &[&str])] = &[
    ("tables: {t: {columns: {a: {tipe: text}}}}", &["unknown_key", "tipe", "`type`"]),
    ("tables: {t: {columms: {a: text}}}", &["unknown_key", "columms", "`columns`"]),
    ("tables: [t]", &["wrong_value"]),
    ("tables: {t: {columns: {a: {type: text, nullable: perhaps}}}}", &["wrong_value"]),
    ("tables: {t: {columns: {a: bigimt}}}", &["unknown_type", "bigimt", "`bigint`"]),
    (
        "tables:\n  t: {columns: {a: text}}\n  t: {columns: {b: text}}\n",
        &["duplicate", "model.yaml:3"],
    ),
    ("tables: {t: {columns: {a: text, a: text}}}", &["duplicate"]),
    ("tables: {t: {columns: {a: {type: text, default: user}}}}", &["bare_default", "'user'"]),
    (
        "tables: {t: {columns: {a: {type: numeric(10, 2)}}}}",
        &["cut_by_comma", "\"numeric(10, 2)\""],
    ),
    ("", &["empty"]),
    ("tables:\n\tt: {columns: {a: text}}\n", &["tab"]),
    ("tables: {t: {columns: {a: text}}", &["model.yaml:1"]),
];

async fn wrong(name: &str, bytes: &[u8], words: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.yaml");
    std::fs::write(&path, bytes).unwrap();
    // No server is needed to see that a model is wrong, except for types.
    let mut command = program(&["plan", "--live", "fixtures/messages/already_right.sql"]);
    command.arg(&path);
    let mut ran = finish(command).await.expect(ERROR);
    assert!(ran.out.is_empty(), "{name}");
    for word in words {
        ran = ran.says(word);
    }
    assert!(!ran.err.contains("panicked"), "{name}: {}", ran.err);
}

#[tokio::test]
async fn a_wrong_model_is_told_with_its_place_and_a_way_out() {
    for (text, words) in WRONG {
        wrong(text, text.as_bytes(), words).await;
    }
}

#[tokio::test]
async fn what_no_text_editor_writes_is_told_too() {
    let long = format!("tables: {{{}: {{columns: {{a: text}}}}}}", "x".repeat(64));
    wrong("long", long.as_bytes(), &["63"]).await;
    wrong("latin-1", b"tables: {gr\xf6\xdfe: {columns: {a: text}}}", &["UTF-8"]).await;
    wrong("utf-16", b"\xff\xfet\0a\0b\0l\0e\0s\0", &["UTF-16"]).await;
    let mut bomb = String::from("a: &a [x, x, x, x, x, x, x, x, x, x]\n");
    for (name, before) in [("b", "a"), ("c", "b"), ("d", "c"), ("e", "d"), ("f", "e"), ("g", "f")] {
        let items = vec![format!("*{before}"); 10].join(", ");
        bomb.push_str(&format!("{name}: &{name} [{items}]\n"));
    }
    wrong("bomb", bomb.as_bytes(), &[]).await;
    let deep = format!("tables: {}{}", "[".repeat(100_000), "]".repeat(100_000));
    wrong("deep", deep.as_bytes(), &[]).await;
}

#[tokio::test]
async fn an_object_that_two_files_define_is_told_at_both_places() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["one.yaml", "two.yaml"] {
        let path = folder.path().join(name);
        std::fs::write(path, "tables: {t: {columns: {a: text}}}\n").unwrap();
    }
    let mut command = program(&["check", "--live", "fixtures/messages/already_right.sql"]);
    command.arg(folder.path());
    finish(command).await.expect(ERROR).says("one.yaml:1").says("two.yaml:1");
    let mut command = program(&["check", "--live", "fixtures/messages/already_right.sql"]);
    command.arg(folder.path().join("three.yaml"));
    finish(command).await.expect(ERROR).says("three.yaml");
}
