//! A PgBouncer in transaction mode before a throw-away server.
//!
//! It comes from `RECONCILE_PGBOUNCER`, from PATH or /usr/sbin, or, where the machine has apt, from
//! its package, unpacked into the target folder and not installed.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reconcile_throwaway::Server;

/// A running pooler; dropping it stops it.
pub(crate) struct PgBouncer {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl PgBouncer {
    /// Starts one, or says why there is none; with `RECONCILE_REQUIRE_PGBOUNCER` set that fails.
    pub(crate) async fn start(server: &Server, settings: &str) -> Option<Self> {
        let Some(program) = find() else {
            let why = "no pgbouncer: set RECONCILE_PGBOUNCER, install it, or have apt-get";
            assert!(std::env::var_os("RECONCILE_REQUIRE_PGBOUNCER").is_none(), "{why}");
            #[allow(clippy::print_stderr)]
            {
                eprintln!("SKIPPED: {why}");
            }
            return None;
        };
        // PgBouncer refuses root; the server's own user is at hand then, and may use its socket.
        let owner = fs::metadata(server.socket_dir()).unwrap();
        let folder = tempfile::Builder::new().prefix("reconcile-bouncer-").tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let users = folder.path().join("users.txt");
        fs::write(&users, "\"postgres\" \"\"\n\"app\" \"\"\n").unwrap();
        let config = folder.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {}\n\
             pool_mode = transaction\n{settings}\n",
            server.socket_dir().display(),
            server.port(),
            users.display(),
        );
        fs::write(&config, text).unwrap();
        for path in [folder.path(), &users, &config] {
            chown(path, Some(owner.uid()), Some(owner.gid())).unwrap();
        }
        let mut command = Command::new(&program);
        command.arg(&config).stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null());
        if let Some(libraries) = program.ancestors().nth(3).map(library_path) {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        if fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0) {
            command.uid(owner.uid()).gid(owner.gid());
        }
        let child = command.spawn().expect("pgbouncer starts");
        let bouncer = Self { child, port, _folder: folder };
        for _ in 0..200 {
            if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return Some(bouncer);
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("pgbouncer does not listen");
    }

    /// The URL of a database behind the pooler.
    pub(crate) fn url(&self, role: &str, database: &str) -> String {
        format!("postgresql://{role}@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn find() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("RECONCILE_PGBOUNCER") {
        return Some(path.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| folder.join("pgbouncer")).find(|path| path.is_file()).or_else(from_apt)
}

/// Unpacks Debian's or Ubuntu's package and the libraries that it needs besides the usual ones.
fn from_apt() -> Option<PathBuf> {
    // Not under the home directory: the unprivileged user must be able to run it.
    let me = fs::metadata("/proc/self").ok()?.uid();
    let root = std::env::temp_dir().join(format!("reconcile-pgbouncer-{me}"));
    let program = root.join("usr/sbin/pgbouncer");
    if !program.is_file() {
        let work = tempfile::tempdir().ok()?;
        fs::set_permissions(work.path(), fs::Permissions::from_mode(0o755)).ok()?;
        for package in ["pgbouncer", "libc-ares2", "libcares2", "libevent-2.1-7"] {
            let mut command = Command::new("apt-get");
            command.args(["download", package]).current_dir(work.path());
            command.stdout(Stdio::null()).stderr(Stdio::null()).status().ok()?;
        }
        let unpacked = work.path().join("unpacked");
        for entry in fs::read_dir(work.path()).ok()?.flatten() {
            if entry.path().extension().is_some_and(|extension| extension == "deb") {
                let mut command = Command::new("dpkg");
                command.arg("-x").arg(entry.path()).arg(&unpacked).status().ok()?;
            }
        }
        // It fails where another test was faster.
        let _ = fs::rename(&unpacked, &root);
    }
    // Nobody else's program is run.
    (fs::metadata(&root).ok()?.uid() == me && program.is_file()).then_some(program)
}

fn library_path(root: &Path) -> String {
    let base = root.join("usr/lib");
    let folders = fs::read_dir(&base).into_iter().flatten().flatten().map(|entry| entry.path());
    let linux = folders.filter(|path| path.to_string_lossy().ends_with("-linux-gnu"));
    linux.map(|path| path.to_string_lossy().into_owned()).collect::<Vec<_>>().join(":")
}
