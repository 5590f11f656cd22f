//! Initialised data directories: copied from the cache where one is kept, else made by initdb.
//!
//! Invariant: a template in the cache is a complete, never started data directory of exactly the
//! `postgres` file that it is named after.

use std::fs::{self, DirBuilder};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cache::{User, cache_for, clean_environment, unique};
use crate::{Error, Installation};

/// Small WAL segments: an empty cluster is then half as large, and is copied in half the time.
const INITDB: &[&str] = &[
    "--username=postgres",
    "--auth=trust",
    "--encoding=UTF8",
    "--locale=C",
    "--wal-segsize=1",
    "--no-sync",
];

/// Makes `data` an initialised data directory that belongs to the server's user.
pub(crate) fn prepare(
    installation: &Installation,
    data: &Path,
    home: &Path,
    user: &User,
) -> Result<(), Error> {
    let template = template_path(installation, user);
    if let Some(template) = &template
        && template.is_dir()
    {
        if copy(template, data, Some(user)).is_ok() {
            return Ok(());
        }
        // Somebody replaces the template just now, or it is spoilt: do without.
        let _ = fs::remove_dir_all(data);
    }
    initdb(installation, data, home, user)?;
    if let Some(template) = template {
        keep(data, &template);
    }
    Ok(())
}

/// Where the template of this installation is kept; `None` where there is no cache.
fn template_path(installation: &Installation, user: &User) -> Option<PathBuf> {
    let cache = cache_for(user).ok()?;
    let postgres = fs::metadata(installation.bin.join("postgres")).ok()?;
    let mut place = DefaultHasher::new();
    (&installation.bin, INITDB).hash(&mut place);
    let mut build = DefaultHasher::new();
    (&installation.version, postgres.len(), postgres.mtime()).hash(&mut build);
    let name =
        format!("template-{}-{:016x}-{:016x}", installation.major, place.finish(), build.finish());
    Some(cache.join(name))
}

fn initdb(installation: &Installation, data: &Path, home: &Path, user: &User) -> Result<(), Error> {
    let failed = |reason| Error::Start { bin: installation.bin.clone(), reason };
    let mut command = Command::new(installation.bin.join("initdb"));
    clean_environment(&mut command);
    command.args(INITDB).arg("--pgdata").arg(data).current_dir(home).stdin(Stdio::null());
    user.run(&mut command);
    let output =
        command.output().map_err(|error| failed(format!("initdb cannot be run: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(failed(format!("initdb failed ({}): {}", output.status, words.trim())))
}

/// Keeps a copy as the template; if that fails, the next start runs initdb again.
fn keep(data: &Path, template: &Path) {
    let Some(cache) = template.parent() else { return };
    let work = cache.join(format!(".template-{}", unique()));
    if copy(data, &work, None).is_err() || fs::rename(&work, template).is_err() {
        let _ = fs::remove_dir_all(&work);
        return;
    }
    // Templates of earlier builds in the same place are of no more use.
    let name = template.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let Some((place, _)) = name.rsplit_once('-') else { return };
    for entry in fs::read_dir(cache).into_iter().flatten().flatten() {
        let other = entry.file_name().to_string_lossy().into_owned();
        if other != name && other.rsplit_once('-').is_some_and(|(other, _)| other == place) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Copies a data directory; the copy belongs to the server's user if `user` is given.
pub(crate) fn copy(from: &Path, to: &Path, user: Option<&User>) -> std::io::Result<()> {
    DirBuilder::new().mode(0o700).create(to)?;
    // Given away first, so that the watchdog can remove it at any moment.
    if let Some(user) = user {
        user.give(to)?;
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target, user)?;
        } else {
            fs::copy(entry.path(), &target)?;
            if let Some(user) = user {
                user.give(&target)?;
            }
        }
    }
    Ok(())
}
