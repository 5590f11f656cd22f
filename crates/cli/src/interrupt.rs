//! Ctrl-C and SIGTERM.
//!
//! Invariant: the signals are taken once, at the start, so that from then on none of them ends the
//! program without its last words.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::failure::Failure;
use crate::trouble::Trouble;

/// Tells whether the user wants an end.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt {
    raised: watch::Receiver<bool>,
}

impl Interrupt {
    /// Takes the signals over.
    pub(crate) fn install() -> Result<Self, Failure> {
        let failed = |error| Trouble::new("signals", format!("cannot take signals over: {error}"));
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let (interrupter, raised) = watch::channel(false);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                interrupter.send_replace(true);
            }
        });
        Ok(Self { raised })
    }

    /// For what ends itself in good order.
    pub(crate) fn raised(&self) -> watch::Receiver<bool> {
        self.raised.clone()
    }

    /// Runs something that changes nothing, and gives it up when the user wants an end.
    pub(crate) async fn or<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let mut raised = self.raised();
        tokio::select! {
            biased;
            _ = raised.wait_for(|r| *r) => {
                Err(Failure::refused(Trouble::new("interrupted", "interrupted: nothing was changed")))
            }
            result = work => result,
        }
    }
}
