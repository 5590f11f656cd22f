//! How long a try may wait for its locks.
//!
//! Invariant: no try waits longer than the plan says. A request that waits for ACCESS EXCLUSIVE stops every
//! later reader, so the first one waits about as long as the transactions take that are seen on these
//! relations: one that is shorter wins never, and one that is longer holds others up for nothing.

use std::time::Duration;

/// The least: shorter ones are lost even on relations that are hardly used.
const LEAST: Duration = Duration::from_millis(10);
/// The first try where nobody was seen.
const QUIET: Duration = Duration::from_millis(50);
/// So many times as long as nearly all transactions are old when they are seen. They are seen half way.
const TIMES: u32 = 3;

/// The tries of one batch.
#[derive(Debug)]
pub(super) struct Tempo {
    next: Duration,
    bound: Duration,
}

impl Tempo {
    /// `ages` are those of the transactions that were seen, if the role may see them; `bound` is the
    /// plan's.
    pub(super) fn new(ages: Option<Vec<Duration>>, bound: Duration) -> Self {
        let bound = bound.max(LEAST);
        let first = match ages {
            None => bound,
            Some(ages) if ages.is_empty() => QUIET,
            Some(mut ages) => {
                ages.sort_unstable();
                // The 90th percentile: one that is much older than the others is waited for without a try.
                ages[(ages.len() - 1) * 9 / 10].saturating_mul(TIMES)
            }
        };
        Self { next: first.clamp(LEAST, bound), bound }
    }

    /// How long the next try may wait; each about twice as long as the one before. `thousandths` of
    /// that, so that two who try do not keep step.
    pub(super) fn next(&mut self, thousandths: u32) -> Duration {
        let this = (self.next * thousandths / 1000).clamp(LEAST, self.bound);
        self.next = (self.next * 2).min(self.bound);
        this
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_first_try_is_as_long_as_the_transactions_are() {
        let first = |ages: &[u64], bound| {
            let ages = ages.iter().copied().map(ms).collect();
            Tempo::new(Some(ages), ms(bound)).next(1000)
        };
        assert_eq!(first(&[2, 5, 8], 200), ms(15));
        assert_eq!(first(&[1, 1], 200), LEAST);
        assert_eq!(first(&[300], 200), ms(200));
        // One of eleven is idle in a transaction.
        assert_eq!(first(&[5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 60_000], 200), ms(15));
        assert_eq!(first(&[], 200), QUIET);
        assert_eq!(first(&[], 30), ms(30));
    }

    #[test]
    fn what_is_hidden_is_tried_as_the_plan_says() {
        assert_eq!(Tempo::new(None, ms(200)).next(1000), ms(200));
    }

    #[test]
    fn later_tries_grow_up_to_the_bound_and_never_beyond() {
        let mut tempo = Tempo::new(Some(vec![ms(5)]), ms(200));
        let tries: Vec<Duration> = (0..7).map(|_| tempo.next(1000)).collect();
        assert_eq!(tries, [15, 30, 60, 120, 200, 200, 200].map(ms));
        assert_eq!(tempo.next(1250), ms(200));
        assert_eq!(tempo.next(750), ms(150));
        assert_eq!(Tempo::new(None, Duration::ZERO).next(1000), LEAST);
    }
}
