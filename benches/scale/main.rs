//! How the program does with many tables, beside `psql` with the same queries and `pg_dump`:
//! `cargo bench --bench scale -- 100 1000`.
//!
//! Arguments are numbers of tables; `--repeat N` takes the least of N runs, `--major N` the server.

#![allow(clippy::print_stdout)]

mod generate;
mod link;
mod measure;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use link::{DELAY, Link};
use measure::{Cost, least};
use reconcile_testkit::{majors, own_server, pg_dump_program};
use reconcile_throwaway::{Options, Server};
use sqlx::AssertSqlSafe;

const SIZES: [usize; 4] = [10, 100, 1_000, 10_000];

struct Arguments {
    sizes: Vec<usize>,
    repeat: usize,
    major: u32,
}

impl Arguments {
    fn read() -> Self {
        let mut out = Self { sizes: Vec::new(), repeat: 3, major: majors()[0] };
        let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
        while let Some(word) = words.next() {
            let number = |word: Option<String>| {
                let number = word.as_deref().and_then(|word| word.parse().ok());
                number.unwrap_or_else(|| panic!("a number is missing, or {word:?} is none"))
            };
            match word.as_str() {
                "--repeat" => out.repeat = number(words.next()),
                "--major" => out.major = u32::try_from(number(words.next())).expect("a version"),
                _ => out.sizes.push(number(Some(word))),
            }
        }
        if out.sizes.is_empty() {
            out.sizes = SIZES.to_vec();
        }
        out
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let Arguments { sizes, repeat, major } = Arguments::read();
    let server = own_server(major, Options::default().setting("shared_buffers", "256MB")).await;
    println!("PostgreSQL {major}; the least of {repeat} runs\n");
    for tables in sizes {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Bench { server: &server, tables, repeat, major, folder: folder.path() }.run().await;
    }
}

/// One number of tables.
struct Bench<'a> {
    server: &'a Server,
    tables: usize,
    repeat: usize,
    major: u32,
    folder: &'a Path,
}

impl Bench<'_> {
    async fn run(&self) {
        let database = format!("scale{}", self.tables);
        self.fill(&database).await;
        let url = self.server.url(&database);
        let model = self.folder.join("model.yaml");
        let out = model.display().to_string();
        least(1, || program(&url, &["inspect", "--single", "--out", &out]));
        let changed = self.folder.join("changed.yaml");
        let text = std::fs::read_to_string(&model).expect("it was just written");
        std::fs::write(&changed, generate::with_a_change_in_each_table(&text)).expect("writable");
        let changed = changed.display().to_string();

        let noop = ["plan", "--exit-code", out.as_str()];
        let log = self.logged(&database, &program(&url, &noop)).await;
        let queries = self.folder.join("queries.sql");
        std::fs::write(&queries, psql_script(&log)).expect("writable");

        let psql = least(self.repeat, || psql(&url, &queries));
        let dump = least(self.repeat, || pg_dump(self.major, &url));
        println!("{} tables", self.tables);
        println!(
            "{:<26} {:>9} {:>9} {:>9} {:>9} {:>7} {:>9} {:>10}",
            "", "wall", "cpu", "peak", "messages", "trips", "x psql", "x pg_dump"
        );
        let line = |name: &str, cost: Cost, sent: &str, trips: &str| {
            let ratio = |of: Cost| cost.wall.as_secs_f64() / of.wall.as_secs_f64();
            println!(
                "{name:<26} {:>9} {:>9} {:>6} MB {sent:>9} {trips:>7} {:>9.2} {:>10.2}",
                milliseconds(cost.wall),
                milliseconds(cost.cpu),
                cost.peak / 1024,
                ratio(psql),
                ratio(dump)
            );
        };
        line("psql, the same queries", psql, "", "");
        line("pg_dump --schema-only", dump, "", "");
        let cases: [(&str, &[&str]); 3] = [
            ("plan, nothing to do", &noop),
            ("plan, a change a table", &["plan", &changed]),
            ("inspect", &["inspect", "--single", "--out", "/dev/null"]),
        ];
        for (name, arguments) in cases {
            let cost = least(self.repeat, || program(&url, arguments));
            let sent = self.logged(&database, &program(&url, arguments)).await.len();
            let (trips, _) = self.far_away(&database, arguments).await;
            line(name, cost, &sent.to_string(), &trips.to_string());
        }
        let (_, far) = self.far_away(&database, &noop).await;
        println!("{:<26} {:>9}\n", "the same, 50 ms away", milliseconds(far));
        self.server.drop_database(&database).await.expect("nobody uses it");
    }

    /// Makes the database.
    async fn fill(&self, database: &str) {
        self.server.create_database(database).await.expect("the name is free");
        let mut connection = self.server.connect(database).await.expect("the server is up");
        for from in (1..=self.tables).step_by(200) {
            let sql = generate::tables(from, (from + 199).min(self.tables));
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.expect("valid SQL");
        }
        sqlx::raw_sql("VACUUM ANALYZE").execute(&mut connection).await.expect("valid SQL");
    }

    /// What the server was sent by one run, message by message.
    async fn logged(&self, database: &str, command: &Command) -> Vec<String> {
        let set =
            |value: &str| format!("ALTER DATABASE \"{database}\" SET log_statement = {value}");
        self.execute(&set("'all'")).await;
        let path = self.server.socket_dir().join("log");
        let before = std::fs::read_to_string(&path).unwrap_or_default().len();
        let mut again = Command::new(command.get_program());
        again.args(command.get_args()).stdout(Stdio::null()).stderr(Stdio::null());
        again.status().expect("the program starts");
        self.execute(&set("'none'")).await;
        let log = std::fs::read_to_string(&path).expect("the server has a log");
        let marks = ["LOG:  statement: ", "LOG:  execute "];
        let mut messages: Vec<String> = Vec::new();
        for line in log[before..].lines() {
            match marks.iter().find_map(|mark| line.split_once(mark)) {
                Some((_, text)) => messages.push(text.to_owned()),
                // What follows of a statement is indented by a tab.
                None => match (line.strip_prefix('\t'), messages.last_mut()) {
                    (Some(more), Some(last)) => {
                        last.push('\n');
                        last.push_str(more);
                    }
                    _ => continue,
                },
            }
        }
        messages.retain(|message| !message.starts_with("ALTER DATABASE"));
        messages
    }

    async fn execute(&self, sql: &str) {
        let mut connection = self.server.connect("postgres").await.expect("the server is up");
        let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await;
        done.expect("valid SQL");
    }

    /// Round trips and time of a run over a slow link.
    async fn far_away(&self, database: &str, arguments: &[&str]) -> (usize, Duration) {
        let link = Link::to(self.server).await;
        let mut command = tokio::process::Command::from(program(&link.url(database), arguments));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let begin = Instant::now();
        command.status().await.expect("the program starts");
        let trips = link.trips();
        // The last message is a farewell that nobody waits for.
        (trips.saturating_sub(1), begin.elapsed().max(DELAY))
    }
}

fn program(url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reconcile"));
    command.args(["--live", url]).args(arguments).env("NO_COLOR", "1");
    command
}

fn psql(url: &str, script: &PathBuf) -> Command {
    let mut command = Command::new("psql");
    command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null"]);
    command.arg("-f").arg(script).arg(url);
    command
}

fn pg_dump(major: u32, url: &str) -> Command {
    let mut command = Command::new(pg_dump_program(major));
    command.args(["--schema-only", "--dbname", url]);
    command
}

/// The messages as a script.
fn psql_script(messages: &[String]) -> String {
    messages
        .iter()
        .map(|message| format!("{};\n", message.trim_end().trim_end_matches(';')))
        .collect()
}

fn milliseconds(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}
