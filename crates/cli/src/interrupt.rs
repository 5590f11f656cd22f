//! Ctrl-C and SIGTERM.
//!
//! Invariant: the signals are taken once, at the start, so that from then on none of them ends the
//! program without its last words.

use reconcile_live::apply::Interrupt as Raised;
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;
use crate::trouble::Trouble;

/// Tells whether the user wants an end.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt {
    raised: Raised,
}

impl Interrupt {
    /// Takes the signals over.
    pub(crate) fn install() -> Result<Self, Failure> {
        let failed = |error| Trouble::new("signals", format!("cannot take signals over: {error}"));
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let (interrupter, raised) = Raised::new();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                interrupter.raise();
            }
        });
        Ok(Self { raised })
    }

    /// For what ends itself in good order.
    pub(crate) fn raised(&self) -> Raised {
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
            () = raised.raised() => {
                Err(Failure::refused(Trouble::new("interrupted", "interrupted: nothing was changed")))
            }
            result = work => result,
        }
    }
}
