//! How much is done at once.
//!
//! Invariant: who waits for a row of a piece waits no longer than about a piece takes, and when
//! somebody did wait, the next pieces are shorter.

use std::time::Duration;

use tokio::time::Instant;

/// How long a piece shall take.
pub(super) const PIECE: Duration = Duration::from_millis(100);
/// The least that it is shortened to while others wait for our rows.
const SHORTEST: Duration = Duration::from_millis(20);
/// The blocks of the first piece.
const FIRST: u64 = 16;
/// The most blocks of a piece.
const MOST: u64 = 4096;

/// The size of the pieces.
#[derive(Debug)]
pub(super) struct Pace {
    /// So many blocks are the next one.
    pub(super) size: u64,
    shall: Duration,
    began: Instant,
    first: u64,
}

impl Pace {
    /// The pace at the beginning; `done` blocks were done before.
    pub(super) fn new(done: u64) -> Self {
        Self { size: FIRST, shall: PIECE, began: Instant::now(), first: done }
    }

    /// A piece took so long: the size grows to the double and shrinks to the half at most.
    pub(super) fn took(&mut self, took: Duration) {
        let next = match (took > self.shall * 3 / 2, took < self.shall / 2) {
            (true, _) => self.size / 2,
            (_, true) => self.size * 2,
            _ => self.size,
        };
        self.size = next.clamp(1, MOST);
    }

    /// A piece was not had: somebody has rows of it.
    pub(super) fn refused(&mut self) {
        self.size = (self.size / 2).max(1);
    }

    /// So many sessions waited for the rows of a piece, or for a lock on its table.
    pub(super) fn waited_for(&mut self, sessions: u64) {
        if sessions == 0 {
            self.shall = (self.shall * 2).min(PIECE);
        } else {
            self.shall = (self.shall / 2).max(SHORTEST);
            self.refused();
        }
    }

    /// How long the rest takes at the pace so far, pauses included.
    pub(super) fn left(&self, done: u64, rest: u64) -> Duration {
        let millis = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(millis.saturating_mul(rest) / (done - self.first).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_take_as_long_as_they_shall() {
        // A block takes 3 ms.
        let mut pace = Pace::new(0);
        for _ in 0..20 {
            pace.took(Duration::from_millis(3 * pace.size));
        }
        assert!((16..=48).contains(&pace.size), "{pace:?}");
        pace.size = 1;
        pace.took(Duration::from_secs(9));
        assert_eq!(pace.size, 1);
        pace.size = MOST;
        pace.took(Duration::ZERO);
        assert_eq!(pace.size, MOST);
    }

    #[test]
    fn who_is_waited_for_makes_shorter_pieces_and_long_ones_again_later() {
        let mut pace = Pace::new(0);
        for _ in 0..9 {
            pace.waited_for(2);
        }
        assert_eq!((pace.shall, pace.size), (SHORTEST, 1));
        for _ in 0..9 {
            pace.waited_for(0);
        }
        assert_eq!(pace.shall, PIECE);
    }
}
