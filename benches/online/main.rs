//! What clients feel while a column's type changes, online and by a plain ALTER in the same run:
//! `cargo bench --bench online -- --rows 4000000`.
//!
//! `--writers N` clients write and read without a break, with prepared statements and without, as an application
//! does before its change and after it; each knows what its rows have to be, and every row is looked at in the
//! end. `--throttle off` lets the online way take all the time it can get, `--rollback` goes back afterwards and
//! measures that, `--svg FILE` draws the latencies, `--major N` takes another server, `--disk` keeps its files
//! out of memory.

#![allow(clippy::print_stdout)]

mod database;
mod held;
mod known;
mod latencies;
mod load;
mod picture;
mod statements;

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use held::{Held, LOOK};
use latencies::Histogram;
use load::{Load, Seen};
use reconcile_testkit::{majors, own_server};
use reconcile_throwaway::Options;

/// How long the load runs before anything is changed, and after.
const BEFORE: Duration = Duration::from_secs(10);
const AFTER: Duration = Duration::from_secs(3);

/// How many batches are told.
const LONGEST: usize = 6;

const MODEL: &str = "tables:\n  messages:\n    columns:\n      role: {type: varchar(20), nullable: false, default: \"'user'\"}\n";

struct Arguments {
    rows: u64,
    writers: usize,
    major: u32,
    throttle: bool,
    rollback: bool,
    disk: bool,
    svg: Option<PathBuf>,
}

impl Arguments {
    fn read() -> Self {
        let mut out = Self {
            rows: 1_000_000,
            writers: 4,
            major: majors()[0],
            throttle: true,
            rollback: false,
            disk: false,
            svg: None,
        };
        let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
        while let Some(word) = words.next() {
            let mut next = || words.next().unwrap_or_else(|| panic!("{word} needs a value"));
            match word.as_str() {
                "--rows" => out.rows = next().parse().expect("a number of rows"),
                "--writers" => out.writers = next().parse().expect("a number of clients"),
                "--major" => out.major = next().parse().expect("a version"),
                "--throttle" => out.throttle = next() != "off",
                "--rollback" => out.rollback = true,
                "--disk" => out.disk = true,
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
    let options = Options::default()
        .setting("shared_buffers", "512MB")
        .setting("max_wal_size", "2GB")
        .setting("autovacuum", "on");
    let options = if arguments.disk { options.on_disk() } else { options };
    let server = own_server(arguments.major, options).await;
    println!(
        "PostgreSQL {}, {} rows, {} clients\n",
        arguments.major, arguments.rows, arguments.writers
    );
    database::fill(&server, "filled", arguments.rows).await;
    let url = database::copy(&server, "filled", "direct").await;
    let direct = measure(&url, "direct", &arguments).await;
    server.drop_database("direct").await.expect("it is dropped");
    direct.print();
    let online = measure(&server.url("filled"), "online", &arguments).await;
    online.print();
    compare(&direct, &online);
    if let Some(file) = &arguments.svg {
        std::fs::write(file, picture::draw(&direct, &online)).expect("the picture is written");
        println!("\nthe latencies are drawn in {}", file.display());
    }
}

fn compare(direct: &Way, online: &Way) {
    let stall = ratio(direct.change.felt.longest, online.change.felt.longest);
    println!("online against direct");
    println!("  longest stall   {stall:>8.0} times shorter");
    println!(
        "  total time      {:>8.1} times as long",
        ratio(online.change.took, direct.change.took)
    );
    println!(
        "  throughput      {:>8.0} % of undisturbed while it runs",
        100.0 * online.rate(&online.change) / online.before()
    );
    if let Some(back) = &online.back {
        let stall = ratio(direct.change.felt.longest, back.felt.longest);
        println!("  rollback: longest stall {stall:.0} times shorter than the plain ALTER's");
    }
    println!(
        "\nNo tool can avoid two kinds of failures, which are counted apart: a prepared statement that returns \
         the column\nis prepared anew once (`cached plan must not change result type`), and a statement in which the \
         former type is written,\nor was fixed when it was prepared, fails where PostgreSQL has no cast or operator for it."
    );
}

fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64().max(1e-6)
}

/// A change of the column under load.
struct Change {
    began: Duration,
    took: Duration,
    /// The longest that the table was seen locked against everybody.
    held: Duration,
    /// What took longest, in seconds.
    batches: Vec<(f64, String)>,
    /// What clients felt from its beginning to the next one.
    felt: Histogram,
}

/// What was seen of one way.
struct Way {
    name: &'static str,
    change: Change,
    back: Option<Change>,
    seen: Seen,
}

impl Way {
    /// Statements a second before the change.
    fn before(&self) -> f64 {
        self.seen.series.rate(Duration::ZERO, self.change.began)
    }

    /// Statements a second while a change runs.
    fn rate(&self, change: &Change) -> f64 {
        self.seen.series.rate(change.began, change.began + change.took)
    }

    fn print(&self) {
        println!("{}", self.name);
        self.print_change(&self.change);
        if let Some(back) = &self.back {
            println!(" and back");
            self.print_change(back);
        }
        println!(" all in all");
        println!("  failed              {:>10}", self.seen.failed);
        for error in &self.seen.words {
            println!("    {error}");
        }
        println!("  prepared anew       {:>10}", self.seen.replanned);
        println!("  with a former type  {:>10}", self.seen.old_type);
        println!("  wrong or lost rows  {:>10}\n", self.seen.wrong);
    }

    fn print_change(&self, change: &Change) {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let before = &self.seen.phases[0];
        println!("  total time          {:>10.2} s", change.took.as_secs_f64());
        for (words, now, then) in [
            ("longest stall", change.felt.longest, before.longest),
            ("99.9 % within", change.felt.within(999), before.within(999)),
            ("99 % within", change.felt.within(990), before.within(990)),
        ] {
            println!("  {words:<19} {:>10.1} ms (undisturbed {:.1} ms)", ms(now), ms(then));
        }
        println!(
            "  locked for all      {:>10.1} ms at the most (seen every {} ms)",
            ms(change.held),
            LOOK.as_millis()
        );
        println!(
            "  statements a second {:>10.0} (undisturbed {:.0})",
            self.rate(change),
            self.before()
        );
        for (took, what) in &change.batches {
            println!("    {took:>8.1} s {what}");
        }
    }
}

async fn measure(url: &str, name: &'static str, arguments: &Arguments) -> Way {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let model = folder.path().join("model.yaml");
    std::fs::write(&model, MODEL).expect("the model is written");
    let model = model.to_str().expect("a name");
    let start = Instant::now();
    let load = Load::start(url, arguments.writers, arguments.rows, start).await;
    tokio::time::sleep(BEFORE).await;
    let throttle = if arguments.throttle { "on" } else { "off" };
    let words =
        ["apply", "--yes", "--rehearse=never", "--strategy", name, "--throttle", throttle, model];
    let mut change = changed(url, &words, &load, start).await;
    let back = arguments.rollback && name == "online";
    let mut back = match back {
        true => Some(changed(url, &["rollback", "--yes"], &load, start).await),
        false => None,
    };
    let seen = load.stop(url).await;
    change.felt.merge(&seen.phases[1]);
    change.felt.merge(&seen.phases[2]);
    if let Some(back) = &mut back {
        back.felt.merge(&seen.phases[3]);
        back.felt.merge(&seen.phases[4]);
    }
    if name == "online" {
        program(url, &["contract", "--yes", "--wait", "10m"]).await;
    }
    if back.is_none() {
        program(url, &["plan", "--exit-code", model]).await;
    }
    Way { name, change, back, seen }
}

/// Runs a command that changes the column, and goes on for a while.
async fn changed(url: &str, words: &[&str], load: &Load, start: Instant) -> Change {
    load.next();
    let held = Held::watch(url).await;
    let began = start.elapsed();
    program(url, &[words, &["--max-stall", "1h", "--wait", "10m"]].concat()).await;
    let took = start.elapsed() - began;
    load.next();
    tokio::time::sleep(AFTER).await;
    let (held, batches) = (held.longest().await, database::longest_batches(url, LONGEST).await);
    Change { began, took, held, batches, felt: Histogram::default() }
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
