//! Rows that belong into another partition once bounds are other ones.

use std::cmp::Ordering;

use reconcile_catalog::{Address, Object};
use reconcile_sql::{QName, quote_ident};

use super::bound::{self, Bound};
use super::steps::default_partition;
use super::{Inheritance, of, parents};
use crate::Cx;
use crate::column::Column;
use crate::constraint::{Constraint, Rule};
use crate::step::{Action, Sql, Work};
use crate::table::partition_key::{self, Key};
use crate::table::{Table, relation};
use crate::trigger::Trigger;

/// Two values of a bound, as far as their texts tell.
fn order(a: &str, b: &str) -> Ordering {
    let edge = |text: &str| match text.to_lowercase().as_str() {
        "minvalue" => -1,
        "maxvalue" => 1,
        _ => 0,
    };
    let (a, b) = (bound::literal(a), bound::literal(b));
    match (edge(&a), edge(&b)) {
        (0, 0) => {}
        (left, right) => return left.cmp(&right),
    }
    match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(left), Ok(right)) => left.total_cmp(&right),
        _ => a.cmp(&b),
    }
}

fn order_all(a: &[String], b: &[String]) -> Ordering {
    let each = a.iter().zip(b).map(|(a, b)| order(a, b));
    each.into_iter().find(|o| *o != Ordering::Equal).unwrap_or(Ordering::Equal)
}

fn listed(values: &[String]) -> Vec<String> {
    values.iter().map(|value| bound::literal(value)).collect()
}

/// Whether the second takes everything that the first does.
fn widens(from: &Bound, to: &Bound) -> bool {
    match (from, to) {
        (Bound::Range(low, high), Bound::Range(lower, higher)) => {
            order_all(lower, low).is_le() && order_all(higher, high).is_ge()
        }
        (Bound::List(some), Bound::List(more)) => {
            let more = listed(more);
            listed(some).iter().all(|value| more.contains(value))
        }
        (_, Bound::Default) => false,
        (from, to) => from == to,
    }
}

/// Whether some row may belong to both.
fn overlap(one: &Bound, other: &Bound) -> bool {
    match (one, other) {
        (Bound::Range(low, high), Bound::Range(lower, higher)) => {
            order_all(low, higher).is_lt() && order_all(lower, high).is_lt()
        }
        (Bound::List(some), Bound::List(others)) => {
            let others = listed(others);
            listed(some).iter().any(|value| others.contains(value))
        }
        (Bound::Hash(_), Bound::Hash(_)) => true,
        (Bound::Default, _) | (_, Bound::Default) => true,
        _ => false,
    }
}

fn bound_of(table: &Address, catalog: &reconcile_catalog::Catalog) -> Option<Bound> {
    bound::parse(of(table, catalog)?.bound.as_deref()?)
}

/// The desired partitions of a table that are new, or have another bound than they had.
fn changed(parent: &Address, cx: &Cx<'_>) -> Vec<Bound> {
    let Some(desired) = cx.fates.desired.get(parent) else { return Vec::new() };
    let name = relation(desired);
    let children = cx.desired.dependents(desired).filter_map(|o| {
        let theirs = o.get::<Inheritance>().filter(|i| i.parents.contains(&name))?;
        Some((o.address.target()?, bound::parse(theirs.bound.as_deref()?)?))
    });
    let differs = |(child, wanted): &(Address, Bound)| {
        let live = cx.fates.live.get(child);
        live.and_then(|live| bound_of(live, cx.live))
            .is_none_or(|now| !(widens(&now, wanted) && widens(wanted, &now)))
    };
    children.filter(differs).map(|(_, bound)| bound).collect()
}

/// Whether rows of a partition with another bound may belong to another one, or the other way round.
pub(super) fn moves(live: &Object, from: &str, to: &str, cx: &Cx<'_>) -> bool {
    let Some((from, to)) = bound::parse(from).zip(bound::parse(to)) else { return false };
    let Some(table) = live.address.target() else { return false };
    let Some(parent) = parents(&table, cx.live).first() else { return false };
    let has_default = default_partition(parent, cx).is_some();
    let others = changed(&Table::address(parent), cx);
    let taken = others.iter().filter(|other| **other != to).any(|other| overlap(&from, other));
    !widens(&from, &to) && (taken || has_default) || has_default && !widens(&to, &from)
}

/// The partitioned table of which another partition takes over rows of one that goes.
pub(crate) fn taken_over(gone: &Address, cx: &Cx<'_>) -> Option<Address> {
    let there = bound_of(gone, cx.live)?;
    let parent = Table::address(parents(gone, cx.live).first()?);
    let taken = changed(&parent, cx)
        .iter()
        .any(|other| *other != Bound::Default && there != Bound::Default && overlap(&there, other));
    taken.then_some(parent)
}

/// The rows that a default partition has for a new one go there first. It is not done where a trigger
/// or a foreign key would see rows go.
pub(super) fn from_default(
    address: &Address,
    parent: &QName,
    text: &str,
    cx: &Cx<'_>,
) -> Option<Action> {
    let table = address.target()?;
    let from = default_partition(parent, cx).filter(|_| cx.is_new(&table))?;
    let key = cx.live.definition::<Table>(&Table::address(parent))?.partition_key.as_deref()?;
    let belongs = condition(&partition_key::parse(key)?, &bound::parse(text)?)?;
    let seen = [Table::address(parent), Table::address(&from)];
    let refers = |o: &Object| match o.get::<Constraint>().map(|c| &c.rule) {
        Some(Rule::ForeignKey { references, .. }) => seen.contains(&Table::address(references)),
        _ => false,
    };
    let triggers = |t: &Address| cx.live.children(t).any(|o| o.get::<Trigger>().is_some());
    if seen.iter().any(triggers) || cx.live.objects().any(refers) {
        return None;
    }
    let columns: Vec<String> = cx
        .desired
        .children(&table)
        .filter(|o| o.get::<Column>().is_some_and(|c| c.generated.is_none()))
        .filter(|o| cx.live.contains(&Column::address(&Table::address(&from), o.address.name())))
        .map(|o| quote_ident(o.address.name()))
        .collect();
    let (list, child) = (columns.join(", "), relation(address));
    let sql = Sql::Statement(format!(
        "WITH moved AS (DELETE FROM {from} WHERE {belongs} RETURNING {list}) \
         INSERT INTO {child} ({list}) OVERRIDING SYSTEM VALUE SELECT {list} FROM moved"
    ));
    let summary = format!("bring the rows of {from} over that belong to {}", child.name);
    let action = Action::new(address, summary, sql)
        .locking(from.clone(), reconcile_sql::LockLevel::AccessExclusive);
    Some(action.working(Work::Scan(from)))
}

/// Which rows a bound takes, as a condition.
fn condition(key: &Key, bound: &Bound) -> Option<String> {
    let side = |values: &[String], lower: bool| -> Option<String> {
        let edge = values
            .iter()
            .position(|v| v.eq_ignore_ascii_case("minvalue") || v.eq_ignore_ascii_case("maxvalue"));
        let count = edge.unwrap_or(values.len());
        let least = edge.is_some_and(|at| values[at].eq_ignore_ascii_case("minvalue"));
        if count == 0 {
            return None;
        }
        let operator = match (lower, edge.is_some(), least) {
            (true, false, _) | (true, true, true) => ">=",
            (true, true, false) => ">",
            (false, false, _) | (false, true, true) => "<",
            (false, true, false) => "<=",
        };
        let (keys, values) = (key.elements.get(..count)?.join(", "), values[..count].join(", "));
        Some(format!("ROW({keys}) {operator} ROW({values})"))
    };
    match bound {
        Bound::Range(from, to) => {
            let whole = key.elements.iter().map(|k| format!("({k}) IS NOT NULL"));
            let sides = [side(from, true), side(to, false)];
            let all: Vec<String> = whole.chain(sides.into_iter().flatten()).collect();
            Some(all.join(" AND "))
        }
        Bound::List(values) => {
            let element = key.elements.first()?;
            let is_null = |value: &&String| value.eq_ignore_ascii_case("null");
            let named: Vec<&str> =
                values.iter().filter(|v| !is_null(v)).map(String::as_str).collect();
            let mut any = Vec::new();
            if !named.is_empty() {
                any.push(format!("({element}) IN ({})", named.join(", ")));
            }
            if values.iter().any(|v| is_null(&v)) {
                any.push(format!("({element}) IS NULL"));
            }
            Some(any.join(" OR "))
        }
        Bound::Hash(_) | Bound::Default => None,
    }
}
