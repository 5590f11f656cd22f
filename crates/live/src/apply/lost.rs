//! After the connection was lost: finds out what was committed.
//!
//! Invariant: `certain` is said only when the old session can commit nothing more. The fence was
//! raised over it, or its statement outside of a transaction has ended.

use std::time::Duration;

use super::{Applying, Cause};
use crate::connect::{ConnectOptions, Session, connect};
use crate::error::Error;
use crate::journal::StepState;

/// How often a new connection is tried, with growing pauses: about half a minute in all.
const TRIES: u32 = 7;

impl Applying<'_> {
    /// Connects anew, closes the door behind the lost session and reads what it did; `outside` is
    /// a step that ran outside of a transaction, and how its object stood before.
    pub(super) async fn lost(
        &mut self,
        reason: String,
        outside: Option<(&reconcile_plan::Step, super::outside::State)>,
    ) -> Cause {
        let certain = self.find_out(outside).await.unwrap_or(false);
        Cause::Lost { reason, certain }
    }

    async fn find_out(
        &mut self,
        outside: Option<(&reconcile_plan::Step, super::outside::State)>,
    ) -> Option<bool> {
        // The advisory lock went with the session.
        self.released = true;
        let canceller = self.session.canceller();
        let mut session = self.reconnect().await?;
        let (pid, start) = (self.session.backend_pid, self.session.backend_start.clone());
        let mut certain = false;
        for pause in 0..5 {
            let shut_out = self.lease.shut_out(&mut session).await.ok()?;
            if shut_out && (outside.is_none() || ended(&mut session, pid, start.as_deref()).await) {
                certain = true;
                break;
            }
            let _ = canceller.cancel().await;
            tokio::time::sleep(Duration::from_millis(200 << pause)).await;
        }
        let steps = self.job.journal.steps(&mut session, self.run).await;
        *self.session = session;
        if let Ok(steps) = steps {
            self.begun |= !steps.is_empty();
            for step in steps.iter().filter(|step| step.state == StepState::Done) {
                if !self.done.contains(&step.number) {
                    self.done.push(step.number);
                }
            }
        } else if self.begun {
            certain = false;
        }
        if let Some((step, before)) = outside {
            self.judge(step, before).await.ok()?;
        }
        Some(certain)
    }

    async fn reconnect(&self) -> Option<Session> {
        let role = (self.session.role != self.session.login).then(|| self.session.role.clone());
        let options = ConnectOptions {
            role,
            pooled: self.session.tag.is_some(),
            connect_timeout: Duration::from_secs(5),
        };
        for pause in 0..TRIES {
            if let Ok(session) = connect(&self.session.target, &options).await {
                return Some(session);
            }
            if pause + 1 < TRIES {
                tokio::time::sleep(Duration::from_millis(250 << pause)).await;
            }
        }
        None
    }
}

/// Whether a session has ended or does nothing.
async fn ended(session: &mut Session, pid: i32, start: Option<&str>) -> bool {
    let start = start.map(|start| format!(" AND backend_start = '{start}'")).unwrap_or_default();
    let sql = format!(
        "SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE pid = {pid}{start} \
         AND state IS DISTINCT FROM 'idle'"
    );
    let answer: Result<_, Error> = session.send(&sql).await;
    answer.is_ok_and(|rows| rows.first().and_then(|row| row.at(0)) == Some("0"))
}
