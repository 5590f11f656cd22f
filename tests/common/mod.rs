//! What the black-box tests share: the binary, the fixtures as databases, and what is in them.
//!
//! Invariant: a test knows the program by its arguments, output and exit status only.

#![allow(dead_code, clippy::unwrap_used)]

pub(crate) mod application;
pub(crate) mod blow;
pub(crate) mod cases;
pub(crate) mod dump;
pub(crate) mod generate;
pub(crate) mod golden;
pub(crate) mod pair;
pub(crate) mod pair_rows;
pub(crate) mod place;
pub(crate) mod proxy;
pub(crate) mod rows;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;

use reconcile_testkit::{Database, database};
use sqlx::{Connection, PgConnection};
use tokio::process::Command;
use tokio::task::{JoinError, JoinSet};

/// The namespace of the journal, which comparisons leave out.
pub(crate) const JOURNAL: &str = "reconcile";

pub(crate) const DONE: i32 = 0;
pub(crate) const ERROR: i32 = 1;
pub(crate) const DIFFERENT: i32 = 2;
pub(crate) const REFUSED: i32 = 3;
pub(crate) const PARTIAL: i32 = 4;

/// The repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A run of the program that is over.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) arguments: String,
    /// None: killed.
    pub(crate) status: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Both outputs with their lines run together, to look for words wherever lines break.
    pub(crate) fn words(&self) -> String {
        let both = format!("{}\n{}", self.out, self.err);
        let words = both.split_whitespace().filter(|word| !matches!(*word, "│" | "·" | "×" | "!"));
        words.collect::<Vec<_>>().join(" ")
    }

    /// Demands an exit status.
    #[track_caller]
    pub(crate) fn expect(self, status: i32) -> Self {
        assert_eq!(
            self.status,
            Some(status),
            "{}\n--- out\n{}--- err\n{}",
            self.arguments,
            self.out,
            self.err
        );
        self
    }

    /// Demands that something is said.
    #[track_caller]
    pub(crate) fn says(self, words: &str) -> Self {
        assert!(
            self.words().contains(words),
            "{} does not say: {words}\n--- out\n{}--- err\n{}",
            self.arguments,
            self.out,
            self.err
        );
        self
    }

    /// Demands that something is not said.
    #[track_caller]
    pub(crate) fn says_not(self, words: &str) -> Self {
        assert!(
            !self.words().contains(words),
            "{} says: {words}\n--- out\n{}--- err\n{}",
            self.arguments,
            self.out,
            self.err
        );
        self
    }
}

/// The program with nothing from this environment that names a database.
pub(crate) fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reconcile"));
    command.args(arguments).current_dir(root()).stdin(Stdio::null()).kill_on_drop(true);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("PG") || text == "DATABASE_URL" || text.starts_with("RECONCILE_STOP") {
            command.env_remove(&name);
        }
    }
    // A rehearsal before each apply would double the time; it has tests of its own.
    command.env("RECONCILE_REHEARSE", "never");
    command.env("NO_COLOR", "1").env("PGPASSFILE", "/nonexistent").env("HOME", "/nonexistent");
    command
}

/// Waits for the end of a run.
pub(crate) async fn finish(mut command: Command) -> Ran {
    let arguments = format!("{:?}", command.as_std());
    let output = command.output().await.expect("the program starts");
    Ran {
        arguments,
        status: output.status.code(),
        out: String::from_utf8(output.stdout).expect("UTF-8"),
        err: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

/// Runs the program.
pub(crate) async fn reconcile(arguments: &[&str]) -> Ran {
    finish(program(arguments)).await
}

/// Runs a command of the program on a database: `plan --exit-code` and the like.
pub(crate) async fn on(url: &str, arguments: &[&str]) -> Ran {
    let mut all = vec!["--live", url];
    all.extend(arguments);
    reconcile(&all).await
}

/// Changes columns online as fast as it can, however small their tables are.
pub(crate) async fn apply_online(url: &str, model: &str) -> Ran {
    let how = ["--strategy", "online", "--throttle", "off", "--max-stall", "1h"];
    on(url, &[&["apply", "--yes"][..], &how, &[model]].concat()).await
}

/// A state in which a database is met, and the model for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    /// `messages/production` or `variants/inherited`.
    pub(crate) name: &'static str,
}

impl Case {
    pub(crate) fn sql_path(self) -> PathBuf {
        let fixtures = root().join("fixtures");
        match self.name.strip_prefix("variants/") {
            Some(_) => fixtures.join(self.name).join("live.sql"),
            None => fixtures.join(format!("{}.sql", self.name)),
        }
    }

    /// The model as an argument, relative to the repository.
    pub(crate) fn model(self) -> String {
        match self.name.strip_prefix("variants/") {
            Some(_) => format!("fixtures/{}/model.yaml", self.name),
            None => "schema/".to_owned(),
        }
    }

    /// A database in this state.
    pub(crate) async fn database(self, major: u32) -> Database {
        // Two fixtures at once would grant the same roles at once: "tuple concurrently updated".
        static LOADING: OnceLock<tokio::sync::Mutex<()>> = OnceLock::new();
        let _one = LOADING.get_or_init(Default::default).lock().await;
        let database = database(major, "").await;
        database.load_file(&self.sql_path()).await;
        database
    }
}

pub(crate) fn messages(name: &'static str) -> Case {
    Case { name }
}

/// Every case that there is on disk, by name.
pub(crate) fn on_disk() -> Vec<String> {
    let names = |folder: &str| {
        let path = root().join("fixtures").join(folder);
        let entries = std::fs::read_dir(&path).unwrap().flatten();
        let names = entries.map(|entry| entry.file_name().into_string().unwrap());
        let mut names: Vec<String> =
            names.map(|name| format!("{folder}/{}", name.trim_end_matches(".sql"))).collect();
        names.sort();
        names
    };
    [names("messages"), names("variants")].concat()
}

/// Works on several databases at once; all is tried before the first failure counts.
pub(crate) async fn all<F>(works: impl IntoIterator<Item = F>)
where
    F: Future<Output = ()> + Send + 'static,
{
    const AT_ONCE: usize = 4;
    let mut wrong = Vec::new();
    let mut at_work = JoinSet::new();
    for work in works {
        if at_work.len() == AT_ONCE {
            wrong.extend(at_work.join_next().await.and_then(panic_words));
        }
        at_work.spawn(work);
    }
    while let Some(done) = at_work.join_next().await {
        wrong.extend(panic_words(done));
    }
    assert!(wrong.is_empty(), "{} failed:\n{}", wrong.len(), wrong.join("\n\n"));
}

fn panic_words(done: Result<(), JoinError>) -> Option<String> {
    let panic = done.err()?.into_panic();
    let said = panic.downcast_ref::<String>().cloned();
    let said = said.or_else(|| panic.downcast_ref::<&str>().map(|words| (*words).to_owned()));
    said.or_else(|| Some("a panic without words".to_owned()))
}

/// A single text value.
pub(crate) async fn scalar(connection: &mut PgConnection, sql: &str) -> String {
    let value: Option<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(sql.to_owned()))
        .fetch_one(connection)
        .await
        .unwrap();
    value.unwrap_or_default()
}

/// Runs statements.
pub(crate) async fn execute(connection: &mut PgConnection, sql: &str) {
    let done = sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(connection).await;
    done.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// Whether the database has a journal.
pub(crate) async fn has_journal(database: &Database) -> bool {
    let mut connection = database.connect().await;
    let sql = format!("SELECT to_regnamespace('{JOURNAL}')::text");
    let found = !scalar(&mut connection, &sql).await.is_empty();
    connection.close().await.unwrap();
    found
}
