//! From ordered actions to numbered steps in batches.

use reconcile_kinds::{Action, Facts, Place, RelationLock, Sql, Work};

use reconcile_sql::restate::restated;

use crate::graph::{Graph, NodeId};
use crate::stall::{Limits, bound};
use crate::step::{Batch, Step};

/// A step in the making: clauses that share a head are still apart from it.
struct Draft {
    head: Option<String>,
    clauses: Vec<String>,
    step: Step,
}

/// A batch in the making.
struct Gathered {
    transaction: bool,
    drafts: Vec<Draft>,
    /// Whether it only touches the catalog and can be undone.
    light: bool,
    locks: Vec<RelationLock>,
}

/// Gathers the transactions of a plan.
pub(crate) fn batches(
    graph: &Graph,
    order: Vec<Vec<NodeId>>,
    facts: &Facts,
    limits: &Limits,
) -> Vec<Batch> {
    let mut gathered: Vec<Gathered> = Vec::new();
    for ids in order {
        let transaction = !ids.iter().any(|&id| graph.nodes[id].place == Place::Outside);
        let actions = ids.iter().flat_map(|&id| graph.nodes[id].actions.iter().cloned());
        let drafts: Vec<Draft> = actions.map(|a| draft(a, facts)).collect();
        let undoable = |d: &Draft| d.step.work == Work::Catalog && d.step.irreversible.is_none();
        let next = Gathered {
            transaction,
            light: transaction && drafts.iter().all(undoable),
            locks: strongest(drafts.iter().flat_map(|d| d.step.locks.iter().cloned())),
            drafts,
        };
        match gathered.last_mut() {
            Some(last) if fits(last, &next) => last.drafts.extend(next.drafts),
            _ => gathered.push(next),
        }
    }
    let mut number = 0;
    let finish = |Gathered { transaction, drafts, light: _, locks }: Gathered| {
        let mut steps: Vec<Step> = merge(drafts).into_iter().map(finish).collect();
        for step in &mut steps {
            number += 1;
            step.number = number;
        }
        let zero = std::time::Duration::ZERO;
        let mut batch = Batch {
            transaction,
            steps,
            locks,
            lock_timeout: zero,
            hold: zero,
            estimate: zero,
            stall: zero,
        };
        bound(&mut batch, limits, facts);
        batch
    };
    gathered.into_iter().map(finish).collect()
}

/// Whether a batch may be done in the transaction of the one before it: both only touch the
/// catalog, lock the same relations, and can be undone.
fn fits(last: &Gathered, next: &Gathered) -> bool {
    last.light && next.light && last.locks == next.locks
}

fn draft(action: Action, facts: &Facts) -> Draft {
    let Action {
        address,
        summary,
        sql,
        locks,
        work,
        irreversible,
        loses,
        formulas,
        preflights,
        guards,
        proofs,
        warnings: _,
        pieces,
    } = action;
    let (head, clauses, sql) = match sql {
        Sql::Statement(text) => (None, Vec::new(), text),
        Sql::Clause { head, clause } => (Some(head), vec![clause], String::new()),
    };
    let size = work.relation().and_then(|r| facts.sizes.get(r).copied());
    let step = Step {
        number: 0,
        addresses: vec![address],
        summary: vec![summary],
        sql,
        locks: strongest(locks),
        work,
        size,
        irreversible,
        loses,
        formulas,
        preflights,
        guards,
        proofs,
        pieces,
    };
    Draft { head, clauses, step }
}

fn finish(draft: Draft) -> Step {
    let Draft { head, clauses, mut step } = draft;
    match (head, clauses.as_slice()) {
        (None, _) => {}
        (Some(head), [only]) => step.sql = format!("{head} {only}"),
        (Some(head), more) => step.sql = format!("{head}\n    {}", more.join(",\n    ")),
    }
    step.sql = restated(&step.sql);
    step
}

/// Makes one statement of neighbouring clauses that share a head.
fn merge(drafts: Vec<Draft>) -> Vec<Draft> {
    let mut out: Vec<Draft> = Vec::new();
    for draft in drafts {
        match out.last_mut() {
            Some(last)
                if last.head.is_some()
                    && last.head == draft.head
                    && last.step.loses.is_none()
                    && draft.step.loses.is_none() =>
            {
                last.clauses.extend(draft.clauses);
                last.step.take(draft.step);
            }
            _ => out.push(draft),
        }
    }
    out
}

impl Step {
    /// Takes over the facts of another step, whose clause joins this one's statement.
    fn take(&mut self, other: Self) {
        for address in other.addresses {
            if !self.addresses.contains(&address) {
                self.addresses.push(address);
            }
        }
        self.summary.extend(other.summary);
        self.locks = strongest(self.locks.drain(..).chain(other.locks));
        if other.work > self.work {
            (self.work, self.size) = (other.work, other.size);
        }
        self.irreversible = self.irreversible.take().or(other.irreversible);
        self.loses = match (self.loses.take(), other.loses) {
            (Some(a), Some(b)) => Some(format!("{a}, {b}")),
            (a, b) => a.or(b),
        };
        self.formulas.extend(other.formulas);
        self.preflights.extend(other.preflights);
        self.guards.extend(other.guards);
        self.proofs.extend(other.proofs);
    }
}

/// The strongest lock on each relation, in the order of the relations' names: two plans never wait
/// for each other crosswise.
fn strongest(locks: impl IntoIterator<Item = RelationLock>) -> Vec<RelationLock> {
    let mut out: std::collections::BTreeMap<_, _> = std::collections::BTreeMap::new();
    for lock in locks {
        let level = out.entry(lock.relation).or_insert(lock.level);
        *level = lock.level.max(*level);
    }
    out.into_iter().map(|(relation, level)| RelationLock { relation, level }).collect()
}
