//! Servers start, answer, stop and leave nothing, whatever happens to the process that has them.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use reconcile_testkit::{majors, own_server};
use reconcile_throwaway::{Error, Options, Server, Wanted, find};
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Row};

fn postmaster_pid(dir: &Path) -> u32 {
    let text = fs::read_to_string(dir.join("data/postmaster.pid")).unwrap();
    text.lines().next().unwrap().parse().unwrap()
}

/// `kill -0` needs no right that we do not have over our own servers.
fn is_alive(pid: u32) -> bool {
    let status = Command::new("kill").args(["-0", &pid.to_string()]).stderr(Stdio::null()).status();
    status.unwrap().success()
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < Duration::from_secs(20), "still not: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[tokio::test]
async fn a_server_answers_and_leaves_nothing() {
    for major in majors() {
        let installation = find(Wanted::Major(major), None).unwrap();
        let server = Server::start(&installation).await.unwrap();
        assert_eq!(server.major(), major);
        let mut connection = PgConnection::connect(&server.url("postgres")).await.unwrap();
        let row = sqlx::raw_sql(
            "SELECT current_setting('server_version_num')::int / 10000, current_user::text, \
             current_setting('listen_addresses'), current_setting('fsync')",
        )
        .fetch_one(&mut connection)
        .await
        .unwrap();
        assert_eq!(row.get::<i32, _>(0), major as i32);
        assert_eq!(row.get::<String, _>(1), "postgres");
        assert_eq!(row.get::<String, _>(2), "");
        assert_eq!(row.get::<String, _>(3), "off");
        let dir = server.socket_dir().to_owned();
        let pid = postmaster_pid(&dir);
        assert!(is_alive(pid));
        drop(server);
        assert!(!dir.exists());
        assert!(!is_alive(pid));
    }
}

/// Not a test of its own: the process that the next tests kill.
#[test]
#[ignore = "run by the next tests"]
fn child_that_is_killed() {
    let installation = find(Wanted::Major(majors()[0]), None).unwrap();
    let server = Server::start_blocking(&installation, Options::default().on_disk()).unwrap();
    println!("\nsocket_dir={}", server.socket_dir().display());
    std::io::stdout().flush().unwrap();
    std::thread::sleep(Duration::from_secs(120));
}

fn child(tmpdir: &Path, more: &[(&str, &Path)]) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .envs(more.iter().copied())
        .args(["--exact", "child_that_is_killed", "--ignored", "--nocapture"])
        .env("TMPDIR", tmpdir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn a_killed_process_leaves_no_server() {
    find(Wanted::Major(majors()[0]), None).unwrap();
    let mut child = child(&std::env::temp_dir(), &[]);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let dir = lines
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("socket_dir=").map(PathBuf::from))
        .unwrap();
    let pid = postmaster_pid(&dir);
    assert!(is_alive(pid));
    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
    wait_until("the server's folder is gone", || !dir.exists());
    wait_until("the server is gone", || !is_alive(pid));
}

/// Not a test of its own: the process that the next test gives no search path.
#[test]
#[ignore = "run by the next test"]
fn child_without_programs() {
    let installation = find(Wanted::Major(majors()[0]), None).unwrap();
    let server = Server::start_blocking(&installation, Options::default()).unwrap();
    let dir = server.socket_dir().to_owned();
    drop(server);
    assert!(!dir.exists());
    let refused = Options::default().setting("no_such_setting", "1");
    Server::start_blocking(&installation, refused).unwrap_err();
}

#[test]
fn a_server_starts_and_stops_where_the_path_has_no_programs() {
    let found = find(Wanted::Major(majors()[0]), None).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_without_programs", "--ignored"])
        .env("PATH", "/nonexistent")
        .env("RECONCILE_PG_BIN", &found.bin)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut status = None;
    wait_until("the server has started and stopped", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    assert!(status.unwrap().success());
}

/// The watchdog removes the folder after it has seen the server end, so an empty folder says both.
#[test]
fn a_process_that_is_killed_while_it_starts_a_server_leaves_nothing() {
    let found = find(Wanted::Major(majors()[0]), None).unwrap(); // which may fetch for a while
    let tmpdir = tempfile::tempdir().unwrap();
    // Under root the server's user removes its folder here.
    fs::set_permissions(tmpdir.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    let folder = || fs::read_dir(tmpdir.path()).unwrap().flatten().map(|e| e.path()).next();
    let kill_at = |step: &str, more: &[(&str, &Path)]| {
        let mut child = child(tmpdir.path(), more);
        wait_until(step, || folder().is_some_and(|folder| folder.join(step).exists()));
        child.kill().unwrap();
        child.wait().unwrap();
        wait_until("the server's folder is gone", || folder().is_none());
    };
    // With an empty cache there is no template to copy: initdb runs, and goes on without us.
    let cache = tempfile::tempdir().unwrap();
    fs::set_permissions(cache.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let cold = [("RECONCILE_CACHE", cache.path()), ("RECONCILE_PG_BIN", found.bin.as_path())];
    for step in ["data", "data/global/1262"] {
        kill_at(step, &cold);
    }
    for step in ["data", "data/global", "data/pg_hba.conf", "pid", "data/postmaster.pid"] {
        kill_at(step, &[]);
    }
}

#[test]
fn several_start_at_once() {
    let installation = find(Wanted::Major(majors()[0]), None).unwrap();
    let start = || Server::start_blocking(&installation, Options::default().tcp()).unwrap();
    let mut ports: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| start().port())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(ports.iter().all(|port| *port > 1024));
    ports.dedup();
    assert!(!ports.is_empty());
}

#[tokio::test]
async fn tcp_needs_the_password() {
    for major in majors() {
        let server = own_server(major, Options::default().tcp()).await;
        let mut connection = server.connect("postgres").await.unwrap();
        let sql = "CREATE ROLE app LOGIN PASSWORD 'right'";
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        let url = |password| server.tcp_url("app", password, "postgres").unwrap();
        PgConnection::connect(&url("right")).await.unwrap();
        let refused = PgConnection::connect(&url("wrong")).await.unwrap_err();
        let code = refused.as_database_error().and_then(|error| error.code());
        assert_eq!(code.as_deref(), Some("28P01"), "{refused}");
    }
}

#[tokio::test]
async fn settings_and_hba_are_taken_and_a_wrong_one_is_said() {
    let major = majors()[0];
    let options = Options::default()
        .on_disk()
        .setting("work_mem", "7MB")
        .hba("local all postgres trust\nlocal all all reject\n");
    let server = own_server(major, options).await;
    let mut connection = server.connect("postgres").await.unwrap();
    let row =
        sqlx::raw_sql("CREATE ROLE other LOGIN; SHOW work_mem").fetch_one(&mut connection).await;
    assert_eq!(row.unwrap().get::<String, _>(0), "7MB");
    let url = server.url("postgres").replace("//postgres@", "//other@");
    assert!(PgConnection::connect(&url).await.is_err());

    let installation = find(Wanted::Major(major), None).unwrap();
    let options = Options::default().setting("no_such_setting", "1");
    let error = Server::start_with(&installation, options).await.unwrap_err();
    assert!(matches!(error, Error::Start { .. }));
    assert!(error.to_string().contains("no_such_setting"), "{error}");
}

#[test]
fn what_was_tried_and_the_ways_out_are_said() {
    let error = find(Wanted::Major(99), None).unwrap_err().to_string();
    for words in [
        "PostgreSQL 99",
        "--pg-bin",
        "RECONCILE_PG_BIN",
        "install the system's postgresql package",
        "npm",
        "Tried:",
        "the cache",
    ] {
        assert!(error.contains(words), "{words} is not in: {error}");
    }
    let folder = tempfile::tempdir().unwrap();
    let error = find(Wanted::Any, Some(folder.path())).unwrap_err();
    assert!(matches!(error, Error::Explicit { .. }));
    assert!(error.to_string().contains("there is no initdb in it"), "{error}");
}

#[test]
fn an_explicit_folder_is_taken_and_its_version_is_checked() {
    let found = find(Wanted::Any, None).unwrap();
    let explicit = find(Wanted::Any, Some(&found.bin)).unwrap();
    assert_eq!((explicit.major, &explicit.version), (found.major, &found.version));
    let error = find(Wanted::Major(found.major + 1), Some(&found.bin)).unwrap_err();
    assert!(error.to_string().contains(&format!("it is {}", found.version)), "{error}");
}

#[test]
fn stale_folders_are_swept_and_held_ones_are_not() {
    let base = std::env::temp_dir();
    let old = SystemTime::now() - Duration::from_secs(3600);
    let make = |name: &str| {
        let dir = base.join(format!("reconcile-pg-{name}-{}", std::process::id()));
        fs::create_dir_all(dir.join("data")).unwrap();
        let lock = File::create(dir.join("lock")).unwrap();
        lock.set_modified(old).unwrap();
        (dir, lock)
    };
    let (stale, _) = make("stale");
    let (held, lock) = make("held");
    lock.lock().unwrap();
    let installation = find(Wanted::Any, None).unwrap();
    drop(Server::start_blocking(&installation, Options::default()).unwrap());
    assert!(!stale.exists());
    assert!(held.exists());
    fs::remove_dir_all(held).unwrap();
}
