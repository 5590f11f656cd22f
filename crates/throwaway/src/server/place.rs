//! Where servers' folders are made, and the removal of those that ended processes left.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::cache::{User, unique};

/// What the name of each server's folder begins with.
pub(super) const PREFIX: &str = "reconcile-pg-";

/// A Unix socket's path fits into 108 bytes with its closing NUL (`sun_path`), 104 on macOS.
const LONGEST_SOCKET_PATH: usize = 103;

/// A port that nobody listens on at this moment.
pub(super) fn free_port() -> std::io::Result<u16> {
    TcpListener::bind(("127.0.0.1", 0))?.local_addr().map(|address| address.port())
}

/// The folders under which a server's folder can be made, the best first: the server's user can
/// enter it, and a socket's path under it is short enough. On the way, what ended servers left is
/// swept.
pub(super) fn base_dirs(user: &User, on_disk: bool) -> Vec<PathBuf> {
    let memory = PathBuf::from("/dev/shm");
    let mut bases = vec![std::env::temp_dir()];
    bases.extend(["/tmp", "/var/tmp"].map(PathBuf::from));
    let socket = format!("/{PREFIX}{}/.s.PGSQL.65535", unique());
    let fits = |base: &PathBuf| {
        let text = base.to_string_lossy();
        // unix_socket_directories is a list that is parsed; these would need quoting.
        base.is_absolute()
            && base.is_dir()
            && text.len() + socket.len() <= LONGEST_SOCKET_PATH
            && !text.contains([',', '"', '\'', ' ', '\\'])
            && user.barred_from(base).is_none()
    };
    bases.insert(0, memory.clone());
    bases.retain(fits);
    for base in &bases {
        sweep(base, user);
    }
    // A data directory is a thousand small files, which some file systems make slowly.
    bases.retain(|base| *base != memory || (!on_disk && has_room(base)));
    bases
}

/// Whether a file system in memory is more than the 64 MB that containers usually get.
fn has_room(base: &Path) -> bool {
    const WANTED_KB: u64 = 1024 * 1024;
    let Ok(output) = Command::new("df").arg("-Pk").arg(base).stdin(Stdio::null()).output() else {
        return false;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let available = text.lines().nth(1).and_then(|line| line.split_whitespace().nth(3));
    available.and_then(|kb| kb.parse().ok()).is_some_and(|kb: u64| kb >= WANTED_KB)
}

/// Removes folders that servers of ended processes left.
fn sweep(base: &Path, user: &User) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let path = entry.path();
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        if !metadata.is_dir() || !user.owns(&metadata) {
            continue;
        }
        let lock = path.join("lock");
        let age = |path: &Path| {
            let modified = fs::symlink_metadata(path).and_then(|metadata| metadata.modified()).ok();
            modified.and_then(|modified| modified.elapsed().ok()).unwrap_or_default()
        };
        // A young folder may be one that is being made (not locked yet) or being removed.
        let stale = match fs::symlink_metadata(&lock) {
            Ok(metadata) if metadata.is_file() => {
                age(&lock) > Duration::from_secs(60)
                    && File::open(&lock).is_ok_and(|file| file.try_lock().is_ok())
            }
            _ => age(&path) > Duration::from_secs(600),
        };
        if stale {
            let _ = fs::remove_dir_all(&path);
        }
    }
}
