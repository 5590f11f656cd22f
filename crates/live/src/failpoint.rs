//! Places at which a test can kill the program, to prove that a second apply finishes the work.
//!
//! Invariant: without the feature `failpoints` nothing of this is compiled into the program.

/// The variable that names the place to stop at: `batch.2.sent`.
#[cfg(feature = "failpoints")]
const STOP_AT: &str = "RECONCILE_STOP_AT";

/// Ends the process here, without any clearing up, if the environment asks for it.
#[cfg(feature = "failpoints")]
pub(crate) fn reach(place: &str) {
    if is_wanted(place) {
        std::process::abort();
    }
}

/// Does nothing.
#[cfg(not(feature = "failpoints"))]
pub(crate) fn reach(_place: &str) {}

/// Whether the process is to be ended while it waits for the answer to what it sent.
#[cfg(feature = "failpoints")]
pub(crate) fn is_wanted(place: &str) -> bool {
    std::env::var(STOP_AT).is_ok_and(|wanted| wanted == place)
}
