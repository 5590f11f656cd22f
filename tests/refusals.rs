//! What is refused is refused with its reason before anything is touched.

#![allow(clippy::unwrap_used)]

mod common;

use common::cases::{Outcome, outcomes};
use common::{Case, DIFFERENT, DONE, REFUSED, dump, execute, has_journal, on};
use reconcile_testkit::{database, majors};

/// Refuses, says why, and leaves every byte of a dump with its rows as it was.
async fn refuses(major: u32, case: Case, reasons: &[&str]) {
    let database = case.database(major).await;
    let (url, model) = (database.url(), case.model());
    let before = dump::everything(&database, major).await;
    let mut refused = on(&url, &["apply", "--yes", &model]).await.expect(REFUSED);
    for reason in reasons {
        refused = refused.says(reason);
    }
    refused.says("Nothing was changed");
    assert!(!has_journal(&database).await, "{} left a journal behind", case.name);
    let after = dump::everything(&database, major).await;
    assert!(before == after, "{} on {major}:\n{}", case.name, dump::difference(&before, &after));
}

#[tokio::test]
async fn a_refused_plan_says_why_and_touches_nothing() {
    let mut seen = 0;
    for major in majors() {
        for (case, outcome) in outcomes(major) {
            let Outcome::Refused(reasons) = outcome else { continue };
            refuses(major, case, reasons).await;
            seen += 1;
        }
    }
    assert!(seen > 0);
}

#[tokio::test]
async fn plan_alone_refuses_with_the_same_reason() {
    for major in majors() {
        let case = Case { name: "variants/partition_key" };
        let database = case.database(major).await;
        let plan = on(&database.url(), &["plan", "--exit-code", &case.model()]).await;
        plan.expect(REFUSED).says("PostgreSQL does not alter the type of a partition key");
    }
}

#[tokio::test]
async fn rows_in_the_way_are_counted_with_their_values() {
    for major in majors() {
        for (case, outcome) in outcomes(major) {
            let Outcome::RowsInTheWay(reasons) = outcome else { continue };
            refuses(major, case, reasons).await;
            let database = case.database(major).await;
            let (url, model) = (database.url(), case.model());
            // The catalog alone does not show it; the rows are read when they are asked for.
            on(&url, &["plan", "--exit-code", &model]).await.expect(DIFFERENT);
            let mut asked = on(&url, &["plan", "--data", &model]).await.expect(REFUSED);
            for reason in reasons {
                asked = asked.says(reason);
            }
        }
    }
}

#[tokio::test]
async fn without_a_yes_nothing_happens() {
    for major in majors() {
        let case = Case { name: "messages/production" };
        let database = case.database(major).await;
        let before = dump::everything(&database, major).await;
        // Standard input is no terminal here.
        let asked = on(&database.url(), &["apply", "schema/"]).await.expect(REFUSED);
        asked.says("--yes").says("ALTER COLUMN role TYPE varchar(20) USING role::text");
        assert!(!has_journal(&database).await);
        assert_eq!(before, dump::everything(&database, major).await);
    }
}

#[tokio::test]
async fn a_long_stall_waits_for_an_approval() {
    for major in majors() {
        let case = Case { name: "messages/production" };
        let database = case.database(major).await;
        let before = dump::everything(&database, major).await;
        let apply = ["apply", "--yes", "--max-stall", "100ms", "schema/"];
        let refused = on(&database.url(), &apply).await.expect(REFUSED);
        refused.says("--allow-stall");
        assert_eq!(before, dump::everything(&database, major).await);
        let approved =
            ["apply", "--yes", "--max-stall", "100ms", "--allow-stall", "all", "schema/"];
        on(&database.url(), &approved).await.expect(DONE);
    }
}

#[tokio::test]
async fn a_trigger_needs_its_function() {
    const MODEL: &str = r#"
tables:
  t:
    columns: {id: integer}
    triggers:
      stamp: CREATE TRIGGER stamp BEFORE INSERT ON public.t FOR EACH ROW EXECUTE FUNCTION public.stamp()
      same: CREATE TRIGGER same BEFORE UPDATE ON public.t FOR EACH ROW EXECUTE FUNCTION pg_catalog.suppress_redundant_updates_trigger()
"#;
    let model = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    std::fs::write(model.path(), MODEL).unwrap();
    let model = model.path().to_str().unwrap();
    for major in majors() {
        let database = database(major, "CREATE TABLE t (id int); INSERT INTO t VALUES (1)").await;
        let refused = on(&database.url(), &["plan", "--exit-code", model]).await.expect(REFUSED);
        refused
            .says("it calls the function public.stamp(), which is not there")
            .says_not("suppress_redundant_updates_trigger(), which");
        let function =
            "CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'";
        execute(&mut database.connect().await, function).await;
        on(&database.url(), &["apply", "--yes", model]).await.expect(DONE);
    }
}
