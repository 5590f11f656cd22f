//! `PG*` variables, service files and password files, in a process that has them.
//!
//! A process cannot safely change its own environment, so each case runs this test program again
//! with the variables set, and the inner run connects.

#![allow(clippy::unwrap_used)]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use reconcile_live::connect::{ConnectOptions, connect};
use reconcile_live::target::Target;
use reconcile_testkit::majors;
use support::{PASSWORD, server, target};

/// What the inner run connects to; `-` for the variables alone.
const INNER: &str = "RECONCILE_TEST_INNER_TARGET";

#[tokio::test]
#[ignore = "run by the other tests, with variables set"]
async fn inner() {
    let text = std::env::var(INNER).expect("run by the other tests");
    let parsed = match text.as_str() {
        "-" => Target::from_env().unwrap().expect("variables name a database"),
        text => Target::parse(text).unwrap(),
    };
    let mut session = connect(&parsed.target, &ConnectOptions::default()).await.unwrap();
    let sql = "SELECT current_user, current_database(), current_setting('application_name'), \
               current_setting('work_mem')";
    let rows = session.send(sql).await.unwrap();
    let values: Vec<&str> = (0..4).filter_map(|index| rows[0].at(index)).collect();
    #[allow(clippy::print_stdout)]
    {
        println!("\nINNER {} {:?}", values.join(" "), parsed.notes);
    }
}

/// Runs the inner test with these variables and returns what it prints.
async fn run(text: &str, variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["inner", "--exact", "--ignored", "--nocapture"]).env(INNER, text);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("PG")) {
            command.env_remove(name);
        }
    }
    command.env("HOME", "/nonexistent").envs(variables.iter().copied());
    let output = command.output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!format!("{shown}{errors}").contains("p@ss"), "the password shows");
    let line = shown.lines().find_map(|line| line.strip_prefix("INNER "));
    line.unwrap_or_else(|| panic!("{text}: {shown}{errors}")).to_owned()
}

#[tokio::test]
async fn variables_alone_name_a_database() {
    let port = server(majors()[0]).await.port().to_string();
    let variables = [
        ("PGHOST", "127.0.0.1"),
        ("PGPORT", &port),
        ("PGUSER", "app"),
        ("PGPASSWORD", PASSWORD),
        ("PGDATABASE", "shop"),
        ("PGAPPNAME", "mine"),
        ("PGOPTIONS", "-c work_mem=5MB"),
    ];
    assert_eq!(run("-", &variables).await, "app shop mine 5MB []");
}

#[tokio::test]
async fn variables_fill_in_what_a_url_leaves_out() {
    let port = server(majors()[0]).await.port().to_string();
    let variables = [
        ("PGPORT", port.as_str()),
        ("PGUSER", "x"),
        ("PGPASSWORD", PASSWORD),
        ("PGSSLMODE", "disable"),
    ];
    assert_eq!(
        run("postgresql://app@127.0.0.1/shop", &variables).await,
        "app shop reconcile 4MB []"
    );

    // sqlx would look for a file of that name.
    let variables =
        [("PGPASSWORD", PASSWORD), ("PGSSLROOTCERT", "system"), ("PGSSLMODE", "verify-full")];
    let socket = server(majors()[0]).await.socket_dir().display();
    let url = format!("postgresql://app@/shop?host={socket}&port={port}");
    assert_eq!(run(&url, &variables).await, "app shop reconcile 4MB []");

    // The text's options win, and it is said that both are sent.
    let variables = [("PGPASSWORD", PASSWORD), ("PGOPTIONS", "-c work_mem=5MB")];
    let url = format!("postgresql://app@127.0.0.1:{port}/shop?options=-c%20work_mem%3D6MB");
    let shown = run(&url, &variables).await;
    assert!(shown.starts_with("app shop reconcile 6MB [\"`PGOPTIONS` is sent before"), "{shown}");
}

#[tokio::test]
async fn password_and_service_files_are_read() {
    let port = server(majors()[0]).await.port().to_string();
    let home = tempfile::tempdir().unwrap();
    let pgpass = home.path().join(".pgpass");
    let escaped = PASSWORD.replace('\\', "\\\\").replace(':', "\\:");
    let text = format!("# mine\n127.0.0.1:1:shop:app:no\n127.0.0.1:{port}:*:app:{escaped}\n");
    std::fs::write(&pgpass, text).unwrap();
    std::fs::set_permissions(&pgpass, std::fs::Permissions::from_mode(0o600)).unwrap();
    let service = format!("[shop]\nhost=127.0.0.1\nport={port}\nuser=app\ndbname=shop\n");
    std::fs::write(home.path().join(".pg_service.conf"), service).unwrap();
    let home = home.path().to_str().unwrap();

    let url = format!("postgresql://app@127.0.0.1:{port}/shop");
    let want = "app shop reconcile 4MB []";
    assert_eq!(run(&url, &[("HOME", home)]).await, want);
    assert_eq!(run("-", &[("HOME", home), ("PGSERVICE", "shop")]).await, want);
    assert_eq!(run("service=shop", &[("HOME", home)]).await, want);
    let moved = [("HOME", "/nonexistent"), ("PGPASSFILE", pgpass.to_str().unwrap())];
    assert_eq!(run(&url, &moved).await, want);
}

#[tokio::test]
async fn a_libpq_program_reaches_the_same_database() {
    let server = server(majors()[0]).await;
    let Ok(version) = Command::new("psql").arg("--version").output() else {
        #[allow(clippy::print_stderr)]
        {
            eprintln!("SKIPPED: no psql to run");
        }
        return;
    };
    assert!(version.status.success());
    let target = target(&server.tcp_url("app", PASSWORD, "shop").unwrap());
    let mut command = Command::new("psql");
    command.args(["-XAtc", "SELECT current_user, current_database()"]);
    command.env("PGHOSTADDR", "192.0.2.1").env("PGSERVICE", "none");
    target.configure_child(&mut command);
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "app|shop\n", "{errors}");
}
