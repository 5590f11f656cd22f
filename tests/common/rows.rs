//! The rows of every table as numbers and hashes, whatever the types of its columns.

use std::collections::BTreeMap;

use reconcile_testkit::Database;
use sqlx::{Connection, PgConnection, Row};

use super::{JOURNAL, scalar};

/// The columns of each relation that holds rows of its own.
pub(crate) type Columns = BTreeMap<String, Vec<String>>;

/// `<count> rows, <hash of them>` for each relation.
pub(crate) type Rows = BTreeMap<String, String>;

/// The tables and materialized views, and their columns.
pub(crate) async fn columns(database: &Database) -> Columns {
    let mut connection = database.connect().await;
    let sql = format!(
        "SELECT format('%I.%I', n.nspname, c.relname) AS relation, \
                array_agg(quote_ident(a.attname) ORDER BY a.attnum) AS columns \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
         WHERE c.relkind IN ('r', 'm') AND n.nspname !~ '^pg_' \
           AND n.nspname NOT IN ('information_schema', '{JOURNAL}') GROUP BY 1 ORDER BY 1"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap();
    let columns = rows.iter().map(|row| (row.get("relation"), row.get("columns"))).collect();
    connection.close().await.unwrap();
    columns
}

/// The rows of these columns, each value as text.
pub(crate) async fn rows(database: &Database, columns: &Columns) -> Rows {
    let mut connection = database.connect().await;
    let mut found = Rows::new();
    for (relation, columns) in columns {
        found.insert(relation.clone(), of_relation(&mut connection, relation, columns).await);
    }
    connection.close().await.unwrap();
    found
}

async fn of_relation(connection: &mut PgConnection, relation: &str, columns: &[String]) -> String {
    let literal = relation.replace('\'', "''");
    let filled =
        format!("SELECT relispopulated::text FROM pg_class WHERE oid = '{literal}'::regclass");
    if scalar(connection, &filled).await == "false" {
        return "never filled".to_owned();
    }
    let values: Vec<String> = columns.iter().map(|column| format!("{column}::text")).collect();
    // Not the rows of children: they are relations of their own. (ONLY is allowed on both kinds.)
    let sql = format!(
        "SELECT count(*) || ' rows, ' || md5(coalesce(string_agg(r, E'\\n' ORDER BY r), '')) \
         FROM (SELECT ROW({})::text COLLATE \"C\" AS r FROM ONLY {relation}) AS all_rows",
        values.join(", ")
    );
    scalar(connection, &sql).await
}
