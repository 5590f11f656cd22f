//! Which differences of a column an application can fail on.

use reconcile_sql::SqlType;

use super::{Column, Identity};
use crate::gate::{Binding, Gap, GateCx};

/// Why an application cannot run, or nothing.
pub(super) fn judge(gap: Gap<'_>, cx: &GateCx<'_>) -> Option<String> {
    match gap {
        Gap::Missing(_) => Some("it is missing".to_owned()),
        Gap::Extra(object) => {
            let column = object.get::<Column>()?;
            let filled =
                column.default.is_some() || column.identity.is_some() || column.generated.is_some();
            (!column.nullable && !filled).then(|| {
                "it is not null without a default, so inserts that do not know it fail".to_owned()
            })
        }
        Gap::Different { live, desired, .. } => {
            let (live, desired) = live.get::<Column>().zip(desired.get::<Column>())?;
            type_gap(&live.ty, &desired.ty, cx).or_else(|| value_gap(live, desired))
        }
    }
}

fn value_gap(live: &Column, desired: &Column) -> Option<String> {
    let filled = |c: &Column| c.default.is_some() || c.identity.is_some();
    if live.generated.is_some() && desired.generated.is_none() {
        return Some("it is generated, so it cannot be written".to_owned());
    }
    if live.identity == Some(Identity::Always) && desired.identity != Some(Identity::Always) {
        return Some("it is generated always as identity, so it cannot be written".to_owned());
    }
    if !live.nullable && desired.nullable {
        return Some("it is not null, and the application may write null".to_owned());
    }
    if !live.nullable && filled(desired) && !filled(live) {
        return Some("it has no default, so inserts that leave it out fail".to_owned());
    }
    None
}

/// A live type that holds whatever the application writes, and reads as what it expects.
fn type_gap(live: &SqlType, desired: &SqlType, cx: &GateCx<'_>) -> Option<String> {
    if live == desired {
        return None;
    }
    let gap = || Some(format!("it is {live}, and the application expects {desired}"));
    if live.array != desired.array {
        return gap();
    }
    if live.is_textual() && desired.is_textual() {
        let wide = match (live.length(), desired.length()) {
            (None, _) => true,
            (Some(l), Some(d)) => l >= d,
            (Some(_), None) => false,
        };
        let padded = (live.name == "char") != (desired.name == "char");
        return if wide && !padded { None } else { gap() };
    }
    let width = |t: &SqlType| match t.name.as_str() {
        "smallint" => Some(2),
        "integer" => Some(4),
        "bigint" => Some(8),
        _ => None,
    };
    if let Some((l, d)) = width(live).zip(width(desired)) {
        return if l >= d { None } else { gap() };
    }
    if live.name == desired.name && live.namespace == desired.namespace {
        // numeric, timestamps and the like: more digits hold fewer ones.
        let wide = match (&live.modifiers, &desired.modifiers) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(l), Some(d)) => wider(l, d),
        };
        return if wide { None } else { gap() };
    }
    // A literal without a type becomes a label by itself, and a label reads as text.
    let label = !live.is_built_in() && desired.is_textual();
    if label && cx.binding == Binding::Untyped { None } else { gap() }
}

fn wider(live: &str, desired: &str) -> bool {
    let numbers = |text: &str| {
        text.split(',').filter_map(|n| n.trim().parse::<i64>().ok()).collect::<Vec<_>>()
    };
    match (numbers(live).as_slice(), numbers(desired).as_slice()) {
        ([lp, ls], [dp, ds]) => ls >= ds && lp - ls >= dp - ds,
        ([l], [d]) => l >= d,
        _ => false,
    }
}
