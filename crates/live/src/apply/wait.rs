//! Waits for the locks of others to go, without standing in anybody's way meanwhile.
//!
//! Invariant: nothing is locked and nothing queued for while it waits. A request that queues for
//! ACCESS EXCLUSIVE makes every later reader queue behind it, so a try is only made when it has a
//! chance.

use std::time::Duration;

use reconcile_plan::Batch;
use reconcile_sql::{LockLevel, QName, quote_ident};
use tokio::time::Instant;

use super::tempo::Tempo;
use super::{Applying, Cause, Event, Pause, interrupt};
use crate::blockers::{Blocker, blockers};
use crate::error::Error;

/// The first pause; each is twice the one before, up to the longest.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// A pause of this length is worth a note.
const NOTED: Duration = Duration::from_millis(500);

/// How often those are looked at who use the relations, before the first try, and how far apart.
const SAMPLES: usize = 6;
const APART: Duration = Duration::from_millis(40);
/// So often at least where nobody is seen.
const FEW: usize = 2;

pub(super) struct Waiting {
    wanted: Vec<(QName, LockLevel)>,
    budget: Duration,
    began: Instant,
    /// A holder whose transaction is older than this is not about to end.
    old: Duration,
    bound: Duration,
    pauses: u32,
    seed: u64,
    /// When the server's own cleaner was asked to make room. It may miss that, or come again.
    knocked: Option<Instant>,
    /// The step for which the journal is told what is waited for.
    step: Option<usize>,
}

impl Waiting {
    pub(super) fn new(run: i64, batch: &Batch, budget: Duration) -> Self {
        let wanted = batch.locks.iter().map(|lock| (lock.relation.clone(), lock.level)).collect();
        let (bound, knocked) = (batch.lock_timeout, None);
        let old = (bound * 2).max(Duration::from_secs(2));
        let seed = run.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let (began, pauses) = (Instant::now(), 0);
        let step = batch.steps.first().map(|step| step.number);
        Self { wanted, budget, began, old, bound, pauses, seed, knocked, step }
    }

    /// Looks at who uses the relations for a moment, and waits for a transaction that is not about
    /// to end: a try would only stop those who come later.
    pub(super) async fn begin(&mut self, applying: &mut Applying<'_>) -> Result<Tempo, Cause> {
        // Nobody but changes of definitions queues for a weaker one.
        if !self.wanted.iter().any(|(_, level)| *level >= LockLevel::Share) {
            return Ok(Tempo::new(None, self.bound));
        }
        let mut ages = Some(Vec::new());
        for sample in 0..SAMPLES {
            let who = self.who(applying).await?;
            let holders = who.iter().filter(|blocker| !blocker.waiting);
            for holder in holders.filter(|holder| !self.stays(holder)) {
                match holder.xact_age {
                    Some(age) => ages.iter_mut().for_each(|ages| ages.push(age)),
                    None => ages = None,
                }
            }
            if who.iter().any(|blocker| self.stays(blocker)) {
                self.pause(applying).await?;
                break;
            }
            let none = ages.as_ref().is_some_and(Vec::is_empty);
            if ages.is_none() || sample + 1 == SAMPLES || sample + 1 >= FEW && none {
                break;
            }
            if !applying.interrupt.sleep(APART).await {
                return Err(Cause::Interrupted);
            }
        }
        Ok(Tempo::new(ages, self.bound))
    }

    /// Returns when the next try shall be made: when nobody is in the way of whom it is known that he
    /// stays.
    pub(super) async fn pause(&mut self, applying: &mut Applying<'_>) -> Result<(), Cause> {
        loop {
            let who = self.who(applying).await?;
            let waited = self.began.elapsed();
            if waited >= self.budget {
                return Err(Cause::Locked { blockers: who, waited });
            }
            if self.pauses > 0 && who.is_empty() {
                return Ok(());
            }
            let retry_in = self.next().min(self.budget - waited);
            applying.watch.event(Event::Waiting { blockers: &who, waited, retry_in });
            self.note(applying, &who, retry_in).await?;
            let quiet = self.knocked.is_none_or(|at| at.elapsed() >= LONGEST);
            if let Some(relation) = cleaned(&who).filter(|_| quiet) {
                knock(applying, relation).await?;
                self.knocked = Some(Instant::now());
                continue;
            }
            if !applying.interrupt.sleep(retry_in).await {
                return Err(Cause::Interrupted);
            }
            if !who.iter().any(|blocker| self.stays(blocker)) {
                return Ok(());
            }
        }
    }

    /// Tells the journal who is in the way, where that takes long.
    async fn note(
        &self,
        applying: &mut Applying<'_>,
        who: &[Blocker],
        retry_in: Duration,
    ) -> Result<(), Cause> {
        let Some(step) = self.step.filter(|_| retry_in >= NOTED) else { return Ok(()) };
        let why = [Pause::Lock { by: who.iter().map(ToString::to_string).collect() }];
        let note = applying.job.journal.step_waits(applying.run, step, Some(&why));
        applying.small(vec![note]).await
    }

    /// Between three quarters and five quarters, in thousandths.
    pub(super) fn jitter(&mut self) -> u32 {
        750 + self.random() % 500
    }

    async fn who(&self, applying: &mut Applying<'_>) -> Result<Vec<Blocker>, Cause> {
        match blockers(applying.session, &self.wanted, &[]).await {
            Ok(who) => Ok(who),
            Err(Error::Lost { reason, .. }) => Err(applying.lost(reason, None).await),
            Err(_) => Ok(Vec::new()),
        }
    }

    fn stays(&self, blocker: &Blocker) -> bool {
        !blocker.waiting && blocker.xact_age.is_some_and(|age| age > self.old)
    }

    /// The next pause: exponential, and between half and one and a half of that, so that two who
    /// wait for each other do not come back together.
    fn next(&mut self) -> Duration {
        let base = FIRST.saturating_mul(1 << self.pauses.min(10)).min(LONGEST);
        self.pauses += 1;
        base * (500 + self.random() % 1000) / 1000
    }

    fn random(&mut self) -> u32 {
        // xorshift64 (Marsaglia, 2003)
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        u32::try_from(self.seed % 1_000_000).unwrap_or(0)
    }
}

/// The relation that a worker of the server itself cleans up, if one is in the way: it has no role, and
/// this lock.
fn cleaned(who: &[Blocker]) -> Option<&QName> {
    let cleans = |b: &&Blocker| {
        b.role.is_none() && b.pid.is_some() && !b.waiting && !b.prevents_wraparound()
    };
    let locks = who.iter().filter(cleans).filter_map(|blocker| blocker.lock.as_ref());
    let mut cleaned = locks.filter(|(level, _)| *level == LockLevel::ShareUpdateExclusive);
    cleaned.next().map(|(_, relation)| relation)
}

/// Makes an autovacuum give way: it is ended for whoever waits for its lock and finds it after
/// `deadlock_timeout` (`ProcSleep` in proc.c), and our tries are shorter than that. So a lock is waited for
/// that no reader and no writer queues behind. One that prevents wraparound does not give way.
async fn knock(applying: &mut Applying<'_>, relation: &QName) -> Result<(), Cause> {
    let name = format!("{}.{}", quote_ident(&relation.namespace), quote_ident(&relation.name));
    let sql = format!(
        "BEGIN; SELECT pg_catalog.set_config('lock_timeout', (extract(epoch FROM \
         pg_catalog.current_setting('deadlock_timeout')::interval) * 1000 + 500)::int8::text, true); \
         LOCK TABLE ONLY {name} IN SHARE UPDATE EXCLUSIVE MODE; ROLLBACK"
    );
    match interrupt::send(applying.session, &sql, &mut applying.interrupt).await {
        Ok(_) => return Ok(()),
        Err(Error::Lost { reason, .. }) => return Err(applying.lost(reason, None).await),
        Err(_) => {}
    }
    match applying.session.rollback().await {
        Err(Error::Lost { reason, .. }) => Err(applying.lost(reason, None).await),
        _ if applying.interrupt.is_raised() => Err(Cause::Interrupted),
        _ => Ok(()),
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
