//! Some hundreds of expressions as people write them, and as many small edits.
//!
//! `fixtures/exactness/expressions.txt` is a table of them: a line each, with what must be told from
//! it. All of them are built by one `apply`, and then one `check` must find every single one in
//! sync. A second model has every edit instead, and one `check` must name every single one. Most of
//! it has to come of a question to the database alone, with no throw-away server at hand; whole
//! queries and the like may stay open without one, and never be told wrong.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{DIFFERENT, DONE, Ran, execute, on, root, scalar};
use reconcile_testkit::{Database, database, majors, unique_name};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

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
fn folder(cases: &[Case], edited: bool) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let base = root().join("fixtures/exactness/base.yaml");
    std::fs::copy(base, folder.path().join("base.yaml")).unwrap();
    std::fs::write(folder.path().join("expressions.yaml"), model(cases, edited)).unwrap();
    folder
}

/// No throw-away server can be started.
const NO_SERVER: [&str; 2] = ["--pg-bin", "/nonexistent"];

fn text(folder: &TempDir) -> &str {
    folder.path().to_str().unwrap()
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

impl Case {
    /// Whether it takes more than a question to the database to settle the expression and its edit:
    /// whole queries, and what the planner makes disappear.
    fn is_hard(&self) -> bool {
        let hard = ["(select", "(with", "collate", "is_short", "five()"];
        matches!(self.section.as_str(), "view" | "materialized view" | "trigger")
            || hard.iter().any(|words| self.text.contains(words))
    }

    /// Whether a question to the database shows that nothing differs. Before 17 a plan does not show
    /// with which operator a value is compared with a sub-select, and never what DISTINCT ON is
    /// about.
    fn is_settled_by_asking(&self, major: u32) -> bool {
        let open: &[&str] = match major {
            17.. => &["distinct on"],
            _ => &["distinct on", "in (select", "any (select", "all (select"],
        };
        !matches!(self.section.as_str(), "view" | "materialized view")
            && !open.iter().any(|words| self.text.contains(words))
    }
}

#[tokio::test]
async fn a_question_settles_what_people_write_and_sees_every_edit() {
    let all: BTreeSet<u32> = majors().into_iter().collect();
    let ends = [all.first().copied(), all.last().copied()];
    common::all(all.into_iter().map(|major| async move {
        let mut judge = Judge::new(major, |case| !case.is_hard()).await;
        judge.demand(&NO_SERVER, |_| true).await;
        // All objects are there already, so that this costs little: it is enough to ask as a role
        // with nothing but CONNECT, and to ask a hot standby.
        if ends.contains(&Some(major)) {
            judge.as_nobody().await;
            judge.on_standby().await;
        }
    }))
    .await;
}

#[tokio::test]
async fn a_throw_away_server_settles_what_questions_leave_open() {
    common::all(majors().into_iter().map(|major| async move {
        let judge = Judge::new(major, Case::is_hard).await;
        judge.demand(&[], |_| true).await;
        judge.demand(&NO_SERVER, |case| case.is_settled_by_asking(major)).await;
    }))
    .await;
}

/// A database with cases in it, and the models for them.
struct Judge {
    major: u32,
    cases: Vec<Case>,
    database: Database,
    url: String,
    built: TempDir,
    edited: TempDir,
}

impl Judge {
    async fn new(major: u32, is_wanted: impl Fn(&Case) -> bool) -> Self {
        let cases: Vec<Case> = cases(major).into_iter().filter(is_wanted).collect();
        let given = std::fs::read_to_string(root().join("fixtures/exactness/given.sql")).unwrap();
        let database = database(major, &given).await;
        let (built, edited) = (folder(&cases, false), folder(&cases, true));
        on(&database.url(), &["apply", "--yes", text(&built)]).await.expect(DONE);
        Self { major, cases, url: database.url(), database, built, edited }
    }

    /// What a `check` finds to be otherwise, by the names of the cases.
    async fn check(&self, how: &[&str], model: &TempDir, status: i32) -> BTreeMap<String, String> {
        let check = ["check", "-q", "--format", "json", text(model)];
        let ran = on(&self.url, &[how, &check].concat()).await;
        let found = findings(&ran, &self.cases);
        assert!(ran.status == Some(status) || ran.status == Some(DIFFERENT), "{ran:?}");
        found
    }

    async fn as_nobody(&mut self) {
        let (name, role) = (self.database.name(), unique_name("nobody"));
        let mut connection = self.database.connect().await;
        let sql = format!(
            "REVOKE ALL ON DATABASE {name} FROM PUBLIC; CREATE ROLE {role} LOGIN PASSWORD 'p'; \
             GRANT CONNECT ON DATABASE {name} TO {role}"
        );
        execute(&mut connection, &sql).await;
        self.url = self.database.tcp_url(&role, "p");
        self.demand(&NO_SERVER, |_| true).await;
        execute(&mut connection, &format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
    }

    async fn on_standby(&mut self) {
        let standby = self.database.server().standby().await.unwrap();
        let mut connection = standby.connect(self.database.name()).await.unwrap();
        assert_eq!(scalar(&mut connection, "SELECT pg_is_in_recovery()::text").await, "true");
        self.url = standby.url(self.database.name());
        self.demand(&NO_SERVER, |_| true).await;
    }

    /// Demands that what was built is in sync, and that every edit is seen. What is not settled may
    /// stay open, and never be told wrong.
    async fn demand(&self, how: &[&str], is_settled: impl Fn(&Case) -> bool) {
        let Self { major, cases, database: _, url: _, built, edited } = self;
        let is_settled =
            |name: &str| cases.iter().any(|case| case.name == name && is_settled(case));
        let mut found = self.check(how, built, DONE).await;
        found.retain(|name, standing| standing != "unproven" || is_settled(name));
        let mut wrong = told("not in sync", &found, cases);

        let found = self.check(how, edited, DIFFERENT).await;
        let unseen = cases.iter().filter(|case| case.edit.is_some()).filter_map(|case| {
            let standing = found.get(&case.name).map_or("ok", String::as_str);
            // A plan that differs proves nothing.
            let is_open = !how.is_empty() && case.is_hard() && standing == "unproven";
            (standing != "differs" && !is_open).then(|| (case.name.clone(), standing.to_owned()))
        });
        wrong.push_str(&told("not seen", &unseen.collect(), cases));
        assert!(wrong.is_empty(), "PostgreSQL {major} {how:?}: of {} cases\n{wrong}", cases.len());
    }
}
