//! A backup by the machine's own pg_dump, before anything is changed.
//!
//! Invariant: a path that is returned names a whole dump. A run that fails leaves no file, nobody
//! but the owner may read what is written, and the password is never in the arguments, which
//! every user of the machine can read.

mod program;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{SystemTime, UNIX_EPOCH};

use reconcile_sql::{QName, quote_literal};
use tokio::process::Command;

use crate::connect::Session;
use crate::error::Error;
use crate::target::Target;

pub use program::{Program, find};

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// No pg_dump was found.
    #[error(
        "no pg_dump was found on PATH or in /usr/lib/postgresql: install PostgreSQL's client \
         programs, version {wanted} or newer, or name one with --pg-dump"
    )]
    NoProgram {
        /// The major version of the server.
        wanted: u32,
    },
    /// The program that was named does not run.
    #[error("{} is not a pg_dump that runs: {reason}", program.display())]
    NotAProgram {
        /// The program.
        program: PathBuf,
        /// What happened.
        reason: String,
    },
    /// pg_dump refuses servers that are newer than itself.
    #[error(
        "{} is of version {found}, and the server of version {wanted}: pg_dump dumps no server \
         that is newer than itself; install a newer one or name it with --pg-dump",
        program.display()
    )]
    TooOld {
        /// The newest program that was found.
        program: PathBuf,
        /// Its major version.
        found: u32,
        /// The major version of the server.
        wanted: u32,
    },
    /// The folder cannot be written to.
    #[error("{}: {error}", path.display())]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// What happened.
        error: std::io::Error,
    },
    /// pg_dump failed; its file is deleted.
    #[error("pg_dump failed ({status}); nothing of it is kept:\n{words}")]
    Failed {
        /// How it ended.
        status: String,
        /// What it said.
        words: String,
    },
    /// The server or the connection.
    #[error(transparent)]
    Server(#[from] Error),
}

/// Writes a backup into a new folder in `dir` and returns its files: the definitions of the whole
/// database as SQL, and the rows of `relations`, with those of their partitions and children, for
/// pg_restore.
///
/// Relations that are not there yet are passed over. Dropping the future ends pg_dump.
///
/// # Errors
/// If there is no backup that could be relied on.
pub async fn backup(
    session: &mut Session,
    dir: &Path,
    relations: &[QName],
    pg_dump: Option<&Path>,
) -> Result<Vec<PathBuf>, BackupError> {
    let program = find(pg_dump, session.version / 10_000)?;
    let relations = with_children(session, relations).await?;
    let name = format!("{}-{}", file_name(&session.database), utc_now());
    let folder = make_folder(dir, &name)?;
    let mut common = vec!["--no-password".to_owned(), "--lock-wait-timeout=60s".to_owned()];
    if session.role != session.login {
        common.push(format!("--role={}", session.role));
    }
    let target = session.target.clone();
    let mut files = Vec::new();
    let schema = folder.join("schema.sql");
    let result = async {
        let arguments = common.iter().cloned().chain(["--schema-only".to_owned()]);
        dump(&program, &target, arguments.collect(), &schema).await?;
        files.push(schema);
        if !relations.is_empty() {
            let path = folder.join("data.dump");
            let arguments = ["--data-only".to_owned(), "--format=custom".to_owned()];
            // In quotes a pattern of pg_dump is a name (psql, "Patterns").
            let tables = relations.iter().map(|relation| {
                let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
                format!("--table={}.{}", quoted(&relation.namespace), quoted(&relation.name))
            });
            let arguments = common.iter().cloned().chain(arguments).chain(tables).collect();
            dump(&program, &target, arguments, &path).await?;
            files.push(path);
        }
        Ok(())
    }
    .await;
    if let Err(error) = result {
        // Half a backup is none: what was whole of it goes too.
        for file in files {
            let _ = std::fs::remove_file(file);
        }
        let _ = std::fs::remove_dir(&folder);
        return Err(error);
    }
    Ok(files)
}

/// Runs pg_dump into a file that only we may read; it is deleted unless all went well.
async fn dump(
    program: &Program,
    target: &Target,
    arguments: Vec<String>,
    path: &Path,
) -> Result<(), BackupError> {
    let folder = |error| BackupError::Folder { path: path.to_owned(), error };
    let unfinished = Unfinished(path);
    let file = create(path).map_err(folder)?;
    let copy = file.try_clone().map_err(folder)?;
    let mut command = Command::new(&program.path);
    target.configure_child(command.as_std_mut());
    command
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::from(file))
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let not_run = |error: std::io::Error| BackupError::NotAProgram {
        program: program.path.clone(),
        reason: error.to_string(),
    };
    // Not `output`, which would take the standard output away from the file.
    let child = command.spawn().map_err(not_run)?;
    let output = child.wait_with_output().await.map_err(not_run)?;
    if !output.status.success() {
        return Err(BackupError::Failed {
            status: output.status.to_string(),
            words: target.scrub(String::from_utf8_lossy(&output.stderr).trim()),
        });
    }
    // Before the first change the backup has to be on the disk.
    copy.sync_all().map_err(folder)?;
    std::mem::forget(unfinished);
    Ok(())
}

/// Deletes the file when it goes.
struct Unfinished<'a>(&'a Path);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.0);
    }
}

fn make_folder(dir: &Path, name: &str) -> Result<PathBuf, BackupError> {
    std::fs::create_dir_all(dir)
        .map_err(|error| BackupError::Folder { path: dir.to_owned(), error })?;
    // Two backups in one second get two folders.
    for suffix in 0..100 {
        let path = match suffix {
            0 => dir.join(name),
            n => dir.join(format!("{name}.{n}")),
        };
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        match builder.create(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(BackupError::Folder { path, error }),
        }
    }
    let error = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
    Err(BackupError::Folder { path: dir.join(name), error })
}

fn create(path: &Path) -> std::io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// The relations that have rows of their own, and their partitions and children.
async fn with_children(
    session: &mut Session,
    relations: &[QName],
) -> Result<Vec<QName>, BackupError> {
    if relations.is_empty() {
        return Ok(Vec::new());
    }
    let named: Vec<String> = relations
        .iter()
        .map(|r| format!("({}, {})", quote_literal(&r.namespace), quote_literal(&r.name)))
        .collect();
    let sql = format!(
        "WITH RECURSIVE t AS (SELECT c.oid FROM (VALUES {}) AS w(namespace, name) \
         JOIN pg_catalog.pg_namespace n ON n.nspname = w.namespace \
         JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name \
         UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN t ON i.inhparent = t.oid) \
         SELECT n.nspname, c.relname FROM t JOIN pg_catalog.pg_class c USING (oid) \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' \
         ORDER BY n.nspname, c.relname",
        named.join(", ")
    );
    let rows = session.send(&sql).await?;
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    Ok(rows.iter().map(|row| QName::new(text(row.at(0)), text(row.at(1)))).collect())
}

/// A database's name as part of a file's name.
fn file_name(database: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || "_-".contains(c) { c } else { '_' };
    database.chars().take(60).map(plain).collect()
}

/// `20251130T235959Z`
fn utc_now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    utc(since.as_secs())
}

/// The Gregorian date of a day count (Howard Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms", `civil_from_days`).
fn utc(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let z = days + 719_468;
    let (era, doe) = (z / 146_097, z % 146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (day, month) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    let year = yoe + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(utc(0), "19700101T000000Z");
        assert_eq!(utc(951_782_400), "20000229T000000Z");
        assert_eq!(utc(1_767_225_599), "20251231T235959Z");
        assert_eq!(utc(4_107_542_400), "21000301T000000Z");
    }

    #[test]
    fn names_of_databases_stay_in_their_folder() {
        assert_eq!(file_name("../My db"), "___My_db");
    }
}
