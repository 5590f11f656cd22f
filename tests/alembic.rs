//! The second opinion: the guide's own Alembic project says what became of the database.
//!
//! `tests/alembic/setup.sh` makes its virtual environment in the target folder, from PyPI. Where
//! there is no python3, or no way to PyPI, the test is skipped aloud; with
//! `RECONCILE_REQUIRE_ALEMBIC=1` it fails instead.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use common::{Case, DONE, REFUSED, dump, execute, on, root, scalar};
use reconcile_testkit::{Database, majors, unique_name};
use tokio::process::Command;
use tokio::sync::OnceCell;

const PRODUCTION: Case = Case { name: "messages/production" };
const STAMP: &str = "alembic=001_fix_priority_schema..004";

/// The virtual environment.
async fn environment() -> Option<&'static PathBuf> {
    static ENVIRONMENT: OnceCell<Option<PathBuf>> = OnceCell::const_new();
    let made = ENVIRONMENT.get_or_init(|| async {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("alembic");
        let mut command = Command::new("sh");
        command.arg(root().join("tests/alembic/setup.sh")).arg(&folder).stdin(Stdio::null());
        let output = command.output().await.expect("sh starts");
        if output.status.success() {
            return Some(folder);
        }
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        let required = std::env::var_os("RECONCILE_REQUIRE_ALEMBIC").is_some_and(|v| v != "0");
        assert!(!required, "RECONCILE_REQUIRE_ALEMBIC is set, and there is no Alembic: {why}");
        #[allow(clippy::print_stderr)]
        {
            eprintln!("SKIPPED: no Alembic ({why}); RECONCILE_REQUIRE_ALEMBIC=1 makes this fail");
        }
        None
    });
    made.await.as_ref()
}

/// What a program of the project said.
struct Said {
    good: bool,
    words: String,
}

impl Said {
    #[track_caller]
    fn good(self, words: &str) {
        assert!(self.good && self.words.contains(words), "not `{words}`: {}", self.words);
    }

    #[track_caller]
    fn bad(self, words: &str) {
        assert!(!self.good && self.words.contains(words), "not `{words}`: {}", self.words);
    }
}

async fn python(folder: &Path, url: &str, program: &str, arguments: &[&str]) -> Said {
    let mut command = Command::new(folder.join("bin").join(program));
    command.args(arguments).current_dir(root()).env("DATABASE_URL", url).stdin(Stdio::null());
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    let output = command.output().await.expect("it is in the environment");
    let both = [output.stdout, output.stderr].concat();
    Said { good: output.status.success(), words: String::from_utf8_lossy(&both).into_owned() }
}

/// The application that the guide is about.
struct Application {
    folder: &'static PathBuf,
    url: String,
}

impl Application {
    async fn alembic(&self, command: &str) -> Said {
        let arguments = ["-c", "tests/alembic/alembic.ini", command];
        python(self.folder, &self.url, "alembic", &arguments).await
    }

    async fn does(&self, what: &str, driver: &str) -> Said {
        let arguments = ["tests/alembic/second_opinion.py", what, "--driver", driver];
        python(self.folder, &self.url, "python", &arguments).await
    }
}

/// The application on a database, as a role of its own that logs in over TCP.
async fn application(folder: &'static PathBuf, database: &Database) -> Application {
    let role = unique_name("alembic");
    let mut connection = database.connect().await;
    let sql = format!("CREATE ROLE {role} SUPERUSER LOGIN PASSWORD 'geheim'");
    execute(&mut connection, &sql).await;
    // SQLAlchemy takes the name of a database as it stands, percent signs too.
    let (port, name) = (database.server().port(), database.name());
    Application { folder, url: format!("postgresql://{role}:geheim@127.0.0.1:{port}/{name}") }
}

async fn revision(database: &Database) -> String {
    let mut connection = database.connect().await;
    scalar(&mut connection, "SELECT string_agg(version_num, ',') FROM alembic_version").await
}

#[tokio::test]
async fn alembic_and_sqlalchemy_agree() {
    let Some(folder) = environment().await else { return };
    for major in majors() {
        let database = PRODUCTION.database(major).await;
        let application = application(folder, &database).await;

        // Before: the errors of the deployment that the guide is about.
        let missing = "column \"tool_call_id\" of relation \"messages\" does not exist";
        let typed =
            "column \"role\" is of type message_role but expression is of type character varying";
        for driver in ["asyncpg", "psycopg", "psycopg2"] {
            application.does("insert", driver).await.bad(missing);
        }
        application.does("insert-role", "asyncpg").await.bad(typed);
        application.does("insert-role", "psycopg").await.bad(typed);
        application.alembic("current").await.good("001_fix_priority_schema");
        let drift = application.alembic("check").await;
        assert!(!drift.good, "{}", drift.words);

        let apply = ["apply", "--yes", "--stamp", STAMP, "schema/"];
        let applied = on(&database.url(), &apply).await.expect(DONE);
        applied.says("The revision is moved.");

        // After: Alembic finds its newest revision and nothing to do, and the application works.
        application.alembic("current").await.good("004");
        application.alembic("check").await.good("No new upgrade operations detected");
        for driver in ["asyncpg", "psycopg", "psycopg2"] {
            application.does("insert", driver).await.good("role user");
            let read = application.does("read", driver).await;
            read.good("role user, tool_call_id call_1, name second_opinion");
        }

        // Again is a no-op.
        let before = dump::everything(&database, major).await;
        on(&database.url(), &apply).await.expect(DONE).says("Nothing to do");
        assert_eq!(before, dump::everything(&database, major).await);
    }
}

#[tokio::test]
async fn what_alembic_itself_makes_is_what_the_model_says() {
    let Some(folder) = environment().await else { return };
    for major in majors() {
        let database = reconcile_testkit::database(major, "").await;
        let application = application(folder, &database).await;
        let upgrade = ["-c", "tests/alembic/alembic.ini", "upgrade", "head"];
        let upgraded = python(folder, &application.url, "alembic", &upgrade).await;
        assert!(upgraded.good, "{}", upgraded.words);
        on(&database.url(), &["check", "-q", "schema/"]).await.expect(DONE);
        on(&database.url(), &["gate", "schema/"]).await.expect(DONE);
        on(&database.url(), &["plan", "--exit-code", "schema/"]).await.expect(DONE);
    }
}

#[tokio::test]
async fn only_the_revision_that_is_named_is_moved() {
    for major in majors() {
        let database = PRODUCTION.database(major).await;
        let mut connection = database.connect().await;
        execute(&mut connection, "UPDATE alembic_version SET version_num = '002'").await;
        let before = dump::everything(&database, major).await;
        let apply = ["apply", "--yes", "--stamp", STAMP, "schema/"];
        on(&database.url(), &apply).await.expect(REFUSED).says("002");
        assert_eq!(before, dump::everything(&database, major).await);
        execute(&mut connection, "UPDATE alembic_version SET version_num = '004'").await;
        on(&database.url(), &apply).await.expect(DONE);
        assert_eq!(revision(&database).await, "004");
    }
    // Nothing of the schema is left to do, and still the revision is behind.
    for major in majors() {
        let database = PRODUCTION.database(major).await;
        on(&database.url(), &["apply", "--yes", "schema/"]).await.expect(DONE);
        assert_eq!(revision(&database).await, "001_fix_priority_schema");
        let apply = ["apply", "--yes", "--stamp", STAMP, "schema/"];
        on(&database.url(), &apply).await.expect(DONE).says("The revision is moved.");
        assert_eq!(revision(&database).await, "004");
    }
}
