//! What pg_dump writes, loaded, is dumped again as the same.
#![allow(clippy::unwrap_used)]

use std::process::Command;

use reconcile_testkit::{majors, own_server, pg_dump_program};
use reconcile_throwaway::{Options, Server, dumped_from, load};

fn dump(server: &Server, database: &str, arguments: &[&str]) -> String {
    let output = Command::new(pg_dump_program(server.major()))
        .args(arguments)
        .args(["--dbname", &server.url(database)])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The key of `\restrict` is drawn anew each time.
fn without_key(dump: &str) -> Vec<&str> {
    let is_key = |line: &str| line.starts_with("\\restrict") || line.starts_with("\\unrestrict");
    dump.lines().filter(|line| !is_key(line)).collect()
}

#[tokio::test]
async fn a_dump_comes_back_as_it_was() {
    for major in majors() {
        let mut rich = include_str!("rich.sql").to_owned();
        if major < 14 {
            // BEGIN ATOMIC came with version 14.
            let begin = rich.find("CREATE FUNCTION app.atomic").unwrap();
            let end = begin + rich[begin..].find("END;\n").unwrap() + 5;
            rich.replace_range(begin..end, "");
        }
        let first = own_server(major, Options::default()).await;
        let report = load(&first, "rich", &rich, "rich.sql").await.unwrap();
        assert_eq!(report.skipped, []);
        for arguments in [
            &[][..],
            &["--inserts"],
            &["--column-inserts", "--rows-per-insert=2", "--disable-triggers"],
            &["--clean"],
            &["--clean", "--if-exists", "--create"],
            &["--schema-only", "--no-owner", "--quote-all-identifiers"],
        ] {
            let before = dump(&first, "rich", arguments);
            assert_eq!(dumped_from(&before), Some(major));
            let second = own_server(major, Options::default()).await;
            let report = load(&second, "rich", &before, "dump.sql").await.unwrap();
            if !arguments.contains(&"--no-owner") {
                assert_eq!(report.created_roles.len(), 2, "{report:?}");
            }
            // Settings that this server does not know, and what --clean and --create say.
            for skipped in &report.skipped {
                let head = skipped.statement_head.as_str();
                let expected = [
                    "SET ",
                    "DROP ",
                    "CREATE DATABASE",
                    "ALTER DATABASE",
                    "\\connect",
                    "SELECT pg_catalog.lo_unlink",
                ];
                assert!(
                    expected.iter().any(|start| head.starts_with(start))
                        || (head.starts_with("ALTER ") && head.contains(" DROP ")),
                    "{arguments:?}: {skipped:?}"
                );
            }
            let after = dump(&second, "rich", arguments);
            let (before, after) = (without_key(&before), without_key(&after));
            for (number, (before, after)) in before.iter().zip(&after).enumerate() {
                assert_eq!(before, after, "{major} {arguments:?}, line {number}");
            }
            assert_eq!(before.len(), after.len(), "{major} {arguments:?}");
        }
    }
}
