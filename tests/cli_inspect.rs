//! `inspect`: what it writes, what it leaves as it was, and that every reader reads it alike.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::{DIFFERENT, DONE, ERROR, on, root};
use reconcile_testkit::{Database, database, majors};
use reconcile_yaml::{Meaning, Node, Value};
use yaml_serde::Value as Other;

const SHOP: &str = "
    CREATE TYPE mood AS ENUM ('sad', 'happy');
    CREATE TABLE users (id bigint PRIMARY KEY, mood mood DEFAULT 'sad', age int CHECK (age > 0));
    CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, owner bigint REFERENCES users,
        body text CHECK (length(body) < 1000));
    CREATE INDEX notes_owner_idx ON notes (owner) WHERE body IS NOT NULL;
    COMMENT ON TABLE notes IS 'no';";

/// The texts of a folder.
fn texts(folder: &Path) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if entry.path().is_dir() {
            let inner = texts(&entry.path()).into_iter();
            out.extend(inner.map(|(inner, text)| (format!("{name}/{inner}"), text)));
        } else {
            out.insert(name, std::fs::read_to_string(entry.path()).unwrap());
        }
    }
    out
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn a_file_a_table_or_one_file_and_each_is_in_sync() {
    for major in majors() {
        let database = database(major, SHOP).await;
        let url = database.url();
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("model");
        on(&url, &["inspect", "--out", text(&model)]).await.expect(DONE);
        let first = texts(&model);
        // Nothing stands in no namespace, and the namespace itself is named by what stands in it.
        let names: Vec<&str> = first.keys().map(String::as_str).collect();
        assert_eq!(names, ["public.yaml", "public/notes.yaml", "public/users.yaml"]);
        on(&url, &["check", "--prune", text(&model)]).await.expect(DONE);
        on(&url, &["inspect", "--out", text(&model)]).await.expect(DONE);
        assert_eq!(first, texts(&model), "again is the same");

        let single = folder.path().join("single.yaml");
        on(&url, &["inspect", "--single", "--out", text(&single)]).await.expect(DONE);
        on(&url, &["check", "--prune", text(&single)]).await.expect(DONE);
        let shown = on(&url, &["inspect"]).await.expect(DONE).out;
        assert_eq!(shown, std::fs::read_to_string(&single).unwrap());
        on(&url, &["inspect", "--single", "--out", text(&model)]).await.expect(ERROR);
        on(&url, &["inspect", "--out", text(&single)]).await.expect(ERROR).says("--single");
    }
}

#[tokio::test]
async fn the_json_schema_beside_is_named() {
    let database = database(majors()[0], SHOP).await;
    let folder = tempfile::tempdir().unwrap();
    let out = text(folder.path());
    std::fs::write(folder.path().join("reconcile.schema.json"), "{}").unwrap();
    on(&database.url(), &["inspect", "--out", out]).await.expect(DONE);
    let found = texts(folder.path());
    assert!(
        found["public.yaml"]
            .starts_with("# yaml-language-server: $schema=./reconcile.schema.json\n")
    );
    let inner = &found["public/users.yaml"];
    assert!(inner.starts_with("# yaml-language-server: $schema=../reconcile.schema.json\n"));
    assert_eq!(found["reconcile.schema.json"], "{}");
}

/// In a person's own manner: comments, four spaces, aliases of types, a list without names.
const BY_HAND: &str = "\
# Our shop.
namespace: public   # as ever

enums:
    # moods
    mood: [sad, happy]  # two

tables:
    # People.
    users:
        # in this order
        columns:
            id: {type: int8, nullable: false}   # big
            # how they are
            mood: {type: mood, default: \"'sad'\"}
            # in years
            age: integer
            # goes away
            old: text
        primary_key: [id]
        checks: [age >  0]   # no ghosts
    notes:   # theirs
        comment: 'no'
        columns:
            id: {type: bigint, identity: always}
            # theirs too
            owner: bigint
            body: text
        primary_key: [id]
        foreign_keys:
            - {columns: [owner], references: users(id)}
        indexes: {notes_owner_idx: {columns: [owner], where: body is not null}, b: [body]}
        checks:
            # short
            notes_body_check: length(body)<1000
    # a table that is gone
    gone:
        columns: {a: int}
";

const AFTER: &str = "\
# Our shop.
namespace: public   # as ever

enums:
    # moods
    mood: [sad, happy]  # two

tables:
    # People.
    users:
        # in this order
        columns:
            id: {type: int8, nullable: false}   # big
            # how they are
            mood: {type: mood, default: \"'sad'\"}
            # in years
            age: integer
        primary_key: [id]
        checks: [age >  0]   # no ghosts
    notes:   # theirs
        comment: 'no'
        columns:
            id: {type: bigint, identity: always}
            # theirs too
            owner: bigint
            body: text
        primary_key: [id]
        foreign_keys:
            - {columns: [owner], references: users(id)}
        indexes:
          notes_owner_idx: {columns: [owner], where: body is not null}
        checks:
            # short
            notes_body_check: length(body)<1000
";

#[tokio::test]
async fn what_did_not_change_keeps_its_text() {
    for major in majors() {
        let database = database(major, SHOP).await;
        let folder = tempfile::tempdir().unwrap();
        let (out, file) = (text(folder.path()), folder.path().join("shop.yaml"));
        std::fs::write(&file, BY_HAND).unwrap();
        std::fs::write(folder.path().join("README.md"), "ours").unwrap();
        let ran = on(&database.url(), &["inspect", "--out", out]).await.expect(DONE);
        ran.says("gone from the model: column users.old")
            .says("gone from the model: table gone")
            .says("gone from the model: index notes.b")
            .says_not("column gone.a");
        assert_eq!(AFTER, std::fs::read_to_string(&file).unwrap(), "{major}");
        assert_eq!(texts(folder.path()).len(), 2, "nothing else is written or gone");
        on(&database.url(), &["check", "--prune", out]).await.expect(DONE);

        // Something new of each sort: beside its like, and in a file of its own.
        let mut connection = database.connect().await;
        let more = "ALTER TABLE users ADD COLUMN email varchar(200); ALTER TABLE users ALTER age TYPE bigint; \
            CREATE TABLE \"new one\" (a int); ALTER TABLE notes ADD CONSTRAINT b CHECK (body <> ''); \
            COMMENT ON COLUMN notes.owner IS 'who'; DROP INDEX notes_owner_idx";
        common::execute(&mut connection, more).await;
        on(&database.url(), &["inspect", "--out", out]).await.expect(DONE);
        let merged = std::fs::read_to_string(&file).unwrap();
        for kept in [
            "# in years\n            age: bigint\n            email: varchar(200)\n",
            "# no ghosts",
            "# big",
            "            # short\n            notes_body_check: length(body)<1000\n",
            "            # theirs too\n            owner: {",
        ] {
            assert!(merged.contains(kept), "{kept}\n{merged}");
        }
        assert!(!merged.contains("indexes"), "{merged}");
        assert!(texts(folder.path()).contains_key("public/new%20one.yaml"));
        on(&database.url(), &["check", "--prune", out]).await.expect(DONE);
        let before = texts(folder.path());
        on(&database.url(), &["inspect", "--out", out]).await.expect(DONE);
        assert_eq!(before, texts(folder.path()));

        // A file with nothing left in it goes.
        common::execute(&mut connection, "DROP TABLE \"new one\"").await;
        on(&database.url(), &["inspect", "--out", out]).await.expect(DONE).says("is removed");
        assert!(!texts(folder.path()).contains_key("public/new%20one.yaml"));
    }
}

#[tokio::test]
async fn a_model_that_cannot_be_read_is_left_alone() {
    let database = database(majors()[0], SHOP).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.yaml");
    for bad in ["tables: {t: {columns: {a: tekst}}}\n", "tabels: {}\n", "a: [\n", ""] {
        std::fs::write(&file, bad).unwrap();
        on(&database.url(), &["inspect", "--out", text(folder.path())]).await.expect(ERROR);
        assert_eq!(
            texts(folder.path()),
            BTreeMap::from([("shop.yaml".to_owned(), bad.to_owned())])
        );
    }
}

#[tokio::test]
async fn what_no_model_states_is_listed() {
    let sql = "CREATE TABLE t (a int); CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; \
        CREATE OPERATOR === (leftarg = int, rightarg = int, function = int4eq);";
    let database = database(majors()[0], sql).await;
    let ran = on(&database.url(), &["inspect"]).await.expect(DONE);
    assert!(ran.err.contains("not in the model: functions (1): \"f()\""), "{}", ran.err);
    let ran = ran.says("not in the model: operators (1): public.===(integer,integer)");
    assert!(!ran.out.contains("==="));
}

#[tokio::test]
async fn every_reader_reads_alike_what_is_written() {
    let mut scripts = Vec::new();
    find(&root().join("fixtures"), &mut scripts);
    assert!(scripts.len() > 20);
    let works =
        scripts.into_iter().filter(|path| !path.ends_with("expected")).map(|path| async move {
            let major = majors()[0];
            let sql = std::fs::read_to_string(&path).unwrap();
            let given = path.with_file_name("given.sql");
            let since =
                sql.lines().find_map(|line| line.strip_prefix("-- since: ")?.trim().parse().ok());
            if since.is_some_and(|since: u32| major < since)
                || path.ends_with("given.sql")
                || sql.contains("-- until")
            {
                return;
            }
            let given = std::fs::read_to_string(given).unwrap_or_default();
            let database = loaded(major, &format!("{given}\n{sql}")).await;
            let ran = on(&database.url(), &["inspect"]).await.expect(DONE);
            let ours = reconcile_yaml::parse(0, &ran.out).expect(&ran.out);
            let theirs: Other = yaml_serde::from_str(&ran.out).expect(&ran.out);
            same(&ours, &theirs, &ran.out);
        });
    common::all(works).await;
}

/// A database with what a script makes; two that make the same roles come one after the other.
async fn loaded(major: u32, sql: &str) -> Database {
    static LOADING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let database = database(major, "").await;
    let names_roles = ["ROLE", "GRANT", "OWNER"].iter().any(|word| sql.contains(word));
    let _one = if names_roles { Some(LOADING.lock().await) } else { None };
    database.load(sql).await;
    database
}

fn find(folder: &Path, out: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("expected") {
            find(&path, out);
        } else if path.extension().is_some_and(|ending| ending == "sql") {
            out.push(path);
        }
    }
}

fn same(ours: &Node, theirs: &Other, text: &str) {
    match (&ours.value, theirs) {
        (Value::Sequence(items), Other::Sequence(others)) => {
            assert_eq!(items.len(), others.len(), "{text}");
            items.iter().zip(others).for_each(|(a, b)| same(a, b, text));
        }
        (Value::Mapping(entries), Other::Mapping(others)) => {
            assert_eq!(entries.len(), others.len(), "{text}");
            for (entry, (key, value)) in entries.iter().zip(others) {
                assert_eq!(key.as_str(), Some(entry.key.text.as_str()), "{text}");
                same(&entry.value, value, text);
            }
        }
        (Value::Scalar(scalar), other) => match (scalar.meaning(), other) {
            (Meaning::Null, Other::Null) => {}
            (Meaning::Flag(a), Other::Bool(b)) => assert_eq!(a, *b, "{text}"),
            (Meaning::Text, Other::String(b)) => assert_eq!(&scalar.text, b, "{text}"),
            (Meaning::Number, Other::Number(b)) => {
                assert_eq!(scalar.text.parse::<f64>().ok(), b.as_f64(), "{text}");
            }
            (ours, theirs) => {
                panic!("`{}`: {ours:?} here, {theirs:?} there, in\n{text}", scalar.text)
            }
        },
        (ours, theirs) => panic!("{ours:?} here, {theirs:?} there, in\n{text}"),
    }
}

#[tokio::test]
async fn prune_says_what_goes_and_what_it_needs() {
    const MORE: &str = "CREATE TABLE extra (a int); INSERT INTO extra VALUES (1); \
        CREATE INDEX users_age_idx ON users (age); CREATE VIEW v AS SELECT id FROM users; \
        ALTER TABLE users ADD COLUMN email text; ALTER TABLE users ADD CHECK (age < 200); \
        CREATE SCHEMA other; CREATE TABLE other.t (a int);";
    for major in majors() {
        let origin = database(major, SHOP).await;
        let more = database(major, &format!("{SHOP}{MORE}")).await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("shop.yaml");
        let model = text(&file);
        on(&origin.url(), &["inspect", "--single", "--out", model]).await.expect(DONE);
        let url = more.url();
        // Without it nothing goes.
        on(&url, &["plan", model]).await.expect(DONE).says_not("DROP ");
        // What is superfluous is extra, in the words of check.
        let ran = on(&url, &["check", "-q", "--prune", model]).await.expect(DIFFERENT);
        let ran = ran.says("extra").says("users.email").says("users_age_idx").says("view v");
        let ran = ran.says("table extra").says_not("other.t");
        assert!(!ran.out.contains("missing"), "{}", ran.out);
        // What loses data needs an approval by name, the rest needs none.
        let ran = on(&url, &["plan", "--prune", model]).await.expect(common::REFUSED);
        let ran =
            ran.says("DROP INDEX CONCURRENTLY public.users_age_idx").says("DROP VIEW public.v");
        let ran = ran
            .says("--allow-drop table:public.extra")
            .says("--allow-drop column:public.users.email");
        ran.says_not("--allow-drop index")
            .says_not("--allow-drop view")
            .says_not("--allow-drop constraint");
        on(&url, &["apply", "--yes", "--prune", "--allow-drop", "table:*", model])
            .await
            .expect(common::REFUSED)
            .says("column:public.users.email");
        on(&url, &["apply", "--yes", "--prune", "--allow-drop", "all", model]).await.expect(DONE);
        on(&url, &["check", "--prune", model]).await.expect(DONE);
        // A whole database as the desired side is complete for all of it.
        let ran = on(&url, &["check", "-q", "--prune", &origin.url()]).await.expect(DIFFERENT);
        ran.says("other");
        on(&url, &["gate", "--prune", model]).await.expect(DONE);
    }
}
