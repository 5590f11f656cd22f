//! Storage parameters (`fillfactor`, `toast.autovacuum_enabled`): PostgreSQL keeps them in the order
//! in which they were given. That means nothing, so they compare as a set, but pg_dump shows it.

use reconcile_catalog::Value;
use reconcile_sql::{quote_ident, quote_literal};
use reconcile_yaml::{Meaning, Node, Out, Scalar, Style};

/// Parameters with their values.
pub type Settings = Vec<(String, String)>;

/// From `name=value`, as pg_class keeps them.
pub(crate) fn from_options(options: &[String]) -> Settings {
    options
        .iter()
        .filter_map(|option| option.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// From a mapping in a model.
pub(crate) fn from_node(node: &Node) -> Settings {
    let entries = node.entries().iter();
    entries
        .filter_map(|entry| Some((entry.key.text.clone(), entry.value.scalar()?.text.clone())))
        .collect()
}

/// As a mapping in a model; nothing if there are none.
pub(crate) fn to_out(settings: &Settings) -> Option<Out> {
    let value = |text: &String| {
        let scalar = Scalar { text: text.clone(), style: Style::Plain };
        match scalar.meaning() {
            Meaning::Number if !text.starts_with(['0', '.']) || text == "0" => {
                Out::Number(text.clone())
            }
            Meaning::Flag(flag) => Out::Flag(flag),
            _ => Out::text(text),
        }
    };
    let entries = settings.iter().map(|(name, text)| (name.clone(), value(text))).collect();
    (!settings.is_empty()).then_some(Out::Record(entries))
}

/// As a value to compare.
pub(crate) fn value(settings: &Settings) -> Value {
    let mut words: Vec<String> = settings.iter().map(|(n, value)| format!("{n}={value}")).collect();
    words.sort();
    Value::words(words)
}

/// `fillfactor = '70', toast.autovacuum_enabled = 'false'`
pub(crate) fn assignments(settings: &Settings) -> String {
    let one = |(name, value): &(String, String)| {
        format!("{} = {}", parameter(name), quote_literal(value))
    };
    settings.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// ` WITH (…)`; empty if there are none.
pub(crate) fn with(settings: &Settings) -> String {
    if settings.is_empty() { String::new() } else { format!(" WITH ({})", assignments(settings)) }
}

/// The clauses that bring one set to another: `SET (…)` for what is new or changes, `RESET (…)` for
/// what goes.
pub(crate) fn changes(live: &Settings, desired: &Settings) -> Vec<String> {
    let mut set: Settings = desired.iter().filter(|entry| !live.contains(entry)).cloned().collect();
    // What is set goes to the end (`transformRelOptions`); all of it, if that is not its place.
    let kept = live.iter().filter(|entry| desired.contains(entry));
    if kept.chain(&set).ne(desired) && !set.is_empty() {
        set.clone_from(desired);
    }
    let reset: Vec<String> = live
        .iter()
        .filter(|(name, _)| get(desired, name).is_none())
        .map(|(name, _)| parameter(name))
        .collect();
    let mut out = Vec::new();
    if !set.is_empty() {
        out.push(format!("SET ({})", assignments(&set)));
    }
    if !reset.is_empty() {
        out.push(format!("RESET ({})", reset.join(", ")));
    }
    out
}

/// The value of a parameter.
pub(crate) fn get<'a>(settings: &'a Settings, name: &str) -> Option<&'a str> {
    settings.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
}

/// The name of a parameter as SQL; `toast.` is a namespace of its own.
fn parameter(name: &str) -> String {
    name.split('.').map(quote_ident).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_and_resets_what_differs() {
        let of = |options: &[&str]| {
            from_options(&options.iter().map(|o| (*o).to_owned()).collect::<Vec<_>>())
        };
        let live = of(&["fillfactor=70", "toast.autovacuum_enabled=false", "parallel_workers=2"]);
        let desired = of(&["parallel_workers=2", "fillfactor=80"]);
        assert_eq!(
            changes(&live, &desired),
            ["SET (fillfactor = '80')", "RESET (toast.autovacuum_enabled)"]
        );
        assert!(changes(&live, &live).is_empty());
    }
}
