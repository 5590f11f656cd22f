//! Indexes of partitioned tables, and the indexes of the partitions that are their parts.
//!
//! Where others use the tables, the parent's index is made ON ONLY, each partition's is built beside
//! readers and writers and then attached; the parent's is valid once the last one is. A partition
//! that the model states makes its part itself ([`create_part`]), the parent's index the others.

use std::collections::BTreeSet;

use reconcile_catalog::{Address, Object};
use reconcile_sql::ident::fit;
use reconcile_sql::{LockLevel, QName, quote_literal};

use super::super::names::{first_choice, is_sure};
use super::super::sql::Manner;
use super::super::{Attached, Index, partition_of, partitions, qualified, table_of};
use super::actions::{Making, drop_within, duplicates, rename, roles};
use crate::constraint::SUCCESSOR;
use crate::inheritance::Inheritance;
use crate::step::{Action, Refusal, Sql, Stage};
use crate::table::{Table, relation};
use crate::{Alteration, Cx, How};

/// Whether a table has partitions: it does, or it is new and will.
pub(super) fn is_partitioned(table: &Address, cx: &Cx<'_>) -> bool {
    let known = cx.live.definition::<Table>(table).or_else(|| cx.desired.definition(table));
    known.is_some_and(|t| t.partition_key.is_some())
}

/// The live partitions of a table that stay.
fn live_partitions(table: &Address, cx: &Cx<'_>) -> Vec<QName> {
    let stays = |partition: &Address| {
        !cx.fates.gone.contains(partition)
            && !cx.fates.gone.contains(&Inheritance::address(partition))
    };
    partitions(table, cx.live).iter().filter(|p| stays(p)).map(relation).collect()
}

/// The partitions of a table as the model states them.
fn desired_partitions(table: &Address, cx: &Cx<'_>) -> Vec<QName> {
    partitions(table, cx.desired).iter().map(relation).collect()
}

/// All live tables below a partitioned one.
pub(super) fn all(table: &Address, cx: &Cx<'_>) -> Vec<QName> {
    let mut out = Vec::new();
    let mut queue = vec![table.clone()];
    while let Some(table) = queue.pop() {
        for partition in live_partitions(&table, cx) {
            queue.push(Table::address(&partition));
            out.push(partition);
        }
    }
    out
}

/// ALTER INDEX … ATTACH PARTITION
pub(super) fn attach(address: &Address, parent: &Attached) -> Action {
    let above = QName::new(&parent.table.namespace, &parent.index);
    attach_as(address, &above, &qualified(address))
        .locking(parent.table.clone(), LockLevel::AccessShare)
}

fn attach_as(address: &Address, parent: &QName, part: &QName) -> Action {
    let sql = Sql::Statement(format!("ALTER INDEX {parent} ATTACH PARTITION {part}"));
    Action::new(address, format!("let index {} be a part of {}", part.name, parent.name), sql)
}

/// Makes the index of a partitioned table.
pub(super) fn create(address: &Address, index: &Index, how: How, cx: &Cx<'_>) -> Vec<Stage> {
    let making = Making { address, index, name: address.name(), on: relation(address) };
    let parts_follow = how == How::Within && !live_partitions(&table_of(address), cx).is_empty();
    if parts_follow {
        // Each part is made again itself, with its own name and settings.
        let mut stages = making.stages(Manner::Only);
        stages
            .push(Stage::transaction(roles(address, cx.live.definition(address).or(Some(index)))));
        return stages;
    }
    if how == How::Within || is_short(address, index, cx) {
        let is_new = cx.is_new(&table_of(address));
        let mut actions = vec![making.within(is_new)];
        if how == How::Online && !is_new {
            actions[0].preflights.extend(duplicates(&making.on, index));
        }
        actions.extend(making.targets());
        actions.extend(roles(address, cx.live.definition::<Index>(address).or(Some(index))));
        return vec![Stage::transaction(actions)];
    }
    let mut stages = making.stages(Manner::Only);
    let table = table_of(address);
    let mut parts = Parts::new(address, index, cx);
    parts.grow(&table, address.name(), &mut |part| match part.stated {
        true => None, // It makes itself.
        false => Some(part.name.clone()),
    });
    stages.extend(parts.stages);
    stages
}

/// Whether one CREATE INDEX makes it whole: nobody knows the tables yet, and PostgreSQL chooses the
/// names that the parts shall have.
fn is_short(address: &Address, index: &Index, cx: &Cx<'_>) -> bool {
    let mut queue = vec![(table_of(address), address.clone())];
    while let Some((table, parent)) = queue.pop() {
        if cx.live.contains(&table) {
            return false;
        }
        for partition in desired_partitions(&table, cx) {
            let partition = Table::address(&partition);
            let part = cx.desired.children(&partition).find(|o| {
                let attached = o.get::<Index>().and_then(|i| i.attached_to.as_ref());
                attached.is_some_and(|a| a.address() == parent)
            });
            match part.and_then(|o| o.get::<Index>().map(|i| (o, i))) {
                Some((object, own)) => {
                    let usual = first_choice(partition.name(), own);
                    let plain = own.follows(index) && is_sure(own);
                    if !plain || object.address.name() != usual {
                        return false;
                    }
                    queue.push((partition, object.address.clone()));
                }
                None => return false,
            }
        }
    }
    true
}

/// Makes the part of a partition that the model states.
pub(super) fn create_part(
    address: &Address,
    index: &Index,
    parent: &Attached,
    how: How,
    cx: &Cx<'_>,
) -> Vec<Stage> {
    let table = table_of(address);
    let above = parent.address();
    let whole = cx.desired.definition::<Index>(&root(parent, cx).address());
    let made_whole = whole.is_some_and(|whole| is_short(&root(parent, cx).address(), whole, cx));
    if !cx.fates.live.contains_key(&above) && made_whole {
        return Vec::new(); // CREATE INDEX on the parent makes it.
    }
    let kept = cx.fates.live.get(&above).is_some_and(|live| !is_replaced(live, cx));
    let joins = !live_partitions(&Table::address(&parent.table), cx).contains(&relation(address));
    if kept && joins {
        // PostgreSQL made it when the partition was attached.
        let usual = first_choice(table.name(), index);
        let named = address.name() == usual && is_sure(index);
        let action = (!named).then(|| rename_part(address, parent));
        return vec![Stage::transaction(action.into_iter().collect())];
    }
    let manner = match (is_partitioned(&table, cx), cx.is_new(&table) || how == How::Within) {
        (true, _) => Manner::Only,
        (false, true) => Manner::Plain,
        (false, false) => Manner::Beside,
    };
    let making = Making { address, index, name: address.name(), on: relation(address) };
    let mut stages = making.stages(manner);
    stages.push(Stage::transaction(vec![attach(address, parent)]));
    stages
}

/// The index at the top of the partitions.
fn root(parent: &Attached, cx: &Cx<'_>) -> Attached {
    let mut at = parent.clone();
    while let Some(above) =
        cx.desired.definition::<Index>(&at.address()).and_then(|i| i.attached_to.clone())
    {
        at = above;
    }
    at
}

/// Gives the index that PostgreSQL made for a new partition the name that the model states.
fn rename_part(address: &Address, parent: &Attached) -> Action {
    let above = QName::new(&parent.table.namespace, &parent.index).to_string();
    let name = quote_literal(address.name());
    let body = format!(
        "BEGIN EXECUTE coalesce((SELECT format('ALTER INDEX %s RENAME TO %I', c.oid::regclass, {name}) \
         FROM pg_inherits h JOIN pg_index i ON i.indexrelid = h.inhrelid JOIN pg_class c ON c.oid = h.inhrelid \
         WHERE h.inhparent = {}::regclass AND i.indrelid = {}::regclass AND c.relname <> {name}), 'SELECT 1'); END",
        quote_literal(&above),
        quote_literal(&relation(address).to_string()),
    );
    let summary =
        format!("let the new partition's part of {} be called {}", parent.index, address.name());
    Action::new(address, summary, Sql::Statement(format!("DO {}", quote_literal(&body))))
}

/// Whether nothing but parts is missing.
pub(super) fn is_completed(change: &Alteration<'_>, cx: &Cx<'_>) -> bool {
    is_partitioned(&table_of(&change.live.address), cx)
        && change.properties.iter().all(|p| p.name == "valid")
}

/// Whether a part is not valid, and nothing else is wrong with it.
pub(super) fn is_mended(live: &Index, change: &Alteration<'_>, cx: &Cx<'_>) -> bool {
    let parent = live.attached_to.as_ref().map(Attached::address);
    let stays = parent
        .is_some_and(|parent| cx.fates.desired.contains_key(&parent) && !is_replaced(&parent, cx));
    stays && change.properties.iter().all(|p| p.name == "valid")
}

/// Whether a live index does not stay as the object that it is.
pub(super) fn goes(live: &Address, cx: &Cx<'_>) -> bool {
    !cx.fates.desired.contains_key(live) || is_replaced(live, cx)
}

/// Whether a live index makes way for another one.
fn is_replaced(live: &Address, cx: &Cx<'_>) -> bool {
    let changed = cx.fates.altered.get(live).map_or(&[][..], Vec::as_slice);
    changed.iter().any(|name| !matches!(*name, "valid" | "statistics" | "attached"))
}

/// Changes the index of a partitioned table: completes it, or puts another one in its place.
pub(super) fn alter(change: &Alteration<'_>, index: &Index, cx: &Cx<'_>) -> Vec<Stage> {
    let address = &change.desired.address;
    let table = table_of(address);
    let mut parts = Parts::new(address, index, cx);
    if is_completed(change, cx) {
        parts.grow(&table, address.name(), &mut |part| {
            (part.live.is_none() && !part.stated).then(|| part.name.clone())
        });
        return parts.stages;
    }
    let name = address.name();
    let successor = fit(name, SUCCESSOR);
    let mut stages = Vec::new();
    if cx.live.contains(&Index::address(&table, &successor)) {
        let left = QName::new(address.namespace(), &successor);
        stages.push(Stage::transaction(vec![drop_within(address, &left)]));
    }
    let making = Making { address, index, name: &successor, on: relation(address) };
    stages.extend(making.stages(Manner::Only));
    let mut renames = Vec::new();
    parts.grow(&table, &successor, &mut |part| {
        let temporary = fit(&part.name, SUCCESSOR);
        let from = QName::new(&part.table.namespace, &temporary);
        // A part that changes itself takes its name itself, behind this.
        let itself = part.live.as_ref().is_some_and(|live| cx.fates.altered.contains_key(live));
        let itself = itself && part.stated;
        if !itself {
            renames.push((from, part.name.clone()));
        }
        Some(temporary)
    });
    stages.extend(parts.stages);
    let mut drop = drop_within(address, &qualified(&change.live.address));
    for partition in all(&table, cx) {
        drop = drop.locking(partition, LockLevel::AccessExclusive);
    }
    let mut swap = vec![drop];
    swap.push(rename(address, &QName::new(address.namespace(), &successor), name));
    swap.extend(renames.iter().map(|(from, to)| rename(address, from, to)));
    swap.extend(roles(address, change.live.get()));
    stages.push(Stage::transaction(swap));
    stages
}

/// Changes a part of the parent's index.
///
/// # Errors
/// If it shall be something else while the parent's stays: PostgreSQL cannot detach it.
pub(super) fn alter_part(
    change: &Alteration<'_>,
    live: &Index,
    index: &Index,
    cx: &Cx<'_>,
) -> Result<Vec<Stage>, Refusal> {
    let address = &change.desired.address;
    let Some(parent) = live.attached_to.as_ref().map(Attached::address) else {
        return Ok(Vec::new());
    };
    let making = Making { address, index, name: address.name(), on: relation(address) };
    if !cx.fates.desired.contains_key(&parent) {
        if is_detached(address, live, cx) {
            return Ok(Vec::new()); // It stays with its table.
        }
        // It goes with the parent's, and comes again by itself or as a part of another one.
        let mut stages = making.stages(match is_partitioned(&table_of(address), cx) {
            true => Manner::Only,
            false => Manner::Beside,
        });
        let attach = index.attached_to.as_ref().map(|parent| attach(address, parent));
        stages.push(Stage::transaction(
            attach.into_iter().chain(roles(address, Some(live))).collect(),
        ));
        return Ok(stages);
    }
    if is_replaced(&parent, cx) {
        let from = QName::new(address.namespace(), fit(address.name(), SUCCESSOR));
        let mut actions = vec![rename(address, &from, address.name())];
        actions.extend(roles(address, Some(live)));
        return Ok(vec![Stage::transaction(actions)]);
    }
    if is_mended(live, change, cx) {
        let name = qualified(address);
        let sql = Sql::Statement(format!("REINDEX INDEX CONCURRENTLY {name}"));
        let summary = format!("build index {} again, which is not valid", address.name());
        let action = Action::new(address, summary, sql)
            .locking(relation(address), LockLevel::ShareUpdateExclusive)
            .working(crate::step::Work::Build(relation(address)));
        let attach = index.attached_to.as_ref().map(|parent| attach(address, parent));
        let mut stages = Vec::new();
        if !is_partitioned(&table_of(address), cx) {
            stages.push(Stage::outside(action));
        }
        // Attaching it again lets the parent's be valid.
        stages.push(Stage::transaction(attach.into_iter().collect()));
        return Ok(stages);
    }
    if is_detached(address, live, cx) {
        return Ok(Vec::new());
    }
    Err(Refusal::new(address, "it belongs to the index of the partitioned parent; change it there"))
}

/// Whether a live index goes with the index at the top of the partitions that is `gone`.
pub(super) fn goes_with(live: &Index, gone: &Address, cx: &Cx<'_>) -> bool {
    let mut at = live.attached_to.as_ref();
    while let Some(above) = at {
        let above = above.address();
        if above == *gone {
            return true;
        }
        at = cx.live.definition::<Index>(&above).and_then(|i| i.attached_to.as_ref());
    }
    false
}

/// Whether the model has the table of a part as no partition of that table any more.
fn is_detached(address: &Address, live: &Index, cx: &Cx<'_>) -> bool {
    let table = table_of(address);
    let desired = cx.fates.desired.get(&table).and_then(|d| partition_of(d, cx.desired));
    let parent = live.attached_to.as_ref().map(|a| &a.table);
    cx.fates.gone.contains(&Inheritance::address(&table))
        || (desired.is_some() && desired != parent)
            && cx.desired.contains(cx.fates.desired.get(address).unwrap_or(address))
}

/// The part of one partition.
struct Part {
    /// The partition.
    table: QName,
    /// The live part of the live index, if there is one.
    live: Option<Address>,
    /// Whether the model has an object for it.
    stated: bool,
    /// What it shall be called.
    name: String,
}

/// The parts of an index on the live partitions, in the making.
struct Parts<'a> {
    address: &'a Address,
    index: &'a Index,
    cx: &'a Cx<'a>,
    /// Names that are taken in this plan.
    taken: BTreeSet<QName>,
    stages: Vec<Stage>,
}

impl<'a> Parts<'a> {
    fn new(address: &'a Address, index: &'a Index, cx: &'a Cx<'a>) -> Self {
        Self { address, index, cx, taken: BTreeSet::new(), stages: Vec::new() }
    }

    /// Builds and attaches the parts for which `name_for` has a name, below the index `parent` of
    /// `table`.
    fn grow(
        &mut self,
        table: &Address,
        parent: &str,
        name_for: &mut dyn FnMut(&Part) -> Option<String>,
    ) {
        let live_parent = Index::address(&table_of(self.address), self.address.name());
        self.below(table, parent, Some(&live_parent), name_for);
    }

    fn below(
        &mut self,
        table: &Address,
        parent: &str,
        live_parent: Option<&Address>,
        name_for: &mut dyn FnMut(&Part) -> Option<String>,
    ) {
        let cx = self.cx;
        for partition in live_partitions(table, cx) {
            let on = Table::address(&partition);
            let (part, own) = self.part(partition, live_parent);
            let own = own.unwrap_or_else(|| self.index.clone());
            let name = name_for(&part);
            if let Some(name) = &name {
                let manner = match is_partitioned(&on, cx) {
                    true => Manner::Only,
                    false => Manner::Beside,
                };
                let address = self.address;
                let making = Making { address, index: &own, name, on: part.table.clone() };
                self.stages.extend(making.stages(manner));
                let above = QName::new(table.namespace(), parent);
                let below = QName::new(&part.table.namespace, name);
                let attach = attach_as(address, &above, &below);
                let attach = attach.locking(relation(table), LockLevel::AccessShare);
                self.stages.push(Stage::transaction(vec![attach]));
            }
            // What is there already has its own parts to complete.
            let name = name.or_else(|| part.live.as_ref().map(|live| live.name().to_owned()));
            if let Some(name) = name {
                self.below(&on, &name, part.live.as_ref(), name_for);
            }
        }
    }

    /// The part of a partition, and what the model says that it is.
    fn part(&mut self, table: QName, live_parent: Option<&Address>) -> (Part, Option<Index>) {
        let cx = self.cx;
        let on = Table::address(&table);
        let attached = |o: &&Object| {
            let to = o.get::<Index>().and_then(|i| i.attached_to.as_ref()).map(Attached::address);
            to.is_some() && to.as_ref() == live_parent
        };
        let live = cx.live.children(&on).find(attached).map(|o| o.address.clone());
        let matched = live.as_ref().and_then(|live| cx.fates.desired.get(live));
        let new = cx.desired.children(&on).find(attached).map(|o| &o.address);
        let stated = matched.or(new).and_then(|address| cx.desired.get(address));
        // One that is there gets its new name by itself, if it gets one.
        let name = match (matched, stated, &live) {
            (Some(_), _, Some(live)) => live.name().to_owned(),
            (_, Some(object), _) => object.address.name().to_owned(),
            _ => self.free_name(&table, live.as_ref()),
        };
        self.taken.insert(QName::new(&table.namespace, &name));
        let own = stated.and_then(Object::get::<Index>).cloned();
        (Part { table, live, stated: stated.is_some(), name }, own)
    }

    /// The name that PostgreSQL would choose; that of the part which goes is free.
    fn free_name(&self, table: &QName, goes: Option<&Address>) -> String {
        let usual = first_choice(&table.name, self.index);
        let numbered = (1..).map(|n| format!("{usual}{n}"));
        let free = |name: &String| {
            let taken = self.taken.contains(&QName::new(&table.namespace, name));
            let there = Index::address(&Table::address(table), name);
            !taken && (goes == Some(&there) || !self.cx.live.contains(&there))
        };
        std::iter::once(usual.clone()).chain(numbered).find(free).unwrap_or(usual)
    }
}
