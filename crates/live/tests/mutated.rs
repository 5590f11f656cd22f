//! What reads text of any origin reads it or refuses it, and never panics: a short run with a fixed
//! seed of what `fuzz/` does for as long as one likes.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use reconcile_live::introspect::Snapshot;
use reconcile_live::snapshot::SavedSnapshot;
use reconcile_model::Model;
use reconcile_sql::{ServerVersion, SqlType};

/// Numbers that are the same in every run (Knuth's MMIX generator).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit.max(1)
    }
}

/// Pieces that mean something to one of the readers.
const PIECES: &[&str] = &[
    "",
    " ",
    "\n",
    "\t",
    "\0",
    "\u{feff}",
    "é",
    "\u{2028}",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    ": ",
    "- ",
    "? ",
    "#",
    "\"",
    "'",
    "\\",
    "|",
    ">",
    "|-\n",
    "&a ",
    "*a",
    "<<: ",
    "!!str ",
    "---\n",
    "...\n",
    "%YAML 1.1\n",
    "null",
    "true",
    "-1",
    "1e999",
    "99999999999999999999",
    "0x",
    "(",
    ")",
    "()",
    "[]",
    "[3]",
    ".",
    "\"\"",
    "varchar",
    "numeric(10,",
    "interval day to",
    "with time zone",
    "absent: true",
    "tables:",
    "\\u0000",
    "{\"kind\":\"table\",\"path\":[]}",
    "\"parent\":",
    "\"depends_on\":[",
    "null,",
];

/// The text with some of it cut, doubled, moved or replaced.
fn mutated(text: &str, numbers: &mut Numbers) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(chars.len() + 1);
        let upto = (at + numbers.below(12)).min(chars.len());
        match numbers.below(5) {
            0 => drop(chars.drain(at..upto)),
            1 => {
                let copy: Vec<char> = chars[at..upto].to_vec();
                let to = numbers.below(chars.len() + 1);
                drop(chars.splice(to..to, copy));
            }
            2 => chars.truncate(at.max(1)),
            _ => {
                let piece = PIECES[numbers.below(PIECES.len())];
                drop(chars.splice(at..upto, piece.chars()));
            }
        }
    }
    chars.into_iter().collect()
}

const MODEL: &str = r#"namespace: public
enums: {mood: [sad, ok, happy]}
tables:
  messages:
    comment: One turn
    columns:
      id: {type: bigint, identity: always}
      role: {type: varchar(20), nullable: false, default: "'user'"}
      price: {type: "numeric(10, 2)", default: 1.50}
      shout: {type: text, generated: upper(role)}
      mood: mood
      old: {absent: true}
    primary_key: [id]
    unique: [[role, price]]
    checks: {roles: "role IN ('user', 'tool')"}
    foreign_keys: {self: {columns: [id], references: messages(id), on_delete: cascade}}
    indexes:
      by_role: {columns: [role, price DESC], where: "role = 'user'"}
      lower: [(lower(role))]
"#;

#[test]
fn a_model_is_read_or_refused() {
    Model::parse("model.yaml", MODEL).unwrap();
    let mut numbers = Numbers(1);
    for _ in 0..1_500 {
        let text = mutated(MODEL, &mut numbers);
        if let Ok(model) = Model::parse("model.yaml", &text) {
            let _ = model.catalog(&BTreeSet::new());
        }
    }
}

#[test]
fn a_type_is_read_or_refused() {
    let types = [
        "numeric(10, 2)",
        "character varying(20)[]",
        "timestamp(3) with time zone",
        "interval day to second(3)",
        "\"My\".\"type\"[][]",
        "bit varying(8)",
        "double precision",
        "public.mood",
        "String(100)",
        "time(6) without time zone",
        "Numeric(10, 2)",
        "DateTime(timezone=True)",
        "_int4",
        "setof int",
        "char",
    ];
    let mut numbers = Numbers(2);
    for round in 0..20_000 {
        let text = mutated(types[round % types.len()], &mut numbers);
        if let Ok(ty) = SqlType::parse(&text) {
            let again = SqlType::parse(&ty.to_string());
            assert_eq!(again, Ok(ty), "a type prints as one that reads the same: {text:?}");
        }
    }
}

#[test]
fn a_snapshot_is_read_or_refused() {
    let catalog = Model::parse("model.yaml", MODEL).unwrap().catalog(&BTreeSet::new()).unwrap();
    let snapshot = Snapshot {
        afoot: reconcile_kinds::online::Afoot::default(),
        catalog,
        facts: reconcile_kinds::Facts::default(),
        version: ServerVersion(180_000),
        generation: String::new(),
    };
    let good = SavedSnapshot { database: "shop".to_owned(), snapshot }.write();
    assert_eq!(SavedSnapshot::read(&good).unwrap().write(), good);
    let mut numbers = Numbers(3);
    for _ in 0..1_500 {
        let text = mutated(&good, &mut numbers);
        if let Ok(saved) = SavedSnapshot::read(&text) {
            let written = saved.write();
            assert_eq!(SavedSnapshot::read(&written).unwrap().write(), written);
        }
    }
}

#[test]
fn objects_that_contain_themselves_are_refused() {
    let catalog = Model::parse("model.yaml", MODEL).unwrap().catalog(&BTreeSet::new()).unwrap();
    let version = ServerVersion(180_000);
    let snapshot = Snapshot {
        afoot: reconcile_kinds::online::Afoot::default(),
        catalog,
        facts: reconcile_kinds::Facts::default(),
        version,
        generation: String::new(),
    };
    let good = SavedSnapshot { database: "shop".to_owned(), snapshot }.write();
    let own = r#""address":{"kind":"table","path":["public","messages"]},"#;
    assert!(good.contains(own), "{good}");
    let circle = good.replace(
        own,
        &format!("{own}{}", r#""parent":{"kind":"column","path":["public","messages","id"]},"#),
    );
    let circle = circle.replace(r#","parent":{"kind":"namespace","path":["public"]}}"#, "}");
    let error = SavedSnapshot::read(&circle).unwrap_err().to_string();
    assert!(error.contains("part of itself") || error.contains("duplicate field"), "{error}");
}
