//! How long somebody may be kept waiting: an estimate from sizes, and a bound that timeouts keep.

use std::time::Duration;

use reconcile_kinds::{Facts, Work};

use crate::step::{Batch, Step};

/// How long a plan may wait and be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long one lock may be waited for. While a strong lock waits, everybody behind it does.
    pub lock_timeout: Duration,
    /// The longest stall that needs no approval.
    pub max_stall: Duration,
    /// The longest rewrite that is done at once where it can be done online.
    pub max_rewrite: Duration,
}

impl Default for Limits {
    /// 200 ms is 2 to 4 times the transactions of a busy application; see `LOCK … NOWAIT` in the
    /// README for why less does not win a lock.
    fn default() -> Self {
        Self {
            lock_timeout: Duration::from_millis(200),
            max_stall: Duration::from_secs(5),
            max_rewrite: Duration::from_millis(200),
        }
    }
}

/// What a batch that only touches the catalog may take, whatever the machine does meanwhile.
const CATALOG: Duration = Duration::from_millis(1000);
/// The same for each of its statements.
const STATEMENT: Duration = Duration::from_millis(20);
/// Bytes a second, on the slow side of what was measured on two cores: 1.1 GB were rewritten with
/// their indexes in 8 to 16 s.
const REWRITE: f64 = 64e6;
/// Reading rows for a check.
const SCAN: f64 = 200e6;
/// Building an index, by the bytes of its table.
const BUILD: f64 = 50e6;
/// Computing a materialized view, by its own bytes: its query may read much more.
const REFRESH: f64 = 10e6;
/// By how much an estimate may be wrong before the batch rolls back.
const MARGIN: u32 = 3;

/// How long a step's work probably takes.
pub(crate) fn estimate(work: &Work, facts: &Facts) -> Duration {
    let Some(size) = work.relation().map(|r| facts.sizes.get(r).copied().unwrap_or_default())
    else {
        return Duration::ZERO;
    };
    #[allow(clippy::cast_precision_loss)] // an estimate
    let (bytes, all) = (size.bytes as f64, (size.bytes + size.index_bytes) as f64);
    let seconds = match work {
        Work::Catalog => 0.0,
        Work::Scan(_) => bytes / SCAN,
        Work::Build(_) => bytes / BUILD,
        Work::Refresh(_) => bytes / REFRESH,
        Work::Rewrite(_) | Work::Pieces(_) => all / REWRITE,
    };
    Duration::from_secs_f64(seconds)
}

/// Fills in the bounds of a batch whose steps and locks are known.
pub(crate) fn bound(batch: &mut Batch, limits: &Limits, facts: &Facts) {
    // A proof reads the rows before and after.
    let proofs = |s: &Step| -> Duration {
        s.proofs.iter().map(|p| estimate(&Work::Scan(p.relation.clone()), facts) * 2).sum()
    };
    batch.estimate = batch.steps.iter().map(|s| estimate(&s.work, facts) + proofs(s)).sum();
    batch.lock_timeout = limits.lock_timeout;
    let waited_for = batch.locks.iter().filter(|l| l.level.blocks_writers()).count();
    if waited_for == 0 {
        // Nobody waits for it: neither does a bound hurry it.
        (batch.hold, batch.stall) = (Duration::ZERO, Duration::ZERO);
        return;
    }
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let waits = limits.lock_timeout * count(waited_for);
    let free = CATALOG + STATEMENT * count(batch.steps.len());
    let generous = free + batch.estimate * MARGIN;
    let room = limits.max_stall.saturating_sub(waits);
    // As much margin as the limit leaves; beyond the limit, the whole margin and an approval.
    batch.hold = if free + batch.estimate <= room { generous.min(room) } else { generous };
    batch.stall = waits + batch.hold;
}
