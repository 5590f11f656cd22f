//! Finds the pg_dump of the machine.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::BackupError;

/// Where Debian and its kin keep the programs of each major version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// A pg_dump that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Where it is.
    pub path: PathBuf,
    /// Its major version.
    pub major: u32,
}

/// A pg_dump for a server of a major version: the one that is named, else the first that is new
/// enough on PATH or in /usr/lib/postgresql/*/bin, newest first.
///
/// # Errors
/// If there is none, or only ones that are older than the server.
pub fn find(named: Option<&Path>, server: u32) -> Result<Program, BackupError> {
    if let Some(path) = named {
        let major = version(path)
            .map_err(|reason| BackupError::NotAProgram { program: path.to_owned(), reason })?;
        let program = Program { path: path.to_owned(), major };
        return if major >= server { Ok(program) } else { Err(too_old(program, server)) };
    }
    let mut candidates = vec![PathBuf::from("pg_dump")];
    candidates.extend(of_debian());
    let mut newest: Option<Program> = None;
    for path in candidates {
        let Ok(major) = version(&path) else { continue };
        let program = Program { path, major };
        if major >= server {
            return Ok(program);
        }
        if newest.as_ref().is_none_or(|newest| newest.major < major) {
            newest = Some(program);
        }
    }
    Err(newest.map_or(BackupError::NoProgram { wanted: server }, |p| too_old(p, server)))
}

fn too_old(program: Program, wanted: u32) -> BackupError {
    BackupError::TooOld { program: program.path, found: program.major, wanted }
}

fn of_debian() -> Vec<PathBuf> {
    let folders = std::fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let mut majors: Vec<u32> =
        folders.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    majors.sort_unstable_by(|a, b| b.cmp(a));
    majors.iter().map(|major| PathBuf::from(format!("{DEBIAN}/{major}/bin/pg_dump"))).collect()
}

/// `pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`
fn version(program: &Path) -> Result<u32, String> {
    let output = Command::new(program).arg("--version").stdin(Stdio::null()).output();
    let output = output.map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let number = text.split_once("(PostgreSQL) ").map(|(_, rest)| rest);
    let digits = number.and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next());
    digits
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| "it does not say a version".to_owned())
}
