//! Options as PostgreSQL keeps them (`name=value`) and as a model states them (`name: value`).

use reconcile_yaml::{Entry, Meaning, Node, Out, Scalar, Style};

/// `name=value` for each entry of a mapping, in the order of their names: the order in which they
/// were set means nothing.
pub fn settings(node: &Node) -> Vec<String> {
    let scalar =
        |entry: &Entry| entry.value.scalar().map(|s| format!("{}={}", entry.key.text, s.text));
    let mut settings: Vec<String> = node.entries().iter().filter_map(scalar).collect();
    settings.sort();
    settings
}

/// The same options in the order of their names.
pub fn sorted(options: &[String]) -> Vec<String> {
    let mut options = options.to_vec();
    options.sort();
    options
}

/// A mapping for options as the catalog keeps them; nothing if there are none.
pub fn written(options: &[String]) -> Option<Out> {
    let pairs = options.iter().filter_map(|option| option.split_once('='));
    let mut pairs: Vec<(String, Out)> =
        pairs.map(|(name, value)| (name.to_owned(), literal(value))).collect();
    pairs.sort_by(|a, b| a.0.cmp(&b.0));
    (!pairs.is_empty()).then_some(Out::Record(pairs))
}

/// Numbers and flags as such, everything else as text; each reads back to the same letters.
pub fn literal(text: &str) -> Out {
    let scalar = Scalar { text: text.to_owned(), style: Style::Plain };
    let decimal = text.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b'-');
    let octal = text.trim_start_matches('-').starts_with('0') && !text.contains('.') && text != "0";
    match scalar.meaning() {
        Meaning::Number if decimal && !octal => Out::Number(text.to_owned()),
        Meaning::Flag(flag) if text == flag.to_string() => Out::Flag(flag),
        _ => Out::text(text),
    }
}
