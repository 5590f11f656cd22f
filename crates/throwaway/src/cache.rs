//! Where things are kept, and as whom the server programs run.
//!
//! Invariant: PostgreSQL refuses to run as root, so under root every server program runs as an
//! unprivileged user, and everything that it must read lies where that user can reach it.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, Permissions};
use std::hash::{BuildHasher, Hasher};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Error;

/// Names the cache folder, before every default.
pub(crate) const ENV_CACHE: &str = "RECONCILE_CACHE";

/// As whom this process and the server programs run.
#[derive(Debug, Clone)]
pub(crate) struct User {
    /// The effective user of this process.
    pub(crate) uid: u32,
    /// The user (id, group, name) that the server programs are run as, where it is another one.
    pub(crate) server: Option<(u32, u32, String)>,
}

impl User {
    /// Looks up who we are; under root also who the server programs shall be.
    pub(crate) fn current() -> Result<User, Error> {
        let uid = effective_uid()?;
        if uid != 0 {
            return Ok(User { uid, server: None });
        }
        // Not `postgres` first: a script that is loaded is a program, and that user may own the
        // machine's real databases.
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let server = ["nobody", "postgres"].iter().find_map(|name| {
            let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
            let mut fields = line.split(':').skip(2);
            // macOS writes -2 for nobody.
            let mut id = || fields.next()?.parse::<i64>().ok().map(|id| id as u32);
            Some((id()?, id()?, (*name).to_owned()))
        });
        Ok(User { uid, server: Some(server.unwrap_or((65534, 65534, "65534".to_owned()))) })
    }

    /// Makes a command run as the server's user.
    pub(crate) fn run(&self, command: &mut Command) {
        if let Some((uid, gid, _)) = &self.server {
            command.uid(*uid).gid(*gid);
        }
    }

    /// Gives a file or folder to the server's user.
    pub(crate) fn give(&self, path: &Path) -> std::io::Result<()> {
        match &self.server {
            Some((uid, gid, _)) => std::os::unix::fs::chown(path, Some(*uid), Some(*gid)),
            None => Ok(()),
        }
    }

    /// Whether a folder belongs to us or to the user that our servers run as.
    pub(crate) fn owns(&self, metadata: &fs::Metadata) -> bool {
        let owner = metadata.uid();
        owner == self.uid || self.server.as_ref().is_some_and(|(uid, ..)| owner == *uid)
    }

    /// Says why the server's user cannot enter a folder, if it cannot.
    pub(crate) fn barred_from(&self, path: &Path) -> Option<String> {
        let (.., name) = self.server.as_ref()?;
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let closed = path.ancestors().find(|ancestor| {
            fs::metadata(ancestor).is_ok_and(|metadata| metadata.mode() & 0o001 == 0)
        })?;
        Some(format!(
            "PostgreSQL does not run as root, and the user {name}, who runs it instead, cannot \
             enter {}",
            closed.display()
        ))
    }
}

/// The standard library has no geteuid: the owner of what we make tells it.
fn effective_uid() -> Result<u32, Error> {
    let path = std::env::temp_dir().join(format!("reconcile-uid-{}", unique()));
    let failed = || format!("cannot make {}", path.display());
    DirBuilder::new().mode(0o700).create(&path).map_err(Error::io(failed()))?;
    let uid = fs::metadata(&path).map(|metadata| metadata.uid()).map_err(Error::io(failed()));
    let _ = fs::remove_dir(&path);
    uid
}

/// A name part that no other process and no other call has.
pub(crate) fn unique() -> String {
    let random = std::collections::hash_map::RandomState::new().build_hasher().finish();
    format!("{random:016x}")
}

/// The folder that holds fetched server programs and initialised data directories; it is made if
/// it is missing.
///
/// `RECONCILE_CACHE` names it; else, for a user, it is `reconcile` in `XDG_CACHE_HOME` or
/// `~/.cache`; for root a folder outside the home, which an unprivileged server could not enter.
pub fn cache_dir() -> Result<PathBuf, Error> {
    cache_for(&User::current()?)
}

pub(crate) fn cache_for(user: &User) -> Result<PathBuf, Error> {
    let set =
        |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(path) = set(ENV_CACHE) {
        let path = std::path::absolute(&path)
            .map_err(Error::io(format!("{ENV_CACHE}={}", path.display())))?;
        make_shared_dir(&path, user)?;
        return Ok(path);
    }
    let mut candidates = Vec::new();
    if user.uid == 0 {
        candidates.push(PathBuf::from("/var/cache/reconcile"));
    } else if let Some(path) = set("XDG_CACHE_HOME").filter(|path| path.is_absolute()) {
        candidates.push(path.join("reconcile"));
    } else if let Some(path) = set("HOME").filter(|path| path.is_absolute()) {
        candidates.push(path.join(".cache/reconcile"));
    }
    candidates.push(PathBuf::from(format!("/var/tmp/reconcile-cache-{}", user.uid)));
    let mut last = None;
    for path in candidates {
        match make_shared_dir(&path, user).and_then(|()| trusted(&path, user)) {
            Ok(()) => return Ok(path),
            Err(error) => last = Some(error),
        }
    }
    Err(last.expect("there is always one candidate"))
}

/// Makes a folder that others may enter (under root, whatever the umask says).
fn make_shared_dir(path: &Path, user: &User) -> Result<(), Error> {
    let failed = || format!("cannot make the cache folder {}", path.display());
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o755).create(path).map_err(Error::io(failed()))?;
    if user.uid == 0 {
        fs::set_permissions(path, Permissions::from_mode(0o755)).map_err(Error::io(failed()))?;
    }
    Ok(())
}

/// Programs are run from the cache: nobody else may write there, and we must be able to.
fn trusted(path: &Path, user: &User) -> Result<(), Error> {
    let refuse = |kind, reason: &str| {
        Err(Error::Io {
            what: format!("the cache folder {} cannot be used", path.display()),
            source: std::io::Error::new(kind, reason.to_owned()),
        })
    };
    let metadata = fs::symlink_metadata(path)
        .map_err(Error::io(format!("cannot look at {}", path.display())))?;
    if !metadata.is_dir() || metadata.uid() != user.uid || metadata.mode() & 0o022 != 0 {
        return refuse(std::io::ErrorKind::PermissionDenied, "others can write to it");
    }
    let probe = path.join(format!(".probe-{}", unique()));
    if let Err(error) = fs::create_dir(&probe) {
        return refuse(error.kind(), &error.to_string());
    }
    let _ = fs::remove_dir(&probe);
    Ok(())
}

/// The environment of a server program: the search path and nothing that could steer it.
pub(crate) fn clean_environment(command: &mut Command) {
    let path: Option<OsString> = std::env::var_os("PATH");
    command.env_clear().env("LC_ALL", "C");
    if let Some(path) = path {
        command.env("PATH", path);
    }
}
