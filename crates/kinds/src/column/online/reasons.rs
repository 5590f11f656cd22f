//! Whether a column can be changed online, and why not.

use reconcile_catalog::{Address, Catalog, Object};
use reconcile_sql::{QName, SqlType, quote_ident};

use super::super::casts::Conversion;
use super::super::steps::{convert, heirs};
use super::super::{Column, formula};
use super::column;
use super::triggers::{Firing, Occasion};
use crate::constraint::{Constraint, Rule, table_of};
use crate::domain::Domain;
use crate::domain_check::DomainCheck;
use crate::inheritance;
use crate::online::{Shadow, has_query};
use crate::step::Refusal;
use crate::table::{Table, relation};
use crate::trigger::{Enabled, Trigger};
use crate::{Alteration, Cx};

/// The shadow of a column whose change of type would rewrite its table; nothing for any other change.
///
/// # Errors
/// If it cannot be changed online, with the reason.
pub(in super::super) fn shadow(
    change: &Alteration<'_>,
    cx: &Cx<'_>,
) -> Option<Result<Shadow, Refusal>> {
    let (live, desired) = column(change.live).zip(column(change.desired))?;
    let address = &change.live.address;
    let shadow = Shadow::of(address);
    // What is under way is gone on with, and comes back by the way that it went: its trigger knows both types.
    let afoot = cx.afoot.contains(&shadow.address);
    let rewrites = || convert(address, live, desired, cx) == Conversion::Rewrite;
    if live.ty == desired.ty || !(afoot || rewrites()) {
        return None;
    }
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
    // A virtual one has no values: it is dropped and made again while the columns change names.
    let stored = |o: &&Object| column(o).is_some_and(|c| !c.is_virtual);
    if let Some(other) = cx.live.dependents(address).find(stored) {
        return Some(format!(
            "{} is generated from it and stored, and PostgreSQL makes such a column only by writing the whole \
             table; let it be an ordinary column first, which keeps its values, with a trigger that writes it, or \
             change the type at a quiet time with --strategy direct",
            other.address
        ));
    }
    if let Some(reason) = formula::unfit_online(address, desired, cx) {
        return Some(reason);
    }
    if !cx.afoot.contains(&shadow.address) && domain(&desired.ty, cx, &constrained) {
        // `ATExecAddColumn`, `src/backend/commands/tablecmds.c`: somebody has to look whether it may be null.
        return Some(format!(
            "{} is a domain with constraints, and PostgreSQL rewrites a table that gets a column of one",
            desired.ty
        ));
    }
    if domain(&live.ty, cx, &|_, domain, _| !domain.nullable) {
        return Some(format!(
            "{} forbids nulls, and the old column has none of a value that {} cannot hold",
            live.ty, live.ty
        ));
    }
    if let Some(reason) = published(&table, desired, shadow, cx) {
        return Some(reason);
    }
    keys(address, cx).or_else(|| triggers(&table, shadow, cx))
}

/// Whether a type is a domain for which something holds, or one over such a domain.
fn domain(ty: &SqlType, cx: &Cx<'_>, holds: &dyn Fn(&Address, &Domain, &Catalog) -> bool) -> bool {
    let Some(namespace) = ty.namespace.as_ref().filter(|_| !ty.array) else { return false };
    let address = Domain::address(&QName::new(namespace, &ty.name));
    [cx.live, cx.desired].into_iter().any(|catalog| {
        let found = catalog.definition::<Domain>(&address);
        found.is_some_and(|d| holds(&address, d, catalog) || domain(&d.ty, cx, holds))
    })
}

/// Whether some value is not of a domain, or none is not.
fn constrained(address: &Address, domain: &Domain, catalog: &Catalog) -> bool {
    !domain.nullable || catalog.children(address).any(|o| o.get::<DomainCheck>().is_some())
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
            // A query that groups by the key is made again anyway.
            Rule::PrimaryKey { .. } | Rule::Unique { .. } => {
                cx.live.dependents(&o.address).any(|f| {
                    let apart = f.parent.as_ref() != Some(&o.address);
                    apart && f.get::<Constraint>().is_none() && !has_query(f)
                })
            }
            Rule::Check { .. } | Rule::ForeignKey { .. } => false,
        })
    });
    let first = stands.map(|o| o.address.to_string()).min()?;
    Some(format!("{first} needs it; that is not supported yet"))
}

/// What is said of a rule that would rewrite the UPDATE of the rows.
pub(in super::super) fn rewritten(rule: &str) -> String {
    format!(
        "the table's rule {rule} acts beside every UPDATE or in its place, and the rows get their values by one; \
         disable it for so long, or drop it"
    )
}

/// Triggers that change what ours has read, and rules that change what is carried over.
fn triggers(table: &Address, shadow: &Shadow, cx: &Cx<'_>) -> Option<String> {
    if let Some(rule) = Firing::of(table, cx).rule {
        return Some(rewritten(rule));
    }
    let behind = cx.live.children(table).find(|object| {
        let active = object.get::<Trigger>().filter(|t| t.enabled != Enabled::Disabled);
        let before = active.is_some_and(|t| Occasion::of(t).before);
        before && object.address.name() > shadow.trigger().as_str()
    })?;
    let (name, ours) = (&behind.address, shadow.trigger());
    Some(format!("{name} fires after ours, since its name sorts behind {ours}"))
}
