//! The table, with what hangs on its column in fixtures/messages/lived_in.sql.

use reconcile_throwaway::Server;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

const TABLE: &str = "CREATE TYPE message_role AS ENUM ('user', 'assistant', 'system', 'tool'); \
    CREATE TABLE messages (id bigint NOT NULL, conversation int NOT NULL, role message_role NOT NULL DEFAULT 'user', \
    content text NOT NULL, touched int NOT NULL DEFAULT 0); \
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.touched := OLD.touched + 1; RETURN NEW; END'; \
    CREATE TABLE templates (id int PRIMARY KEY, role message_role NOT NULL, allowed message_role[]); \
    INSERT INTO templates VALUES (1, 'system', '{user,assistant}')";

/// What comes once the rows are there.
const AROUND: &str = "SET maintenance_work_mem = '512MB'; \
    ALTER TABLE messages ADD PRIMARY KEY (id); \
    ALTER TABLE messages ADD CONSTRAINT messages_system_has_text CHECK (role <> 'system' OR content <> ''); \
    CREATE INDEX messages_role_idx ON messages (conversation, role); \
    CREATE INDEX messages_user_idx ON messages (conversation) WHERE role = 'user'; \
    CREATE TRIGGER touch BEFORE UPDATE ON messages FOR EACH ROW EXECUTE FUNCTION touch(); \
    CREATE VIEW answers AS SELECT id, role, content FROM messages WHERE role = 'assistant'; \
    CREATE MATERIALIZED VIEW role_counts AS SELECT role, count(*) AS messages FROM messages GROUP BY role; \
    CREATE UNIQUE INDEX role_counts_role_idx ON role_counts (role); \
    CREATE POLICY app_reads ON messages FOR SELECT TO chat_app USING (role <> 'system'); \
    ALTER TABLE messages ENABLE ROW LEVEL SECURITY; \
    GRANT SELECT, INSERT ON messages TO chat_app; GRANT SELECT (id, role), UPDATE (role) ON messages TO chat_reader; \
    GRANT SELECT ON answers TO chat_reader; \
    COMMENT ON COLUMN messages.role IS 'Who speaks'; COMMENT ON INDEX messages_user_idx IS 'What people asked'; \
    COMMENT ON VIEW answers IS 'What was said to people'; \
    RESET maintenance_work_mem; VACUUM (ANALYZE, FREEZE) messages; CHECKPOINT";

/// How many sessions load rows at once.
const LOADERS: u64 = 2;

/// Makes the table with its rows, in a database of this name.
pub(crate) async fn fill(server: &Server, name: &str, rows: u64) -> String {
    let mut connection = connect(&server.url("postgres")).await;
    run(&mut connection, &format!("CREATE DATABASE {name}")).await;
    run(&mut connection, "CREATE ROLE chat_app; CREATE ROLE chat_reader").await;
    let url = server.url(name);
    let mut connection = connect(&url).await;
    run(&mut connection, TABLE).await;
    let loaders = (0..LOADERS).map(|number| {
        let labels = "(ARRAY['user','assistant','system','tool']::message_role[])[1 + i % 4]";
        let (from, to) = (1 + rows * number / LOADERS, rows * (number + 1) / LOADERS);
        let sql = format!(
            "INSERT INTO messages SELECT i, i % 1000, {labels}, repeat(md5(i::text), 4) FROM generate_series({from}, {to}) i"
        );
        let url = url.clone();
        tokio::spawn(async move { run(&mut connect(&url).await, &sql).await })
    });
    for loader in loaders.collect::<Vec<_>>() {
        loader.await.expect("rows are loaded");
    }
    for sql in AROUND.split("; ") {
        run(&mut connection, sql).await;
    }
    connection.close().await.expect("it is closed");
    url
}

/// Makes another database that is the same.
pub(crate) async fn copy(server: &Server, from: &str, to: &str) -> String {
    let mut connection = connect(&server.url("postgres")).await;
    // The files are copied as they are, without a line in the log for each block.
    let how = if server.major() >= 15 { " STRATEGY FILE_COPY" } else { "" };
    run(&mut connection, &format!("CREATE DATABASE {to} TEMPLATE {from}{how}")).await;
    server.url(to)
}

/// What took its time in the last run, the longest first: seconds, and what was done.
pub(crate) async fn longest_batches(url: &str, most: usize) -> Vec<(f64, String)> {
    let sql = format!(
        "SELECT extract(epoch FROM max(finished) - min(started))::float8 AS took, count(*) AS steps, \
         (array_agg(split_part(summary, E'\\n', 1) ORDER BY finished - started DESC))[1] AS what \
         FROM reconcile.step WHERE run = (SELECT max(id) FROM reconcile.run) \
         GROUP BY batch ORDER BY took DESC LIMIT {most}"
    );
    let mut connection = connect(url).await;
    let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut connection).await;
    let rows = rows.expect("the journal is read");
    let words = |steps: i64, what: String| match steps {
        1 => what,
        _ => format!("{what}, and {} more", steps - 1),
    };
    rows.iter().map(|row| (row.get("took"), words(row.get("steps"), row.get("what")))).collect()
}

pub(crate) async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.expect("the server takes connections")
}

pub(crate) async fn run(connection: &mut PgConnection, sql: &str) {
    let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await;
    done.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// A number that a query counts.
pub(crate) async fn number(connection: &mut PgConnection, sql: &str) -> u64 {
    let sql = format!("SELECT ({sql})::bigint");
    let row = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_one(connection).await;
    let number: i64 = row.expect("it is counted").get(0);
    number.unsigned_abs()
}
