//! Opens sessions on the user's database.
//!
//! Invariant: a [`Session`] that exists has been looked at: its server's version and engine are
//! known, and the role that was asked for is in force or ready as a preamble. On a pooled
//! connection nothing is set for the session, because the next transaction may run in another.

use std::time::Duration;

use sqlx::{Connection as _, PgConnection};

use crate::error::{Error, ServerError};
use crate::login::open;
use crate::rows::{self, TextRow};
use crate::target::Target;

/// How to connect.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// The role to act as, so that new objects belong to it.
    pub role: Option<String>,
    /// The connection may go through a pooler: set nothing for the session.
    ///
    /// The role is then only taken where [`Session::preamble`] is sent. This is right on a direct
    /// connection too.
    pub pooled: bool,
    /// How long a connection may take, unless the target itself says (`connect_timeout`).
    pub connect_timeout: Duration,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self { role: None, pooled: false, connect_timeout: Duration::from_secs(15) }
    }
}

/// The program behind the protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Engine {
    /// PostgreSQL itself.
    PostgreSql,
    /// CockroachDB, which calls itself PostgreSQL in server_version.
    CockroachDb,
    /// YugabyteDB.
    YugabyteDb,
    /// PostgreSQL with the extension citus.
    Citus,
    /// Another one, by its own words.
    Other(String),
}

impl Engine {
    /// Names that stand in `version()` of servers that behave differently from PostgreSQL.
    const OTHERS: &[&str] = &[
        "Redshift",
        "Greenplum",
        "Cloudberry",
        "RisingWave",
        "Materialize",
        "EnterpriseDB",
        "GaussDB",
        "DSQL",
    ];

    fn of(version: &str, has_citus: bool) -> Self {
        if version.starts_with("CockroachDB") {
            Self::CockroachDb
        } else if version.contains("-YB-") {
            Self::YugabyteDb
        } else if let Some(name) = Self::OTHERS.iter().find(|name| version.contains(**name)) {
            Self::Other((*name).to_owned())
        } else if !version.starts_with("PostgreSQL ") {
            Self::Other(version.split(" on ").next().unwrap_or(version).to_owned())
        } else if has_citus {
            Self::Citus
        } else {
            Self::PostgreSql
        }
    }

    /// The name for people.
    pub fn name(&self) -> &str {
        match self {
            Self::PostgreSql => "PostgreSQL",
            Self::CockroachDb => "CockroachDB",
            Self::YugabyteDb => "YugabyteDB",
            Self::Citus => "Citus",
            Self::Other(name) => name,
        }
    }
}

/// An open connection and what is known of its server.
#[derive(Debug)]
pub struct Session {
    /// The driver's connection; send SQL of ours with [`Session::send`].
    pub conn: PgConnection,
    /// The database that was connected to.
    pub target: Target,
    /// `server_version_num`, for instance 150018.
    pub version: u32,
    /// What `version()` says.
    pub version_text: String,
    /// What runs there.
    pub engine: Engine,
    /// The server's process for this connection; on a pooled one, of the first transaction.
    pub backend_pid: i32,
    /// When that process began; with the number it names the process for good.
    pub backend_start: Option<String>,
    /// The role in force, `current_user`.
    pub role: String,
    /// The role that logged in, `session_user`.
    pub login: String,
    /// The database's name as the server says it.
    pub database: String,
    /// The server is a standby, or is being recovered.
    pub in_recovery: bool,
    /// Transactions are read-only unless they say otherwise; always so in recovery.
    pub read_only: bool,
    /// What to send at the beginning of each transaction of a pooled connection.
    preamble: Option<String>,
    /// A comment before everything that a pooled connection sends, by which it can be found.
    pub(crate) tag: Option<String>,
    /// How long another connection to the same target may take.
    pub(crate) connect_timeout: Duration,
}

impl Session {
    /// What to send at the beginning of each transaction, after `BEGIN`: `SET LOCAL ROLE …` where
    /// the role could not be set for the session.
    pub fn preamble(&self) -> Option<&str> {
        self.preamble.as_deref()
    }

    /// Says goodbye to the server.
    pub async fn close(self) {
        // Whatever fails here, the connection is gone afterwards, and that is what was wanted.
        let _ = self.conn.close().await;
    }
}

/// The oldest version that is supported.
const OLDEST: u32 = 130_000;

/// Everything that is asked of a new connection; each name is qualified, so that no search_path
/// leads it elsewhere.
const HELLO: &str = "SELECT pg_catalog.version() AS version, \
    pg_catalog.current_setting('server_version_num') AS version_num, \
    pg_catalog.pg_backend_pid() AS pid, \
    current_user AS role, session_user AS login, \
    pg_catalog.current_database() AS database, \
    pg_catalog.pg_is_in_recovery() AS in_recovery, \
    pg_catalog.current_setting('transaction_read_only') AS read_only, \
    EXISTS (SELECT 1 FROM pg_catalog.pg_extension WHERE extname = 'citus') AS citus";

/// Asked before the role is taken, which need not have the right to see the login's sessions.
const START: &str = "SELECT (SELECT backend_start FROM pg_catalog.pg_stat_activity \
      WHERE pid = pg_catalog.pg_backend_pid()) AS backend_start";

/// Connects, takes the role and asks the server who it is, in one round trip after the login.
pub async fn connect(target: &Target, options: &ConnectOptions) -> Result<Session, Error> {
    let mut conn = open(target, options.connect_timeout, None).await?;
    let server_version = conn.server_version_num();
    if let Some(version) = server_version.filter(|version| *version < OLDEST) {
        let version = match version {
            ..100_000 => format!("{}.{}", version / 10_000, version / 100 % 100),
            _ => format!("{}.{}", version / 10_000, version % 10_000),
        };
        return Err(Error::TooOld { target: target.display(), version });
    }

    let set_role = options.role.as_ref().map(|role| format!("ROLE {}", quote_identifier(role)));
    let hello = match &set_role {
        Some(role) if options.pooled => {
            format!("BEGIN; {START}; SET LOCAL {role}; {HELLO}; COMMIT")
        }
        Some(role) => format!("{START}; SET {role}; {HELLO}"),
        None => format!("{START}; {HELLO}"),
    };
    let sets = match rows::send(&mut conn, target, &hello, 0).await {
        Ok(sets) => sets,
        Err(Error::Server(error)) if set_role.is_some() && is_about_role(&error) => {
            return Err(Error::Role {
                role: options.role.clone().unwrap_or_default(),
                login: target.user().to_owned(),
                error,
            });
        }
        Err(error) => return Err(error),
    };
    let unreadable = || Error::Protocol {
        target: target.display(),
        reason: "it did not say its version and its process".to_owned(),
    };
    let mut rows = sets.iter().filter_map(|set| set.rows.first());
    let (Some(start), Some(row)) = (rows.next(), rows.next()) else { return Err(unreadable()) };
    let text = |column: &str| row.get(column).unwrap_or_default().to_owned();
    let version_text = text("version");
    let in_recovery = is_true(row, "in_recovery");
    Ok(Session {
        target: target.clone(),
        version: text("version_num").parse().map_err(|_| unreadable())?,
        engine: Engine::of(&version_text, is_true(row, "citus")),
        version_text,
        backend_pid: text("pid").parse().map_err(|_| unreadable())?,
        backend_start: start.get("backend_start").map(str::to_owned),
        role: text("role"),
        login: text("login"),
        database: text("database"),
        in_recovery,
        read_only: in_recovery || is_true(row, "read_only"),
        preamble: set_role.filter(|_| options.pooled).map(|role| format!("SET LOCAL {role}")),
        tag: options.pooled.then(|| format!("/* reconcile {} */ ", nonce())),
        connect_timeout: options.connect_timeout,
        conn,
    })
}

fn is_about_role(error: &ServerError) -> bool {
    error.statement.as_deref().is_some_and(|statement| statement.starts_with("SET "))
}

fn is_true(row: &TextRow, column: &str) -> bool {
    matches!(row.get(column), Some("t" | "true" | "on"))
}

/// A name in double quotes.
fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text that no other session has.
pub(crate) fn nonce() -> String {
    use std::hash::{BuildHasher as _, RandomState};
    format!("{:016x}", RandomState::new().hash_one(std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_are_told_apart() {
        let of = |version: &str| Engine::of(version, false);
        assert_eq!(
            of("PostgreSQL 18.4 on x86_64-pc-linux-gnu, compiled by gcc"),
            Engine::PostgreSql
        );
        assert_eq!(of("PostgreSQL 15.18 (Debian 15.18-0+deb12u1) on x86_64"), Engine::PostgreSql);
        assert_eq!(of("CockroachDB CCL v25.1.2 (x86_64-linux)"), Engine::CockroachDb);
        assert_eq!(of("PostgreSQL 15.2-YB-2.25.0.0-b0 on x86_64"), Engine::YugabyteDb);
        assert_eq!(
            of("PostgreSQL 8.0.2 on i686-pc-linux-gnu, compiled by GCC, Redshift 1.0.1"),
            Engine::Other("Redshift".to_owned())
        );
        assert_eq!(of("QuestDB 9 on x"), Engine::Other("QuestDB 9".to_owned()));
        assert_eq!(Engine::of("PostgreSQL 17.10 on x86_64", true), Engine::Citus);
    }
}
