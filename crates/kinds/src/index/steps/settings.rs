//! What PostgreSQL changes in an index as it stands.

use std::collections::BTreeSet;

use reconcile_sql::{LockLevel, quote_ident};

use super::super::key::listed;
use super::super::{Index, qualified, table_of};
use super::actions::set_target;
use super::partitions;
use crate::step::{Action, Sql, Stage, Work};
use crate::table::relation;
use crate::{Alteration, Cx};

/// Whether the index can stay: storage parameters, tablespace and statistics targets change, or it
/// becomes a part of the parent's.
pub(super) fn in_place(change: &Alteration<'_>, cx: &Cx<'_>) -> bool {
    // "This operation is not supported for partitioned indexes."
    let partitioned = partitions::is_partitioned(&table_of(&change.live.address), cx);
    // What goes with the parent's is made anew.
    let above = change.live.get::<Index>().and_then(|i| i.attached_to.as_ref());
    if above.is_some_and(|above| partitions::goes(&above.address(), cx)) {
        return false;
    }
    let becomes_part = change.live.get::<Index>().is_some_and(|i| i.attached_to.is_none());
    change.properties.iter().all(|p| match p.name {
        "statistics" => true,
        "with" | "tablespace" => !partitioned,
        "attached" => becomes_part,
        _ => false,
    })
}

/// The steps for what changes; the index is there under its live name.
pub(super) fn alter(change: &Alteration<'_>, live: &Index, desired: &Index) -> Vec<Stage> {
    let address = &change.live.address;
    let name = qualified(address);
    let on = relation(address);
    let mut stages = Vec::new();
    if change.of("with").is_some() {
        let (clauses, what) = parameters(&live.options, &desired.options);
        let summary = format!("let index {} have {what}", address.name());
        let actions = clauses.into_iter().map(|clause| {
            let sql = Sql::Statement(format!("ALTER INDEX {name} {clause}"));
            Action::new(address, summary.clone(), sql)
        });
        stages.push(Stage::transaction(actions.collect()));
    }
    if change.of("tablespace").is_some() {
        let space = desired.tablespace.as_deref().unwrap_or("pg_default");
        let sql =
            Sql::Statement(format!("ALTER INDEX {name} SET TABLESPACE {}", quote_ident(space)));
        let summary = format!("move index {} to tablespace {space}", address.name());
        // Who plans a query on the table waits for the index.
        let action = Action::new(address, summary, sql)
            .locking(on.clone(), LockLevel::AccessExclusive)
            .working(Work::Build(on));
        stages.push(Stage::transaction(vec![action]));
    }
    if change.of("statistics").is_some() {
        let unset = live.statistics.keys().filter(|key| !desired.statistics.contains_key(key));
        let unset = unset.map(|key| set_target(address, &name, *key, -1));
        let set = desired.statistics.iter();
        let set = set.filter(|(key, target)| live.statistics.get(key) != Some(target));
        let set = set.map(|(key, target)| set_target(address, &name, *key, *target));
        stages.push(Stage::transaction(unset.chain(set).collect()));
    }
    if let (Some(_), Some(parent)) = (change.of("attached"), &desired.attached_to) {
        stages.push(Stage::transaction(vec![partitions::attach(address, parent)]));
    }
    stages
}

/// The clauses that bring one set of storage parameters to another, and the set in words. All of
/// them are set, so that they stand in the desired order (`transformRelOptions`).
fn parameters(live: &[String], desired: &[String]) -> (Vec<String>, String) {
    let name = |option: &String| option.split_once('=').map_or("", |(n, _)| n).to_owned();
    let then: BTreeSet<String> = desired.iter().map(name).collect();
    let gone = live.iter().map(name).filter(|name| !then.contains(name));
    let gone: Vec<String> = gone.map(|name| quote_ident(&name)).collect();
    let mut clauses = Vec::new();
    if !desired.is_empty() {
        clauses.push(format!("SET ({})", listed(desired)));
    }
    if !gone.is_empty() {
        clauses.push(format!("RESET ({})", gone.join(", ")));
    }
    let what =
        if desired.is_empty() { "no storage parameters".to_owned() } else { listed(desired) };
    (clauses, what)
}
