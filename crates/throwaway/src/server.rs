//! One throw-away server.
//!
//! Invariant: the server does not outlive its [`Server`] value, nor this process. It is the child
//! of a shell whose standard input is a pipe that only we hold open; when the pipe closes (drop,
//! exit or `kill -9`), the shell stops the server with SIGQUIT and removes the folder. A folder
//! that is left all the same (the machine went down) is swept at the next start: its lock is free.

use std::fs::{self, DirBuilder, File};
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};

use crate::cache::{User, clean_environment, unique};
use crate::{Error, Installation, data_dir};

mod failing;
mod place;
mod standby;

pub use failing::Ending;

use place::{PREFIX, base_dirs, free_port};

const DEFAULT_PORT: u16 = 5432;
const START_TIMEOUT: Duration = Duration::from_secs(40);
const STOP_TIMEOUT: Duration = Duration::from_secs(60);

/// `$1` is the folder, the rest is the command, which begins when a line comes. The inner shell
/// waits for the server, so that its process id cannot have become another process's when it is
/// signalled. The signal is repeated: a shell starts what runs in the background with SIGQUIT
/// ignored, so one that comes before the server has its own handler is lost. The removal is
/// repeated too: an initdb that lost its parent goes on for a moment. Our own PATH may name
/// no folder with `sleep` and `rm`. A server that ends while there is a file `again` is started again.
const WATCHDOG: &str = r#"
dir=$1; shift
PATH=${PATH:+$PATH:}/usr/bin:/bin
if read -r _; then
    {
        while
            rm -f "$dir/again"
            "$@" </dev/null >>"$dir/log" 2>&1 &
            echo $! >"$dir/pid"
            wait $!
            status=$?
            [ -e "$dir/again" ]
        do :; done
        echo $status >"$dir/exited"
    } &
    while read -r _; do :; done
    # Whoever starts the next server may take the folder of a process that is gone away before we do.
    until [ -e "$dir/exited" ] || [ ! -e "$dir" ]; do
        [ -s "$dir/pid" ] && read -r pid <"$dir/pid" && kill -QUIT "$pid"
        sleep 0.01
    done
fi
tries=0
# An initdb that goes on without us may fill the folder again, or empty it between two looks.
left() { [ -n "$(ls -A "$dir" 2>/dev/null)" ] || { [ -e "$dir" ] && [ -w "${dir%/*}" ]; }; }
while rm -rf "$dir"; left && [ "$tries" -lt 100 ]; do
    tries=$((tries + 1))
    sleep 0.1
done
"#;

/// Lax about durability, which a throw-away server does not need.
const SETTINGS: &[(&str, &str)] = &[
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    ("autovacuum", "off"),
    ("jit", "off"),
    ("max_locks_per_transaction", "1024"),
    ("shared_buffers", "64MB"),
    ("TimeZone", "UTC"),
    ("log_timezone", "UTC"),
    ("logging_collector", "off"),
    // The default since version 14; pg_hba.conf asks for it.
    ("password_encryption", "scram-sha-256"),
];

/// What a server shall have besides the usual.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Options {
    /// Listen on 127.0.0.1 as well, on a free port.
    pub tcp: bool,
    /// Settings (`postgres -c name=value`), after the server's own, which they may change.
    pub settings: Vec<(String, String)>,
    /// The text of pg_hba.conf; by default the socket is trusted and TCP needs a password (scram).
    pub hba: Option<String>,
    /// Keep the files on disk even where memory has room for them: for scripts of hundreds of MB.
    pub on_disk: bool,
    /// Begin with these files, which are taken.
    data: Option<PathBuf>,
}

impl Options {
    /// Listens on 127.0.0.1 as well.
    pub fn tcp(mut self) -> Options {
        self.tcp = true;
        self
    }

    /// Keeps the files on disk.
    pub fn on_disk(mut self) -> Options {
        self.on_disk = true;
        self
    }

    /// Adds a setting.
    pub fn setting(mut self, name: &str, value: &str) -> Options {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Gives the text of pg_hba.conf.
    pub fn hba(mut self, text: &str) -> Options {
        self.hba = Some(text.to_owned());
        self
    }
}

/// A running throw-away server; dropping it stops it (SIGQUIT) and removes its directory.
#[derive(Debug)]
pub struct Server {
    installation: Installation,
    dir: PathBuf,
    port: u16,
    tcp: bool,
    user: User,
    watchdog: Child,
    /// Held for as long as we live; a folder whose lock is free is stale.
    _lock: File,
}

impl Server {
    /// Starts a server that listens on a socket only; the superuser `postgres` needs no password.
    pub async fn start(installation: &Installation) -> Result<Server, Error> {
        Server::start_with(installation, Options::default()).await
    }

    /// Starts a server with options.
    pub async fn start_with(
        installation: &Installation,
        options: Options,
    ) -> Result<Server, Error> {
        let (task, bin) = (installation.clone(), installation.bin.clone());
        tokio::task::spawn_blocking(move || Server::start_blocking(&task, options))
            .await
            .unwrap_or_else(|error| Err(Error::Start { bin, reason: error.to_string() }))
    }

    /// Starts a server without a runtime; it blocks until the server is ready.
    pub fn start_blocking(installation: &Installation, options: Options) -> Result<Server, Error> {
        let user = User::current()?;
        let bases = base_dirs(&user, options.on_disk);
        // Another program may take the free port before the server does.
        let attempts = if options.tcp { 5 } else { 1 };
        let mut last = None;
        for _ in 0..attempts {
            match Server::try_start(installation, &options, &bases, &user) {
                Ok(server) => return Ok(server),
                Err(error) => last = Some(error),
            }
        }
        Err(last.expect("there was one attempt at least"))
    }

    fn try_start(
        installation: &Installation,
        options: &Options,
        bases: &[PathBuf],
        user: &User,
    ) -> Result<Server, Error> {
        let mut failed = Error::Io {
            what: "no temporary folder (TMPDIR, /tmp, /var/tmp) can hold a server's socket".into(),
            source: std::io::ErrorKind::NotFound.into(),
        };
        for base in bases {
            let dir = base.join(format!("{PREFIX}{}", unique()));
            if let Err(source) = DirBuilder::new().mode(0o700).create(&dir) {
                failed = Error::Io { what: format!("cannot make {}", dir.display()), source };
                continue;
            }
            let result = Server::start_in(&dir, installation, options, user);
            if result.is_err() {
                let _ = fs::remove_dir_all(&dir);
            }
            return result;
        }
        Err(failed)
    }

    fn start_in(
        dir: &Path,
        installation: &Installation,
        options: &Options,
        user: &User,
    ) -> Result<Server, Error> {
        let failed = || Error::io(format!("cannot write to {}", dir.display()));
        let lock = File::create(dir.join("lock")).map_err(failed())?;
        lock.lock().map_err(failed())?;
        user.give(dir).map_err(failed())?;
        let data = dir.join("data");
        let port = if options.tcp { free_port().map_err(failed())? } else { DEFAULT_PORT };

        let mut command = Command::new("/bin/sh");
        clean_environment(&mut command);
        command.args(["-c", WATCHDOG, "reconcile-throwaway"]).arg(dir);
        command.arg(installation.bin.join("postgres")).arg("-D").arg(&data).arg("-k").arg(dir);
        let mut set = |name: &str, value: &str| {
            command.arg("-c").arg(format!("{name}={value}"));
        };
        set("port", &port.to_string());
        set("listen_addresses", if options.tcp { "127.0.0.1" } else { "" });
        for (name, value) in SETTINGS {
            set(name, value);
        }
        for (name, value) in &options.settings {
            set(name, value);
        }
        // Its own process group: Ctrl-C at the terminal is ours to answer, not the server's.
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        command.current_dir(dir).process_group(0);
        user.run(&mut command);
        let watchdog = command.spawn().map_err(|error| Error::Start {
            bin: installation.bin.clone(),
            reason: format!("/bin/sh cannot be run: {error}"),
        })?;
        // From here on the folder goes with us, also while it is being filled.
        let mut server = Server {
            installation: installation.clone(),
            dir: dir.to_owned(),
            port,
            tcp: options.tcp,
            user: user.clone(),
            watchdog,
            _lock: lock,
        };
        match &options.data {
            Some(given) => fs::rename(given, &data).map_err(failed())?,
            None => data_dir::prepare(installation, &data, dir, user)?,
        }
        let hba = options.hba.clone().unwrap_or_else(|| {
            "local all,replication all trust\nhost all all 127.0.0.1/32 scram-sha-256\n".to_owned()
        });
        fs::write(data.join("pg_hba.conf"), hba).map_err(failed())?;
        if let Some(stdin) = &mut server.watchdog.stdin {
            stdin.write_all(b"go\n").map_err(failed())?;
        }
        server.wait_until_ready()?;
        Ok(server)
    }

    fn wait_until_ready(&mut self) -> Result<(), Error> {
        let begin = Instant::now();
        let pid_file = self.dir.join("data/postmaster.pid");
        let reason = loop {
            // The eighth line is the state (src/include/utils/pidfile.h, LOCK_FILE_LINE_PM_STATUS).
            let ready = fs::read_to_string(&pid_file)
                .is_ok_and(|text| text.lines().nth(7).is_some_and(|line| line.trim() == "ready"));
            if ready {
                return Ok(());
            }
            if self.dir.join("exited").exists() {
                break "it ended at once".to_owned();
            }
            if !matches!(self.watchdog.try_wait(), Ok(None)) {
                break "its watchdog ended".to_owned();
            }
            if begin.elapsed() > START_TIMEOUT {
                break format!("it was not ready after {} s", START_TIMEOUT.as_secs());
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let log = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let end = lines[lines.len().saturating_sub(8)..].join("\n");
        let bin = self.installation.bin.clone();
        Err(Error::Start { bin, reason: format!("{reason}\n{end}").trim_end().to_owned() })
    }

    /// The URL of a database over the socket, as the superuser `postgres`.
    ///
    /// sqlx takes it, and so do psql and pg_dump.
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgresql://postgres@{}:{}/{}?sslmode=disable",
            encode(&self.dir.to_string_lossy()),
            self.port,
            encode(database)
        )
    }

    /// The URL of a database over TCP; `None` if the server does not listen there.
    pub fn tcp_url(&self, role: &str, password: &str, database: &str) -> Option<String> {
        self.tcp.then(|| {
            format!(
                "postgresql://{}:{}@127.0.0.1:{}/{}",
                encode(role),
                encode(password),
                self.port,
                encode(database)
            )
        })
    }

    /// The major version of the server.
    pub fn major(&self) -> u32 {
        self.installation.major
    }

    /// The programs that the server runs from.
    pub fn installation(&self) -> &Installation {
        &self.installation
    }

    /// The folder that the server's socket is in.
    pub fn socket_dir(&self) -> &Path {
        &self.dir
    }

    /// The port, which also names the socket.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Connects as the superuser `postgres`.
    pub async fn connect(&self, database: &str) -> Result<PgConnection, Error> {
        let what = format!("cannot connect to the throw-away server, database {database}");
        let options: PgConnectOptions =
            self.url(database).parse().map_err(Error::database(what.clone()))?;
        let options = options.application_name("reconcile").disable_statement_logging();
        PgConnection::connect_with(&options).await.map_err(Error::database(what))
    }

    /// Makes an empty database, unless one of that name is there.
    pub async fn create_database(&self, database: &str) -> Result<(), Error> {
        // From 15 on the default writes each block to the log, which takes more than twice as long.
        let how = if self.major() >= 15 { " STRATEGY FILE_COPY" } else { "" };
        let sql = format!("CREATE DATABASE {} TEMPLATE template0{how}", quote(database));
        self.make(&sql, &["42P04", "23505"]).await
    }

    /// Drops a database, whoever is connected to it.
    pub async fn drop_database(&self, database: &str) -> Result<(), Error> {
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quote(database));
        self.make(&sql, &[]).await
    }

    /// Makes a role that cannot log in, unless one of that name is there.
    pub async fn create_role(&self, role: &str) -> Result<(), Error> {
        self.make(&format!("CREATE ROLE {} NOLOGIN", quote(role)), &["42710", "23505"]).await
    }

    /// Makes a tablespace in the server's own folder, unless one of that name is there.
    pub(crate) async fn create_tablespace(&self, name: &str) -> Result<(), Error> {
        let path = self.make_dir(&format!("tablespace-{}", unique()))?;
        let path = path.to_string_lossy().replace('\'', "''");
        let sql = format!("CREATE TABLESPACE {} LOCATION '{path}'", quote(name));
        self.make(&sql, &["42710", "23505"]).await
    }

    /// Runs a statement on the database `postgres`; some SQLSTATEs say that it is done already.
    async fn make(&self, sql: &str, done: &[&str]) -> Result<(), Error> {
        let mut connection = self.connect("postgres").await?;
        let query = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        let result = connection.execute(query).await;
        let _ = connection.close().await;
        match result {
            Err(error)
                if !error
                    .as_database_error()
                    .and_then(|error| error.code())
                    .is_some_and(|code| done.contains(&&*code)) =>
            {
                Err(Error::database(sql)(error))
            }
            _ => Ok(()),
        }
    }

    /// Makes a folder that the server's user owns and the server may use as a tablespace.
    pub(crate) fn make_dir(&self, name: &str) -> Result<PathBuf, Error> {
        let path = self.dir.join(name);
        let failed = || Error::io(format!("cannot make {}", path.display()));
        DirBuilder::new().mode(0o700).create(&path).map_err(failed())?;
        self.user.give(&path).map_err(failed())?;
        Ok(path)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        let begin = Instant::now();
        while matches!(self.watchdog.try_wait(), Ok(None)) && begin.elapsed() < STOP_TIMEOUT {
            std::thread::sleep(Duration::from_millis(2));
        }
        // Nobody waits for ever for a server that does not end: its whole process group goes.
        if matches!(self.watchdog.try_wait(), Ok(None)) {
            let group = self.watchdog.id().to_string();
            let _ = Command::new("/bin/sh").args(["-c", "kill -KILL -- \"-$0\"", &group]).status();
            let _ = self.watchdog.kill();
            let _ = self.watchdog.wait();
        }
        // The watchdog empties the folder; under root it may lack the right to remove it.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A name in double quotes.
fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
