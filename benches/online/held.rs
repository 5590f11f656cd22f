//! How long the table is locked against everybody, as another session sees it in pg_locks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Row};
use tokio::task::JoinHandle;

use super::database::connect;

/// How often is looked. A lock that comes and goes in between is not seen, and is shorter than that.
pub(crate) const LOOK: Duration = Duration::from_millis(4);

/// Who has the lock; one row at the most.
const HOLDER: &str = "SELECT virtualtransaction FROM pg_locks WHERE granted AND mode = 'AccessExclusiveLock' \
    AND relation = 'messages'::regclass AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// Somebody who looks.
pub(crate) struct Held {
    stop: Arc<AtomicBool>,
    looking: JoinHandle<Duration>,
}

impl Held {
    pub(crate) async fn watch(url: &str) -> Self {
        let mut connection = connect(url).await;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let looking = tokio::spawn(async move {
            let (mut longest, mut held) = (Duration::ZERO, None);
            while !stopped.load(Ordering::Relaxed) {
                let asked = Instant::now();
                let row =
                    sqlx::raw_sql(AssertSqlSafe(HOLDER)).fetch_optional(&mut connection).await;
                let holder = row.expect("the locks are seen").map(|row| row.get::<String, _>(0));
                held = match (held, holder) {
                    (Some((whose, since)), Some(now)) if whose == now => {
                        longest = longest.max(Instant::now() - since);
                        Some((whose, since))
                    }
                    (_, holder) => holder.map(|now| (now, asked)),
                };
                tokio::time::sleep(LOOK).await;
            }
            longest
        });
        Self { stop, looking }
    }

    /// The longest that a transaction was seen with the lock.
    pub(crate) async fn longest(self) -> Duration {
        self.stop.store(true, Ordering::Relaxed);
        self.looking.await.expect("nobody ends who looks")
    }
}
