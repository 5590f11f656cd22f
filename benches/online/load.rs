//! Clients that write and read without a break, and know what every row has to be.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection};
use tokio::task::JoinHandle;

use super::database::{connect, number};
use super::known::{Known, LABELS};
use super::latencies::{Histogram, Series};
use super::statements::{Kind, Protocol, Style, send};

/// How many phases a run has: before, the change, after it, the way back, after that.
pub(crate) const PHASES: usize = 5;

/// What the server says of a statement in which the type that the column had is written, or was fixed when
/// it was prepared.
const TYPE_IS_FIXED: [&str; 2] = ["operator does not exist", "but expression is of type"];

/// What all clients have seen.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) phases: [Histogram; PHASES],
    pub(crate) series: Series,
    /// Failures that some tool could have spared, and what the first ones were.
    pub(crate) failed: u64,
    pub(crate) words: Vec<String>,
    /// Prepared statements whose result has another type.
    pub(crate) replanned: u64,
    /// Statements in which the type of before is fixed.
    pub(crate) old_type: u64,
    /// Rows that are not what they have to be.
    pub(crate) wrong: u64,
}

impl Seen {
    fn merge(&mut self, other: Self) {
        for (mine, theirs) in self.phases.iter_mut().zip(&other.phases) {
            mine.merge(theirs);
        }
        self.series.merge(&other.series);
        self.failed += other.failed;
        self.replanned += other.replanned;
        self.old_type += other.old_type;
        self.words.extend(other.words);
        self.words.truncate(5);
    }
}

/// The clients at work.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    phase: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<(Seen, Known)>>,
}

impl Load {
    /// Starts the clients: prepared or simple, old-style or new-style, in turn.
    pub(crate) async fn start(url: &str, clients: usize, rows: u64, start: Instant) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let phase = Arc::new(AtomicUsize::new(0));
        let mut out = Self { stop, phase, clients: Vec::new() };
        for number in 0..clients {
            let prepared = number % 2 == 0;
            let client = Client {
                connection: connect(url).await,
                known: Known::new(number as u64, clients as u64, rows),
                table: rows,
                seed: (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
                style: if number % 4 < 2 { Style::Old } else { Style::New },
                protocol: if prepared { Protocol::Prepared } else { Protocol::Simple },
                start,
                seen: Seen::default(),
            };
            let (stop, phase) = (Arc::clone(&out.stop), Arc::clone(&out.phase));
            out.clients.push(tokio::spawn(client.work(stop, phase)));
        }
        out
    }

    /// The next phase begins.
    pub(crate) fn next(&self) {
        self.phase.fetch_add(1, Ordering::Relaxed);
    }

    /// Ends it, and looks at every row.
    pub(crate) async fn stop(self, url: &str) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        let (mut all, mut known) = (Seen::default(), Vec::new());
        for client in self.clients {
            let (seen, of) = client.await.expect("a client does not end by itself");
            all.merge(seen);
            known.push(of);
        }
        let mut connection = connect(url).await;
        let mut rows = 0;
        for of in known {
            let (wrong, there) = of.compare(&mut connection).await;
            all.wrong += wrong;
            rows += there;
        }
        let there = number(&mut connection, "SELECT count(*) FROM messages").await;
        all.wrong += there.abs_diff(rows);
        all
    }
}

struct Client {
    connection: PgConnection,
    known: Known,
    table: u64,
    seed: u64,
    style: Style,
    protocol: Protocol,
    start: Instant,
    seen: Seen,
}

impl Client {
    async fn work(mut self, stop: Arc<AtomicBool>, phase: Arc<AtomicUsize>) -> (Seen, Known) {
        while !stop.load(Ordering::Relaxed) {
            let began = Instant::now();
            self.one().await;
            let took = began.elapsed();
            self.seen.phases[phase.load(Ordering::Relaxed).min(PHASES - 1)].add(took);
            self.seen.series.add(began - self.start, took);
            tokio::task::yield_now().await;
        }
        (self.seen, self.known)
    }

    fn random(&mut self) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        self.seed
    }

    /// One statement; each client has rows of its own to write.
    async fn one(&mut self) {
        let (dice, random) = (self.random() % 100, self.random());
        let (own, there) = self.known.pick(random);
        let any = 1 + random % self.table;
        let label = usize::try_from(random >> 40).unwrap_or(0) % LABELS.len();
        let (kind, id, then) = match dice {
            0..40 if there => (Kind::Update, own, Some(Some(label))),
            40..52 => (Kind::Insert, self.known.next(), Some(Some(label))),
            52..57 if there => (Kind::Delete, own, Some(None)),
            57..80 => (Kind::ReadText, any, None),
            80..88 => (Kind::Find, any, None),
            88..94 => (Kind::View, any, None),
            _ => (Kind::Read, any, None),
        };
        let how = (self.style, self.protocol);
        let Err(error) = send(&mut self.connection, how, kind, LABELS[label], id).await else {
            if let Some(label) = then {
                self.known.is(id, label);
            }
            return;
        };
        if error.contains("cached plan must not change result type") {
            self.seen.replanned += 1;
        } else if TYPE_IS_FIXED.iter().any(|words| error.contains(words)) {
            self.seen.old_type += 1;
        } else {
            self.seen.failed += 1;
            self.seen.words.push(error);
            self.seen.words.truncate(5);
            // An error without end would be a loop without end.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // As an application does that opens a new connection: its statements are prepared anew.
        let _ = self.connection.clear_cached_statements().await;
    }
}
