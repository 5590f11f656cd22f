//! Every state in which the database is met comes to the model, and nothing else of it changes.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;

use common::{Case, DIFFERENT, DONE, cases, dump, execute, golden, on, rows};
use reconcile_testkit::{database, majors};

#[test]
fn every_fixture_has_an_expected_outcome() {
    let expected: BTreeSet<String> =
        cases::CASES.iter().map(|(name, _)| (*name).to_owned()).collect();
    let there: BTreeSet<String> = common::on_disk().into_iter().collect();
    assert_eq!(expected, there);
}

#[tokio::test]
async fn every_fixture_comes_to_the_model_and_loses_nothing() {
    let mut versions = majors();
    // Newest first, for golden files.
    versions.sort_unstable_by(|a, b| b.cmp(a));
    for major in versions {
        let cases = cases::converging(major).into_iter();
        common::all(cases.map(|(case, steps, extras)| converges(major, case, steps, extras))).await;
    }
}

async fn converges(major: u32, case: Case, steps: usize, extras: usize) {
    let database = case.database(major).await;
    let (url, model) = (database.url(), case.model());
    let model = model.as_str();
    let mut wrong = Vec::new();
    let mut demand = |holds: bool, what: String| {
        if !holds {
            wrong.push(format!("{} on PostgreSQL {major}: {what}", case.name));
        }
    };

    let columns = rows::columns(&database).await;
    let rows_before = rows::rows(&database, &columns).await;
    let dump_before = dump::definitions(&database).await;

    let plan = on(&url, &["plan", "--format", "json", model]).await;
    let document: serde_json::Value = serde_json::from_str(&plan.out).unwrap_or_default();
    let found = summaries(&document);
    let listed = || format!("{} steps instead of {steps}: {found:#?}\n{}", found.len(), plan.err);
    demand(found.len() == steps, listed());
    let something = if steps == 0 { DONE } else { DIFFERENT };
    let status = on(&url, &["plan", "--exit-code", model]).await.status;
    demand(status == Some(something), format!("plan --exit-code ends with {status:?}"));
    if case.name.starts_with("messages/") {
        let script = on(&url, &["plan", "--format", "sql", model]).await;
        let compared = golden::compare(case.name, "plan.sql", major, &normalised(&script.out));
        demand(compared.is_ok(), compared.err().unwrap_or_default());
    }

    let applied = on(&url, &["apply", "--yes", model]).await;
    demand(applied.status == Some(DONE), format!("apply: {}{}", applied.out, applied.err));
    let rows_after = rows::rows(&database, &columns).await;
    demand(rows_before == rows_after, format!("rows: {rows_before:?}, then {rows_after:?}"));
    let dump_after = dump::definitions(&database).await;
    let changed = dump::difference(&dump_before, &dump_after);
    let compared = golden::compare(case.name, "dump.diff", major, &changed);
    demand(compared.is_ok(), compared.err().unwrap_or_default());

    let again = on(&url, &["plan", "--exit-code", model]).await;
    demand(again.status == Some(DONE), format!("the second plan is not empty: {}", again.out));
    let check = on(&url, &["check", "-q", model]).await;
    let status = if extras == 0 { DONE } else { DIFFERENT };
    demand(check.status == Some(status), format!("check: {}", check.out));
    let named = check.out.lines().filter(|line| line.starts_with("extra ")).count();
    demand(named == extras, format!("{named} extras instead of {extras}: {}", check.out));
    let check = on(&url, &["check", "-q", "--allow-extra", model]).await;
    demand(check.status == Some(DONE), format!("check --allow-extra: {}", check.out));
    let twice = on(&url, &["apply", "--yes", model]).await;
    demand(twice.status == Some(DONE), format!("apply again: {}{}", twice.out, twice.err));
    let dump_twice = dump::definitions(&database).await;
    demand(dump_twice == dump_after, "apply again changed something".to_owned());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What each step does, from what `plan --format json` prints.
fn summaries(document: &serde_json::Value) -> Vec<String> {
    let list = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
    let steps = list(&document["batches"]).into_iter().flat_map(|batch| list(&batch["steps"]));
    steps.map(|step| step["summary"].to_string()).collect()
}

/// A script without what is another one on every run: the database, digests, sizes and times.
fn normalised(script: &str) -> String {
    let mut out = String::new();
    for line in script.lines() {
        let heading = ["-- Plan for", "-- Digest:"].iter().any(|start| line.starts_with(start));
        if heading {
            continue;
        }
        let line = match line.strip_prefix("-- ").and_then(|_| line.split_once(" Stall: ")) {
            Some((start, _)) => start,
            None => line,
        };
        out.push_str(&without_sizes(line));
        out.push('\n');
    }
    out
}

fn without_sizes(line: &str) -> String {
    let is_comment = line.starts_with("--");
    match line.find(" (about ").or_else(|| line.find(" (rows unknown")) {
        Some(start) if is_comment => match line[start..].find(')') {
            Some(end) => format!("{}{}", &line[..start], &line[start + end + 1..]),
            None => line.to_owned(),
        },
        _ => line.to_owned(),
    }
}

#[tokio::test]
async fn the_result_is_what_the_model_alone_makes() {
    const TABLES: &[&str] = &["public.conversations", "public.messages"];
    for major in majors() {
        let fresh = database(major, "").await;
        on(&fresh.url(), &["apply", "--yes", "schema/"]).await.expect(DONE);
        on(&fresh.url(), &["check", "-q", "schema/"]).await.expect(DONE);
        let model = dump::without_column_order(&dump::of_tables(&fresh, TABLES).await);
        assert!(model.contains("check_role_values"), "{model}");
        for (case, _, extras) in cases::converging(major) {
            // With extras it is more than the model; its dump.diff says what became of it.
            if !case.name.starts_with("messages/") || extras > 0 {
                continue;
            }
            let met = case.database(major).await;
            on(&met.url(), &["apply", "--yes", "schema/"]).await.expect(DONE);
            let result = dump::without_column_order(&dump::of_tables(&met, TABLES).await);
            let difference = dump::difference(&model, &result);
            assert_eq!(model, result, "{} on {major}:\n{difference}", case.name);
        }
    }
}

#[tokio::test]
async fn the_owner_alone_can_do_it() {
    let case = Case { name: "messages/lived_in" };
    for major in majors() {
        let database = case.database(major).await;
        let before = dump::definitions(&database).await;
        let mut connection = database.connect().await;
        let grant = format!("GRANT CREATE ON DATABASE {} TO chat_owner", database.name());
        execute(&mut connection, &grant).await;
        // Row security, default privileges and the views of others apply to it as to anybody.
        let apply = ["apply", "--yes", "--role", "chat_owner", "schema/"];
        on(&database.url(), &apply).await.expect(DONE);
        let changed = dump::difference(&before, &dump::definitions(&database).await);
        let held = golden::holds(case.name, "dump.diff", major, &changed);
        assert!(held.is_ok(), "{held:?}");
        on(&database.url(), &["rollback", "--yes", "--role", "chat_owner"]).await.expect(DONE);
        let restored = dump::without_column_order(&dump::definitions(&database).await);
        assert_eq!(dump::without_column_order(&before), restored);
        execute(&mut connection, &grant.replace("GRANT", "REVOKE").replace(" TO ", " FROM ")).await;
    }
}
