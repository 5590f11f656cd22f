//! Objects in words, through the registry of kinds.

use reconcile_catalog::{Address, Object};
use reconcile_kinds::{KINDS, kind};

/// The noun for an object: its kind, and what it belongs to.
pub fn noun(address: &Address) -> String {
    let own = address.kind().replace('_', " ");
    match address.target() {
        Some(target) => format!("{own} on {}", noun(&target)),
        None => own,
    }
}

/// How an object is called in a sentence: its noun and its name.
pub fn called(address: &Address) -> String {
    format!("{} {}", noun(address), address.short())
}

/// The definition in a line.
pub(crate) fn describe(object: &Object) -> String {
    let text = kind(object.address.kind()).map(|kind| kind.describe(object)).unwrap_or_default();
    one_line(&text)
}

/// White space, line ends too, as single spaces: outside of quotes it means nothing, and a line
/// of a report is a line.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Where objects of a kind stand in a report: in the order of the registry.
pub(crate) fn rank(address: &Address) -> usize {
    KINDS.iter().position(|kind| kind.name() == address.kind()).unwrap_or(KINDS.len())
}

/// The order of the objects of one root: the root, then what is inside, in the order of the
/// registry and in its own place where it has one; what belongs to an object follows it.
pub(crate) fn order(address: &Address, place: i64, root: &Address) -> impl Ord + use<> {
    let carrier = address.target().unwrap_or_else(|| address.clone());
    (carrier != *root, rank(&carrier), place, carrier, address.target().is_some(), rank(address))
}

/// The place of an object among its like (a column's number), if its definition has one.
pub(crate) fn place(object: &Object) -> i64 {
    object.definition.to_json().get("position").and_then(serde_json::Value::as_i64).unwrap_or(0)
}
