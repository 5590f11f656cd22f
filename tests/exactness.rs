//! Some hundreds of expressions as people write them, and as many small edits.
//!
//! `fixtures/exactness/expressions.txt` is a table of them: a line each, with what must be told from
//! it. All of them are built by one `apply`, and then one `check` must find every single one in
//! sync. A second model has every edit instead, and one `check` must name every single one. Both
//! are done once more where no throw-away server can be started: then nothing may be told wrong,
//! and nothing but whole queries may stay open.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;

use common::{DIFFERENT, DONE, Ran, on, root};
use reconcile_testkit::{Database, database, majors};
use serde_json::{Map, Value, json};

/// The columns that the expressions are about.
const COLUMNS: &[(&str, &str)] = &[
    ("id", "bigint"),
    ("org_id", "bigint"),
    ("owner", "text"),
    ("role", "varchar(20)"),
    ("txt", "text"),
    ("name", "varchar(20)"),
    ("code", "char(3)"),
    ("i2", "smallint"),
    ("i4", "integer"),
    ("i8", "bigint"),
    ("num", "numeric"),
    ("price", "numeric(10,2)"),
    ("f4", "real"),
    ("f8", "double precision"),
    ("ok", "boolean"),
    ("day", "date"),
    ("ts", "timestamp"),
    ("tz", "timestamptz"),
    ("tod", "time"),
    ("iv", "interval"),
    ("u", "uuid"),
    ("js", "json"),
    ("jb", "jsonb"),
    ("xs", "integer[]"),
    ("tags", "text[]"),
    ("names", "varchar(20)[]"),
    ("mood", "mood"),
    ("pos", "posint"),
    ("email", "mail"),
    ("ip", "inet"),
    ("net", "cidr"),
    ("raw", "bytea"),
    ("r4", "int4range"),
    ("rts", "tstzrange"),
    ("bits", "bit(4)"),
    ("pt", "point"),
    ("home", "place"),
    ("Mixed Case", "text"),
    ("order", "integer"),
    ("tsv", "tsvector"),
];

/// A line of the table.
struct Line {
    section: String,
    number: usize,
    since: u32,
    /// The type, in the sections about columns and domains.
    ty: Option<String>,
    texts: Vec<String>,
}

/// An object with an expression, and what it becomes.
struct Case {
    /// Its name, which no other object has.
    name: String,
    section: String,
    ty: Option<String>,
    text: String,
    edit: Option<String>,
}

fn lines() -> Vec<Line> {
    let file = std::fs::read_to_string(root().join("fixtures/exactness/expressions.txt")).unwrap();
    let mut section = String::new();
    let mut out = Vec::new();
    for (number, line) in file.lines().enumerate().map(|(at, line)| (at + 1, line)) {
        if let Some(head) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            head.clone_into(&mut section);
            continue;
        }
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let (since, line) = match line.split_once("+ ") {
            Some((since, rest)) if since.len() == 2 && since.parse::<u32>().is_ok() => {
                (since.parse().unwrap(), rest)
            }
            _ => (0, line),
        };
        let has_type =
            matches!(section.as_str(), "default" | "generated" | "domain check" | "domain default");
        let (ty, line) = match line.split_once(" | ").filter(|_| has_type) {
            Some((ty, rest)) => (Some(ty.to_owned()), rest),
            None => (None, line),
        };
        let texts = line.split("==>").map(|text| text.trim().to_owned()).collect();
        out.push(Line { section: section.clone(), number, since, ty, texts });
    }
    out
}

/// All that there is on a version: an object for each edit.
fn cases(major: u32) -> Vec<Case> {
    let mut out = Vec::new();
    for line in lines().into_iter().filter(|line| line.since <= major) {
        let (text, edits) = line.texts.split_first().unwrap();
        let edits: Vec<Option<&String>> = match edits {
            [] => vec![None],
            edits => edits.iter().map(Some).collect(),
        };
        for (at, edit) in edits.into_iter().enumerate() {
            out.push(Case {
                name: format!("l{:04}_{at}", line.number),
                section: line.section.clone(),
                ty: line.ty.clone(),
                text: text.clone(),
                edit: edit.cloned(),
            });
        }
    }
    out
}

/// The model with all objects; JSON is YAML, too.
fn model(cases: &[Case], edited: bool) -> String {
    let columns: Map<String, Value> =
        COLUMNS.iter().map(|(name, ty)| ((*name).to_owned(), json!(ty))).collect();
    let mut columns = columns;
    columns.insert("c10".to_owned(), json!({ "type": "text", "collation": "C" }));
    let mut table = json!({ "columns": columns, "row_security": true });
    for section in ["checks", "indexes", "policies", "exclusions", "statistics", "triggers"] {
        table[section] = json!({});
    }
    let mut generated = json!({ "columns": columns });
    let mut defaults = json!({ "columns": { "id": "int" } });
    let (mut views, mut materialized, mut domains) = (json!({}), json!({}), json!({}));
    let mut tables = json!({});
    for case in cases {
        let Case { name, section, ty, text, edit } = case;
        let text = edit.as_ref().filter(|_| edited).unwrap_or(text);
        let name = name.as_str();
        match section.as_str() {
            "check" => table["checks"][name] = json!(text),
            "default" => {
                defaults["columns"][name] = json!({ "type": ty, "default": text });
            }
            "where" => table["indexes"][name] = json!({ "columns": ["id"], "where": text }),
            "unique where" => {
                let index = json!({ "columns": ["id"], "unique": true, "where": text });
                table["indexes"][name] = index;
            }
            "index" => table["indexes"][name] = json!({ "columns": [text] }),
            "generated" => {
                generated["columns"][name] = json!({ "type": ty, "generated": text });
            }
            "policy" => table["policies"][name] = json!({ "using": text }),
            "policy check" => {
                table["policies"][name] = json!({ "command": "insert", "check": text });
            }
            "view" => views[name] = json!(text),
            "materialized view" => materialized[name] = json!(text),
            "exclusion" => {
                let using = if text.contains("&&") { "gist" } else { "btree" };
                let (element, condition) = match text.split_once(" where ") {
                    Some((element, condition)) => (element, Some(condition)),
                    None => (text.as_str(), None),
                };
                let mut exclusion = json!({ "elements": [element], "using": using });
                if let Some(condition) = condition {
                    exclusion["where"] = json!(condition);
                }
                table["exclusions"][name] = exclusion;
            }
            "domain check" => {
                domains[name] = json!({ "type": ty, "checks": { format!("{name}_check"): text } });
            }
            "domain default" => domains[name] = json!({ "type": ty, "default": text }),
            "statistics" => {
                let expressions: Vec<&str> = text.split(", ").collect();
                table["statistics"][name] = json!({ "expressions": expressions });
            }
            "partition key" => {
                let by = format!("RANGE ({text})");
                tables[name] = json!({ "columns": columns, "partition_by": by });
            }
            "trigger" => {
                let definition = format!(
                    "CREATE TRIGGER {name} AFTER UPDATE ON public.t FOR EACH ROW \
                     WHEN ({text}) EXECUTE FUNCTION public.note()"
                );
                table["triggers"][name] = json!(definition);
            }
            other => panic!("[{other}]: no such section"),
        }
    }
    tables["t"] = table;
    tables["d"] = defaults;
    tables["g"] = generated;
    let model = json!({
        "namespace": "public", "domains": domains, "tables": tables,
        "views": views, "materialized_views": materialized,
    });
    serde_json::to_string_pretty(&model).unwrap()
}

/// A folder with a model.
fn folder(cases: &[Case], edited: bool) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let base = root().join("fixtures/exactness/base.yaml");
    std::fs::copy(base, folder.path().join("base.yaml")).unwrap();
    std::fs::write(folder.path().join("expressions.yaml"), model(cases, edited)).unwrap();
    folder
}

/// No throw-away server can be started.
const NO_SERVER: [&str; 2] = ["--pg-bin", "/nonexistent"];

async fn prepared(major: u32) -> Database {
    let given = std::fs::read_to_string(root().join("fixtures/exactness/given.sql")).unwrap();
    database(major, &given).await
}

/// What a `check` found to be otherwise: how it stands, by the name of the case.
fn findings(ran: &Ran, cases: &[Case]) -> BTreeMap<String, String> {
    let document: Value = serde_json::from_str(&ran.out).unwrap_or_else(|e| panic!("{e}: {ran:?}"));
    let mut out = BTreeMap::new();
    for finding in document["findings"].as_array().unwrap() {
        let (address, standing) = (finding["address"].as_str().unwrap(), &finding["standing"]);
        let case = cases.iter().find(|case| address.contains(&case.name));
        let name = case.map_or(address, |case| case.name.as_str());
        out.insert(name.to_owned(), standing.as_str().unwrap().to_owned());
    }
    out
}

/// Cases with what was found of them, a line each.
fn told(head: &str, found: &BTreeMap<String, String>, cases: &[Case]) -> String {
    let line = |(name, standing): (&String, &String)| {
        let case = cases.iter().find(|case| case.name == *name);
        let edit = |case: &Case| case.edit.clone().unwrap_or_default();
        let texts = case.map(|case| format!("[{}] {} ==> {}", case.section, case.text, edit(case)));
        format!("  {standing} {name}: {}\n", texts.unwrap_or_default())
    };
    let lines: String = found.iter().map(line).collect();
    if lines.is_empty() { lines } else { format!("{head}:\n{lines}") }
}

/// Without a throw-away server whole queries cannot be settled, and before 17 a plan does not show
/// with which operator a value is compared with a sub-select.
fn is_settled_by_asking(case: &Case, major: u32) -> bool {
    let compares = ["in (select", "any (select", "all (select"];
    let is_query = matches!(case.section.as_str(), "view" | "materialized view");
    // Nor does a plan tell what DISTINCT ON is about.
    let is_query = is_query || case.text.contains("distinct on");
    !is_query && (major >= 17 || !compares.iter().any(|words| case.text.contains(words)))
}

#[tokio::test]
async fn what_people_write_is_in_sync_and_every_edit_is_seen() {
    common::all(majors().into_iter().map(judge)).await;
}

async fn judge(major: u32) {
    let cases = cases(major);
    let database = prepared(major).await;
    let url = database.url();
    let (built, edited) = (folder(&cases, false), folder(&cases, true));
    let (built, edited) = (built.path().to_str().unwrap(), edited.path().to_str().unwrap());
    on(&url, &["apply", "--yes", built]).await.expect(DONE);
    let mut wrong = String::new();
    for server in [true, false] {
        let check = ["check", "-q", "--format", "json"];
        let how: &[&str] = if server { &[] } else { &NO_SERVER };
        let without = if server { "" } else { ", without a throw-away server" };

        let ran = on(&url, &[how, &check, &[built]].concat()).await;
        let mut found = findings(&ran, &cases);
        if !server {
            found.retain(|name, standing| {
                let case = cases.iter().find(|case| case.name == *name);
                standing != "unproven" || case.is_some_and(|c| is_settled_by_asking(c, major))
            });
        }
        wrong.push_str(&told(&format!("not in sync{without}"), &found, &cases));

        let ran = on(&url, &[how, &check, &[edited]].concat()).await.expect(DIFFERENT);
        let found = findings(&ran, &cases);
        let unseen = cases.iter().filter(|case| case.edit.is_some()).filter_map(|case| {
            let standing = found.get(&case.name).map_or("ok", String::as_str);
            let is_seen = standing == "differs" || !server && standing == "unproven";
            (!is_seen).then(|| (case.name.clone(), standing.to_owned()))
        });
        wrong.push_str(&told(&format!("not seen{without}"), &unseen.collect(), &cases));
    }
    assert!(wrong.is_empty(), "PostgreSQL {major}: of {} cases\n{wrong}", cases.len());
}
