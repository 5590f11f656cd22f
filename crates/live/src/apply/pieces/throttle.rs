//! Whether the pieces have to wait for others, and for whom.
//!
//! Invariant: a decision is a function of what was seen, so that it can be said with its figures.
//! These pauses are about what cannot be made good again (a slot that is lost, a full disk, readers of a
//! standby who see the past): they hold whatever the pace is, and they are never given up.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// How far others may fall behind before work in pieces waits for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// How old the state may be that a standby shows.
    pub lag: Duration,
    /// How much of the log a standby may not have got yet, or a replication slot may keep, in bytes.
    pub retained: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { lag: Duration::from_secs(10), retained: 4 << 30 }
    }
}

/// Something that is waited for, with its figures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "for", rename_all = "snake_case")]
pub enum Pause {
    /// What a standby or a subscriber shows is too old.
    Behind {
        /// What it calls itself.
        standby: String,
        /// How old it is at least, in milliseconds.
        lag_ms: u64,
        /// How much of the log it has not applied, in bytes.
        bytes: u64,
        /// The bound, in milliseconds.
        bound_ms: u64,
    },
    /// A standby has not stored too much of the log.
    Unsent {
        /// What it calls itself.
        standby: String,
        /// How much, in bytes.
        bytes: u64,
        /// The bound, in bytes.
        bound: u64,
    },
    /// A replication slot keeps too much of the log.
    Retained {
        /// Its name.
        slot: String,
        /// Whether somebody reads from it.
        active: bool,
        /// How much, in bytes.
        bytes: u64,
        /// The bound, in bytes.
        bound: u64,
    },
    /// A replication slot is about to be given up by the server (`max_slot_wal_keep_size`).
    Endangered {
        /// Its name.
        slot: String,
        /// Whether somebody reads from it.
        active: bool,
        /// How much can still be written until then, in bytes.
        left: u64,
    },
    /// A replication slot was given up by the server since the work began.
    SlotLost {
        /// Its name.
        slot: String,
    },
    /// An autovacuum on the table that may not be put off.
    Wraparound {
        /// Its process.
        pid: i32,
    },
    /// Somebody else's lock.
    Lock {
        /// Who has it, as far as the role may see.
        by: Vec<String>,
    },
}

/// A standby or subscriber, as far as the role may see it.
#[derive(Debug, Clone, Default)]
pub(super) struct Standby {
    pub(super) name: String,
    /// Up to where it has stored the log, and applied it.
    pub(super) flushed: Option<u64>,
    pub(super) applied: Option<u64>,
    /// What the server says of its lag. It says nothing new while the replay is paused.
    pub(super) lag: Option<Duration>,
}

/// A replication slot.
#[derive(Debug, Clone, Default)]
pub(super) struct Slot {
    pub(super) name: String,
    pub(super) active: bool,
    /// `reserved`, `extended`, `unreserved` or `lost`.
    pub(super) status: String,
    /// What it keeps, in bytes.
    pub(super) retained: u64,
    /// How much can be written until it is lost, if there is a limit.
    pub(super) left: Option<u64>,
    /// `max_slot_wal_keep_size`, if there is one.
    pub(super) limit: Option<u64>,
}

/// What one look shows.
#[derive(Debug, Clone, Default)]
pub(super) struct Sight {
    /// The end of the log.
    pub(super) end: u64,
    pub(super) standbys: Vec<Standby>,
    pub(super) slots: Vec<Slot>,
    /// An autovacuum on the table to prevent wraparound.
    pub(super) wraparound: Option<i32>,
    /// How many sessions wait for a lock on the table.
    pub(super) waiting: u64,
}

/// What is remembered from look to look.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// When the log was how long.
    trail: Vec<(u64, Instant)>,
    /// The slots that were lost before the work began: waiting would save nothing.
    lost: Option<BTreeSet<String>>,
}

/// The most of the trail that is kept.
const TRAIL: usize = 2048;

impl Memory {
    /// Takes a look down.
    pub(super) fn note(&mut self, sight: &Sight, now: Instant) {
        if self.trail.len() >= TRAIL {
            self.trail.drain(..TRAIL / 2);
        }
        self.trail.push((sight.end, now));
        let lost = |slot: &&Slot| slot.status == "lost";
        self.lost.get_or_insert_with(|| {
            sight.slots.iter().filter(lost).map(|slot| slot.name.clone()).collect()
        });
    }

    /// How long ago, at least, the log grew beyond a place.
    fn age(&self, place: u64, now: Instant) -> Duration {
        let beyond = self.trail.iter().find(|(end, _)| *end > place);
        beyond.map_or(Duration::ZERO, |(_, at)| now.saturating_duration_since(*at))
    }
}

/// What has to be waited for.
pub(super) fn pauses(sight: &Sight, memory: &Memory, bounds: &Bounds, now: Instant) -> Vec<Pause> {
    let mut out = Vec::new();
    for standby in &sight.standbys {
        let name = || standby.name.clone();
        if let Some(flushed) = standby.flushed {
            let bytes = sight.end.saturating_sub(flushed);
            if bytes > bounds.retained {
                out.push(Pause::Unsent { standby: name(), bytes, bound: bounds.retained });
                continue;
            }
        }
        let Some(applied) = standby.applied.filter(|applied| *applied < sight.end) else {
            continue;
        };
        let lag = standby.lag.unwrap_or_default().max(memory.age(applied, now));
        if lag > bounds.lag {
            out.push(Pause::Behind {
                standby: name(),
                lag_ms: millis(lag),
                bytes: sight.end - applied,
                bound_ms: millis(bounds.lag),
            });
        }
    }
    out.extend(sight.slots.iter().filter_map(|slot| of_slot(slot, memory, bounds)));
    out.extend(sight.wraparound.map(|pid| Pause::Wraparound { pid }));
    out
}

fn of_slot(slot: &Slot, memory: &Memory, bounds: &Bounds) -> Option<Pause> {
    let (name, active) = (slot.name.clone(), slot.active);
    // A quarter of what it may keep is left for what the others write meanwhile.
    let scarce = slot.left.zip(slot.limit).is_some_and(|(left, limit)| left < limit / 4);
    match slot.status.as_str() {
        "lost" => {
            let before = memory.lost.as_ref().is_some_and(|lost| lost.contains(&slot.name));
            (!before).then_some(Pause::SlotLost { slot: name })
        }
        status if status == "unreserved" || scarce => {
            Some(Pause::Endangered { slot: name, active, left: slot.left.unwrap_or(0) })
        }
        _ if slot.retained > bounds.retained => {
            let (bytes, bound) = (slot.retained, bounds.retained);
            Some(Pause::Retained { slot: name, active, bytes, bound })
        }
        _ => None,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn standby(applied: u64, lag: u64) -> Standby {
        Standby {
            name: "s".to_owned(),
            flushed: Some(applied),
            applied: Some(applied),
            lag: Some(SECOND * u32::try_from(lag).unwrap_or(0)),
        }
    }

    fn slot(status: &str) -> Slot {
        Slot { name: "p".to_owned(), status: status.to_owned(), ..Slot::default() }
    }

    fn seen(sights: &[Sight], apart: Duration) -> Vec<Pause> {
        let mut memory = Memory::default();
        let mut now = Instant::now();
        let mut out = Vec::new();
        for sight in sights {
            now += apart;
            memory.note(sight, now);
            out = pauses(sight, &memory, &Bounds::default(), now);
        }
        out
    }

    #[test]
    fn a_standby_is_as_old_as_the_log_at_its_place() {
        // The server says 0 s throughout, as it does while the replay is paused.
        let at = |end: u64, applied: u64| Sight {
            end,
            standbys: vec![standby(applied, 0)],
            ..Sight::default()
        };
        let stuck = [at(100, 100), at(200, 100), at(300, 100), at(300, 100)];
        assert_eq!(seen(&stuck, 4 * SECOND), []);
        assert_eq!(
            seen(&stuck, 6 * SECOND),
            [Pause::Behind {
                standby: "s".to_owned(),
                lag_ms: 12_000,
                bytes: 200,
                bound_ms: 10_000
            }]
        );
        let caught_up = [at(100, 100), at(200, 100), at(300, 300)];
        assert_eq!(seen(&caught_up, 60 * SECOND), []);
    }

    #[test]
    fn what_the_server_says_of_a_lag_counts_until_it_is_caught_up() {
        let late = Sight { end: 9, standbys: vec![standby(8, 11)], ..Sight::default() };
        assert_eq!(seen(&[late], SECOND).len(), 1);
        let done = Sight { end: 9, standbys: vec![standby(9, 11)], ..Sight::default() };
        assert_eq!(seen(&[done], SECOND), []);
        let hidden = Standby { name: "s".to_owned(), ..Standby::default() };
        let hidden = Sight { end: 9, standbys: vec![hidden], ..Sight::default() };
        assert_eq!(seen(&[hidden], SECOND), []);
    }

    #[test]
    fn a_standby_that_gets_nothing_is_counted_in_bytes() {
        let sight = Sight { end: 5 << 30, standbys: vec![standby(0, 0)], ..Sight::default() };
        let found = seen(&[sight], SECOND);
        assert!(matches!(found[..], [Pause::Unsent { .. }]), "{found:?}");
    }

    #[test]
    fn a_slot_is_waited_for_before_it_is_lost() {
        let with = |slot: Slot| seen(&[Sight { slots: vec![slot], ..Sight::default() }], SECOND);
        assert_eq!(with(Slot { retained: 1 << 30, ..slot("reserved") }), []);
        let found = with(Slot { retained: 5 << 30, ..slot("extended") });
        assert!(matches!(found[..], [Pause::Retained { .. }]), "{found:?}");
        let found = with(slot("unreserved"));
        assert!(matches!(found[..], [Pause::Endangered { .. }]), "{found:?}");
        let limited = |left| Slot { left: Some(left), limit: Some(100), ..slot("extended") };
        assert_eq!(with(limited(25)), []);
        let found = with(limited(24));
        assert!(matches!(found[..], [Pause::Endangered { left: 24, .. }]), "{found:?}");
    }

    #[test]
    fn only_a_slot_that_is_lost_meanwhile_counts() {
        let sight = |status| Sight { slots: vec![slot(status)], ..Sight::default() };
        assert_eq!(seen(&[sight("lost"), sight("lost")], SECOND), []);
        let found = seen(&[sight("reserved"), sight("lost")], SECOND);
        assert_eq!(found, [Pause::SlotLost { slot: "p".to_owned() }]);
    }

    #[test]
    fn a_vacuum_that_may_not_wait_is_waited_for() {
        let sight = Sight { wraparound: Some(7), ..Sight::default() };
        assert_eq!(seen(&[sight], SECOND), [Pause::Wraparound { pid: 7 }]);
    }

    #[test]
    fn the_trail_does_not_grow_for_ever() {
        let mut memory = Memory::default();
        let now = Instant::now();
        for end in 0..10_000 {
            memory.note(&Sight { end, ..Sight::default() }, now);
        }
        assert!(memory.trail.len() <= TRAIL);
    }
}
