//! What we accept, another reader of YAML reads in the same way: `yaml_serde`, which goes back to
//! libyaml. Duplicate keys (it takes the last) and merge keys (it leaves them) excepted.

use reconcile_yaml::{Meaning, Node, Value};
use yaml_serde::Value as Other;

use crate::files;

#[test]
fn reads_the_same_through_another_parser() {
    let mut texts: Vec<String> =
        files().iter().map(|path| std::fs::read_to_string(path).expect("a fixture")).collect();
    texts.extend(
        [
            "a: 1.50\nb: 0755\nc: [no, on, 12:30:45, 1_000, 2026-01-01, ~, null, True]\n",
            "a: \"x\\n\\u00e4\"\nb: 'it''s'\nc: |\n  one\n   two\n\nd: >-\n  one\n  two\n",
            "? a\n: &x {b: 1}\nc: *x\nd: - x\n".trim_end_matches("d: - x\n"),
            "a:\nb: \"\"\nc: {d: , e}\nf: plain text\n  that goes on\n",
            "größe: Ünï\n'with: colon': \"# no comment\" # a comment\n",
            "tables:\n  t: {columns: {id: {type: 'numeric(10, 2)', default: \"'user'\"}}}\n",
        ]
        .map(str::to_owned),
    );
    for text in texts {
        let ours = reconcile_yaml::parse(0, &text).expect(&text);
        let theirs: Other = yaml_serde::from_str(&text).expect(&text);
        same(&ours, &theirs, &text);
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
            // A number with leading zeros is 1.2's number; libyaml's heirs keep it as text.
            (Meaning::Number, Other::String(b)) if scalar.text.starts_with('0') => {
                assert_eq!(&scalar.text, b, "{text}");
            }
            (ours, theirs) => {
                panic!("`{}`: {ours:?} here, {theirs:?} there, in\n{text}", scalar.text)
            }
        },
        (ours, theirs) => panic!("{ours:?} here, {theirs:?} there, in\n{text}"),
    }
}
