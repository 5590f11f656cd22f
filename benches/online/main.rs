//! What clients feel while a column's type changes, online and by a plain ALTER in the same run:
//! `cargo bench --bench online -- --rows 4000000`.
//!
//! `--writers N` clients write and read without a break; each knows what its rows have to be, and every row
//! is looked at in the end. `--throttle off` lets the online way take all the time it can get, `--svg FILE`
//! draws the latencies, `--major N` takes another server.

#![allow(clippy::print_stdout)]

mod load;
mod picture;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use load::{Load, Seen};
use reconcile_testkit::{majors, own_server};
use reconcile_throwaway::{Options, Server};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// How long the load runs before anything is changed, and after.
const BEFORE: Duration = Duration::from_secs(10);
const AFTER: Duration = Duration::from_secs(3);

const TABLE: &str = "CREATE TYPE message_role AS ENUM ('user', 'assistant', 'system', 'tool'); \
    CREATE TABLE messages (id bigint PRIMARY KEY, conversation int NOT NULL, role message_role NOT NULL DEFAULT 'user', \
    content text NOT NULL, touched int NOT NULL DEFAULT 0); \
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.touched := OLD.touched + 1; RETURN NEW; END'; \
    CREATE VIEW answers AS SELECT id, role, content FROM messages WHERE role = 'assistant';";

const AROUND: &str = "CREATE INDEX messages_role_idx ON messages (conversation, role); \
    CREATE INDEX messages_user_idx ON messages (conversation) WHERE role = 'user'; \
    CREATE TRIGGER touch BEFORE UPDATE ON messages FOR EACH ROW EXECUTE FUNCTION touch(); \
    VACUUM (ANALYZE, FREEZE) messages; CHECKPOINT";

const MODEL: &str = "tables:\n  messages:\n    columns:\n      role: {type: varchar(20), nullable: false, default: \"'user'\"}\n";

struct Arguments {
    rows: u64,
    writers: usize,
    major: u32,
    throttle: bool,
    svg: Option<PathBuf>,
}

impl Arguments {
    fn read() -> Self {
        let mut out =
            Self { rows: 1_000_000, writers: 4, major: majors()[0], throttle: true, svg: None };
        let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
        while let Some(word) = words.next() {
            let mut next = || words.next().unwrap_or_else(|| panic!("{word} needs a value"));
            match word.as_str() {
                "--rows" => out.rows = next().parse().expect("a number of rows"),
                "--writers" => out.writers = next().parse().expect("a number of clients"),
                "--major" => out.major = next().parse().expect("a version"),
                "--throttle" => out.throttle = next() != "off",
                "--svg" => out.svg = Some(next().into()),
                _ => panic!("{word} is not known"),
            }
        }
        out
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments = Arguments::read();
    let options =
        Options::default().setting("shared_buffers", "512MB").setting("max_wal_size", "4GB");
    let server = own_server(arguments.major, options).await;
    println!(
        "PostgreSQL {}, {} rows, {} clients\n",
        arguments.major, arguments.rows, arguments.writers
    );
    let mut ways = Vec::new();
    for strategy in ["direct", "online"] {
        let way = measure(&server, strategy, &arguments).await;
        way.print();
        ways.push(way);
    }
    let [direct, online] = &ways[..] else { return };
    println!("online against direct");
    println!("  longest stall   {:>8.0} times shorter", ratio(direct.longest(), online.longest()));
    println!("  total time      {:>8.1} times as long", ratio(online.took, direct.took));
    println!(
        "  throughput      {:>8.0} % of undisturbed while it runs",
        100.0 * online.during() / online.before()
    );
    if let Some(file) = &arguments.svg {
        std::fs::write(file, picture::draw(direct, online)).expect("the picture is written");
        println!("\nthe latencies are drawn in {}", file.display());
    }
}

fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64().max(1e-6)
}

/// What was seen of one way.
struct Way {
    strategy: &'static str,
    began: Duration,
    took: Duration,
    seen: Seen,
}

impl Way {
    /// The longest that a client waited for one statement from the beginning of the change on.
    fn longest(&self) -> Duration {
        self.since().map(|(_, took)| *took).max().unwrap_or_default()
    }

    fn since(&self) -> impl Iterator<Item = &(Duration, Duration)> {
        self.seen.done.iter().filter(|(at, took)| *at + *took >= self.began)
    }

    /// Statements a second before the change.
    fn before(&self) -> f64 {
        self.rate(Duration::ZERO, self.began)
    }

    /// Statements a second while it runs.
    fn during(&self) -> f64 {
        self.rate(self.began, self.began + self.took)
    }

    fn rate(&self, from: Duration, to: Duration) -> f64 {
        let done = self.seen.done.iter().map(|(at, took)| *at + *took);
        #[allow(clippy::cast_precision_loss)] // a rate
        let number = done.filter(|end| *end >= from && *end < to).count() as f64;
        number / (to - from).as_secs_f64().max(1e-6)
    }

    fn print(&self) {
        let mut all: Vec<Duration> = self.since().map(|(_, took)| *took).collect();
        all.sort();
        let share = |of: usize| all.get(all.len() * of / 1000).copied().unwrap_or_default();
        println!("{}", self.strategy);
        println!("  total time          {:>10.1} s", self.took.as_secs_f64());
        println!("  longest stall       {:>10.1} ms", self.longest().as_secs_f64() * 1e3);
        println!("  99.9 % within       {:>10.1} ms", share(999).as_secs_f64() * 1e3);
        println!("  99 % within         {:>10.1} ms", share(990).as_secs_f64() * 1e3);
        println!(
            "  statements a second {:>10.0} before, {:.0} while it runs",
            self.before(),
            self.during()
        );
        println!("  failed              {:>10}", self.seen.failed.len());
        println!(
            "  read again because of `cached plan must not change result type` {}",
            self.seen.replanned
        );
        println!("  rows that are not what their writers left: {}\n", self.seen.wrong);
        for error in self.seen.failed.iter().take(5) {
            println!("  failed: {error}");
        }
    }
}

async fn measure(server: &Server, strategy: &'static str, arguments: &Arguments) -> Way {
    let url = fill(server, strategy, arguments.rows).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let model = folder.path().join("model.yaml");
    std::fs::write(&model, MODEL).expect("the model is written");
    let start = Instant::now();
    let load = Load::start(&url, arguments.writers, arguments.rows, start).await;
    tokio::time::sleep(BEFORE).await;
    let began = start.elapsed();
    apply(&url, strategy, arguments.throttle, &model).await;
    let took = start.elapsed() - began;
    tokio::time::sleep(AFTER).await;
    let seen = load.stop(&url).await;
    if strategy == "online" {
        program(&url, &["contract", "--yes"]).await;
        program(&url, &["plan", "--exit-code", model.to_str().expect("a name")]).await;
    }
    Way { strategy, began, took, seen }
}

async fn fill(server: &Server, name: &str, rows: u64) -> String {
    let mut connection = connect(&server.url("postgres")).await;
    run(&mut connection, &format!("CREATE DATABASE {name}")).await;
    let url = server.url(name);
    let mut connection = connect(&url).await;
    run(&mut connection, TABLE).await;
    let labels = "(ARRAY['user','assistant','system','tool'])[1 + i % 4]::message_role";
    let sql = format!(
        "INSERT INTO messages SELECT i, i % 1000, {labels}, repeat(md5(i::text), 4) FROM generate_series(1, {rows}) i"
    );
    run(&mut connection, &sql).await;
    for sql in AROUND.split("; ") {
        run(&mut connection, sql).await;
    }
    url
}

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.expect("the server takes connections")
}

async fn run(connection: &mut PgConnection, sql: &str) {
    let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await;
    done.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

async fn apply(url: &str, strategy: &str, throttle: bool, model: &Path) {
    let throttle = if throttle { "on" } else { "off" };
    let model = model.to_str().expect("a name");
    let words = [
        "apply",
        "--yes",
        "--rehearse=never",
        "--strategy",
        strategy,
        "--throttle",
        throttle,
        "--max-stall",
        "1h",
        "--wait",
        "10m",
        model,
    ];
    program(url, &words).await;
}

async fn program(url: &str, words: &[&str]) {
    let ran = tokio::process::Command::new(env!("CARGO_BIN_EXE_reconcile"))
        .args(["--live", url])
        .args(words)
        .stdin(Stdio::null())
        .output();
    let ran = ran.await.expect("the program starts");
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{words:?}: {said}");
}
