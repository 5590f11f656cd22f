//! What the tests of reading share: sessions on databases of the test kit.

#![allow(dead_code, clippy::unwrap_used)]

pub(crate) mod counting;

use std::path::{Path, PathBuf};

use reconcile_catalog::Catalog;
use reconcile_live::connect::{ConnectOptions, Session, connect};
use reconcile_live::introspect::{ReadOptions, Snapshot, introspect};
use reconcile_live::target::Target;
use reconcile_testkit::Database;

/// A session on a URL.
pub(crate) async fn session(url: &str) -> Session {
    let target = Target::parse(url).unwrap_or_else(|e| panic!("{url}: {e}")).target;
    connect(&target, &ConnectOptions::default()).await.unwrap_or_else(|e| panic!("{url}: {e}"))
}

/// What is in a database.
pub(crate) async fn read(database: &Database) -> Snapshot {
    let mut session = session(&database.url()).await;
    let snapshot = introspect(&mut session, &ReadOptions::default()).await;
    let snapshot = snapshot.unwrap_or_else(|e| panic!("{}: {e}", database.name()));
    session.close().await;
    snapshot
}

/// A catalog as text: every object with its dependencies and everything that is known of it.
pub(crate) fn dump(catalog: &Catalog) -> String {
    catalog
        .objects()
        .map(|o| {
            let depends: Vec<String> = o.depends_on.iter().map(ToString::to_string).collect();
            let parent = o.parent.as_ref().map(ToString::to_string).unwrap_or_default();
            format!("{} in [{parent}] on {depends:?}\n  {}\n", o.address, o.definition.to_json())
        })
        .collect()
}

/// The folder with the fixtures.
pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

/// Every fixture: `production`, …, and `variants/partitioned`, …
pub(crate) fn all_fixtures() -> Vec<PathBuf> {
    let list = |folder: PathBuf| -> Vec<PathBuf> {
        let entries =
            std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    let mut all = list(fixtures().join("messages"));
    all.extend(list(fixtures().join("variants")).into_iter().map(|folder| folder.join("live.sql")));
    all.retain(|path| path.extension().is_some_and(|e| e == "sql"));
    all.sort();
    assert!(all.len() > 20, "the fixtures are there");
    all
}
