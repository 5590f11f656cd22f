//! What is wrong is said with file, line, column and a way out, in these very words.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use reconcile_model::{Diagnostics, Model};

use crate::{golden, rendered, root};

const CASES: &[(&str, &str)] = &[
    ("unknown key at the top", "tabels:\n  messages: {columns: {id: bigint}}\n"),
    (
        "unknown key of a column",
        "tables:\n  messages:\n    columns:\n      id: {type: bigint, nulable: true}\n",
    ),
    (
        "unknown key without a near one",
        "tables:\n  messages:\n    colour: red\n    columns: {id: bigint}\n",
    ),
    (
        "missing keys",
        "tables:\n  messages: {primary_key: [id]}\n  other:\n    columns:\n      id: {nullable: true}\n",
    ),
    (
        "wrong type: a flag",
        "tables:\n  messages:\n    columns:\n      id: {type: bigint, nullable: yes}\n",
    ),
    ("wrong type: a list", "tables:\n  messages:\n    columns: [id, role]\n"),
    ("wrong type: names", "tables:\n  messages:\n    columns: {id: bigint}\n    primary_key: id\n"),
    ("wrong type: a number", "tables:\n  messages:\n    columns: {id: bigint}\n    comment: 5\n"),
    (
        "wrong type: a word",
        "tables:\n  messages:\n    columns:\n      id: {type: bigint, identity: allways}\n",
    ),
    (
        "wrong type: one unique column",
        "tables:\n  t:\n    columns: {id: bigint}\n    unique: [id]\n",
    ),
    ("wrong type: the whole file", "- tables\n"),
    ("misspelt type", "tables:\n  messages:\n    columns:\n      content: txet\n"),
    (
        "misspelt SQLAlchemy type",
        "tables:\n  messages:\n    columns:\n      content: {type: Strng(100)}\n",
    ),
    (
        "misspelt enum type",
        "enums: {messageRole: [a]}\ntables:\n  messages:\n    columns:\n      a: messageRole\n      b: message_rol\n",
    ),
    ("a type of another namespace", "namespace: app\ntables: {t: {columns: {a: mood}}}\n"),
    ("a type that takes no length", "tables: {t: {columns: {a: text(20), b: varchar(x)}}}\n"),
    ("a type with an open parenthesis", "tables:\n  t:\n    columns:\n      a: varchar(20\n"),
    ("serial", "tables: {t: {columns: {id: bigserial}}}\n"),
    ("an SQLAlchemy enum", "tables:\n  t:\n    columns:\n      a: Enum('x', 'y')\n"),
    (
        "duplicate table",
        "tables:\n  messages: {columns: {id: bigint}}\n  messages: {columns: {id: bigint}}\n",
    ),
    (
        "duplicate column",
        "tables:\n  messages:\n    columns:\n      id: bigint\n      role: text\n      id: bigint\n",
    ),
    (
        "duplicate table, once qualified",
        "tables:\n  messages: {columns: {id: bigint}}\n  public.messages: {columns: {}}\n",
    ),
    (
        "duplicate index name",
        "tables:\n  a: {columns: {id: bigint}, indexes: {same: [id]}}\n  b: {columns: {id: bigint}, indexes: {same: [id]}}\n",
    ),
    (
        "duplicate constraint name",
        "tables:\n  a:\n    columns: {id: bigint}\n    checks: {same: id > 0}\n    unique: {same: [id]}\n",
    ),
    (
        "default: user",
        "tables:\n  messages:\n    columns:\n      role: {type: text, default: user}\n",
    ),
    (
        "default: no",
        "tables:\n  messages:\n    columns:\n      role: {type: boolean, default: no}\n",
    ),
    (
        "default: active",
        "tables:\n  messages:\n    columns:\n      role: {type: text, default: active}\n",
    ),
    (
        "default: current_timestamp",
        "tables:\n  t:\n    columns:\n      at: {type: timestamptz, default: current_timestamp}\n",
    ),
    ("default: .inf", "tables:\n  t:\n    columns:\n      at: {type: real, default: .inf}\n"),
    (
        "default: a date",
        "tables:\n  t:\n    columns:\n      at: {type: date, default: 2026-01-01}\n",
    ),
    (
        "columns of the wrong shape and no more",
        "tables:\n  t:\n    columns: [id]\n    primary_key: [id]\n",
    ),
    (
        "a flow value cut by a comma",
        "tables:\n  t:\n    columns:\n      price: {type: numeric(10, 2), nullable: false}\n",
    ),
    (
        "a flow expression cut by a comma",
        "tables:\n  t:\n    columns: {role: text}\n    indexes:\n      i: {columns: [role], where: role IN ('user', 'tool')}\n",
    ),
    (
        "name over 63 bytes",
        "tables:\n  a_table_with_a_name_that_goes_on_and_on_until_nobody_can_read_it_any_more:\n    columns: {id: bigint}\n",
    ),
    ("empty file", ""),
    ("only a comment", "# nothing yet\n"),
    ("a tab", "tables:\n\tmessages:\n\t\tcolumns: {}\n"),
    ("two documents", "tables: {}\n---\ntables: {}\n"),
    ("an open quote", "tables:\n  t:\n    comment: \"x\n    columns: {}\n"),
    ("a colon in plain text", "tables:\n  t:\n    comment: one: two\n    columns: {}\n"),
    (
        "a value that starts with a quote",
        "tables:\n  t:\n    columns:\n      a: {type: text, default: 'user' || 'x'}\n",
    ),
    ("absent and more", "tables:\n  t:\n    absent: true\n    columns: {id: bigint}\n"),
    (
        "absent without a name",
        "tables:\n  t:\n    columns: {id: bigint}\n    checks:\n      - {absent: true}\n",
    ),
    (
        "unknown column",
        "tables:\n  t:\n    columns: {role: text}\n    primary_key: [rôle]\n    indexes: {i: [rol DESC]}\n",
    ),
    (
        "an expression in an index",
        "tables:\n  t:\n    columns: {a: text}\n    indexes: {i: [lower(a) || 'x']}\n",
    ),
    (
        "an index modifier",
        "tables:\n  t:\n    columns: {a: text}\n    indexes:\n      i: [a DESC NULLS LASST]\n",
    ),
    (
        "an open parenthesis in a check",
        "tables:\n  t:\n    columns: {a: text}\n    checks:\n      c: a IN ('x', 'y'\n",
    ),
    (
        "a check with CHECK",
        "tables:\n  t:\n    columns: {a: text}\n    checks:\n      c: CHECK (a > 'x')\n",
    ),
    ("an empty check", "tables:\n  t:\n    columns: {a: text}\n    checks:\n      c: ''\n"),
    (
        "an unknown column of a reference",
        "tables:\n  t:\n    columns: {a: text}\n    foreign_keys:\n      f: {columns: [a], references: t(b)}\n",
    ),
    (
        "a reference without columns",
        "tables:\n  t:\n    columns: {a: text}\n    foreign_keys:\n      f: {columns: [a], references: far}\n",
    ),
    (
        "a reference to more columns",
        "tables:\n  t:\n    columns: {a: text, b: text}\n    foreign_keys:\n      f: {columns: [a], references: 't(a, b)'}\n",
    ),
    (
        "contradictions",
        "tables:\n  t:\n    columns:\n      a: {type: text, identity: always, default: 1}\n      b: {type: text, nullable: true}\n    primary_key: [b]\n",
    ),
    ("an unknown alias", "tables:\n  t:\n    columns: *common\n"),
    ("a tag", "tables:\n  t:\n    columns: {a: !!str text}\n"),
];

fn problems(name: &str, text: &str) -> Diagnostics {
    match Model::parse(name, text) {
        Err(problems) => problems,
        Ok(model) => {
            match model.catalog(&BTreeSet::from([reconcile_sql::QName::new("other", "mood")])) {
                Err(problems) => problems,
                Ok(_) => panic!("nothing is wrong with\n{text}"),
            }
        }
    }
}

#[test]
fn every_sort_of_bad_input_is_said_with_its_place_and_a_way_out() {
    let mut out = String::new();
    for (title, text) in CASES {
        let problems = problems("model.yaml", text);
        out.push_str(&format!("=== {title}\n{}\n", rendered(&problems)));
        for problem in problems.iter() {
            assert!(
                problem.located().is_some_and(|l| l.line > 0 && l.file == "model.yaml"),
                "{title}"
            );
            assert!(miette::Diagnostic::help(problem).is_some(), "{title} has no way out");
        }
    }
    golden(&root().join("crates/model/tests/model/bad_input.txt"), &out);
}

/// The problems of a folder, its name left out.
fn of_folder(folder: &Path, paths: &[&str]) -> String {
    let paths: Vec<_> = paths.iter().map(|path| folder.join(path)).collect();
    let problems = Model::load(&paths).expect_err("a problem");
    let place = format!("{}/", folder.display());
    rendered(&problems).replace(&place, "").replace(&folder.display().to_string(), "folder")
}

#[test]
fn files_and_folders() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, bytes).expect("written");
    };
    write("two/a.yaml", b"tables:\n  messages: {columns: {id: bigint}}\n");
    write("two/deep/b.yml", b"# the same again\ntables:\n  messages: {columns: {id: bigint}}\n");
    write("two/reconcile.schema.json", b"{}");
    write("latin1.yaml", b"tables:\n  caf\xe9: {columns: {id: bigint}}\n");
    write("utf16.yaml", b"\xff\xfeta");
    write("none/readme.md", b"no model");
    write("broken/a.yaml", b"tables:\n  a: {columns: {id: bigint}, foreign_keys: {f: {columns: [id], references: b}}}\n");
    write("broken/b.yaml", b"tables:\n  b: {columns: {id: bigint}\n");
    let mut out = String::new();
    for (title, paths) in [
        ("duplicate table across files", &["two"][..]),
        ("not UTF-8", &["latin1.yaml"]),
        ("UTF-16", &["utf16.yaml"]),
        ("a file that is not there", &["two/a.yaml", "two/c.yaml"]),
        ("a folder without a model", &["none"]),
        ("a file that refers to a broken one", &["broken"]),
    ] {
        out.push_str(&format!("=== {title}\n{}\n", of_folder(folder.path(), paths)));
    }
    golden(&root().join("crates/model/tests/model/bad_files.txt"), &out);
    let twice = ["two/a.yaml", "two/../two/a.yaml"].map(|path| folder.path().join(path));
    assert!(Model::load(&twice).is_ok(), "a file that is named twice counts once");
}

#[test]
fn an_expansion_bomb_and_deep_nesting_end_at_once() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    let started = std::time::Instant::now();
    let codes = |text: &str| -> Vec<String> {
        problems("bomb.yaml", text).iter().map(|problem| problem.code().to_owned()).collect()
    };
    assert_eq!(codes(&bomb), ["reconcile::model::alias_budget"]);
    assert_eq!(codes(&"{a: ".repeat(100_000)), ["reconcile::model::too_deep"]);
    assert!(started.elapsed() < std::time::Duration::from_secs(5));
}

#[test]
fn no_damage_to_a_good_file_makes_it_panic() {
    let text = fs::read_to_string(root().join("crates/model/tests/model/everything.yaml"))
        .expect("the file");
    for damage in ["", "\t", "'", "\"", "{", "(", ": ", "\u{feff}", "é", "- ", "~"] {
        for at in (0..text.len()).step_by(53).filter(|at| text.is_char_boundary(*at)) {
            let cut = format!("{}{damage}", &text[..at]);
            let damaged = format!("{}{damage}{}", &text[..at], &text[at..]);
            for text in [cut, damaged] {
                if let Err(problems) = Model::parse("damaged.yaml", &text) {
                    assert!(!rendered(&problems).is_empty());
                }
            }
        }
    }
}
