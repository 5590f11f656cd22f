//! Sends a message and listens for the wish to stop meanwhile.
//!
//! Invariant: an interrupted message is cancelled on the server and its end is waited for, so that
//! no statement of ours runs on alone.

use std::time::Duration;

use tokio::sync::watch;

use crate::connect::Session;
use crate::error::Error;
use crate::rows::ResultSet;

/// How long the server may take to obey.
const OBEDIENCE: Duration = Duration::from_secs(20);

/// The side that asks to stop: the handler of Ctrl-C.
#[derive(Debug)]
pub struct Interrupter(watch::Sender<bool>);

/// The side that is asked.
#[derive(Debug, Clone)]
pub struct Interrupt(watch::Receiver<bool>);

impl Interrupt {
    /// Both sides.
    pub fn new() -> (Interrupter, Self) {
        let (sender, receiver) = watch::channel(false);
        (Interrupter(sender), Self(receiver))
    }

    /// The wish to stop that never comes.
    pub fn never() -> Self {
        Self::new().1
    }

    /// Whether somebody asked to stop.
    pub fn is_raised(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until somebody asks to stop.
    pub async fn raised(&mut self) {
        if self.0.wait_for(|raised| *raised).await.is_err() {
            // Nobody can ask any more.
            std::future::pending::<()>().await;
        }
    }

    /// Sleeps; false if somebody asked to stop.
    pub(crate) async fn sleep(&mut self, duration: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(duration) => !self.is_raised(),
            () = self.raised() => false,
        }
    }
}

impl Interrupter {
    /// Asks to stop.
    pub fn raise(&self) {
        self.0.send_replace(true);
    }
}

/// Sends a message; if somebody asks to stop, it is cancelled.
pub(super) async fn send(
    session: &mut Session,
    sql: &str,
    interrupt: &mut Interrupt,
) -> Result<Vec<ResultSet>, Error> {
    let canceller = session.canceller();
    let target = session.target.display();
    let sending = session.send_sets(sql);
    tokio::pin!(sending);
    tokio::select! {
        biased;
        answer = &mut sending => return answer,
        () = interrupt.raised() => {}
    }
    let deadline = tokio::time::Instant::now() + OBEDIENCE;
    loop {
        // The signal may come before the statement has begun, so it is sent again.
        let cancel = async {
            let _ = canceller.cancel().await;
            tokio::time::sleep(Duration::from_millis(300)).await;
        };
        tokio::select! {
            biased;
            answer = &mut sending => return answer,
            () = cancel => {}
        }
        if tokio::time::Instant::now() >= deadline {
            let reason = "the server does not end the statement".to_owned();
            return Err(Error::Lost { target, reason });
        }
    }
}
