//! How long statements took, in little room: a histogram for each phase, and the longest of each slice of
//! time. Nothing grows with the number of statements.

use std::time::Duration;

/// The length of a slice.
pub(crate) const SLICE: Duration = Duration::from_millis(100);

/// Each power of two is cut into so many buckets, so a bucket is 1.6 % wide at the most.
const CUTS: u64 = 64;
const BUCKETS: usize = 64 * 40;

/// How many statements took how long.
#[derive(Clone)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    pub(crate) longest: Duration,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], longest: Duration::ZERO }
    }
}

impl Histogram {
    pub(crate) fn add(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.counts[bucket(micros).min(BUCKETS - 1)] += 1;
        self.longest = self.longest.max(took);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.longest = self.longest.max(other.longest);
    }

    /// The time within which so many of 1000 statements were done.
    pub(crate) fn within(&self, thousandths: u64) -> Duration {
        let all: u64 = self.counts.iter().sum();
        let (wanted, mut seen) = ((all * thousandths).div_ceil(1000), 0);
        for (at, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted && *count > 0 {
                return Duration::from_micros(least(at + 1)).min(self.longest);
            }
        }
        self.longest
    }
}

fn bucket(micros: u64) -> usize {
    let shift = (u64::BITS - micros.leading_zeros()).saturating_sub(CUTS.ilog2() + 1);
    usize::try_from(u64::from(shift) * CUTS + (micros >> shift)).unwrap_or(BUCKETS)
}

/// The least time that falls into a bucket.
fn least(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    match (bucket / CUTS).saturating_sub(1) {
        0 => bucket,
        shift => (bucket - shift * CUTS) << shift,
    }
}

/// What happened in each slice of time since the start.
#[derive(Clone, Default)]
pub(crate) struct Series(Vec<(u32, Duration)>);

impl Series {
    /// Notes a statement; it counts where it ended, and its wait is drawn where it began.
    pub(crate) fn add(&mut self, began: Duration, took: Duration) {
        self.slice(began + took).0 += 1;
        let longest = &mut self.slice(began).1;
        *longest = (*longest).max(took);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (at, (count, longest)) in other.0.iter().enumerate() {
            let mine = self.slice(SLICE * u32::try_from(at).unwrap_or(u32::MAX));
            mine.0 += count;
            mine.1 = mine.1.max(*longest);
        }
    }

    fn slice(&mut self, at: Duration) -> &mut (u32, Duration) {
        let index = usize::try_from(at.as_millis() / SLICE.as_millis()).unwrap_or(0);
        if self.0.len() <= index {
            self.0.resize(index + 1, (0, Duration::ZERO));
        }
        &mut self.0[index]
    }

    /// Statements a second between two moments.
    pub(crate) fn rate(&self, from: Duration, to: Duration) -> f64 {
        let inside = |at: &Duration| *at >= from && *at < to;
        let count: u64 =
            self.slices().filter(|(at, ..)| inside(at)).map(|(_, n, _)| u64::from(n)).sum();
        #[allow(clippy::cast_precision_loss)] // a rate
        let count = count as f64;
        count / (to - from).as_secs_f64().max(1e-6)
    }

    /// The beginning of each slice, how many statements ended in it, and the longest that began in it.
    pub(crate) fn slices(&self) -> impl Iterator<Item = (Duration, u32, Duration)> {
        (0_u32..).zip(&self.0).map(|(at, (count, longest))| (SLICE * at, *count, *longest))
    }

    pub(crate) fn end(&self) -> Duration {
        SLICE * u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }
}
