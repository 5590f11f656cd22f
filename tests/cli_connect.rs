//! Databases that cannot be reached, and roles that may not do what is asked.

#![allow(clippy::unwrap_used)]

mod common;

use common::{DIFFERENT, DONE, ERROR, REFUSED, dump, execute, finish, messages, on, program};
use reconcile_testkit::{majors, unique_name};
use sqlx::Connection as _;

#[tokio::test]
async fn failures_to_connect_say_why_and_never_the_password() {
    for major in majors() {
        let database = messages("messages/production").database(major).await;
        let role = unique_name("somebody");
        let mut connection = database.connect().await;
        execute(&mut connection, &format!("CREATE ROLE {role} LOGIN PASSWORD 'richtig'")).await;
        let wrong = database.tcp_url(&role, "geh@im");
        for command in ["plan", "apply", "check", "gate", "status", "rollback"] {
            let ran = on(&wrong, &[command]).await.expect(ERROR);
            ran.says("cannot connect").says(&role).says_not("geh@im").says_not("geh%40im");
        }
        let right = database.tcp_url(&role, "richtig");
        let (server, _) = right.rsplit_once('/').unwrap();
        let elsewhere = format!("{server}/no_such_database");
        on(&elsewhere, &["plan"]).await.expect(ERROR).says("does not exist").says_not("richtig");
        on("postgresql://u:geheim@127.0.0.1:1/db", &["plan"])
            .await
            .expect(ERROR)
            .says("nothing listens there")
            .says_not("geheim");
        on("postgresql://u:geheim@no-such-host.invalid/db", &["plan"])
            .await
            .expect(ERROR)
            .says("no-such-host.invalid")
            .says_not("geheim");
        execute(&mut connection, &format!("DROP ROLE {role}")).await;
        connection.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_role_that_owns_nothing_is_told_what_to_grant() {
    for major in majors() {
        let database = messages("messages/production").database(major).await;
        let (role, owner) = (unique_name("stranger"), unique_name("owner"));
        let mut connection = database.connect().await;
        execute(
            &mut connection,
            &format!(
                "CREATE ROLE {role} LOGIN PASSWORD 'p'; CREATE ROLE {owner}; \
                 ALTER TABLE messages OWNER TO {owner}; ALTER TYPE message_role OWNER TO {owner}; \
                 GRANT ALL ON SCHEMA public TO {owner}; GRANT CREATE ON DATABASE {} TO {owner}",
                database.name()
            ),
        )
        .await;
        let url = database.tcp_url(&role, "p");
        // It sees the whole catalog, whatever it may touch.
        on(&url, &["plan", "--exit-code"]).await.expect(DIFFERENT).says("change messages.role");
        let before = dump::everything(&database, major).await;
        on(&url, &["apply", "--yes"])
            .await
            .expect(REFUSED)
            .says(&format!("public.messages belongs to {owner}"))
            .says("no GRANT ALTER")
            .says("Nothing was changed");
        on(&url, &["plan", "--data"]).await.expect(REFUSED).says("GRANT SELECT ON public.messages");
        assert!(before == dump::everything(&database, major).await);

        execute(&mut connection, &format!("GRANT {owner} TO {role}")).await;
        on(&url, &["apply", "--yes", "--role", &owner]).await.expect(DONE).says("Proven");
        on(&url, &["plan", "--role", "no_such_role"]).await.expect(ERROR).says("no_such_role");
        let sql = format!(
            "REASSIGN OWNED BY {owner} TO postgres; DROP OWNED BY {owner}; DROP ROLE {owner}, {role}"
        );
        execute(&mut connection, &sql).await;
        connection.close().await.unwrap();
    }
}

#[tokio::test]
async fn the_journal_needs_a_namespace() {
    for major in majors() {
        let database = messages("messages/partly_migrated").database(major).await;
        let role = unique_name("poor");
        let mut connection = database.connect().await;
        let sql = format!(
            "CREATE ROLE {role} LOGIN PASSWORD 'p'; ALTER TABLE messages OWNER TO {role}; \
             GRANT USAGE ON SCHEMA public TO {role}"
        );
        execute(&mut connection, &sql).await;
        let url = database.tcp_url(&role, "p");
        on(&url, &["apply", "--yes"]).await.expect(REFUSED).says("GRANT CREATE ON DATABASE");
        execute(&mut connection, &format!("CREATE SCHEMA notes AUTHORIZATION {role}")).await;
        on(&url, &["apply", "--yes", "--journal-schema", "notes"]).await.expect(DONE);
        on(&url, &["status", "--journal-schema", "notes"])
            .await
            .expect(DONE)
            .says("Run 1: apply, done");
        on(&url, &["status"]).await.expect(DONE).says("Nothing was applied");
        on(&url, &["plan", "--exit-code", "--journal-schema", "notes"]).await.expect(DONE);
        on(&url, &["apply", "--yes", "--journal-schema", "public"])
            .await
            .expect(ERROR)
            .says("`public`");
        let sql =
            format!("REASSIGN OWNED BY {role} TO postgres; DROP OWNED BY {role}; DROP ROLE {role}");
        execute(&mut connection, &sql).await;
        connection.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_read_only_database_is_not_changed() {
    for major in majors() {
        let database = messages("messages/production").database(major).await;
        let mut connection = database.connect().await;
        let sql =
            format!("ALTER DATABASE {} SET default_transaction_read_only = on", database.name());
        execute(&mut connection, &sql).await;
        connection.close().await.unwrap();
        let url = database.url();
        on(&url, &["plan", "--exit-code"]).await.expect(DIFFERENT);
        on(&url, &["apply", "--yes"]).await.expect(REFUSED).says("read-only");
        on(&url, &["rollback", "--yes"]).await.expect(REFUSED).says("read-only");
    }
}

#[tokio::test]
async fn database_url_and_pg_variables_count() {
    let major = majors()[0];
    let database = messages("messages/already_right").database(major).await;
    let mut command = program(&["check", "--quiet"]);
    command.env("DATABASE_URL", database.url());
    assert_eq!(finish(command).await.expect(DONE).out, "");
    let mut command = program(&["check", "--quiet"]);
    let socket = database.server().socket_dir();
    command.env("PGHOST", socket).env("PGPORT", database.server().port().to_string());
    command.env("PGDATABASE", database.name()).env("PGUSER", "postgres");
    finish(command).await.expect(DONE);
    // What SQLAlchemy and Neon write is read, and what has no effect is said.
    let url = database.url().replace("postgresql://", "postgresql+asyncpg://");
    let url = format!("{url}&channel_binding=prefer");
    on(&url, &["check", "--quiet"]).await.expect(DONE);
}
