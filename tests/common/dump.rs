//! Databases as pg_dump writes them.

use std::process::{Command, Stdio};

use reconcile_testkit::{Database, pg_dump, pg_dump_program};
use similar::TextDiff;

use super::JOURNAL;

/// The definitions, without the journal.
pub(crate) async fn definitions(database: &Database) -> String {
    let url = database.url();
    let exclude = format!("--exclude-schema={JOURNAL}");
    blocking(move || pg_dump(&url, &[&exclude])).await
}

/// The definitions, without the journal and without whose they are and who may use them.
pub(crate) async fn without_owners(database: &Database) -> String {
    let url = database.url();
    let exclude = format!("--exclude-schema={JOURNAL}");
    blocking(move || pg_dump(&url, &[&exclude, "--no-owner", "--no-privileges"])).await
}

/// Some tables' definitions.
pub(crate) async fn of_tables(database: &Database, tables: &[&str]) -> String {
    let url = database.url();
    let arguments: Vec<String> = tables.iter().map(|table| format!("--table={table}")).collect();
    blocking(move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        pg_dump(&url, &arguments)
    })
    .await
}

/// Everything, rows and journal too, but for the random word of `\restrict`.
pub(crate) async fn everything(database: &Database, major: u32) -> String {
    let url = database.url();
    blocking(move || {
        let output = Command::new(pg_dump_program(major))
            .args(["--dbname", &url])
            .stdin(Stdio::null())
            .output()
            .expect("pg_dump starts");
        assert!(output.status.success(), "pg_dump: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        let lines = text
            .lines()
            .filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"));
        lines.map(|line| format!("{line}\n")).collect()
    })
    .await
}

/// What changed from one dump to another: the lines, and the statement that each belongs to.
///
/// No other lines: those that stay depend on the version of pg_dump.
pub(crate) fn difference(before: &str, after: &str) -> String {
    let diff = TextDiff::from_lines(before, after);
    let lines: Vec<&str> = before.lines().collect();
    let (mut out, mut under) = (String::new(), None);
    for group in diff.grouped_ops(0) {
        let start = group.first().map_or(0, |op| op.old_range().start);
        let upto = &lines[..lines.len().min(start + 1)];
        let head = upto.iter().rposition(|line| line.starts_with("CREATE "));
        if head != under {
            let words = head.filter(|at| *at != start).map_or("", |at| lines[at]);
            out.push_str(format!("@@ {words}").trim_end());
            out.push('\n');
            under = head;
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            out.push_str(&format!("{}{}\n", change.tag(), change.value().trim_end_matches('\n')));
        }
    }
    out
}

/// A dump with the columns of each CREATE TABLE in the order of their names.
pub(crate) fn without_column_order(dump: &str) -> String {
    let mut out = String::new();
    let mut columns: Option<Vec<&str>> = None;
    for line in dump.lines() {
        match &mut columns {
            Some(list) if line.starts_with(')') => {
                list.sort_unstable();
                let text: Vec<String> = list.iter().map(|column| format!("{column}\n")).collect();
                out.push_str(&text.concat());
                columns = None;
            }
            Some(list) => {
                list.push(line.trim_end_matches(','));
                continue;
            }
            None if is_table(line) && line.ends_with('(') => {
                columns = Some(Vec::new());
            }
            None => {}
        }
        out.push_str(line);
        out.push('\n');
    }
    out
}

fn is_table(line: &str) -> bool {
    line.starts_with("CREATE TABLE ") || line.starts_with("CREATE UNLOGGED TABLE ")
}

/// A dump without the order of columns and with one spelling for a list of strings.
pub(crate) fn plain(dump: &str) -> String {
    one_spelling(&without_column_order(dump))
}

/// A dump with one spelling for a list of strings.
///
/// PostgreSQL prints `role IN ('a', 'b')` on a varchar as `(ARRAY['a'::character varying,
/// 'b'::character varying])::text[]`, and reads this as `ARRAY[('a'::character varying)::text,
/// ('b'::character varying)::text]`, as every restored dump shows: the cast of an array expression
/// is one of its elements (`transformTypeCast`).
fn one_spelling(dump: &str) -> String {
    const START: &str = "(ARRAY['";
    const END: &str = "'::character varying])::text[]";
    let mut out = String::new();
    let mut rest = dump;
    while let Some((before, from)) = rest.split_once(START) {
        out.push_str(before);
        // `(ARRAY['` may be another array: then its end is not on the same line.
        match from.split_once(END).filter(|(list, _)| !list.contains(['\n', ']'])) {
            Some((list, after)) => {
                let elements = list.split("'::character varying, '");
                let elements: Vec<String> =
                    elements.map(|e| format!("('{e}'::character varying)::text")).collect();
                out.push_str(&format!("ARRAY[{}]", elements.join(", ")));
                rest = after;
            }
            None => {
                out.push_str(START);
                rest = from;
            }
        }
    }
    out + rest
}

async fn blocking(work: impl FnOnce() -> String + Send + 'static) -> String {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| panic!("{error}"))
}
