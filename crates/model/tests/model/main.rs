//! The model as its users meet it: good files, bad files, the JSON Schema, a second YAML reader.

mod bad_input;
mod fixtures;
mod meaning;
mod schema;
mod second_reader;

use std::path::{Path, PathBuf};

use miette::{GraphicalReportHandler, GraphicalTheme};
use reconcile_model::Diagnostics;

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The paths of all models of the repository: one a fixture, and the example application's.
fn models() -> Vec<PathBuf> {
    let variants = root().join("fixtures/variants");
    let mut out: Vec<PathBuf> = std::fs::read_dir(&variants)
        .expect("the folder of variants")
        .map(|entry| entry.expect("an entry").path().join("model.yaml"))
        .filter(|path| path.exists())
        .collect();
    out.sort();
    assert!(out.len() > 10, "the fixtures have moved");
    out.push(root().join("schema"));
    out
}

/// The YAML files behind [`models`].
fn files() -> Vec<PathBuf> {
    let mut out = models();
    out.pop();
    out.extend(
        ["conversations.yaml", "messages.yaml"].map(|name| root().join("schema").join(name)),
    );
    out
}

/// Reports as a terminal of 100 columns shows them, without colours.
fn rendered(diagnostics: &Diagnostics) -> String {
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::none())
        .with_width(100)
        .with_links(false);
    let mut out = String::new();
    for diagnostic in diagnostics.iter() {
        handler.render_report(&mut out, diagnostic).expect("a report");
    }
    out
}

/// Compares with a file of the repository, or rewrites it if `RECONCILE_BLESS` is set.
fn golden(path: &Path, found: &str) {
    if std::env::var_os("RECONCILE_BLESS").is_some() {
        std::fs::write(path, found).expect("the file is writable");
    }
    let wanted = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        wanted == found,
        "{} is not what it should be; after a look at the difference, set RECONCILE_BLESS=1\n{found}",
        path.display()
    );
}
