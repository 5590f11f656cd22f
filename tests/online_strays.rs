//! What an online change has left is drift as soon as nobody knows of it, and is said by name with the way out.

#![allow(clippy::unwrap_used)]

mod common;

use common::{DIFFERENT, DONE, PARTIAL, apply_online, dump, execute, on};
use reconcile_testkit::{Database, database, majors};

const TALK: &str = "CREATE TABLE talk (id int PRIMARY KEY, n int NOT NULL, pad text NOT NULL DEFAULT repeat('x', 100)); \
    INSERT INTO talk (id, n) SELECT i, i FROM generate_series(1, 9000) i; CREATE INDEX talk_n ON talk (n);";

const STOP: &str = "CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN \
    IF NEW.id > 4000 THEN RAISE 'no room' USING ERRCODE = '53100'; END IF; RETURN NEW; END$$; \
    CREATE TRIGGER stop BEFORE UPDATE ON talk FOR EACH ROW EXECUTE FUNCTION stop(); \
    ALTER TABLE talk ENABLE ALWAYS TRIGGER stop";

const WIDE: &str = "tables: {talk: {columns: {n: {type: bigint, nullable: false}}}}\n";
const NARROW: &str = "tables: {talk: {columns: {n: {type: integer, nullable: false}}}}\n";

struct Place {
    database: Database,
    folder: tempfile::TempDir,
    before: String,
}

impl Place {
    async fn new(major: u32) -> Self {
        let database = database(major, TALK).await;
        let before = dump::definitions(&database).await;
        Self { database, folder: tempfile::tempdir().unwrap(), before }
    }

    fn model(&self, text: &str) -> String {
        let file = self.folder.path().join(format!("{}.yaml", text.len()));
        std::fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    }

    async fn run(&self, sql: &str) {
        execute(&mut self.database.connect().await, sql).await;
    }

    /// Stops in the middle of the rows.
    async fn stopped(&self) {
        self.run(STOP).await;
        apply_online(&self.database.url(), &self.model(WIDE)).await.expect(PARTIAL);
        self.run("DROP TRIGGER stop ON talk; DROP FUNCTION stop").await;
    }

    /// Whoever asks is told.
    async fn is_told(&self, model: &str, words: &str) {
        let (url, model) = (self.database.url(), self.model(model));
        on(&url, &["check", &model]).await.expect(DIFFERENT).says(words);
        on(&url, &["check", "--quiet", "--allow-extra", &model])
            .await
            .expect(DIFFERENT)
            .says(words);
        on(&url, &["plan", &model]).await.says(words);
        on(&url, &["status"]).await.expect(DONE).says(words);
        let json = on(&url, &["status", "--format", "json"]).await.expect(DONE).out;
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert!(json["strays"][0].as_str().unwrap().contains(words), "{json}");
    }

    async fn is_quiet(&self, model: &str) {
        let (url, model) = (self.database.url(), self.model(model));
        on(&url, &["check", "--allow-extra", &model]).await.expect(DONE).says_not("_rc_");
        on(&url, &["status"]).await.expect(DONE).says_not("no journal knows");
    }

    async fn is_as_before(&self) {
        let after = dump::definitions(&self.database).await;
        let (before, after) = (dump::plain(&self.before), dump::plain(&after));
        assert!(before == after, "{}", dump::difference(&before, &after));
    }
}

#[tokio::test]
async fn a_change_that_goes_its_way_is_none() {
    for major in majors() {
        let place = Place::new(major).await;
        place.stopped().await;
        place.is_quiet(NARROW).await;
        apply_online(&place.database.url(), &place.model(WIDE)).await.expect(DONE);
        place.is_quiet(WIDE).await;
        on(&place.database.url(), &["contract", "--yes"]).await.expect(DONE);
        place.is_quiet(WIDE).await;
    }
}

#[tokio::test]
async fn a_copy_without_the_journal_tells_that_nobody_knows_of_it() {
    for major in majors() {
        let place = Place::new(major).await;
        let url = place.database.url();
        place.stopped().await;
        place.run("DROP SCHEMA reconcile CASCADE").await;
        place
            .is_told(
                NARROW,
                "no journal knows, as in a copy of another database; `reconcile abort`",
            )
            .await;
        on(&url, &["abort", "--yes"]).await.expect(DONE);
        place.is_quiet(NARROW).await;
        place.is_as_before().await;
        apply_online(&url, &place.model(WIDE)).await.expect(DONE);
        place.run("DROP SCHEMA reconcile CASCADE").await;
        place
            .is_told(
                WIDE,
                "no journal knows, as in a copy of another database; `reconcile contract`",
            )
            .await;
        on(&url, &["contract", "--yes"]).await.expect(DONE);
        place.is_quiet(WIDE).await;
    }
}

#[tokio::test]
async fn a_change_whose_trigger_is_gone_is_told() {
    for major in majors() {
        let place = Place::new(major).await;
        let url = place.database.url();
        place.stopped().await;
        place
            .run(
                "DO $$DECLARE t name; BEGIN SELECT tgname INTO t FROM pg_trigger WHERE tgname LIKE '~rc%'; \
                 EXECUTE format('DROP TRIGGER %I ON talk', t); END$$",
            )
            .await;
        place
            .is_told(NARROW, "whose trigger is gone, so that writes miss it; `reconcile abort`")
            .await;
        on(&url, &["abort", "--yes"]).await.expect(DONE);
        place.is_quiet(NARROW).await;
        place.is_as_before().await;
    }
}

#[tokio::test]
async fn what_stands_alone_is_told_by_its_name() {
    for major in majors() {
        let place = Place::new(major).await;
        place.is_quiet(NARROW).await;
        for (make, drop, name) in [
            (
                "CREATE FUNCTION _rc_0123abcd_sync() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
                "DROP FUNCTION _rc_0123abcd_sync()",
                "function \"_rc_0123abcd_sync()\"",
            ),
            (
                "ALTER TABLE talk ADD _rc_0123abcd_n bigint",
                "ALTER TABLE talk DROP _rc_0123abcd_n",
                "_rc_0123abcd_n",
            ),
            (
                "CREATE INDEX _rc_0123abcd_talk_n ON talk (n, id)",
                "DROP INDEX _rc_0123abcd_talk_n",
                "_rc_0123abcd_talk_n",
            ),
        ] {
            place.run(make).await;
            place.is_told(NARROW, "no such change is there; drop it by hand").await;
            let url = place.database.url();
            let ran = on(&url, &["status"]).await.expect(DONE);
            assert!(ran.words().contains(name), "{name}: {ran:?}");
            place.run(drop).await;
            place.is_quiet(NARROW).await;
        }
        place.is_as_before().await;
    }
}
