//! The steps of a plan, transaction by transaction.

use reconcile_kinds::{Facts, RelationLock, RelationSize, Work};
use reconcile_plan::{Batch, Plan, Step};

use crate::page::Page;
use crate::style::Tone;
use crate::units::{bytes, duration, rows};

/// Writes every batch.
pub(crate) fn steps(page: &mut Page, plan: &Plan, facts: &Facts) {
    let transactions = plan.batches.iter().filter(|b| b.transaction).count();
    let mut number = 0;
    for batch in &plan.batches {
        let title = if batch.transaction {
            number += 1;
            format!("Transaction {number} of {transactions}")
        } else {
            "Outside of any transaction".to_owned()
        };
        page.heading(&title);
        page.labelled(2, "stall", 8, &stall(batch));
        for (at, lock) in batch.locks.iter().enumerate() {
            page.labelled(2, if at == 0 { "locks" } else { "" }, 8, &lock_words(lock));
        }
        for step in &batch.steps {
            page.gap();
            write_step(page, step, facts);
        }
    }
}

fn write_step(page: &mut Page, step: &Step, facts: &Facts) {
    for (at, line) in step.summary.iter().enumerate() {
        let margin = if at == 0 { format!("{:>3}. ", step.number) } else { "     ".to_owned() };
        page.prose(&margin, Tone::Strong, line);
    }
    page.block(7, Tone::Code, &format!("{};", step.sql.trim_end()));
    let work = work(&step.work, step.size.as_ref().or_else(|| known(&step.work, facts)));
    let undo =
        if step.irreversible.is_none() { "can be rolled back" } else { "cannot be rolled back" };
    let facts = format!("{} · {work} · {undo}", step_locks(&step.locks));
    page.prose("       ", Tone::Dim, &facts);
    if let Some(why) = &step.irreversible {
        page.prose("       ! ", Tone::Warn, &format!("cannot be rolled back: {why}"));
    }
    if let Some(loses) = &step.loses {
        page.prose("       ! ", Tone::Bad, &format!("loses {loses}"));
    }
}

fn known<'a>(work: &Work, facts: &'a Facts) -> Option<&'a RelationSize> {
    work.relation().and_then(|relation| facts.sizes.get(relation))
}

/// The worst stall of a batch as a number, and what it is made of.
pub(crate) fn stall(batch: &Batch) -> String {
    if batch.stall.is_zero() {
        return format!("none; probably takes {}", probably(batch));
    }
    let wait = batch.stall.saturating_sub(batch.hold);
    format!(
        "{} at the most ({} waiting for locks, {} holding them); probably {}",
        duration(batch.stall),
        duration(wait),
        duration(batch.hold),
        probably(batch)
    )
}

fn probably(batch: &Batch) -> String {
    match batch.estimate.as_millis() {
        0 => "under 1 ms".to_owned(),
        _ => duration(batch.estimate),
    }
}

/// A lock and whom it keeps out.
pub(crate) fn lock_words(lock: &RelationLock) -> String {
    let effect = match (lock.level.blocks_readers(), lock.level.blocks_writers()) {
        (true, _) => "nobody reads or writes meanwhile",
        (false, true) => "reads go on, writes wait",
        (false, false) => "reads and writes go on",
    };
    format!("{} on {}: {effect}", lock.level, lock.relation)
}

/// The locks of a step in a line.
pub(crate) fn step_locks(locks: &[RelationLock]) -> String {
    if locks.is_empty() {
        return "no lock on a relation".to_owned();
    }
    locks
        .iter()
        .map(|lock| format!("{} on {}", lock.level, lock.relation))
        .collect::<Vec<_>>()
        .join(", ")
}

/// What a step does to the rows.
pub(crate) fn work(work: &Work, size: Option<&RelationSize>) -> String {
    let (verb, relation) = match work {
        Work::Catalog => return "metadata only".to_owned(),
        Work::Scan(relation) => ("scans", relation),
        Work::Build(relation) => ("builds an index over", relation),
        Work::Refresh(relation) => ("computes the rows of", relation),
        Work::Pieces(relation) => ("writes, in pieces,", relation),
        Work::Rewrite(relation) => ("rewrites", relation),
    };
    match size {
        None => format!("{verb} {relation} (new, or its size is unknown)"),
        Some(size) => {
            let indexes = match (work, size.index_bytes) {
                (Work::Rewrite(_), more @ 1..) => format!(", and {} of indexes", bytes(more)),
                _ => String::new(),
            };
            format!("{verb} {relation} ({}, {}{indexes})", rows(size), bytes(size.bytes))
        }
    }
}
