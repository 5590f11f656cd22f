//! Servers and databases for tests.
//!
//! Invariant: a test process has at most one shared server per major version, and it ends with
//! the process, because its watchdog sees the process end. A test's database is its own. Roles
//! belong to the server: a test that makes one takes a [`unique_name`].

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use reconcile_throwaway::{Installation, LoadReport, Options, Server, Wanted, find, load};
use sqlx::postgres::PgConnection;

/// The major versions to test on, comma-separated, for instance `14,15,16,17,18`.
const ENV_MAJORS: &str = "RECONCILE_TEST_MAJORS";

/// The major versions to test on: those of `RECONCILE_TEST_MAJORS`, else the first server found.
pub fn majors() -> Vec<u32> {
    static MAJORS: OnceLock<Vec<u32>> = OnceLock::new();
    let look = || match std::env::var(ENV_MAJORS) {
        Ok(list) if !list.trim().is_empty() => list
            .split(',')
            .map(|major| {
                let wrong = |_| panic!("{ENV_MAJORS}={list}: not a list of major versions");
                major.trim().parse().unwrap_or_else(wrong)
            })
            .collect(),
        _ => vec![installation(Wanted::Any).major],
    };
    MAJORS.get_or_init(look).clone()
}

fn installation(wanted: Wanted) -> Installation {
    find(wanted, None).unwrap_or_else(|error| panic!("{error}"))
}

/// The shared server of a major version, started when it is first asked for.
///
/// It listens on its socket, where everybody is trusted, and on 127.0.0.1, where a role needs a
/// password.
pub async fn server(major: u32) -> &'static Server {
    type Servers = BTreeMap<u32, &'static OnceLock<Server>>;
    static SERVERS: Mutex<Servers> = Mutex::new(BTreeMap::new());
    let cell = {
        let mut servers = SERVERS.lock().unwrap_or_else(PoisonError::into_inner);
        *servers.entry(major).or_insert_with(|| Box::leak(Box::new(OnceLock::new())))
    };
    if let Some(server) = cell.get() {
        return server;
    }
    let start = move || {
        cell.get_or_init(|| {
            start(major, Options::default().setting("max_connections", "300").tcp())
        })
    };
    tokio::task::spawn_blocking(start).await.unwrap_or_else(|error| panic!("{error}"))
}

/// A server of one test's own, for what a shared one cannot have (other settings, a restart).
pub async fn own_server(major: u32, options: Options) -> Server {
    let start = move || start(major, options);
    tokio::task::spawn_blocking(start).await.unwrap_or_else(|error| panic!("{error}"))
}

fn start(major: u32, options: Options) -> Server {
    let installation = installation(Wanted::Major(major));
    Server::start_blocking(&installation, options).unwrap_or_else(|error| panic!("{error}"))
}

/// A name that no other test on the same server takes, for roles.
pub fn unique_name(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("{prefix}_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A database of one test's own, dropped when this value goes.
#[derive(Debug)]
pub struct Database {
    server: &'static Server,
    name: String,
}

/// Makes an empty database on the shared server of a major version and loads a script into it.
pub async fn database(major: u32, sql: &str) -> Database {
    database_on(server(major).await, sql).await
}

/// Makes an empty database on a server of one test's own and loads a script into it.
pub async fn database_on(server: &'static Server, sql: &str) -> Database {
    let name = unique_name("test");
    server.create_database(&name).await.unwrap_or_else(|error| panic!("{error}"));
    let database = Database { server, name };
    if !sql.is_empty() {
        database.load(sql).await;
    }
    database
}

/// A server of one test's own whose databases are as those of the shared one; it ends with the process.
pub async fn lasting_server(major: u32, options: Options) -> &'static Server {
    Box::leak(Box::new(own_server(major, options).await))
}

impl Database {
    /// A database of its own with all that this one has, which nobody may be connected to meanwhile.
    pub async fn copy(&self) -> Database {
        let name = unique_name("test");
        let mut connection = connect(self.server, "postgres").await;
        let sql = format!("CREATE DATABASE {name} TEMPLATE {}", self.name);
        for pause in 0.. {
            // A session that has just been closed may still be there for a moment.
            match sqlx::raw_sql(sqlx::AssertSqlSafe(sql.clone())).execute(&mut connection).await {
                Ok(_) => break,
                Err(error) => assert!(pause < 9, "{sql}: {error}"),
            }
            tokio::time::sleep(std::time::Duration::from_millis(10 << pause)).await;
        }
        Database { server: self.server, name }
    }

    /// The same database on a server that has taken the place of its own.
    pub fn moved_to(mut self, server: &'static Server) -> Database {
        self.server = server;
        self
    }

    /// Its URL, over the socket as the superuser.
    pub fn url(&self) -> String {
        self.server.url(&self.name)
    }

    /// Its URL over TCP as a role that has a password.
    pub fn tcp_url(&self, role: &str, password: &str) -> String {
        self.server.tcp_url(role, password, &self.name).expect("the shared server listens on TCP")
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The server that it is on.
    pub fn server(&self) -> &'static Server {
        self.server
    }

    /// A new connection to it, as the superuser.
    pub async fn connect(&self) -> PgConnection {
        connect(self.server, &self.name).await
    }

    /// Loads a script into it; panics with the place and the server's words if that fails.
    pub async fn load(&self, sql: &str) -> LoadReport {
        load(self.server, &self.name, sql, "test.sql")
            .await
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// Loads a file into it.
    pub async fn load_file(&self, path: &Path) -> LoadReport {
        let sql = std::fs::read_to_string(path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        load(self.server, &self.name, &sql, &path.display().to_string())
            .await
            .unwrap_or_else(|error| panic!("{error}"))
    }
}

async fn connect(server: &Server, database: &str) -> PgConnection {
    server.connect(database).await.unwrap_or_else(|error| panic!("{error}"))
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, name) = (self.server, std::mem::take(&mut self.name));
        // Not waited for: the test is over, and the server goes with the process anyway.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            if let Ok(runtime) = runtime {
                let _ = runtime.block_on(server.drop_database(&name));
            }
        });
    }
}
