//! What is read of a database, judged by others than the program's own models: it depends on no
//! OID, a snapshot holds all of it, and `information_schema` says the same as far as it goes.
//!
//! Every `after.sql` of `fixtures/` is loaded into a fresh database, and into one where other things
//! were made and dropped before, so that every object has another OID. Then
//!
//! 1. the snapshots of both are the same bytes;
//! 2. `check` finds the snapshot of the one in sync with the other database;
//! 3. columns (name, type, length, null, whether there is a default) and primary keys are those of
//!    `information_schema`.
//!
//! The third is a differential test against the standard's own view. sea-schema as a second reader
//! would bring its whole tree of dependencies to read these same views.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;

use common::pair::{Pair, Side, on_disk};
use common::{DONE, execute, on};
use reconcile_testkit::{Database, database, majors};
use serde_json::Value;
use sqlx::{Connection, Row};

/// Objects of every catalog that an OID can be of; dropped, they leave gaps of different sizes.
const OTHERS: &str = "
    CREATE TYPE skew_enum AS ENUM ('a', 'b', 'c'); CREATE DOMAIN skew_domain AS int;
    CREATE TABLE skew (id bigserial PRIMARY KEY, a skew_domain CHECK (a > 0), b text DEFAULT 'x', c skew_enum);
    CREATE INDEX ON skew (lower(b)); CREATE VIEW skew_view AS SELECT * FROM skew;
    CREATE FUNCTION skew_function() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE SCHEMA skew_schema;
    DROP SCHEMA skew_schema; DROP FUNCTION skew_function; DROP VIEW skew_view; DROP TABLE skew;
    DROP DOMAIN skew_domain; DROP TYPE skew_enum;";

#[tokio::test]
async fn what_is_read_depends_on_no_oid_and_agrees_with_the_standards_view() {
    let newest = majors().into_iter().max().unwrap();
    // As in `pairs.rs`: some fixtures only.
    let wanted = std::env::var("RECONCILE_PAIR").unwrap_or_default();
    let is_wanted = |pair: &Pair| wanted.split(',').any(|part| pair.name.contains(part));
    let pairs = on_disk().into_iter().filter(|pair| pair.is_for(newest) && is_wanted(pair));
    common::all(pairs.map(|pair| judge(newest, pair))).await;
}

/// A database with a fixture; none if the server lacks an extension.
async fn loaded(major: u32, side: &Side, others: bool) -> Option<Database> {
    // Two fixtures at once would make the same roles at once: "tuple concurrently updated".
    static LOADING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _one = LOADING.lock().await;
    let database = database(major, if others { OTHERS } else { "" }).await;
    let sql = format!("{}\n{}", side.given, side.sql);
    let (server, name) = (database.server(), database.name());
    let report = reconcile_throwaway::load(server, name, &sql, &side.label).await.unwrap();
    report.missing_extensions.is_empty().then_some(database)
}

async fn judge(major: u32, Pair { name, after: side, before: _ }: Pair) {
    let Some(plain) = loaded(major, &side, false).await else { return };
    let Some(skewed) = loaded(major, &side, true).await else { return };
    // Sizes are estimates until somebody looks.
    for database in [&plain, &skewed] {
        let mut connection = database.connect().await;
        execute(&mut connection, "ANALYZE").await;
        connection.close().await.unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let mut snapshots = Vec::new();
    for (database, file) in [(&plain, "plain.json"), (&skewed, "skewed.json")] {
        let path = folder.path().join(file).to_str().unwrap().to_owned();
        let arguments = ["inspect", "--format", "snapshot", "--out", path.as_str()];
        on(&database.url(), &arguments).await.expect(DONE);
        let text = std::fs::read_to_string(&path).unwrap();
        snapshots.push((path, text.replace(database.name(), "the database")));
    }
    let without_digest = |text: &str| {
        let lines = text.lines().filter(|line| !line.trim_start().starts_with("\"digest\""));
        lines.map(|line| format!("{line}\n")).collect::<String>()
    };
    let (left, right) = (without_digest(&snapshots[0].1), without_digest(&snapshots[1].1));
    assert_eq!(left, right, "{name}: another catalog with other OIDs");
    on(&snapshots[0].0, &["check", "-q", &skewed.url()]).await.expect(DONE);

    let snapshot: Value = serde_json::from_str(&snapshots[0].1).unwrap();
    let wrong = difference(&ours(&snapshot), &theirs(&plain).await);
    assert!(wrong.is_empty(), "{name}:\n{wrong}");
}

/// What is known of columns and primary keys, a line for each by its name.
type Known = BTreeMap<String, String>;

fn difference(ours: &Known, theirs: &Known) -> String {
    let mut out = String::new();
    for (key, value) in ours {
        match theirs.get(key) {
            Some(other) if other == value => {}
            other => out.push_str(&format!("  {key}: {value} here, {other:?} there\n")),
        }
    }
    let missing = theirs.iter().filter(|(key, _)| !ours.contains_key(*key));
    missing.for_each(|(key, value)| out.push_str(&format!("  {key}: not here, {value} there\n")));
    out
}

fn ours(snapshot: &Value) -> Known {
    let objects = snapshot["objects"].as_array().unwrap();
    let path = |object: &Value| -> Vec<String> {
        let path = object["address"]["path"].as_array().unwrap();
        path.iter().map(|part| part.as_str().unwrap().to_owned()).collect()
    };
    let flag = |object: &Value, name: &str| object["definition"][name].as_bool() == Some(true);
    let domains: Vec<String> = objects
        .iter()
        .filter(|o| o["address"]["kind"] == "domain")
        .map(|o| path(o).join("."))
        .collect();
    let mut out = Known::new();
    for object in objects {
        let (path, definition) = (path(object), &object["definition"]);
        let of_table = object["parent"]["kind"] == "table";
        if object["address"]["kind"] == "column" && of_table {
            let ty = our_type(&definition["type"]);
            // It says of a column that it is not null if only its domain is.
            let nullable = match flag(object, "nullable") {
                _ if domains.contains(&ty) => "",
                true => " null",
                false => " not null",
            };
            let has = |name: &str| !definition[name].is_null();
            let default = if has("default") { " default" } else { "" };
            let generated = if has("generated") { " generated" } else { "" };
            let identity = if has("identity") { " identity" } else { "" };
            out.insert(path.join("."), format!("{ty}{nullable}{default}{generated}{identity}"));
        } else if definition["rule"]["rule"] == "primary_key" {
            let columns = definition["rule"]["columns"].as_array().unwrap();
            let columns: Vec<&str> = columns.iter().filter_map(Value::as_str).collect();
            out.insert(format!("{} key", path[..2].join(".")), columns.join(","));
        }
    }
    out
}

/// The type as `information_schema` names it.
fn our_type(ty: &Value) -> String {
    let name = ty["name"].as_str().unwrap();
    let name = match (ty["namespace"].as_str(), name) {
        (Some("pg_catalog"), name) => name.to_owned(),
        (Some(namespace), name) => format!("{namespace}.{name}"),
        (None, "smallint") => "int2".to_owned(),
        (None, "integer") => "int4".to_owned(),
        (None, "bigint") => "int8".to_owned(),
        (None, "real") => "float4".to_owned(),
        (None, "double precision") => "float8".to_owned(),
        (None, "boolean") => "bool".to_owned(),
        (None, "char") => "bpchar".to_owned(),
        (None, name) => name.to_owned(),
    };
    if ty["array"].as_bool() == Some(true) {
        return format!("{name}[]");
    }
    let is_measured = matches!(name.as_str(), "varchar" | "bpchar" | "varbit" | "bit" | "numeric");
    let modifiers = ty["modifiers"].as_str().filter(|_| is_measured);
    let is_one = matches!(ty["name"].as_str(), Some("char" | "bit")) && ty["namespace"].is_null();
    let modifiers = match (name.as_str(), modifiers) {
        ("numeric", Some(text)) if !text.contains(',') => Some(format!("{text},0")),
        (_, None) if is_one => Some("1".to_owned()),
        (_, modifiers) => modifiers.map(str::to_owned),
    };
    modifiers.map_or(name.clone(), |text| format!("{name}({text})"))
}

/// A scale of -2 is 2046 there (`_pg_numeric_scale`, `information_schema.sql`).
const COLUMNS: &str = "
    SELECT c.table_schema || '.' || c.table_name || '.' || c.column_name AS key,
        CASE WHEN c.domain_name IS NOT NULL THEN c.domain_schema || '.' || c.domain_name
             WHEN c.data_type = 'ARRAY' AND left(c.udt_name, 1) = '_' THEN
               CASE WHEN c.udt_schema = 'pg_catalog' THEN substr(c.udt_name, 2) ELSE
                 (SELECT e.udt_schema || '.' || e.udt_name FROM information_schema.element_types e
                  WHERE (e.object_schema, e.object_name, e.object_type, e.collection_type_identifier)
                      = (c.table_schema, c.table_name, 'TABLE', c.dtd_identifier)) END || '[]'
             WHEN c.udt_schema <> 'pg_catalog' THEN c.udt_schema || '.' || c.udt_name
             ELSE c.udt_name || coalesce('(' || c.character_maximum_length || ')',
                  CASE WHEN c.udt_name = 'numeric' THEN '(' || c.numeric_precision || ',' || (c.numeric_scale + 1024) % 2048 - 1024 || ')' END, '') END
        || CASE WHEN c.domain_name IS NOT NULL THEN '' WHEN c.is_nullable = 'YES' THEN ' null' ELSE ' not null' END
        || CASE WHEN c.column_default IS NOT NULL AND c.is_generated = 'NEVER' THEN ' default' ELSE '' END
        || CASE WHEN c.is_generated = 'ALWAYS' THEN ' generated' ELSE '' END
        || CASE WHEN c.is_identity = 'YES' THEN ' identity' ELSE '' END AS value
    FROM information_schema.columns c JOIN information_schema.tables t
      ON (t.table_schema, t.table_name) = (c.table_schema, c.table_name) AND t.table_type = 'BASE TABLE'
    WHERE c.table_schema NOT IN ('pg_catalog', 'information_schema')
    UNION ALL
    SELECT k.table_schema || '.' || k.table_name || ' key', string_agg(k.column_name, ',' ORDER BY k.ordinal_position)
    FROM information_schema.table_constraints p JOIN information_schema.key_column_usage k
      ON (k.constraint_schema, k.constraint_name, k.table_name) = (p.constraint_schema, p.constraint_name, p.table_name)
    WHERE p.constraint_type = 'PRIMARY KEY' AND p.table_schema NOT IN ('pg_catalog', 'information_schema')
    GROUP BY k.table_schema, k.table_name";

async fn theirs(database: &Database) -> Known {
    let mut connection = database.connect().await;
    let rows = sqlx::query(COLUMNS).fetch_all(&mut connection).await.unwrap();
    let known = rows.iter().map(|row| (row.get("key"), row.get("value"))).collect();
    connection.close().await.unwrap();
    known
}
