//! What the journal keeps, it gives back unchanged.

#![allow(clippy::unwrap_used)]

mod apply_kit;
mod kit;

use std::collections::BTreeSet;

use apply_kit::{TABLES, batch, job, plan, run_with, session, step, table};
use reconcile_catalog::Address;
use reconcile_kinds::KINDS;
use reconcile_live::apply::{Interrupt, apply};
use reconcile_live::journal::{Journal, Readiness, RunState, saved};
use reconcile_live::marks::Mark;
use reconcile_testkit::{database, majors};

fn journal() -> Journal {
    Journal::named("reconcile").unwrap()
}

/// Kinds that no fixture of the messages case has, with every property that they can have on 14.
const MORE_KINDS: &str = r#"
    CREATE SCHEMA ext;
    CREATE EXTENSION citext SCHEMA ext;
    COMMENT ON EXTENSION citext IS 'Case does not count';
    CREATE DOMAIN short AS varchar(10) COLLATE "C" DEFAULT 'a' NOT NULL
        CONSTRAINT filled CHECK (VALUE <> '') CONSTRAINT "it's lower" CHECK (VALUE = lower(VALUE));
    ALTER DOMAIN short ADD CONSTRAINT later CHECK (VALUE <> '\') NOT VALID;
    COMMENT ON CONSTRAINT later ON DOMAIN short IS 'of old rows nobody knows';
    CREATE TYPE pair AS (x int, "The y" short[], name text COLLATE "C");
    CREATE TYPE spread AS RANGE
        (subtype = float8, subtype_diff = float8mi, multirange_type_name = spreads);
    CREATE SEQUENCE loose AS smallint INCREMENT -3 MINVALUE -300 MAXVALUE -1 START -2 CACHE 5 CYCLE;
    CREATE TABLE things (
        id serial PRIMARY KEY,
        number bigint GENERATED ALWAYS AS IDENTITY (START 7 INCREMENT 2),
        pair pair, spread spread, spreads spreads, short short, mail ext.citext,
        next int DEFAULT nextval('loose'), b text NOT NULL, twice int GENERATED ALWAYS AS (next * 2) STORED
    );
    CREATE UNIQUE INDEX things_b ON things (b);
    ALTER TABLE things REPLICA IDENTITY USING INDEX things_b;
    CREATE STATISTICS st (ndistinct, mcv) ON next, b, lower(b) FROM things;
    ALTER STATISTICS st SET STATISTICS 77;
"#;

#[tokio::test]
async fn every_object_of_every_kind_comes_back_as_it_was() {
    let mut seen: BTreeSet<&'static str> = BTreeSet::new();
    let fixtures = kit::all_fixtures();
    for path in fixtures.iter().map(Some).chain([None]) {
        let db = database(majors()[0], "").await;
        let _loaded = match path {
            Some(path) => db.load_file(path).await,
            None => db.load(MORE_KINDS).await,
        };
        let live = kit::read(&db).await.catalog;
        let mut session = session(&db.url()).await;
        let mut everything = plan(vec![batch(vec![step(1, "SELECT 1")])]);
        everything.touched = live.objects().map(|object| object.address.clone()).collect();
        let missing = Address::new("table", ["public", "it's \"not\" \\ there"]);
        everything.touched.insert(missing.clone());
        let mark = Mark::take(&mut session, &everything.touched).await.unwrap();
        let job = job(&everything, &live, mark);
        apply(&mut session, &job, &mut (), &Interrupt::never()).await.unwrap();

        let back = journal().saved_objects(&mut session, 1).await.unwrap();
        assert_eq!(back.len(), saved(&everything, &live).len());
        for saved in back {
            let Some(object) = saved.object else {
                assert_eq!(saved.address, missing);
                continue;
            };
            let was = live.get(&saved.address).unwrap();
            assert_eq!(object.address, was.address);
            assert_eq!(object.parent, was.parent, "{}", was.address);
            assert_eq!(object.depends_on, was.depends_on, "{}", was.address);
            let (back, was) = (&object.definition, &was.definition);
            assert_eq!(back.to_json(), was.to_json(), "{}", object.address);
            assert_eq!(back.properties(), was.properties(), "{}", object.address);
            seen.insert(object.address.kind());
        }
    }
    // A cast is read where an online change made it, and is no part of anybody's catalog then.
    for kind in KINDS.iter().filter(|kind| kind.name() != "cast") {
        assert!(seen.contains(kind.name()), "no fixture has a {}", kind.name());
    }
}

#[tokio::test]
async fn a_run_that_goes_on_gives_back_what_was_there_before_the_first() {
    let db = database(majors()[0], TABLES).await;
    let mut session = session(&db.url()).await;
    // The first run saves t and stops after a step; the second saves less.
    let first = plan(vec![
        batch(vec![step(1, "ALTER TABLE public.t ADD COLUMN a int")]),
        batch(vec![step(2, "ALTER TABLE public.t ADD COLUMN a int")]),
    ]);
    run_with(&mut session, &first, |_| {}).await.0.unwrap_err();
    let mut second = plan(vec![batch(vec![step(1, "ALTER TABLE public.t ADD COLUMN b int")])]);
    second.touched = BTreeSet::from([table("other")]);
    run_with(&mut session, &second, |_| {}).await.0.unwrap();
    let saved = journal().saved_objects(&mut session, 2).await.unwrap();
    let names: Vec<String> = saved.iter().map(|s| s.address.to_string()).collect();
    assert_eq!(names, ["table:public.other", "table:public.t", "view:public.v"]);
    let last = journal().last_to_undo(&mut session).await.unwrap().unwrap();
    assert_eq!((last.id, last.continues), (2, Some(1)));

    // A run of another model does not go on with anything.
    let third = plan(vec![batch(vec![step(1, "ALTER TABLE public.t ADD COLUMN c int")])]);
    run_with(&mut session, &third, |job| job.model_digest = "another".to_owned()).await.0.unwrap();
    let last = journal().last_to_undo(&mut session).await.unwrap().unwrap();
    assert_eq!((last.id, last.continues), (3, None));

    // Undone runs are closed with all that they went on with.
    let undo = plan(vec![batch(vec![step(1, "ALTER TABLE public.t DROP COLUMN c")])]);
    run_with(&mut session, &undo, |job| job.undoes = Some(3)).await.0.unwrap();
    let last = journal().last_to_undo(&mut session).await.unwrap().unwrap();
    assert_eq!(last.id, 2);
    let undo = plan(vec![batch(vec![step(1, "ALTER TABLE public.t DROP COLUMN b")])]);
    run_with(&mut session, &undo, |job| job.undoes = Some(2)).await.0.unwrap();
    assert_eq!(journal().last_to_undo(&mut session).await.unwrap(), None);
    let runs = journal().runs(&mut session).await.unwrap();
    let states: Vec<RunState> = runs.iter().rev().map(|run| run.state).collect();
    use RunState::{Done, RolledBack};
    assert_eq!(states, [RolledBack, RolledBack, RolledBack, Done, Done]);
}

#[tokio::test]
async fn it_is_found_or_not_without_being_made() {
    let db = database(majors()[0], TABLES).await;
    let mut session = session(&db.url()).await;
    assert!(!journal().exists(&mut session).await.unwrap());
    let readiness = journal().readiness(&mut session).await.unwrap();
    assert_eq!(readiness, Readiness::CanBeMade { namespace: true });
    journal().open(&mut session).await.unwrap();
    journal().open(&mut session).await.unwrap();
    assert!(journal().exists(&mut session).await.unwrap());
    assert_eq!(journal().readiness(&mut session).await.unwrap(), Readiness::There);
    assert!(journal().runs(&mut session).await.unwrap().is_empty());

    session.send("UPDATE reconcile.version SET version = 99").await.unwrap();
    let words = journal().open(&mut session).await.unwrap_err().to_string();
    assert!(words.contains("has version 99") && words.contains("use the newer program"), "{words}");
    session.send("DROP TABLE reconcile.step").await.unwrap();
    let words = journal().open(&mut session).await.unwrap_err().to_string();
    assert!(words.contains("some of its tables are missing"), "{words}");
}

#[tokio::test]
async fn odd_names_and_texts_are_kept() {
    let db = database(majors()[0], TABLES).await;
    let mut session = session(&db.url()).await;
    session.send("SET backslash_quote = off; SET standard_conforming_strings = off").await.unwrap();
    let odd = Journal::named("My \"odd\" $rc$ journal").unwrap();
    let sql = "SELECT 'it''s', E'\\\\', $rc$ x $rc$, '?', '$1', 'ü\u{1a}' -- $rc$";
    let mut plan = plan(vec![batch(vec![step(1, sql)])]);
    plan.batches[0].steps[0].summary = vec!["says 'x\\'".to_owned(), "and \u{7} ?".to_owned()];
    let (result, _) = run_with(&mut session, &plan, |job| {
        job.journal = odd.clone();
        job.fingerprint = "f'\\".to_owned();
    })
    .await;
    result.unwrap();
    let steps = odd.steps(&mut session, 1).await.unwrap();
    assert_eq!(steps[0].sql, sql);
    assert_eq!(steps[0].summary, "says 'x\\'\nand \u{7} ?");
    assert_eq!(odd.runs(&mut session).await.unwrap()[0].fingerprint, "f'\\");
}
