//! What libpq takes from around a connection string: variables, service files, password files.
//!
//! Invariant: the variables come from one map that is read once, so that a target does not change
//! its meaning while the program runs, and no note of this module repeats a value.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::TargetError;
use super::spelling::{Settings, set};

/// The environment variables that name a part of a connection, with libpq's keyword.
///
/// <https://www.postgresql.org/docs/current/libpq-envars.html>
pub(super) const VARIABLES: &[(&str, &str)] = &[
    ("PGHOST", "host"),
    ("PGHOSTADDR", "hostaddr"),
    ("PGPORT", "port"),
    ("PGDATABASE", "dbname"),
    ("PGUSER", "user"),
    ("PGPASSWORD", "password"),
    ("PGPASSFILE", "passfile"),
    ("PGSERVICE", "service"),
    ("PGSERVICEFILE", "servicefile"),
    ("PGOPTIONS", "options"),
    ("PGAPPNAME", "application_name"),
    ("PGSSLMODE", "sslmode"),
    ("PGSSLROOTCERT", "sslrootcert"),
    ("PGSSLCERT", "sslcert"),
    ("PGSSLKEY", "sslkey"),
    ("PGSSLCRL", "sslcrl"),
    ("PGSSLCRLDIR", "sslcrldir"),
    ("PGSSLNEGOTIATION", "sslnegotiation"),
    ("PGSSLMINPROTOCOLVERSION", "ssl_min_protocol_version"),
    ("PGSSLMAXPROTOCOLVERSION", "ssl_max_protocol_version"),
    ("PGREQUIREAUTH", "require_auth"),
    ("PGREQUIREPEER", "requirepeer"),
    ("PGCHANNELBINDING", "channel_binding"),
    ("PGGSSENCMODE", "gssencmode"),
    ("PGCONNECT_TIMEOUT", "connect_timeout"),
    ("PGTARGETSESSIONATTRS", "target_session_attrs"),
    ("PGLOADBALANCEHOSTS", "load_balance_hosts"),
    ("PGCLIENTENCODING", "client_encoding"),
];

/// The environment as it was when the target was read.
#[derive(Default)]
pub(super) struct Surroundings {
    variables: BTreeMap<String, String>,
}

impl Surroundings {
    /// The environment of this process.
    pub(super) fn of_process() -> Self {
        Self::new(std::env::vars_os())
    }

    pub(super) fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let text = |(name, value): (OsString, OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        let variables = variables.into_iter().filter_map(text).collect();
        Self { variables }
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The keywords that the `PG*` variables set.
    pub(super) fn settings(&self) -> Settings {
        let mut settings = Settings::new();
        for (variable, keyword) in VARIABLES {
            if let Some(value) = self.get(variable) {
                set(&mut settings, keyword, value.to_owned());
            }
        }
        settings
    }

    fn home(&self) -> Option<PathBuf> {
        self.get("HOME").map(PathBuf::from).or_else(std::env::home_dir)
    }

    /// A file of `~/.postgresql` that libpq uses without being told, if it is there.
    pub(super) fn default_file(&self, name: &str) -> Option<PathBuf> {
        let path = self.home()?.join(".postgresql").join(name);
        path.is_file().then_some(path)
    }

    /// The keywords of a service, from the first service file that has it.
    pub(super) fn service(&self, name: &str, file: Option<&str>) -> Result<Settings, TargetError> {
        let own = match file {
            Some(file) => Some(PathBuf::from(file)),
            None => self.home().map(|home| home.join(".pg_service.conf")),
        };
        let system = match self.get("PGSYSCONFDIR") {
            Some(folder) => PathBuf::from(folder),
            None => PathBuf::from("/etc/postgresql-common"),
        };
        for path in own.into_iter().chain([system.join("pg_service.conf")]) {
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            if let Some(settings) = section(&text, name) {
                return Ok(settings);
            }
        }
        Err(TargetError::Service { name: name.to_owned() })
    }

    /// The password that libpq's password file holds for a connection.
    ///
    /// <https://www.postgresql.org/docs/current/libpq-pgpass.html>
    pub(super) fn password(
        &self,
        file: Option<&str>,
        connection: [&str; 4],
        notes: &mut Vec<String>,
    ) -> Option<String> {
        let path = match file {
            Some(file) => PathBuf::from(file),
            None => self.home()?.join(".pgpass"),
        };
        let metadata = std::fs::metadata(&path).ok()?;
        if !metadata.is_file() {
            return None;
        }
        if open_to_others(&metadata) {
            notes.push(format!(
                "password file {} is ignored: group or world may read it; chmod 0600 it",
                path.display()
            ));
            return None;
        }
        let text = std::fs::read_to_string(&path).ok()?;
        text.lines().find_map(|line| password_of(line, connection))
    }
}

#[cfg(unix)]
fn open_to_others(metadata: &std::fs::Metadata) -> bool {
    std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o077 != 0
}

#[cfg(not(unix))]
fn open_to_others(_: &std::fs::Metadata) -> bool {
    false
}

/// The keywords under `[name]` in a service file.
fn section(text: &str, name: &str) -> Option<Settings> {
    let mut found = None;
    for line in text.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            if found.is_some() {
                break;
            }
            if header == name {
                found = Some(Settings::new());
            }
        } else if let (Some(settings), false) = (found.as_mut(), line.starts_with('#'))
            && let Some((keyword, value)) = line.split_once('=')
        {
            set(settings, keyword.trim(), value.trim().to_owned());
        }
    }
    found
}

/// The password of one line of a password file, if its four fields match.
fn password_of(line: &str, connection: [&str; 4]) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let mut rest = line;
    for value in connection {
        let end = field_end(rest)?;
        let field = &rest[..end];
        if field != "*" && unescape(field) != value {
            return None;
        }
        rest = &rest[end + 1..];
    }
    let end = field_end(rest).unwrap_or(rest.len());
    Some(unescape(&rest[..end])).filter(|password| !password.is_empty())
}

/// Where the first colon without a backslash before it stands.
fn field_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ':' => return Some(at),
            _ => {}
        }
    }
    None
}

fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            _ => out.push(c),
        }
    }
    out
}

/// The directory of the server's socket, if this machine has one for the port, else `localhost`.
///
/// libpq's default directory is fixed when it is built: Debian's is the first, PostgreSQL's own
/// the second.
pub(super) fn default_host(port: u16) -> String {
    let socket = format!(".s.PGSQL.{port}");
    let has_socket = |folder: &&str| Path::new(folder).join(&socket).exists();
    SOCKET_FOLDERS.iter().find(|folder| has_socket(folder)).unwrap_or(&"localhost").to_string()
}

/// Where a server puts its socket unless told otherwise; password files call these `localhost`.
pub(super) const SOCKET_FOLDERS: &[&str] = &["/var/run/postgresql", "/run/postgresql", "/tmp"];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn password_lines_match_as_in_libpq() {
        let me = ["db.example", "5432", "shop", "me"];
        for (line, want) in [
            ("db.example:5432:shop:me:secret", Some("secret")),
            ("*:*:*:*:secret", Some("secret")),
            (r"*:*:*:me:se\:cr\\et", Some(r"se:cr\et")),
            ("*:*:*:you:secret", None),
            ("# *:*:*:*:secret", None),
            ("*:*:*:me", None),
            ("", None),
            ("*:*:*:me:", None),
            ("*:*:*:me: with spaces ", Some(" with spaces ")),
        ] {
            assert_eq!(password_of(line, me).as_deref(), want, "{line}");
        }
        assert_eq!(
            password_of(r"\:\:1:5432:a\\b:me:x", ["::1", "5432", r"a\b", "me"]).as_deref(),
            Some("x")
        );
    }

    #[test]
    fn a_service_is_one_section() {
        let text = "# top\n[other]\nhost=no\n[shop]\nhost = db\n#port=1\nport=6000\n[last]\nuser=x";
        let settings = section(text, "shop").unwrap();
        assert_eq!(settings["host"], "db");
        assert_eq!(settings["port"], "6000");
        assert_eq!(settings.len(), 2);
        assert!(section(text, "missing").is_none());
    }
}
