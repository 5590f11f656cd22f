//! A table that is written all the time, and what every row of it has to be.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reconcile_testkit::{Database, database_on, server};
use reconcile_throwaway::Server;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::task::JoinHandle;

use crate::common::{DONE, Ran, dump, execute, on, program, scalar};

/// How many rows there are at first.
pub(crate) const ROWS: u64 = 30_000;

const BUSY: &str = "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy'); \
    CREATE TABLE busy (id int PRIMARY KEY, mood mood NOT NULL DEFAULT 'ok', n int NOT NULL, touched int NOT NULL DEFAULT 0, pad text NOT NULL DEFAULT repeat('x', 100)); \
    CREATE TABLE want (id int PRIMARY KEY, mood text, touched int); \
    INSERT INTO busy (id, mood, n) SELECT i, (ARRAY['sad', 'ok', 'happy'])[1 + i % 3]::mood, i FROM generate_series(1, 30000) i; \
    INSERT INTO want SELECT id, mood::text, 0 FROM busy; \
    CREATE INDEX busy_mood ON busy (mood, n); \
    CREATE VIEW merry AS SELECT id, mood FROM busy WHERE mood = 'happy'; \
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN \
    IF OLD.id = 20000 THEN PERFORM pg_catalog.pg_advisory_xact_lock_shared(20000); END IF; \
    NEW.touched := OLD.touched + 1; RETURN NEW; END'; \
    CREATE TRIGGER touch BEFORE UPDATE ON busy FOR EACH ROW EXECUTE FUNCTION touch(); \
    ALTER TABLE busy ENABLE ALWAYS TRIGGER touch; \
    CREATE TABLE other (id int PRIMARY KEY); INSERT INTO other VALUES (1);";

const CALM: &str = "tables:\n  busy:\n    columns:\n      mood: {type: varchar(10), nullable: false, default: \"'ok'\"}\n";

/// Rows that are not what their writers left.
const WRONG: &str = "SELECT count(*)::text FROM busy b FULL JOIN want w USING (id) \
    WHERE b.mood::text IS DISTINCT FROM w.mood OR b.touched IS DISTINCT FROM w.touched";

/// A database with the table, and the model in which its column has another type.
pub(crate) struct Busy {
    pub(crate) database: Database,
    pub(crate) before: String,
    folder: Arc<tempfile::TempDir>,
    pub(crate) model: String,
}

impl Busy {
    pub(crate) async fn new(major: u32) -> Self {
        Self::on(server(major).await).await
    }

    pub(crate) async fn on(server: &'static Server) -> Self {
        let database = database_on(server, BUSY).await;
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("busy.yaml");
        std::fs::write(&model, CALM).unwrap();
        let before = dump::definitions(&database).await;
        let model = model.to_str().unwrap().to_owned();
        Self { database, before, folder: Arc::new(folder), model }
    }

    pub(crate) fn url(&self) -> String {
        self.database.url()
    }

    /// Another database that is as this one, to which nobody is connected.
    pub(crate) async fn copy(&self) -> Self {
        let (before, model) = (self.before.clone(), self.model.clone());
        let folder = Arc::clone(&self.folder);
        Self { database: self.database.copy().await, before, folder, model }
    }

    /// The same on a server that has taken the place of the other one.
    pub(crate) fn moved_to(self, server: &'static Server) -> Self {
        Self { database: self.database.moved_to(server), ..self }
    }

    /// The arguments of an online apply.
    pub(crate) fn words(&self, more: &[&'static str]) -> Vec<&str> {
        [&["apply", "--yes", "--strategy", "online"][..], more, &[&self.model]].concat()
    }

    pub(crate) async fn apply(&self, more: &[&'static str]) -> Ran {
        on(&self.url(), &self.words(more)).await
    }

    /// An apply that runs beside the test; it is killed when it is dropped.
    pub(crate) fn begin(&self, more: &[&'static str]) -> JoinHandle<Ran> {
        begin(&self.url(), &self.words(more))
    }

    pub(crate) fn spawn(&self, more: &[&'static str]) -> tokio::process::Child {
        let url = self.url();
        let mut command = program(&[&["--live", &url], &self.words(more)[..]].concat());
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        command.spawn().unwrap()
    }

    /// Applies and contracts, ends the load, and looks at every row.
    pub(crate) async fn finish(&self, load: Load, what: &str) {
        self.apply(&[]).await.expect(DONE);
        on(&self.url(), &["contract", "--yes"]).await.expect(DONE);
        load.stop().await;
        self.is_whole(what).await;
        let after = dump::definitions(&self.database).await;
        assert!(after.contains("mood character varying(10) DEFAULT 'ok'"), "{what}: {after}");
        on(&self.url(), &["plan", "--exit-code", &self.model]).await.expect(DONE);
    }

    /// Gives up, ends the load, and looks at everything.
    pub(crate) async fn give_up(&self, load: Load, what: &str) {
        on(&self.url(), &["abort", "--yes"]).await.expect(DONE);
        load.stop().await;
        self.is_whole(what).await;
        let after = dump::definitions(&self.database).await;
        assert!(after == self.before, "{what}: {}", dump::difference(&self.before, &after));
    }

    /// Every row is what its writer left, and nothing of ours is there.
    pub(crate) async fn is_whole(&self, what: &str) {
        let mut connection = self.database.connect().await;
        assert_eq!(scalar(&mut connection, WRONG).await, "0", "{what}: rows are wrong");
        let ours = "SELECT coalesce(string_agg(name, ', '), '') FROM (\
            SELECT relname AS name FROM pg_class \
            UNION ALL SELECT attname FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid \
            WHERE NOT attisdropped AND relkind <> 'i' \
            UNION ALL SELECT conname FROM pg_constraint UNION ALL SELECT tgname FROM pg_trigger \
            UNION ALL SELECT proname FROM pg_proc) o WHERE name ~ '^[_~]rc_[0-9a-f]{8}'";
        assert_eq!(scalar(&mut connection, ours).await, "", "{what}: something is left");
        let invalid = "SELECT count(*)::text FROM pg_index WHERE NOT indisvalid";
        assert_eq!(scalar(&mut connection, invalid).await, "0", "{what}: an index is invalid");
        let lease = "SELECT count(*)::text FROM pg_locks l JOIN pg_database d ON d.oid = l.database \
            WHERE d.datname = current_database() AND locktype = 'advisory'";
        assert_eq!(scalar(&mut connection, lease).await, "0", "{what}: a lease is still held");
    }
}

/// A run of the program beside the test.
pub(crate) fn begin(url: &str, words: &[&str]) -> JoinHandle<Ran> {
    let url = url.to_owned();
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    tokio::spawn(async move {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        on(&url, &words).await
    })
}

/// Whether something is true; what it is about may not be there yet.
pub(crate) async fn is(connection: &mut PgConnection, what: &str) -> bool {
    let sql = AssertSqlSafe(format!("SELECT ({what})::text"));
    match sqlx::query_scalar::<_, Option<String>>(sql).fetch_one(connection).await {
        Ok(answer) => answer.as_deref() == Some("true"),
        Err(sqlx::Error::Database(_)) => false,
        Err(error) => panic!("{what}: {error}"),
    }
}

/// Waits until something is true.
pub(crate) async fn until(connection: &mut PgConnection, what: &str) {
    let began = Instant::now();
    while !is(connection, what).await {
        assert!(began.elapsed() < Duration::from_secs(60), "it never came to this: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Whether the latest run is carrying rows over and has carried some.
pub(crate) const HALF_WAY: &str = "EXISTS (SELECT FROM reconcile.step \
    WHERE run = (SELECT max(id) FROM reconcile.run) AND state = 'running' AND pieces_done > 0)";

/// Holds what a trigger wants for a row in the middle of the table, which no writer writes: the rows are
/// carried over as far as that. Unlike a lock of the row it keeps nobody from locking the table.
pub(crate) struct Held(PgConnection);

impl Held {
    pub(crate) async fn half_way(busy: &Busy) -> Self {
        let mut connection = busy.database.connect().await;
        execute(&mut connection, "SELECT pg_advisory_lock(20000)").await;
        Self(connection)
    }

    pub(crate) async fn let_go(mut self) {
        execute(&mut self.0, "SELECT pg_advisory_unlock(20000)").await;
        self.0.close().await.unwrap();
    }
}

/// Writers at work. Each has rows of its own, so that it knows what they are.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    writers: Vec<JoinHandle<()>>,
}

/// What a writer does when its connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nerves {
    /// The test fails, as it does for every other error.
    Weak,
    /// It connects again.
    Strong,
}

/// How many writers there are; rows that are divisible by four belong to none.
const WRITERS: u64 = 2;

impl Load {
    pub(crate) async fn start(url: &str, nerves: Nerves) -> Self {
        // Rows of a second load of the same table are no rows of the first.
        static LOADS: AtomicU64 = AtomicU64::new(1);
        let own = LOADS.fetch_add(1, Ordering::Relaxed) * 1_000_000;
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let writers = (1..=WRITERS).map(|number| {
            let writer = Writer {
                url: url.to_owned(),
                nerves,
                number,
                seed: number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
                own,
            };
            tokio::spawn(writer.work(Arc::clone(&stop), Arc::clone(&done)))
        });
        let writers = writers.collect();
        Self { stop, done, writers }
    }

    /// How many writes were made so far.
    pub(crate) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Waits until so many more writes are made.
    pub(crate) async fn goes_on(&self) {
        let (from, began) = (self.done(), Instant::now());
        while self.done() < from + 5 {
            assert!(began.elapsed() < Duration::from_secs(60), "nobody writes any more");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for writer in self.writers {
            writer.await.unwrap();
        }
    }
}

struct Writer {
    url: String,
    nerves: Nerves,
    number: u64,
    seed: u64,
    own: u64,
}

impl Writer {
    async fn work(mut self, stop: Arc<AtomicBool>, done: Arc<AtomicU64>) {
        let mut connection = None;
        while !stop.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(4)).await;
            let Some(open) = &mut connection else {
                match PgConnection::connect(&self.url).await {
                    Ok(opened) => connection = Some(opened),
                    Err(error) => self.bear(&error),
                }
                continue;
            };
            let sql = self.next();
            match sqlx::raw_sql(AssertSqlSafe(sql)).execute(open).await {
                Ok(_) => {
                    done.fetch_add(1, Ordering::Relaxed);
                }
                // The two tables are written together, so it does not matter whether they were.
                Err(error) => {
                    self.bear(&error);
                    connection = None;
                }
            }
        }
    }

    fn bear(&self, error: &sqlx::Error) {
        let code = error.as_database_error().and_then(|error| error.code());
        let goes = match &code {
            // Class 57P: the server goes down or comes up; 25006: it is a standby still.
            Some(code) => code.starts_with("57P") || code == "25006",
            None => true,
        };
        assert!(self.nerves == Nerves::Strong && goes, "a writer fails: {error}");
    }

    fn next(&mut self) -> String {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        let id = (self.seed >> 8) % (ROWS / 4) * 4 + self.number;
        let mood = ["sad", "ok", "happy"][usize::try_from(self.seed % 3).unwrap()];
        match self.seed % 10 {
            0 => format!(
                "BEGIN; DELETE FROM busy WHERE id = {id}; DELETE FROM want WHERE id = {id}; COMMIT"
            ),
            1 | 2 => {
                self.own += 1;
                let id = self.own * 4 + self.number;
                format!(
                    "BEGIN; INSERT INTO busy (id, mood, n) VALUES ({id}, '{mood}', 1); \
                     INSERT INTO want VALUES ({id}, '{mood}', 0); COMMIT"
                )
            }
            _ => format!(
                "BEGIN; UPDATE busy SET mood = '{mood}' WHERE id = {id}; \
                 UPDATE want SET mood = '{mood}', touched = touched + 1 WHERE id = {id}; COMMIT"
            ),
        }
    }
}
