//! From a model and a real database to a plan, without changing anything.

#![allow(clippy::unwrap_used)]

mod kit;

use std::path::{Path, PathBuf};

use kit::{all_fixtures, counting, fixtures, session};
use reconcile_diff::Change;
use reconcile_kinds::{Facts, Preflight};
use reconcile_live::connect::Session;
use reconcile_live::derive::{DeriveError, DeriveOptions, Derived, derive};
use reconcile_live::error::Error;
use reconcile_live::preflight::{Hidden, Unreadable, preflight};
use reconcile_model::{Diagnostics, Model};
use reconcile_sql::QName;
use reconcile_testkit::{database, majors, unique_name};

/// The model that goes with a fixture.
fn model_of(fixture: &Path) -> Model {
    let own = fixture.with_file_name("model.yaml");
    let shared = fixtures().join("../schema");
    let path: PathBuf = if own.is_file() { own } else { shared };
    Model::load(&[path]).unwrap_or_else(|e| panic!("{e:?}"))
}

async fn planned(session: &mut Session, model: &Model) -> Derived {
    let desired = |facts: &Facts| model.catalog(&facts.types);
    derive::<Diagnostics>(session, &DeriveOptions::default(), desired)
        .await
        .unwrap_or_else(|e| panic!("{e:?}"))
}

/// Addresses that change, as text.
fn changes(derived: &Derived) -> Vec<String> {
    derived.difference.changes.iter().map(|c| c.address().to_string()).collect()
}

#[tokio::test]
async fn every_fixture_is_settled() {
    for major in majors() {
        for path in all_fixtures() {
            let db = database(major, "").await;
            db.load_file(&path).await;
            let mut session = session(&db.url()).await;
            let derived = planned(&mut session, &model_of(&path)).await;
            // Nothing is left that nobody could decide.
            for change in &derived.difference.changes {
                if let Change::Alter { properties, live, .. } = change {
                    for property in properties {
                        assert!(property.proven, "{major} {}: {live} {property:?}", path.display());
                    }
                }
            }
            // Every relation that the plan works on has a size.
            for step in derived.plan.steps() {
                if let Some(relation) = step.work.relation() {
                    let known = derived.snapshot.facts.sizes.contains_key(relation);
                    assert!(known, "{major} {}: {relation}", path.display());
                }
            }
        }
    }
}

#[tokio::test]
async fn what_is_right_is_no_difference() {
    for major in majors() {
        for name in ["messages/already_right.sql", "variants/check_spelt_differently/live.sql"] {
            let path = fixtures().join(name);
            let db = database(major, "").await;
            db.load_file(&path).await;
            let derived = planned(&mut session(&db.url()).await, &model_of(&path)).await;
            assert_eq!(changes(&derived), [""; 0], "{major} {name}");
            assert!(derived.plan.is_empty());
        }
    }
}

/// A role that may do nothing in a session that cannot write gets the same plan.
#[tokio::test]
async fn a_plan_needs_no_privileges() {
    for major in majors() {
        let path = fixtures().join("messages/lived_in.sql");
        let db = database(major, "").await;
        db.load_file(&path).await;
        let role = unique_name("stranger");
        let mut root = session(&db.url()).await;
        root.send(&format!(
            "CREATE ROLE {role} LOGIN PASSWORD 'x'; ALTER ROLE {role} SET default_transaction_read_only = on"
        ))
        .await
        .unwrap();
        let mut stranger = session(&db.tcp_url(&role, "x")).await;
        assert!(stranger.read_only);
        let model = model_of(&path);
        let (seen, all) = (planned(&mut stranger, &model).await, planned(&mut root, &model).await);
        assert_eq!(seen.difference.changes, all.difference.changes);
        assert!(!seen.difference.changes.is_empty());
    }
}

#[tokio::test]
async fn messages_are_counted() {
    let major = majors()[0];
    let path = fixtures().join("messages/lived_in.sql");
    let role = unique_name("reader");
    let db = database(major, &format!("CREATE ROLE {role} LOGIN PASSWORD 'x'")).await;
    db.load_file(&path).await;
    let (port, counts) = counting::proxy(db.server().port()).await;
    let url = format!("postgresql://{role}:x@127.0.0.1:{port}/{}?sslmode=disable", db.name());
    let mut session = session(&url).await;
    let before = counts.simple();
    planned(&mut session, &model_of(&path)).await;
    // The catalog, one round of questions, and the sizes.
    let sent = counts.simple() - before;
    assert!((2..=3).contains(&sent), "{sent} messages");
    assert_eq!(counts.parse(), 0);
}

#[tokio::test]
async fn a_models_own_error_is_passed_on() {
    let db = database(majors()[0], "").await;
    let mut session = session(&db.url()).await;
    let result =
        derive(&mut session, &DeriveOptions::default(), |_: &Facts| Err("no such type")).await;
    assert!(matches!(result, Err(DeriveError::Model("no such type"))));
}

fn check(relation: &str, sql: &str) -> Preflight {
    Preflight {
        relation: QName::new("public", relation),
        complaint: "is wrong".to_owned(),
        sql: sql.to_owned(),
    }
}

#[tokio::test]
async fn preflights_tell_values_and_counts() {
    for major in majors() {
        let sql = "CREATE TABLE t (a text); INSERT INTO t SELECT 'x' FROM generate_series(1, 5); INSERT INTO t VALUES (NULL), (NULL), ('y');
            CREATE TABLE many AS SELECT g::text AS a FROM generate_series(1, 50) g; CREATE TABLE secret (a text); INSERT INTO secret VALUES ('s');
            ALTER TABLE secret ENABLE ROW LEVEL SECURITY; CREATE SCHEMA closed; CREATE TABLE closed.c (a text);";
        let db = database(major, sql).await;
        let mut root = session(&db.url()).await;
        let count = |t: &str| format!("SELECT a, count(*) FROM {t} GROUP BY 1 ORDER BY 2 DESC, 1");
        let checks = [
            check("t", &count("public.t")),
            check("t", "SELECT a, count(*) FROM public.t WHERE a = 'none' GROUP BY 1"),
            check("many", &count("public.many")),
        ];
        let found = preflight(&mut root, &checks).await.unwrap();
        assert_eq!(found.len(), 2);
        let value = |text: &str, n: u64| (text.to_owned(), n);
        assert_eq!(found[0].values, [value("x", 5), value("NULL", 2), value("y", 1)]);
        assert!(!found[0].more && found[1].more);
        assert_eq!((found[1].values.len(), &found[1].preflight), (10, &checks[2]));
        assert!(preflight(&mut root, &[]).await.unwrap().is_empty());
        assert!(
            preflight(&mut root, &[check("t", "INSERT INTO public.t VALUES ('z') RETURNING a, 1")])
                .await
                .is_err()
        );

        // Functions of the model are found, and nothing leaves the transaction.
        root.send(
            "CREATE FUNCTION odd(text) RETURNS boolean LANGUAGE sql AS 'SELECT $1::int % 2 = 1'",
        )
        .await
        .unwrap();
        let odd =
            check("many", "SELECT a, 1 FROM public.many WHERE odd(a) AND a::int < 4 ORDER BY 1");
        assert_eq!(
            preflight(&mut root, &[odd]).await.unwrap()[0].values,
            [value("1", 1), value("3", 1)]
        );
        let out = check(
            "t",
            "SELECT a, 1 FROM public.t) x; COMMIT; DROP TABLE public.t; SELECT (SELECT 1",
        );
        assert!(preflight(&mut root, &[out]).await.is_err());
        assert!(!root.send("SELECT * FROM public.t").await.unwrap().is_empty());

        // What a role cannot see is said, all of it, and never taken for nothing.
        let role = unique_name("reader");
        root.send(&format!(
            "CREATE ROLE {role} LOGIN PASSWORD 'x'; GRANT SELECT ON t, secret TO {role}"
        ))
        .await
        .unwrap();
        let mut reader = session(&db.tcp_url(&role, "x")).await;
        let mut checks = checks.to_vec();
        checks.push(check("secret", &count("public.secret")));
        checks.push(Preflight {
            relation: QName::new("closed", "c"),
            ..check("c", &count("closed.c"))
        });
        let error = preflight(&mut reader, &checks).await.unwrap_err();
        let Error::Unreadable(relations) = &error else { panic!("{error}") };
        let said = |namespace: &str, name: &str, why| Unreadable {
            relation: QName::new(namespace, name),
            role: role.clone(),
            why,
        };
        let want = [
            said("closed", "c", Hidden::NoUsage),
            said("public", "many", Hidden::NoPrivilege),
            said("public", "secret", Hidden::RowSecurity),
        ];
        assert_eq!(relations, &want, "{error}");
        assert!(
            error.to_string().contains(&format!("GRANT SELECT ON public.many TO {role}")),
            "{error}"
        );
        assert_eq!(preflight(&mut reader, &checks[..1]).await.unwrap().len(), 1);

        let mut holder = session(&db.url()).await;
        holder.send("BEGIN; LOCK t").await.unwrap();
        if major == majors()[0] {
            let error = preflight(&mut root, &checks[..1]).await.unwrap_err();
            let Error::Blocked { blockers, .. } = &error else { panic!("{error}") };
            assert_eq!(blockers[0].pid, Some(holder.backend_pid));
        }
    }
}
