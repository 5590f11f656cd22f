//! Clients that write and read without a break, and know what every row has to be.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, PgConnection, Row};
use tokio::task::JoinHandle;

use super::connect;

const LABELS: [&str; 4] = ["user", "assistant", "system", "tool"];

/// The role of a row; none for one that is gone.
type Role = (u64, Option<&'static str>);

/// What all clients have seen.
#[derive(Default)]
pub(crate) struct Seen {
    /// When each statement began, since the start, and how long it took.
    pub(crate) done: Vec<(Duration, Duration)>,
    /// What failed, but for the next.
    pub(crate) failed: Vec<String>,
    /// Reads through prepared statements that had to be prepared again.
    pub(crate) replanned: usize,
    /// Rows that are not what they have to be.
    pub(crate) wrong: u64,
    rows: HashMap<u64, Option<&'static str>>,
}

/// The clients at work.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Seen>>,
    rows: u64,
}

impl Load {
    /// Starts the clients. Half of them prepare their statements, the others send text.
    pub(crate) async fn start(url: &str, clients: usize, rows: u64, start: Instant) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut out = Self { stop: Arc::clone(&stop), clients: Vec::new(), rows };
        for number in 0..clients {
            let client = Client {
                connection: connect(url).await,
                number: number as u64,
                of: clients as u64,
                table: rows,
                next: 0,
                seed: (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
                prepared: number % 2 == 0,
                start,
                seen: Seen::default(),
            };
            out.clients.push(tokio::spawn(client.work(Arc::clone(&stop))));
        }
        out
    }

    /// Ends it, and looks at every row.
    pub(crate) async fn stop(self, url: &str) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Seen::default();
        for client in self.clients {
            let seen = client.await.expect("a client does not end by itself");
            all.done.extend(seen.done);
            all.failed.extend(seen.failed);
            all.replanned += seen.replanned;
            all.rows.extend(seen.rows);
        }
        all.wrong = wrong(url, self.rows, &all.rows).await;
        all
    }
}

/// Counts the rows that are not what they have to be.
async fn wrong(url: &str, rows: u64, known: &HashMap<u64, Option<&'static str>>) -> u64 {
    let mut connection = connect(url).await;
    let mut values = Vec::new();
    for (id, role) in known {
        let role = role.map_or_else(|| "NULL".to_owned(), |role| format!("'{role}'"));
        values.push(format!("({id}, {role})"));
    }
    let mut sql = "CREATE TEMP TABLE known (id bigint PRIMARY KEY, role text)".to_owned();
    for chunk in values.chunks(1000) {
        sql.push_str(&format!("; INSERT INTO known VALUES {}", chunk.join(", ")));
    }
    super::run(&mut connection, &sql).await;
    let labels = "(ARRAY['user','assistant','system','tool'])[1 + i % 4]";
    let sql = format!(
        "SELECT count(*) FROM (SELECT i AS id, {labels} AS role FROM generate_series(1::bigint, {rows}) i \
         WHERE NOT EXISTS (SELECT FROM known k WHERE k.id = i) \
         UNION ALL SELECT id, role FROM known WHERE role IS NOT NULL) want \
         FULL JOIN messages m USING (id) WHERE want.role IS DISTINCT FROM m.role::text"
    );
    let row = sqlx::raw_sql(AssertSqlSafe(sql))
        .fetch_one(&mut connection)
        .await
        .expect("rows are counted");
    let wrong: i64 = row.get(0);
    wrong.unsigned_abs()
}

struct Client {
    connection: PgConnection,
    number: u64,
    of: u64,
    table: u64,
    next: u64,
    seed: u64,
    prepared: bool,
    start: Instant,
    seen: Seen,
}

impl Client {
    async fn work(mut self, stop: Arc<AtomicBool>) -> Seen {
        while !stop.load(Ordering::Relaxed) {
            self.one().await;
        }
        self.seen
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
        let own = 1 + (random % (self.table / self.of).max(1)) * self.of % self.table + self.number;
        let own = own.min(self.table + self.number);
        let label = LABELS[usize::try_from(random >> 40).unwrap_or(0) % 4];
        let there = self.seen.rows.get(&own).is_none_or(Option::is_some) && own <= self.table;
        let (sql, values, then): (&str, Vec<String>, Option<Role>) = match dice {
            0..40 if there => (
                "UPDATE messages SET role = $1::text::message_role WHERE id = $2::text::bigint",
                vec![label.to_owned(), own.to_string()],
                Some((own, Some(label))),
            ),
            40..55 => {
                self.next += 1;
                let id = 1_000_000_000 + self.next * self.of + self.number;
                (
                    "INSERT INTO messages (role, id, conversation, content) VALUES ($1::text::message_role, $2::text::bigint, 5, 'new')",
                    vec![label.to_owned(), id.to_string()],
                    Some((id, Some(label))),
                )
            }
            55..60 if there => (
                "DELETE FROM messages WHERE id = $1::text::bigint",
                vec![own.to_string()],
                Some((own, None)),
            ),
            60..90 => (
                "SELECT role::text, content FROM messages WHERE id = $1::text::bigint",
                vec![(1 + random % self.table).to_string()],
                None,
            ),
            _ => (
                "SELECT role, id FROM messages WHERE id = $1::text::bigint",
                vec![(1 + random % self.table).to_string()],
                None,
            ),
        };
        let began = Instant::now();
        let done = self.send(sql, &values).await;
        let took = began.elapsed();
        match done {
            Ok(()) => {
                if let Some((id, role)) = then {
                    self.seen.rows.insert(id, role);
                }
            }
            // No tool can avoid it: the statement is prepared again.
            Err(error) if error.contains("cached plan must not change result type") => {
                self.seen.replanned += 1;
            }
            Err(error) => self.seen.failed.push(format!("{sql}: {error}")),
        }
        self.seen.done.push((began - self.start, took));
        tokio::task::yield_now().await;
    }

    async fn send(&mut self, sql: &'static str, values: &[String]) -> Result<(), String> {
        let done = if self.prepared {
            let query = values.iter().fold(sqlx::query(sql), |query, value| query.bind(value));
            query.fetch_all(&mut self.connection).await
        } else {
            let text = values.iter().enumerate().fold(sql.to_owned(), |text, (at, value)| {
                text.replace(&format!("${}::text", at + 1), &format!("'{value}'"))
            });
            sqlx::raw_sql(AssertSqlSafe(text)).fetch_all(&mut self.connection).await
        };
        done.map(drop).map_err(|error| error.to_string())
    }
}
