//! Two schemas, and what must hold between them whatever they are.
//!
//! Invariant: what is wanted comes from the SQL that was loaded and from pg_dump, never from the
//! program that is judged. Everything that is wrong with a pair is told, not only the first.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reconcile_testkit::{Database, database};
use sqlx::Connection;

use super::pair_rows::State;
use super::{DIFFERENT, DONE, JOURNAL, REFUSED, Ran, dump, finish, pair_rows, program, root};

/// No run of the program on a fixture takes this long.
const LIMIT: Duration = Duration::from_secs(120);

/// One of the two schemas, as SQL that begins with what it asks for.
#[derive(Debug, Clone)]
pub(crate) struct Side {
    pub(crate) label: String,
    pub(crate) sql: String,
    /// What is there on both sides and no model declares: functions.
    pub(crate) given: String,
}

/// Two schemas.
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    /// `column/add_default`
    pub(crate) name: String,
    pub(crate) before: Side,
    pub(crate) after: Side,
}

/// What is wrong.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    /// `forth: migrate: apply`: alike for what is probably the same cause.
    pub(crate) place: String,
    pub(crate) text: String,
}

impl Side {
    /// What a heading line `-- key: words` says.
    fn says(&self, key: &str) -> Option<&str> {
        let heading = self.sql.lines().take_while(|line| line.starts_with("--"));
        let mut words = heading.filter_map(|line| line[2..].trim().split_once(':'));
        words.find(|(name, _)| name.trim() == key).map(|(_, words)| words.trim())
    }

    fn number(&self, key: &str) -> Option<u32> {
        self.says(key).map(|words| {
            let first = words.split_whitespace().next().unwrap_or_default();
            first.parse().unwrap_or_else(|_| panic!("{}: {key}: no number: {words}", self.label))
        })
    }
}

impl Pair {
    /// Whether both schemas are for this version.
    pub(crate) fn is_for(&self, major: u32) -> bool {
        [&self.before, &self.after].iter().all(|side| {
            side.number("since").is_none_or(|since| since <= major)
                && side.number("until").is_none_or(|until| major <= until)
        })
    }

    fn is_oneway(&self) -> bool {
        [&self.before, &self.after].iter().any(|side| side.says("oneway").is_some())
    }
}

/// Everything that is wrong with a pair on a major version.
///
/// Models and protocols stay in `target/pairs/<name>/<major>/`.
pub(crate) async fn judge(pair: &Pair, major: u32) -> Vec<Failure> {
    judge_of(pair, major, "").await
}

/// What is wrong at places that begin so; nothing else is looked for.
pub(crate) async fn judge_of(pair: &Pair, major: u32, place: &str) -> Vec<Failure> {
    let folder = root().join("target/pairs").join(&pair.name).join(major.to_string());
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let mut judge = Judge { folder, major, failures: Vec::new(), wanted: place.to_owned() };
    judge.pair(pair).await;
    let text = judge.failures.iter().map(|f| format!("=== {}\n{}\n", f.place, f.text));
    let text: String = text.collect();
    if !text.is_empty() {
        std::fs::write(judge.folder.join("failures.txt"), text).unwrap();
        for (side, which) in [(&pair.before, "before.sql"), (&pair.after, "after.sql")] {
            std::fs::write(judge.folder.join(which), &side.sql).unwrap();
        }
    }
    judge.failures
}

struct Judge {
    folder: PathBuf,
    major: u32,
    failures: Vec<Failure>,
    /// Only what is found at places that begin so counts.
    wanted: String,
}

/// A schema that was loaded, and what is known of it before the program changes it.
struct Loaded {
    database: Database,
    dump: String,
    state: State,
    model: PathBuf,
    given: String,
    /// Whether there is a model.
    is_read: bool,
}

impl Judge {
    async fn pair(&mut self, pair: &Pair) {
        let before = self.load(&pair.before, "before").await;
        let after = self.load(&pair.after, "after").await;
        let (Some(before), Some(after)) = (before, after) else { return };
        for (loaded, which) in [(&before, "before"), (&after, "after")] {
            if loaded.is_read && self.asks(which, "roundtrip") {
                self.roundtrip(loaded, which).await;
            }
            if loaded.is_read && self.asks(which, "rebuild") {
                self.rebuild(loaded, which).await;
            }
        }
        if after.is_read && self.asks("forth", "migrate") {
            self.migrate(&before, &after, &pair.after, "forth").await;
        }
        if before.is_read && !pair.is_oneway() && self.asks("back", "migrate") {
            self.migrate(&after, &before, &pair.before, "back").await;
        }
    }

    /// Whether a part of the demands is wanted.
    fn asks(&self, which: &str, part: &str) -> bool {
        self.wanted.is_empty() || self.wanted.starts_with(&format!("{which}: {part}"))
    }

    async fn load(&mut self, side: &Side, which: &str) -> Option<Loaded> {
        // Two scripts at once would make the same roles at once: "tuple concurrently updated".
        static LOADING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
        let database = database(self.major, "").await;
        let done = {
            let names_roles = ["ROLE", "GRANT", "OWNER"].iter().any(|word| side.sql.contains(word));
            let _one = if names_roles { Some(LOADING.lock().await) } else { None };
            let (server, name) = (database.server(), database.name());
            let sql = format!("{}\n{}", side.given, side.sql);
            reconcile_throwaway::load(server, name, &sql, &side.label).await
        };
        match done {
            Ok(report) if report.missing_extensions.is_empty() && report.skipped.is_empty() => {}
            // The server has no such extension: nothing to learn here.
            Ok(report) if !report.missing_extensions.is_empty() => return None,
            Ok(report) => {
                self.fail(which, "BROKEN FIXTURE", format!("not loaded: {:?}", report.skipped));
                return None;
            }
            Err(error) => {
                self.fail(which, "BROKEN FIXTURE", format!("{error}"));
                return None;
            }
        }
        let dump = dump::without_owners(&database).await;
        let state = state(&database).await;
        let model = self.folder.join(format!("{which}.yaml"));
        let path = model.to_str().unwrap().to_owned();
        let ran = self.run(&database, &["inspect", "--single", "--out", &path], "").await;
        let is_read = ran.status == Some(DONE) && model.is_file();
        if !is_read {
            self.fail(which, "inspect", told(&ran));
        }
        Some(Loaded { database, dump, state, model, given: side.given.clone(), is_read })
    }

    /// A database that nothing has been done to.
    async fn fresh(&self, side: &Side) -> Database {
        let database = database(self.major, "").await;
        let (server, name) = (database.server(), database.name());
        let sql = format!("{}\n{}", side.given, side.sql);
        reconcile_throwaway::load(server, name, &sql, &side.label).await.unwrap();
        database
    }

    /// `inspect`, then `check`: in sync.
    async fn roundtrip(&mut self, loaded: &Loaded, which: &str) {
        let model = loaded.model.to_str().unwrap();
        // What is in sync with a model in full is in sync with it.
        let ran = self.run(&loaded.database, &["check", "-q", "--prune", model], "").await;
        if ran.status != Some(DONE) {
            self.fail(which, "roundtrip: check --prune", told(&ran));
        }
    }

    /// The model alone makes the same.
    async fn rebuild(&mut self, loaded: &Loaded, which: &str) {
        let fresh = database(self.major, &loaded.given).await;
        let model = loaded.model.to_str().unwrap();
        let log = format!("rebuild-{which}");
        let ran = self.run(&fresh, &["apply", "--yes", model], &log).await;
        if ran.status != Some(DONE) {
            self.fail(which, "rebuild: apply", told(&ran));
            return;
        }
        let got = dump::without_owners(&fresh).await;
        let hidden = state(&fresh).await.hidden;
        if let Some(difference) = differs(&loaded.dump, &got, Order::Counts) {
            let only = differs(&loaded.dump, &got, Order::Apart).is_none();
            let place = if only { "rebuild: column order" } else { "rebuild: pg_dump" };
            self.fail(which, place, difference);
        } else if hidden != loaded.state.hidden {
            let text = format!("{:?}\nbecame {hidden:?}", loaded.state.hidden);
            self.fail(which, "rebuild: hidden state", text);
        }
    }

    /// From one to the other.
    async fn migrate(&mut self, from: &Loaded, to: &Loaded, wanted: &Side, way: &str) {
        const ALL: [&str; 6] =
            ["apply", "--prune", "--allow-drop=all", "--allow-stall=all", "--yes", "--wait=20s"];
        // A model is complete for the namespaces that it names, a database for all of them.
        let is_more = from
            .dump
            .lines()
            .any(|line| line.starts_with("CREATE SCHEMA ") && !to.dump.lines().any(|l| l == line));
        let fresh = if is_more { Some(self.fresh(wanted).await) } else { None };
        let model = match &fresh {
            Some(database) => database.url(),
            None => to.model.to_str().unwrap().to_owned(),
        };
        let model = model.as_str();
        let apply: Vec<&str> = ALL.into_iter().chain([model]).collect();
        let ran = self.run(&from.database, &apply, way).await;
        if let Some(words) = wanted.says("refused") {
            if ran.status != Some(REFUSED) || !ran.words().contains(words) {
                let text = format!("it was to be refused with: {words}\n{}", told(&ran));
                self.fail(way, "migrate: not refused", text);
            } else if dump::without_owners(&from.database).await != from.dump {
                self.fail(way, "migrate: refused, and changed something", told(&ran));
            }
            return;
        }
        if ran.status != Some(DONE) {
            let place =
                if ran.status == Some(REFUSED) { "migrate: refused" } else { "migrate: apply" };
            self.fail(way, place, told(&ran));
        }
        let got = state(&from.database).await;
        if wanted.says("rowsmove").is_none() {
            let lost = pair_rows::lost(&from.state, &got);
            if !lost.is_empty() {
                self.fail(way, "migrate: ROWS", lost.join("\n"));
            }
        }
        if ran.status != Some(DONE) {
            return;
        }
        let dump = dump::without_owners(&from.database).await;
        if let Some(difference) = differs(&to.dump, &dump, Order::Apart) {
            self.fail(way, "migrate: pg_dump", difference);
        } else if got.hidden != to.state.hidden {
            let text = format!("{:?}\nbecame {:?}", to.state.hidden, got.hidden);
            self.fail(way, "migrate: hidden state", text);
        }
        let plan = ["plan", "--exit-code", "--prune", "--allow-drop=all", model];
        let again = self.run(&from.database, &plan, &format!("{way}-again")).await;
        if again.status != Some(DONE) {
            let is_plan = again.status == Some(DIFFERENT);
            let place = if is_plan { "second plan" } else { "second plan fails" };
            self.fail(way, &format!("migrate: {place}"), told(&again));
        }
    }

    /// Runs the program; what it says stays in `<log>.log`.
    async fn run(&self, database: &Database, arguments: &[&str], log: &str) -> Ran {
        let url = database.url();
        let mut all = vec!["--live", &url];
        all.extend(arguments);
        let mut command = program(&all);
        command.env("RUST_BACKTRACE", "0");
        let ran = match tokio::time::timeout(LIMIT, finish(command)).await {
            Ok(ran) => ran,
            Err(_) => Ran {
                arguments: arguments.join(" "),
                status: None,
                out: String::new(),
                err: format!("no end after {LIMIT:?}"),
            },
        };
        if !log.is_empty() {
            let text = format!("{}{}", ran.out, ran.err);
            std::fs::write(self.folder.join(format!("{log}.log")), text).unwrap();
        }
        ran
    }

    fn fail(&mut self, which: &str, place: &str, text: String) {
        self.failures.push(Failure { place: format!("{which}: {place}"), text });
    }
}

async fn state(database: &Database) -> State {
    let mut connection = database.connect().await;
    let state = State::read(&mut connection, JOURNAL).await;
    connection.close().await.unwrap();
    state
}

/// What a run said that counts: the end of it.
fn told(ran: &Ran) -> String {
    let err: Vec<&str> = ran.err.lines().filter(|line| !is_noise(line)).collect();
    let status = ran.status.map_or("killed".to_owned(), |status| status.to_string());
    // The plan itself is long; what was refused stands at its end.
    let out: Vec<&str> = ran.out.lines().collect();
    let is_apply = ran.arguments.contains("\"apply\"");
    let start = match out.iter().rposition(|line| *line == "Refused") {
        Some(refused) => refused,
        None if is_apply => out.len(),
        None => 0,
    };
    let out = &out[start..out.len().min(start + 40)];
    let err = &err[err.len().saturating_sub(40)..];
    format!("exit {status}\n{}\n{}", out.join("\n"), err.join("\n")).trim_end().to_owned()
}

fn is_noise(line: &str) -> bool {
    line.starts_with('[') && line.ends_with(" done")
        || ["note: not in the model: owner:", "committed; waited ", "run "]
            .iter()
            .any(|start| line.starts_with(start))
}

/// Whether the place of a column among others counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Counts,
    Apart,
}

/// How a dump differs from what it should be, object for object.
fn differs(wanted: &str, got: &str, order: Order) -> Option<String> {
    let form = |dump: &str| match order {
        Order::Counts => dump.to_owned(),
        Order::Apart => dump::without_column_order(dump),
    };
    let (wanted, got) = (form(wanted), form(got));
    if wanted == got {
        return None;
    }
    let (wanted, got) = (by_statement(&wanted), by_statement(&got));
    (wanted != got).then(|| {
        let difference = dump::difference(&wanted, &got);
        let lines: Vec<&str> = difference.lines().take(60).collect();
        lines.join("\n")
    })
}

/// The statements of a dump in the order of their text: pg_dump orders objects of one name by OID.
fn by_statement(dump: &str) -> String {
    let mut statements: Vec<String> = Vec::new();
    let mut is_open = false;
    for line in dump.lines() {
        match statements.last_mut() {
            Some(last) if is_open => last.push_str(line),
            _ => statements.push(line.to_owned()),
        }
        if let Some(last) = statements.last_mut() {
            last.push('\n');
        }
        is_open = !line.ends_with(';');
    }
    statements.sort();
    statements.concat()
}

/// Every pair on disk, by name: `<kind>/<verb_what>` with a `before.sql` and an `after.sql`.
pub(crate) fn on_disk() -> Vec<Pair> {
    let fixtures = root().join("fixtures");
    let mut pairs = Vec::new();
    for kind in folders(&fixtures) {
        for folder in folders(&kind) {
            let (before, after) = (folder.join("before.sql"), folder.join("after.sql"));
            if !before.is_file() && !after.is_file() {
                continue;
            }
            let name = folder.strip_prefix(&fixtures).unwrap().display().to_string();
            pairs.push(Pair { before: side(&before), after: side(&after), name });
        }
    }
    pairs
}

fn side(path: &Path) -> Side {
    let sql = std::fs::read_to_string(path);
    let sql = sql.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let given = std::fs::read_to_string(path.with_file_name("given.sql")).unwrap_or_default();
    Side { label: path.strip_prefix(root()).unwrap().display().to_string(), sql, given }
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path).unwrap().flatten().map(|entry| entry.path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}
