//! Whether a column can be changed online, and why not.

use reconcile_catalog::Address;
use reconcile_sql::lex::significant;
use reconcile_sql::quote_ident;

use super::super::Column;
use super::super::casts::Conversion;
use super::super::steps::{convert, heirs};
use super::column;
use crate::constraint::{Constraint, Rule, table_of};
use crate::enum_type::EnumType;
use crate::inheritance;
use crate::online::Shadow;
use crate::step::Refusal;
use crate::table::{Table, relation};
use crate::trigger::{Enabled, Trigger};
use crate::{Alteration, Cx};

/// Types whose values cannot be compared, so that nothing could be proven.
const INCOMPARABLE: &[&str] =
    &["json", "xml", "point", "polygon", "box", "path", "lseg", "line", "circle"];

/// The shadow of a column whose change of type would rewrite its table; nothing for any other change.
///
/// # Errors
/// If it cannot be changed online, with the reason.
pub(in super::super) fn shadow(
    change: &Alteration<'_>,
    cx: &Cx<'_>,
) -> Option<Result<Shadow, Refusal>> {
    let (live, desired) = column(change.live).zip(column(change.desired))?;
    if live.ty == desired.ty || convert(&live.ty, &desired.ty, cx) != Conversion::Rewrite {
        return None;
    }
    let address = &change.live.address;
    let shadow = Shadow::of(address);
    Some(match reason(change, live, desired, &shadow, cx) {
        Some(reason) => {
            Err(Refusal::new(address, format!("it cannot be changed online: {reason}")))
        }
        None => Ok(shadow),
    })
}

fn reason(
    change: &Alteration<'_>,
    live: &Column,
    desired: &Column,
    shadow: &Shadow,
    cx: &Cx<'_>,
) -> Option<String> {
    let address = &change.live.address;
    let table = table_of(address);
    if change.desired.address != *address {
        return Some("it is renamed in the same plan; do one after the other".to_owned());
    }
    let kept = cx.live.definition::<Table>(&table)?;
    if kept.partition_key.is_some() || inheritance::of(&table, cx.live).is_some() {
        return Some("the table is partitioned or inherits; that is not supported yet".to_owned());
    }
    if live.inherited
        || !heirs(address, cx).is_empty()
        || cx.live.dependents(&table).any(|o| o.get::<inheritance::Inheritance>().is_some())
    {
        return Some("other tables inherit it; that is not supported yet".to_owned());
    }
    if live.generated.is_some() || desired.generated.is_some() {
        return Some("it is generated".to_owned());
    }
    if live.identity.is_some() != desired.identity.is_some() {
        return Some(
            "it becomes an identity column, or is one no more; do one after the other".to_owned(),
        );
    }
    if let Some(other) = cx.live.dependents(address).find(|o| column(o).is_some()) {
        return Some(format!("{} is generated from it", other.address));
    }
    for ty in [&live.ty, &desired.ty] {
        let is_enum = ty.namespace.as_deref().is_some_and(|namespace| {
            let name = reconcile_sql::QName::new(namespace, &ty.name);
            let address = EnumType::address(&name);
            cx.live.contains(&address) || cx.desired.contains(&address)
        });
        if ty.namespace.is_some() && !is_enum {
            return Some(format!("how values of {ty} compare is not known"));
        }
        if INCOMPARABLE.contains(&ty.name.as_str()) {
            return Some(format!("values of {ty} cannot be compared"));
        }
    }
    let moment = |n: &str| n.starts_with("time");
    if moment(&live.ty.name) != moment(&desired.ty.name)
        || (live.ty.name != desired.ty.name && moment(&live.ty.name))
    {
        return Some("what a time means depends on the session's time zone".to_owned());
    }
    if let Some(reason) = published(&table, desired, shadow, cx) {
        return Some(reason);
    }
    keys(address, cx).or_else(|| triggers(&table, shadow, cx))
}

/// Subscribers have to know every column that is published (`logical replication target relation … is missing
/// replicated column`). A column list is about the columns that it names, and a new one is none of them.
fn published(table: &Address, desired: &Column, shadow: &Shadow, cx: &Cx<'_>) -> Option<String> {
    let name = relation(&shadow.column);
    let approved = cx.subscribed.iter().any(|pattern| table.matches(pattern));
    // Once the second column is there, the subscribers have it, or have stopped.
    let there = cx.afoot.contains(&shadow.address);
    if !cx.facts.published.contains(&name) || approved || there {
        return None;
    }
    let list = if cx.version.at_least(15) {
        ", or publish it with a column list, of which the second column is no part"
    } else {
        ""
    };
    Some(format!(
        "the table is published, and its subscribers do not know the second column: run ALTER TABLE {name} ADD COLUMN {} {} \
         there first, and say so with --allow-published {table}{list}",
        quote_ident(shadow.address.name()),
        desired.ty,
    ))
}

/// What cannot be built beside writers, and keys that something else than a foreign key needs.
fn keys(address: &Address, cx: &Cx<'_>) -> Option<String> {
    let stands = cx.live.dependents(address).filter(|o| {
        o.get::<Constraint>().is_some_and(|c| match &c.rule {
            Rule::Other { .. } => true,
            Rule::PrimaryKey { .. } | Rule::Unique { .. } => cx
                .live
                .dependents(&o.address)
                .any(|f| f.parent.as_ref() != Some(&o.address) && f.get::<Constraint>().is_none()),
            Rule::Check { .. } | Rule::ForeignKey { .. } => false,
        })
    });
    let first = stands.map(|o| o.address.to_string()).min()?;
    Some(format!("{first} needs it; that is not supported yet"))
}

/// Triggers that would see the rows being carried over, or change what ours has written.
fn triggers(table: &Address, shadow: &Shadow, cx: &Cx<'_>) -> Option<String> {
    for object in cx.live.children(table) {
        let Some(trigger) = object.get::<Trigger>() else { continue };
        if matches!(trigger.enabled, Enabled::Disabled | Enabled::Replica) {
            continue;
        }
        let name = &object.address;
        let tokens = significant(&trigger.definition);
        let head: Vec<String> = tokens
            .iter()
            .take_while(|t| !t.is("on"))
            .filter_map(reconcile_sql::lex::Token::ident)
            .collect();
        let on_update = head.windows(2).any(|w| w[0] == "update" && w[1] != "of")
            || head.last().is_some_and(|w| w == "update");
        let before = head.iter().any(|w| w == "before");
        if before && object.address.name() > shadow.trigger().as_str() {
            return Some(format!(
                "{name} fires after ours, since its name sorts behind {}",
                shadow.trigger()
            ));
        }
        if on_update && !before {
            return Some(format!("{name} would fire for every row that is carried over"));
        }
    }
    None
}
