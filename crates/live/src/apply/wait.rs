//! Waits for the locks of others to go, without standing in anybody's way meanwhile.
//!
//! Invariant: nothing is locked and nothing queued for while it waits. A request that queues for
//! ACCESS EXCLUSIVE makes every later reader queue behind it, so a try is only made when it has a
//! chance.

use std::time::Duration;

use reconcile_plan::Batch;
use reconcile_sql::{LockLevel, QName};
use tokio::time::Instant;

use super::{Applying, Cause, Event};
use crate::blockers::{Blocker, blockers};
use crate::error::Error;

/// The first pause; each is twice the one before, up to the longest.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// So many pauses are made at most before the next try, whoever is in the way.
const PAUSES: u32 = 5;

pub(super) struct Waiting {
    wanted: Vec<(QName, LockLevel)>,
    budget: Duration,
    began: Instant,
    /// A holder whose transaction is older than this is not about to end.
    old: Duration,
    pauses: u32,
    seed: u64,
}

impl Waiting {
    pub(super) fn new(run: i64, batch: &Batch, budget: Duration) -> Self {
        let wanted = batch.locks.iter().map(|lock| (lock.relation.clone(), lock.level)).collect();
        let old = (batch.lock_timeout * 2).max(Duration::from_secs(2));
        let seed = run.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        Self { wanted, budget, began: Instant::now(), old, pauses: 0, seed }
    }

    /// Returns when the next try shall be made.
    pub(super) async fn pause(&mut self, applying: &mut Applying<'_>) -> Result<(), Cause> {
        for _ in 0..PAUSES {
            let who = match blockers(applying.session, &self.wanted, &[]).await {
                Ok(who) => who,
                Err(Error::Lost { reason, .. }) => return Err(applying.lost(reason, None).await),
                Err(_) => Vec::new(),
            };
            let waited = self.began.elapsed();
            if waited >= self.budget {
                return Err(Cause::Locked { blockers: who, waited });
            }
            if self.pauses > 0 && who.is_empty() {
                return Ok(());
            }
            let retry_in = self.next().min(self.budget - waited);
            applying.watch.event(Event::Waiting { blockers: &who, waited, retry_in });
            if !applying.interrupt.sleep(retry_in).await {
                return Err(Cause::Interrupted);
            }
            if !who.iter().any(|blocker| self.stays(blocker)) {
                return Ok(());
            }
        }
        Ok(())
    }

    fn stays(&self, blocker: &Blocker) -> bool {
        !blocker.waiting && blocker.xact_age.is_some_and(|age| age > self.old)
    }

    /// The next pause: exponential, and between half and one and a half of that, so that two who
    /// wait for each other do not come back together.
    fn next(&mut self) -> Duration {
        let base = FIRST.saturating_mul(1 << self.pauses.min(10)).min(LONGEST);
        self.pauses += 1;
        // xorshift64 (Marsaglia, 2003)
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        let thousandths = 500 + u32::try_from(self.seed % 1000).unwrap_or(0);
        base * thousandths / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_within_bounds() {
        let batch = Batch {
            transaction: true,
            steps: Vec::new(),
            locks: Vec::new(),
            lock_timeout: Duration::from_millis(50),
            hold: Duration::ZERO,
            estimate: Duration::ZERO,
            stall: Duration::ZERO,
        };
        let mut waiting = Waiting::new(7, &batch, Duration::from_secs(60));
        let pauses: Vec<Duration> = (0..12).map(|_| waiting.next()).collect();
        for (at, pause) in pauses.iter().enumerate() {
            let base = FIRST.saturating_mul(1 << at).min(LONGEST);
            assert!(*pause >= base / 2 && *pause <= base * 3 / 2, "{at}: {pause:?}");
        }
        assert!(pauses[11] > pauses[0] * 10);
    }
}
