//! What is waited for, in words.

use std::time::Duration;

use reconcile_live::apply::Pause;
use reconcile_report::{bytes, duration};

/// What a pause is for, with its figures and the way out where it needs somebody.
pub(crate) fn pause(pause: &Pause) -> String {
    let time = |ms: &u64| duration(Duration::from_millis(*ms));
    let reader = |active: &bool| if *active { "" } else { ", from which nobody reads," };
    match pause {
        Pause::Behind { standby, lag_ms, bytes: behind, bound_ms } => format!(
            "standby {standby} shows a state that is {} old, {} behind; more than {} is too much (--max-lag)",
            time(lag_ms),
            bytes(*behind),
            time(bound_ms)
        ),
        Pause::Unsent { standby, bytes: missing, bound } => format!(
            "standby {standby} has yet to get {} of the write-ahead log; more than {} is too much (--max-retained)",
            bytes(*missing),
            bytes(*bound)
        ),
        Pause::Retained { slot, active, bytes: kept, bound } => format!(
            "replication slot {slot}{} keeps {} of the write-ahead log; more than {} is too much (--max-retained)",
            reader(active),
            bytes(*kept),
            bytes(*bound)
        ),
        Pause::Endangered { slot, active, left } => format!(
            "replication slot {slot}{} is lost after another {} of the write-ahead log (max_slot_wal_keep_size)",
            reader(active),
            bytes(*left)
        ),
        Pause::SlotLost { slot } => format!(
            "replication slot {slot} was lost meanwhile: set its reader up anew, and drop the slot to go on"
        ),
        Pause::Wraparound { pid } => format!(
            "autovacuum is at work on it to prevent wraparound, as process {pid}, and may not be put off"
        ),
        Pause::Lock { by } => by.join("; "),
    }
}

/// Several of them in a line.
pub(crate) fn pauses(why: &[Pause]) -> String {
    why.iter().map(pause).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_said() {
        let slot = || "p".to_owned();
        let retained =
            Pause::Retained { slot: slot(), active: false, bytes: 5 << 30, bound: 4 << 30 };
        assert_eq!(
            pause(&retained),
            "replication slot p, from which nobody reads, keeps 5 GB of the write-ahead log; more than 4 GB is \
             too much (--max-retained)"
        );
        let behind =
            Pause::Behind { standby: slot(), lag_ms: 12_500, bytes: 3 << 20, bound_ms: 10_000 };
        assert_eq!(
            pauses(&[behind, Pause::Wraparound { pid: 7 }]),
            "standby p shows a state that is 12.5 s old, 3 MB behind; more than 10 s is too much (--max-lag); \
             autovacuum is at work on it to prevent wraparound, as process 7, and may not be put off"
        );
    }
}
