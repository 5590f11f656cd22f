//! The database that the user named, read once and never shown with its password.
//!
//! Invariant: a [`Target`] is complete. Every default, variable, service and password file has
//! been looked at when it exists, with libpq's precedence (the text itself, then the service,
//! then `PG*` variables, then defaults), so that two connections to it are the same, and nothing
//! but the driver and a child's environment ever sees the password.

mod child;
mod driver;
mod secret;
mod spelling;
mod surroundings;

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use secret::{Secret, encode};
use spelling::Settings;
use surroundings::{SOCKET_FOLDERS, Surroundings};

pub(crate) use driver::Attempt;

/// Where the server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    /// A name or an address.
    Tcp(String),
    /// The directory of a socket.
    Socket(PathBuf),
}

/// The words of libpq's `sslmode`, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum SslMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

const SSL_MODES: [(&str, SslMode); 6] = [
    ("disable", SslMode::Disable),
    ("allow", SslMode::Allow),
    ("prefer", SslMode::Prefer),
    ("require", SslMode::Require),
    ("verify-ca", SslMode::VerifyCa),
    ("verify-full", SslMode::VerifyFull),
];

/// One database on one server, and how to reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    host: Host,
    host_address: Option<IpAddr>,
    port: u16,
    user: String,
    password: Option<Secret>,
    database: String,
    ssl_mode: SslMode,
    /// `None` means the authorities that this machine trusts.
    ssl_root_cert: Option<PathBuf>,
    ssl_client: Option<(PathBuf, PathBuf)>,
    application_name: String,
    options: Option<String>,
    connect_timeout: Option<Duration>,
    channel_binding: Option<String>,
}

/// A target, and what of the user's words has no effect.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// The database.
    pub target: Target,
    /// Sentences for the user, such as a parameter that is ignored; never a parameter's value.
    pub notes: Vec<String>,
}

/// Why a text does not name one database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Neither a URL nor a keyword string.
    #[error("this names no database: write postgresql://user@host:5432/database")]
    NotAConnection,
    /// A URL of something else.
    #[error(
        "`{0}://` is not PostgreSQL: write postgresql://user@host:5432/database \
         (postgres:// and SQLAlchemy's postgresql+driver:// are read too)"
    )]
    Scheme(String),
    /// A URL whose parts stand in the wrong places.
    #[error(
        "the URL cannot be taken apart: percent-encode what is special in its user name and \
         password (/ is %2F, @ is %40, : is %3A, ? is %3F, # is %23, % is %25)"
    )]
    Unescaped,
    /// A port that is no number.
    #[error(
        "the port is not a number from 1 to 65535; if the password has a / ? @ : or #, \
         percent-encode it (/ is %2F, @ is %40, : is %3A, ? is %3F, # is %23)"
    )]
    Port,
    /// A broken `keyword=value` string.
    #[error(
        "the connection string cannot be taken apart: write host=... dbname=... user=..., and \
         put a value that has spaces between single quotes"
    )]
    Keywords,
    /// More than one server.
    #[error("this names several hosts, and a change needs one: name the primary alone")]
    SeveralHosts,
    /// A byte that no connection parameter can hold.
    #[error("the connection string holds a zero byte")]
    ZeroByte,
    /// Bytes that are not UTF-8 after decoding.
    #[error("the value of `{name}` is not UTF-8 after percent-decoding")]
    NotUtf8 {
        /// The parameter.
        name: String,
    },
    /// A value that its parameter does not know.
    #[error("the value of `{name}` is not one of: {expected}")]
    Value {
        /// The parameter.
        name: &'static str,
        /// What it may be.
        expected: &'static str,
    },
    /// `sslrootcert=system` with a mode that does not verify.
    #[error("sslrootcert=system verifies the server, so it needs sslmode=verify-full")]
    WeakWithSystem,
    /// A certificate without its key, or the other way round.
    #[error("a client certificate needs both sslcert and sslkey")]
    HalfAClientCertificate,
    /// A service that no service file has.
    #[error(
        "no service file has [{name}]: looked in PGSERVICEFILE or ~/.pg_service.conf, and in \
         pg_service.conf under PGSYSCONFDIR"
    )]
    Service {
        /// The service's name.
        name: String,
    },
}

impl Target {
    /// Reads a URL or a `keyword=value` string, with `PG*` variables for what it leaves out.
    pub fn parse(text: &str) -> Result<Parsed, TargetError> {
        Self::read(Some(text), &Surroundings::of_process())
    }

    /// Reads the `PG*` variables alone; none if they name neither a host nor a database nor a
    /// service.
    pub fn from_env() -> Result<Option<Parsed>, TargetError> {
        let surroundings = Surroundings::of_process();
        let named = ["PGHOST", "PGHOSTADDR", "PGDATABASE", "PGSERVICE"];
        if named.iter().all(|name| surroundings.get(name).is_none()) {
            return Ok(None);
        }
        Self::read(None, &surroundings).map(Some)
    }

    fn read(text: Option<&str>, surroundings: &Surroundings) -> Result<Parsed, TargetError> {
        let mut notes = Vec::new();
        let mut given = match text {
            Some(text) => spelling::read(text)?,
            None => Settings::new(),
        };
        let variables = surroundings.settings();
        let named = |key: &str| given.get(key).or_else(|| variables.get(key)).cloned();
        if let Some(service) = named("service") {
            let file = named("servicefile");
            let service = surroundings.service(&service, file.as_deref())?;
            for (keyword, value) in service {
                given.entry(keyword).or_insert(value);
            }
        }
        for (keyword, value) in variables {
            // A host in the text is not overruled by an address from the environment.
            if keyword == "hostaddr" && given.contains_key("host") {
                notes.push("`PGHOSTADDR` is ignored: the connection names a host".to_owned());
            } else if keyword == "options" && given.contains_key("options") {
                notes.push("`PGOPTIONS` is sent before the connection's own `options`".to_owned());
            } else {
                given.entry(keyword).or_insert(value);
            }
        }
        let target = Self::from_settings(given, surroundings, &mut notes)?;
        Ok(Parsed { target, notes })
    }

    fn from_settings(
        mut given: Settings,
        surroundings: &Surroundings,
        notes: &mut Vec<String>,
    ) -> Result<Self, TargetError> {
        let mut take = |key: &str| given.remove(key);
        let several = |text: &Option<String>| text.as_ref().is_some_and(|t| t.contains(','));

        let (host, host_address, port) = (take("host"), take("hostaddr"), take("port"));
        if several(&host) || several(&host_address) || several(&port) {
            return Err(TargetError::SeveralHosts);
        }
        let port = match port {
            Some(port) => match port.trim().parse() {
                Ok(port) if port > 0 => port,
                _ => return Err(TargetError::Port),
            },
            None => 5432,
        };
        let host_address: Option<IpAddr> = match host_address.map(|text| text.parse()) {
            Some(Ok(address)) => Some(address),
            Some(Err(_)) => {
                return Err(TargetError::Value { name: "hostaddr", expected: "an IP address" });
            }
            None => None,
        };
        let host = match (host, host_address) {
            (Some(host), _) => host,
            (None, Some(address)) => address.to_string(),
            (None, None) => surroundings::default_host(port),
        };
        let host = match host.starts_with('/') && host_address.is_none() {
            true => Host::Socket(PathBuf::from(host)),
            false => Host::Tcp(host),
        };

        let user = take("user").unwrap_or_else(driver::default_user);
        let database = take("dbname").unwrap_or_else(|| user.clone());
        let password_file = take("passfile");
        let password = take("password").or_else(|| {
            let host = match &host {
                Host::Tcp(host) => host.as_str(),
                Host::Socket(path) => match path.to_str() {
                    Some(path) if !SOCKET_FOLDERS.contains(&path) => path,
                    _ => "localhost",
                },
            };
            let connection = [host, &port.to_string(), &database, &user];
            surroundings.password(password_file.as_deref(), connection, notes)
        });

        let ssl_root_cert = take("sslrootcert");
        let from_system = ssl_root_cert.as_deref() == Some("system");
        let ssl_root_cert = match ssl_root_cert {
            _ if from_system => None,
            Some(path) => Some(PathBuf::from(path)),
            None => surroundings.default_file("root.crt"),
        };
        let ssl_mode = match take("sslmode").map(|word| word.to_ascii_lowercase()) {
            Some(word) => match SSL_MODES.iter().find(|(name, _)| *name == word) {
                Some((_, mode)) if from_system && *mode < SslMode::VerifyFull => {
                    return Err(TargetError::WeakWithSystem);
                }
                // libpq: "if a root CA file exists, the behavior of sslmode=require will be the
                // same as that of verify-ca" (libpq-ssl, table "SSL Mode Descriptions").
                Some((_, SslMode::Require)) if ssl_root_cert.is_some() => SslMode::VerifyCa,
                Some((_, mode)) => *mode,
                None => {
                    return Err(TargetError::Value {
                        name: "sslmode",
                        expected: "disable, allow, prefer, require, verify-ca, verify-full",
                    });
                }
            },
            None if from_system => SslMode::VerifyFull,
            None => SslMode::Prefer,
        };
        if ssl_mode == SslMode::VerifyCa && ssl_root_cert.is_some() {
            notes.push(
                "`sslrootcert` is trusted besides the authorities of this machine, not instead \
                 of them; use sslmode=verify-full to check the host's name too"
                    .to_owned(),
            );
        }
        if ssl_mode == SslMode::VerifyFull && host_address.is_some() {
            notes.push(
                "`hostaddr` is what the server's certificate is checked against, not the host's \
                 name"
                    .to_owned(),
            );
        }
        let ssl_client = match (take("sslcert"), take("sslkey")) {
            (Some(cert), Some(key)) => Some((PathBuf::from(cert), PathBuf::from(key))),
            (None, None) => surroundings
                .default_file("postgresql.crt")
                .zip(surroundings.default_file("postgresql.key")),
            _ => return Err(TargetError::HalfAClientCertificate),
        };

        let seconds: Option<u64> = match take("connect_timeout") {
            Some(text) => Some(text.trim().parse().map_err(|_| TargetError::Value {
                name: "connect_timeout",
                expected: "a number of seconds",
            })?),
            None => None,
        };
        let fallback = take("fallback_application_name");
        let application_name = take("application_name").or(fallback);
        let target = Self {
            host,
            host_address,
            port,
            user,
            password: password.map(Secret),
            database,
            ssl_mode,
            ssl_root_cert,
            ssl_client,
            application_name: application_name.unwrap_or_else(|| "reconcile".to_owned()),
            options: take("options"),
            connect_timeout: seconds.filter(|s| *s > 0).map(Duration::from_secs),
            channel_binding: take("channel_binding"),
        };
        if target.channel_binding.as_deref() == Some("require") {
            notes.push(
                "`channel_binding` is ignored: this driver cannot bind the login to the TLS \
                 channel; sslmode=verify-full proves who the server is"
                    .to_owned(),
            );
        }
        notes.extend(given.iter().filter_map(|(name, value)| ignored(name, value)));
        Ok(target)
    }

    /// The database as a URL without the password.
    pub fn display(&self) -> String {
        let user = encode(&self.user);
        let database = encode(&self.database);
        match &self.host {
            Host::Tcp(host) if host.contains(':') => {
                format!("postgresql://{user}@[{host}]:{}/{database}", self.port)
            }
            Host::Tcp(host) => format!("postgresql://{user}@{host}:{}/{database}", self.port),
            Host::Socket(path) => {
                let port = match self.port {
                    5432 => String::new(),
                    port => format!("&port={port}"),
                };
                format!("postgresql://{user}@/{database}?host={}{port}", path.display())
            }
        }
    }

    /// The name of the database.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The role that logs in.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The host's name or address, none for a socket.
    pub fn host(&self) -> Option<&str> {
        match &self.host {
            Host::Tcp(host) => Some(host),
            Host::Socket(_) => None,
        }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.display())
    }
}

/// The note for a parameter that has no effect, unless what it asks for happens anyway.
fn ignored(name: &str, value: &str) -> Option<String> {
    let harmless = match name {
        "service" | "servicefile" | "gssencmode" | "sslsni" | "sslcompression" => true,
        "sslnegotiation" => value == "postgres",
        "target_session_attrs" => value == "any",
        "load_balance_hosts" => value == "disable",
        "client_encoding" => matches!(value.to_ascii_lowercase().as_str(), "utf8" | "utf-8"),
        _ => false,
    };
    (!harmless).then(|| format!("`{name}` is ignored: this driver has no such parameter"))
}

#[cfg(test)]
mod tests;
