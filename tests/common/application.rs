//! A table with an enum column, the model in which it is a text, and how the one becomes the other.

use reconcile_testkit::Database;

use super::on;

pub(crate) const TALK: &str = "CREATE TYPE mood AS ENUM ('sad', 'ok'); \
    CREATE TABLE talk (id int PRIMARY KEY, mood mood NOT NULL DEFAULT 'ok', n int); \
    INSERT INTO talk SELECT i, (ARRAY['sad', 'ok'])[1 + i % 2]::mood, i FROM generate_series(1, 300) i; \
    CREATE INDEX talk_mood ON talk (mood);";

pub(crate) const TEXT: &str = "tables:\n  talk:\n    columns:\n      mood: {type: varchar(10), nullable: false, default: \"'ok'\"}\n";

/// Arguments of an apply that changes columns online, however small their tables are.
pub(crate) const ONLINE: &[&str] =
    &["apply", "--yes", "--strategy", "online", "--throttle", "off", "--max-stall", "1h"];

/// A model in a folder of its own.
pub(crate) struct Model {
    folder: tempfile::TempDir,
}

impl Model {
    pub(crate) fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("model.yaml"), text).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self) -> String {
        self.folder.path().join("model.yaml").to_str().unwrap().to_owned()
    }

    pub(crate) fn beside(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }
}

pub(crate) async fn apply(database: &Database, model: &Model, more: &[&str]) -> super::Ran {
    on(&database.url(), &[ONLINE, more, &[&model.path()]].concat()).await
}
