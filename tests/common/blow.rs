//! Blows at the program: it is killed or cut off at each boundary of what it does.

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reconcile_testkit::Database;

use super::proxy::{self, Proxy, Trap, When};
use super::{DONE, on, program};

/// What is done to the program.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Blow {
    /// SIGKILL.
    Kill,
    /// Its connection ends.
    Cut,
}

/// The queries of a run that nobody disturbed.
#[derive(Debug)]
pub(crate) struct Recorded {
    /// The number of the first that is more than a question.
    first: usize,
    pub(crate) queries: Vec<String>,
}

impl Recorded {
    /// Runs a command to its end and notes what it sends.
    pub(crate) async fn of(database: &Database, words: &[&str]) -> Self {
        let proxy = Proxy::start(database).await;
        on(proxy.url(), words).await.expect(DONE);
        let queries = proxy.queries();
        let first = queries.iter().position(|query| query.contains("pg_try_advisory_lock"));
        Self { first: first.expect("it takes the lease") + 1, queries }
    }

    /// Whether a query does steps.
    pub(crate) fn has_steps(&self, number: usize) -> bool {
        self.queries.get(number - 1).is_some_and(|query| proxy::steps(query) > 0)
    }

    /// Every boundary: before and after each query that writes, and after each step within one.
    pub(crate) fn boundaries(&self) -> Vec<(usize, When)> {
        let mut boundaries = Vec::new();
        for (index, query) in self.queries.iter().enumerate() {
            let number = index + 1;
            if number < self.first || !writes(query) {
                continue;
            }
            boundaries.extend([(number, When::Before), (number, When::After)]);
            let steps = proxy::steps(query);
            // Of many steps some: all are alike to the server, which rolls back.
            let every = steps.div_ceil(6).max(1);
            boundaries.extend((1..=steps).step_by(every).map(|step| (number, When::Within(step))));
        }
        boundaries
    }
}

/// Whether a query is a transaction that writes, or cannot be in one.
fn writes(query: &str) -> bool {
    let alone = ["CREATE INDEX", "CREATE UNIQUE INDEX", "DROP INDEX", "VACUUM"];
    let transaction = query.contains("COMMIT") && !query.contains("READ ONLY");
    transaction || alone.iter().any(|words| query.starts_with(words))
}

/// Starts a command and disturbs it at a boundary; how it ended.
pub(crate) async fn disturb(
    database: &Database,
    words: &[&str],
    boundary: (usize, When),
    blow: Blow,
) -> Option<i32> {
    let proxy = Proxy::start(database).await;
    let mut command = program(&[&["--live", proxy.url()], words].concat());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let child = Arc::new(Mutex::new(command.spawn().expect("the program starts")));
    let victim = Arc::clone(&child);
    let (query, when) = boundary;
    let act = move || match blow {
        Blow::Kill => victim.lock().unwrap().start_kill().expect("it runs"),
        Blow::Cut => {}
    };
    proxy.set(Trap { query, when, act: Box::new(act) });
    loop {
        if let Some(status) = child.lock().unwrap().try_wait().expect("it is our child") {
            return status.code();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
