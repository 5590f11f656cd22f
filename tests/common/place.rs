//! A database with models for it, for tests that write their own.

use reconcile_testkit::{Database, database};
use tempfile::TempDir;

use super::{DONE, Ran, apply_online, dump, execute, on, scalar};

/// A model in a file of its own.
pub(crate) struct Model(TempDir);

impl Model {
    pub(crate) fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("model.yaml"), text).unwrap();
        Self(folder)
    }

    /// The folder that it is in.
    pub(crate) fn folder(&self) -> String {
        self.0.path().to_str().unwrap().to_owned()
    }

    pub(crate) fn path(&self) -> String {
        self.0.path().join("model.yaml").to_str().unwrap().to_owned()
    }
}

/// A database, and models for it in a file.
pub(crate) struct Place {
    pub(crate) database: Database,
    folder: TempDir,
}

impl Place {
    pub(crate) async fn new(major: u32, sql: &str) -> Self {
        Self { database: database(major, sql).await, folder: tempfile::tempdir().unwrap() }
    }

    /// The file with the model, which is the one that counts from now on.
    pub(crate) fn model(&self, text: &str) -> String {
        let file = self.folder.path().join("model.yaml");
        std::fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    }

    /// Runs a command of the program.
    pub(crate) async fn on(&self, words: &[&str]) -> Ran {
        on(&self.database.url(), words).await
    }

    pub(crate) async fn online(&self, model: &str) -> Ran {
        apply_online(&self.database.url(), &self.model(model)).await
    }

    pub(crate) async fn ask(&self, sql: &str) -> String {
        scalar(&mut self.database.connect().await, sql).await
    }

    pub(crate) async fn run(&self, sql: &str) {
        execute(&mut self.database.connect().await, sql).await;
    }

    pub(crate) async fn back(&self) -> Ran {
        self.on(&["rollback", "--yes", "--max-stall", "1h"]).await
    }

    pub(crate) async fn contract(&self) {
        self.on(&["contract", "--yes"]).await.expect(DONE);
        assert!(!dump::definitions(&self.database).await.contains("_rc_"));
    }
}
