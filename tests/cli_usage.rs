//! The surface of the program: exit statuses, where words go, and what wrong usage is told.

#![allow(clippy::unwrap_used)]

mod common;

use std::process::{Command as Blocking, Stdio};

use common::{DONE, ERROR, REFUSED, finish, program, reconcile, root};

#[tokio::test]
async fn help_and_version_are_no_errors_and_wrong_usage_is_error_1() {
    let help = reconcile(&["--help"]).await.expect(DONE).says("Exit status:");
    assert!(help.err.is_empty());
    reconcile(&["--version"]).await.expect(DONE).says("reconcile 0.");
    for arguments in [
        &[][..],
        &["no-such-command"],
        &["plan", "--no-such-option"],
        &["plan", "--format", "xml"],
        &["plan", "--max-stall", "5"],
        &["plan", "--lock-timeout", "soon"],
        &["rollback", "--run", "one"],
    ] {
        let ran = reconcile(arguments).await.expect(ERROR);
        assert!(ran.out.is_empty() && !ran.err.is_empty(), "{arguments:?}");
    }
}

#[tokio::test]
async fn every_command_has_help() {
    let help = reconcile(&["--help"]).await.expect(DONE);
    let commands =
        ["plan", "apply", "check", "gate", "status", "rollback", "schema", "completions"];
    for command in commands {
        assert!(help.out.contains(&format!("\n  {command} ")), "{command}");
        reconcile(&[command, "--help"]).await.expect(DONE).says("--live <DATABASE>");
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = reconcile(&["completions", shell]).await.expect(DONE);
        assert!(commands.iter().all(|command| script.out.contains(command)), "{shell}");
    }
}

#[tokio::test]
async fn without_a_database_the_ways_to_name_one_are_told() {
    for command in ["plan", "check", "gate", "status", "rollback", "apply"] {
        reconcile(&[command]).await.expect(ERROR).says("DATABASE_URL").says("--live");
    }
    reconcile(&["plan", "--live", "mysql://root@db/x"])
        .await
        .expect(ERROR)
        .says("is not PostgreSQL");
    reconcile(&["plan", "--live", "no-such.sql"]).await.expect(ERROR).says("no-such.sql");
}

#[tokio::test]
async fn what_stays_nowhere_cannot_be_changed() {
    let file = "fixtures/messages/production.sql";
    for arguments in [&["apply", "--yes"][..], &["rollback", "--yes"], &["status"]] {
        let mut command = program(arguments);
        command.args(["--live", file]);
        finish(command).await.expect(REFUSED).says("thrown away").says(file);
    }
}

#[tokio::test]
async fn apply_refuses_a_pooler_and_names_the_direct_host() {
    // The name alone shows it, so nothing is connected to.
    let url = "postgresql://u:geheim@ep-cool-name-123-pooler.us-east-2.aws.neon.tech/db";
    reconcile(&["apply", "--yes", "--live", url])
        .await
        .expect(REFUSED)
        .says("pooled")
        .says("ep-cool-name-123.us-east-2.aws.neon.tech")
        .says_not("geheim");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    // The help is longer than nothing, and nobody reads it.
    for arguments in [&["schema"][..], &["plan", "--help"], &["completions", "bash"]] {
        let mut child = Blocking::new(env!("CARGO_BIN_EXE_reconcile"))
            .args(arguments)
            .current_dir(root())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{arguments:?}");
    }
}

#[tokio::test]
async fn colours_come_only_when_they_are_asked_for() {
    let plan = ["plan", "--live", "fixtures/messages/production.sql"];
    let plain = reconcile(&plan).await.expect(DONE);
    assert!(!plain.out.contains('\x1b') && !plain.err.contains('\x1b'));
    let mut command = program(&plan);
    command.args(["--color", "always"]);
    let coloured = finish(command).await.expect(DONE);
    assert!(coloured.out.contains("\x1b[1m"));
    let mut bare = String::new();
    let mut rest = coloured.out.as_str();
    while let Some(at) = rest.find("\x1b[") {
        bare.push_str(&rest[..at]);
        rest = rest[at..].split_once('m').unwrap().1;
    }
    bare.push_str(rest);
    assert_eq!(bare, plain.out);
}
