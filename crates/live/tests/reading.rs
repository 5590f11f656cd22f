//! The catalog as it is read from real servers.

#![allow(clippy::unwrap_used)]

mod kit;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kit::{all_fixtures, counting, dump, fixtures, read, session};
use reconcile_live::blockers::blockers;
use reconcile_live::connect::{ConnectOptions, connect};
use reconcile_live::error::Error;
use reconcile_live::facts::sizes;
use reconcile_live::introspect::{ReadOptions, introspect};
use reconcile_live::target::Target;
use reconcile_sql::{LockLevel, QName};
use reconcile_testkit::{Database, database, majors, unique_name};

fn qname(name: &str) -> QName {
    QName::new("public", name)
}

async fn fixture(major: u32, name: &str) -> Database {
    let db = database(major, "").await;
    db.load_file(&fixtures().join("messages").join(name)).await;
    db
}

#[tokio::test]
async fn every_fixture_is_read_on_every_version() {
    for major in majors() {
        for path in all_fixtures() {
            let db = database(major, "").await;
            db.load_file(&path).await;
            let snapshot = read(&db).await;
            assert!(snapshot.catalog.len() > 5, "{major} {}", path.display());
            assert_eq!(snapshot.version.major(), major);
            for object in snapshot.catalog.objects() {
                assert!(!object.definition.to_json().is_null(), "{}", object.address);
                for parent in object.parent.iter().filter(|_| object.address.target().is_none()) {
                    assert!(snapshot.catalog.contains(parent), "{} in {parent}", object.address);
                }
            }
            // Reading is a function of the database.
            let again = read(&db).await;
            assert_eq!(dump(&snapshot.catalog), dump(&again.catalog));
            assert_eq!((&snapshot.facts, &snapshot.generation), (&again.facts, &again.generation));
        }
    }
}

#[tokio::test]
async fn oids_do_not_show() {
    for major in majors() {
        let sql = std::fs::read_to_string(fixtures().join("messages/lived_in.sql")).unwrap();
        let plain = database(major, &sql).await;
        // Other OIDs, and dropped columns and objects in between.
        let churned = database(
            major,
            "CREATE TABLE churn (a int PRIMARY KEY, b text, c text); CREATE TYPE churned AS ENUM ('a'); \
             CREATE VIEW churn_view AS SELECT * FROM churn; DROP TABLE churn CASCADE; DROP TYPE churned;",
        )
        .await;
        churned.load(&sql).await;
        churned
            .load("CREATE SEQUENCE s; DROP SEQUENCE s; CREATE TABLE x (i int); DROP TABLE x;")
            .await;
        let (plain, churned) = (read(&plain).await, read(&churned).await);
        assert_eq!(dump(&plain.catalog), dump(&churned.catalog));
        assert_eq!(plain.facts, churned.facts);
    }
}

#[tokio::test]
async fn lived_in_is_seen_whole() {
    for major in majors() {
        let db = fixture(major, "lived_in.sql").await;
        let snapshot = read(&db).await;
        let text = dump(&snapshot.catalog);
        let has = |part: &str| assert!(text.contains(part), "{major}: {part}\n{text}");
        for address in [
            "column:public.messages.role in ",
            "view:public.message_turns in ",
            "view:public.assistant_turns in ",
            "materialized_view:public.role_counts in ",
            "index:public.messages.messages_user_idx in ",
            "index:public.role_counts.role_counts_role_idx in ",
            "policy:public.messages.app_reads in ",
            "trigger:public.messages.messages_trim_tool in ",
            "constraint:public.messages.messages_system_has_text in ",
            "constraint:public.messages.messages_conversation_id_fkey in ",
            "constraint:public.messages.messages_pkey in ",
            "enum:public.message_role in ",
            "comment:policy:public.messages.app_reads in ",
            "comment:trigger:public.messages.messages_role_changed in ",
            "comment:constraint:public.messages.messages_system_has_text in ",
            "comment:column:public.message_turns.role in ",
            "owner:view:public.message_turns in ",
            "grant:table:public.messages in ",
        ] {
            has(address);
        }
        // Who depends on the column, and on the type.
        let role = snapshot
            .catalog
            .objects()
            .find(|o| o.address.to_string() == "column:public.messages.role");
        let role = &role.unwrap().address;
        let dependents: Vec<String> =
            snapshot.catalog.dependents(role).map(|o| o.address.to_string()).collect();
        for dependent in [
            "constraint:public.messages.messages_system_has_text",
            "index:public.messages.messages_role_idx",
            "index:public.messages.messages_user_idx",
            "materialized_view:public.role_counts",
            "policy:public.messages.app_reads",
            "policy:public.messages.app_writes",
            "trigger:public.messages.messages_role_changed",
            "trigger:public.messages.messages_trim_tool",
            "view:public.message_turns",
        ] {
            assert!(
                dependents.iter().any(|d| d == dependent),
                "{major}: {dependent} of {dependents:?}"
            );
        }
        let facts = &snapshot.facts;
        assert!(facts.types.contains(&qname("message_role")));
        assert_eq!(facts.default_grantees, BTreeSet::from(["chat_guest".to_owned()]));
        assert_eq!(facts.current_role, "postgres");
        assert!(facts.published.is_empty() && facts.followers.is_empty());
        if major >= 15 {
            has("security_invoker=true");
        }
        has("security_barrier=true");
        has("fillfactor=90");
    }
}

/// One of everything that no kind reads, among much that one does.
const UNMODELLED: &str = "
    CREATE SCHEMA app; CREATE SEQUENCE loose;
    CREATE TABLE t (a serial, b int GENERATED ALWAYS AS IDENTITY); CREATE STATISTICS st ON a, b FROM t;
    CREATE DOMAIN app.short AS varchar(10); CREATE TYPE pair AS (x int, y int);
    CREATE TYPE app.spread AS RANGE (subtype = float8); CREATE TYPE color AS ENUM ('red');
    CREATE TABLE p (a int, b int) PARTITION BY LIST (a); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
    CREATE TABLE other (a int); CREATE VIEW v AS SELECT a FROM other; CREATE EXTENSION citext;
    CREATE FUNCTION app.f(int) RETURNS int LANGUAGE sql AS 'SELECT 1';

    CREATE TABLE typed OF pair; CREATE TYPE app.shell; CREATE COLLATION app.c (locale = 'C');
    CREATE PUBLICATION pub FOR TABLE p;
    CREATE OPERATOR app.!!! (FUNCTION = app.f, RIGHTARG = int); CREATE CAST (pair AS text) WITH INOUT;
    CREATE FUNCTION app.flip(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $2 - $1';
    CREATE OPERATOR CLASS app.flipped FOR TYPE int USING btree AS OPERATOR 1 >, OPERATOR 2 >=, OPERATOR 3 =,
        OPERATOR 4 <=, OPERATOR 5 <, FUNCTION 1 app.flip(int, int);
    CREATE TEXT SEARCH CONFIGURATION app.words (COPY = simple);
    CREATE TEXT SEARCH DICTIONARY app.dictionary (TEMPLATE = simple);
    CREATE TEXT SEARCH TEMPLATE app.template (LEXIZE = dsimple_lexize);
    CREATE TEXT SEARCH PARSER app.parser
        (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype);
    CREATE CONVERSION app.conversion FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
    CREATE ACCESS METHOD pile TYPE TABLE HANDLER heap_tableam_handler;
    CREATE LANGUAGE speech HANDLER plpgsql_call_handler;
    CREATE TRANSFORM FOR bool LANGUAGE speech (FROM SQL WITH FUNCTION prsd_lextype(internal));
    CREATE FOREIGN DATA WRAPPER wrapper; CREATE SERVER elsewhere FOREIGN DATA WRAPPER wrapper;
    CREATE USER MAPPING FOR CURRENT_USER SERVER elsewhere;
    CREATE FOREIGN TABLE app.far (a int, b int) SERVER elsewhere;
    CREATE STATISTICS app.far_st ON a, b FROM app.far;
    ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC;
    ALTER DEFAULT PRIVILEGES GRANT USAGE ON SEQUENCES TO PUBLIC;
    CREATE FUNCTION et() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
    CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION et();
";

#[tokio::test]
async fn facts_name_what_is_not_modelled() {
    for major in majors() {
        let db = database(major, UNMODELLED).await;
        let facts = read(&db).await.facts;
        let found: Vec<(&str, usize)> =
            facts.exclusions.iter().map(|(name, all)| (name.as_str(), all.len())).collect();
        let wanted = [
            ("access methods", 1),
            ("base types", 1),
            ("casts", 1),
            ("collations", 1),
            ("conversions", 1),
            ("default privileges", 2),
            ("event triggers", 1),
            ("extended statistics", 1),
            ("foreign servers", 1),
            ("foreign tables", 1),
            ("foreign-data wrappers", 1),
            ("languages", 1),
            ("operator classes", 1),
            ("operator families", 1),
            ("operators", 1),
            ("publications", 1),
            ("text search configurations", 1),
            ("text search dictionaries", 1),
            ("text search parsers", 1),
            ("text search templates", 1),
            ("transforms", 1),
            ("typed tables", 1),
            ("user mappings", 1),
        ];
        assert_eq!(found, wanted, "{major}: {:?}", facts.exclusions);
        let types: Vec<String> = facts.types.iter().map(ToString::to_string).collect();
        for name in ["app.short", "app.spread", "public.color", "public.pair"] {
            assert!(types.iter().any(|t| t == name), "{major}: {name} of {types:?}");
        }
        assert!(!types.iter().any(|t| t.starts_with("pg_") || t.contains("._")), "{types:?}");
        assert!(facts.default_grantees.contains("public"));
        assert_eq!(facts.published, BTreeSet::from([qname("p"), qname("p1")]));

        db.load("CREATE PUBLICATION everything FOR ALL TABLES").await;
        let facts = read(&db).await.facts;
        assert!(facts.published.contains(&qname("other")));
    }
}

/// A role that may do nothing sees the same catalog.
#[tokio::test]
async fn privileges_hide_nothing() {
    for major in majors() {
        let db = fixture(major, "lived_in.sql").await;
        let role = unique_name("stranger");
        session(&db.url())
            .await
            .send(&format!("CREATE ROLE {role} LOGIN PASSWORD 'x'"))
            .await
            .unwrap();
        let mut stranger = session(&db.tcp_url(&role, "x")).await;
        let seen = introspect(&mut stranger, &ReadOptions::default())
            .await
            .unwrap_or_else(|e| panic!("{e}"));
        let all = read(&db).await;
        assert_eq!(dump(&seen.catalog), dump(&all.catalog));
        assert_eq!(seen.facts.current_role, role);
        assert_eq!(seen.facts.types, all.facts.types);
        let sizes = sizes(&mut stranger, &[qname("messages")].into()).await.unwrap();
        assert!(sizes[&qname("messages")].bytes > 0);
    }
}

#[tokio::test]
async fn a_catalog_is_one_message_whatever_its_size() {
    let major = majors()[0];
    let role = unique_name("reader");
    let db = database(major, &format!("CREATE ROLE {role} LOGIN PASSWORD 'x'")).await;
    let (port, counts) = counting::proxy(db.server().port()).await;
    let url = format!("postgresql://{role}:x@127.0.0.1:{port}/{}?sslmode=disable", db.name());
    let mut reader = session(&url).await;
    let mut sent = Vec::new();
    for tables in [0, 5, 200] {
        let sql: String = (0..tables)
            .map(|n| {
                format!(
                    "CREATE TABLE t{tables}_{n} (id int PRIMARY KEY, a text CHECK (a <> '')); \
                     CREATE VIEW v{tables}_{n} AS SELECT * FROM t{tables}_{n};"
                )
            })
            .collect();
        db.load(&sql).await;
        let before = counts.simple();
        let snapshot = introspect(&mut reader, &ReadOptions::default()).await.unwrap();
        assert!(snapshot.catalog.len() > tables * 6);
        let of: BTreeSet<QName> = (0..tables).map(|n| qname(&format!("t{tables}_{n}"))).collect();
        let sizes = sizes(&mut reader, &of).await.unwrap();
        assert_eq!(sizes.len(), tables);
        sent.push(counts.simple() - before - usize::from(tables > 0));
    }
    assert_eq!(sent, [1, 1, 1]);
    assert_eq!(counts.parse(), 0, "nothing is prepared");
}

/// A pooled session sets nothing for longer than a transaction, the role included.
#[tokio::test]
async fn a_pooled_session_keeps_nothing() {
    let db = fixture(majors()[0], "lived_in.sql").await;
    let target = Target::parse(&db.url()).unwrap().target;
    let options = ConnectOptions {
        role: Some("chat_owner".to_owned()),
        pooled: true,
        ..ConnectOptions::default()
    };
    let mut pooled = connect(&target, &options).await.unwrap();
    let snapshot = introspect(&mut pooled, &ReadOptions::default()).await.unwrap();
    assert_eq!(snapshot.facts.current_role, "chat_owner");
    let row = &pooled
        .send("SELECT current_user, current_setting('search_path') AS path, current_setting('lock_timeout') AS lock")
        .await
        .unwrap()[0];
    assert_eq!(row.get("current_user"), Some("postgres"));
    assert_eq!((row.get("path"), row.get("lock")), (Some("\"$user\", public"), Some("0")));
}

#[tokio::test]
async fn a_namespace_can_be_passed_over() {
    let sql = "CREATE SCHEMA journal; CREATE TABLE journal.runs (id int); CREATE TYPE journal.t AS ENUM ('a'); CREATE SEQUENCE journal.s;";
    let db = database(majors()[0], sql).await;
    let options =
        ReadOptions { hidden_namespace: Some("journal".to_owned()), ..ReadOptions::default() };
    let snapshot = introspect(&mut session(&db.url()).await, &options).await.unwrap();
    assert!(!dump(&snapshot.catalog).contains("journal"));
    assert!(snapshot.facts.types.is_empty() && snapshot.facts.exclusions.is_empty());
}

#[tokio::test]
async fn who_holds_a_lock_is_named() {
    for major in majors() {
        let db = fixture(major, "lived_in.sql").await;
        let role = unique_name("stranger");
        let mut holder = session(&db.url()).await;
        holder.send(&format!("CREATE ROLE {role} LOGIN PASSWORD 'x'")).await.unwrap();
        holder.send("BEGIN; LOCK messages IN ACCESS EXCLUSIVE MODE").await.unwrap();
        let options =
            ReadOptions { lock_timeout: Duration::from_millis(100), ..ReadOptions::default() };
        let mut reader = session(&db.url()).await;
        let Err(Error::Blocked { blockers: found, error, .. }) =
            introspect(&mut reader, &options).await
        else {
            panic!("{major}: the view's text is read without a lock");
        };
        assert!(error.is_lock_timeout());
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].pid, Some(holder.backend_pid));
        assert_eq!(found[0].role.as_deref(), Some("postgres"));
        assert_eq!(found[0].state.as_deref(), Some("idle in transaction"));
        assert_eq!(found[0].lock, Some((LockLevel::AccessExclusive, qname("messages"))));
        assert!(found[0].query.as_deref().unwrap().contains("LOCK messages"));
        assert!(
            found[0].to_string().contains("holds ACCESS EXCLUSIVE on public.messages"),
            "{}",
            found[0]
        );

        // Sizes do not wait.
        let began = Instant::now();
        let measured =
            sizes(&mut reader, &[qname("messages"), qname("conversations")].into()).await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(2));
        assert!(measured[&qname("conversations")].bytes > 0);
        assert!(measured.contains_key(&qname("messages")));

        // A stranger sees who, and not what.
        let mut stranger = session(&db.tcp_url(&role, "x")).await;
        let wanted = [
            (qname("messages"), LockLevel::AccessShare),
            (qname("conversations"), LockLevel::AccessExclusive),
        ];
        let seen = blockers(&mut stranger, &wanted, &[]).await.unwrap();
        assert_eq!(seen.len(), 1);
        assert!(
            seen[0].hidden && seen[0].query.is_none() && seen[0].pid == Some(holder.backend_pid)
        );
        assert!(seen[0].to_string().contains("needs pg_read_all_stats"), "{}", seen[0]);
        assert!(blockers(&mut stranger, &wanted, &[holder.backend_pid]).await.unwrap().is_empty());

        // A conflict is a matter of both modes.
        holder.rollback().await.unwrap();
        holder.send("BEGIN; LOCK messages IN SHARE MODE").await.unwrap();
        let mut ask = async |level| {
            let wanted = [(qname("messages"), level)];
            blockers(&mut stranger, &wanted, &[]).await.unwrap().len()
        };
        assert_eq!(ask(LockLevel::RowExclusive).await, 1);
        assert_eq!(ask(LockLevel::Share).await, 0);
        assert_eq!(ask(LockLevel::AccessShare).await, 0);
    }
}

#[tokio::test]
async fn sizes_of_trees_are_sums() {
    for major in majors() {
        let sql = "CREATE TABLE part (id int PRIMARY KEY, x text) PARTITION BY RANGE (id);
            CREATE TABLE part1 PARTITION OF part FOR VALUES FROM (0) TO (1000); CREATE TABLE part2 PARTITION OF part FOR VALUES FROM (1000) TO (9000);
            INSERT INTO part SELECT g, repeat('x', 100) FROM generate_series(1, 3000) g;
            CREATE TABLE parent (a text); CREATE TABLE child () INHERITS (parent);
            INSERT INTO parent SELECT repeat('y', 50) FROM generate_series(1, 1000); INSERT INTO child SELECT 'z' FROM generate_series(1, 500);
            CREATE TABLE empty (a int); CREATE VIEW v AS SELECT 1;
            CREATE MATERIALIZED VIEW m AS SELECT generate_series(1, 1000) AS n; ANALYZE part; ANALYZE part1; ANALYZE part2; ANALYZE parent; ANALYZE child; ANALYZE m;";
        let db = database(major, sql).await;
        let names =
            ["part", "part1", "part2", "parent", "child", "fresh", "empty", "v", "m", "nowhere"];
        let mut session = session(&db.url()).await;
        let fresh = "CREATE TABLE fresh (a int); INSERT INTO fresh SELECT generate_series(1, 5000)";
        session.send(fresh).await.unwrap();
        let sizes = sizes(&mut session, &names.map(qname).into()).await.unwrap();
        let of = |name: &str| sizes[&qname(name)];
        assert!(!sizes.contains_key(&qname("v")) && !sizes.contains_key(&qname("nowhere")));
        assert_eq!(of("part").bytes, of("part1").bytes + of("part2").bytes);
        assert_eq!(of("part").index_bytes, of("part1").index_bytes + of("part2").index_bytes);
        assert!(of("part").index_bytes > 0);
        assert_eq!((of("part").rows, of("part2").rows), (3000.0, 2001.0));
        assert_eq!((of("parent").rows, of("child").rows, of("m").rows), (1500.0, 500.0, 1000.0));
        assert!(of("parent").bytes > of("child").bytes);
        assert!(of("fresh").rows < 0.0, "nobody has looked yet");
        assert_eq!(of("empty").rows, 0.0);
    }
}

/// Somebody renames, drops and creates while we read: what comes back is one state or an error.
#[tokio::test]
async fn a_moving_catalog_is_read_again() {
    for major in majors() {
        let db = fixture(major, "lived_in.sql").await;
        let still = read(&db).await;
        db.load("CREATE TABLE stays (a int)").await;
        let moved = read(&db).await;
        assert_ne!(still.generation, moved.generation);
        // Statistics and temporary tables do not count.
        let mut other = session(&db.url()).await;
        other.send("CREATE TEMP TABLE passing (a serial PRIMARY KEY, b text)").await.unwrap();
        other.send("ANALYZE messages").await.unwrap();
        assert_eq!(read(&db).await.generation, moved.generation);
        for change in [
            "ALTER TABLE stays RENAME a TO b",
            "ALTER TABLE stays ALTER b SET NOT NULL",
            "COMMENT ON COLUMN stays.b IS 'x'",
            "GRANT SELECT (b) ON stays TO PUBLIC",
            "ALTER TABLE stays ALTER b SET DEFAULT 5",
            "ALTER TABLE messages DISABLE TRIGGER messages_trim_tool",
            "ALTER TYPE message_role ADD VALUE 'new'",
            "CREATE INDEX ON stays (b)",
        ] {
            let before = read(&db).await.generation;
            other.send(change).await.unwrap();
            assert_ne!(before, read(&db).await.generation, "{major}: {change}");
        }

        let stop = Arc::new(AtomicBool::new(false));
        let ddl = {
            let (stop, url) = (Arc::clone(&stop), db.url());
            tokio::spawn(async move {
                let mut session = session(&url).await;
                let mut times = 0;
                while !stop.load(Ordering::SeqCst) {
                    session
                        .send(
                            "BEGIN; DROP VIEW IF EXISTS flips; DROP TABLE IF EXISTS flip; \
                             CREATE TABLE flip (a int CHECK (a > 0)); CREATE VIEW flips AS SELECT * FROM flip; COMMIT",
                        )
                        .await
                        .unwrap();
                    times += 1;
                    tokio::time::sleep(Duration::from_millis(if times % 20 == 0 {
                        300
                    } else {
                        2
                    }))
                    .await;
                }
            })
        };
        let mut reader = session(&db.url()).await;
        for _ in 0..8 {
            match introspect(&mut reader, &ReadOptions::default()).await {
                Ok(snapshot) => {
                    let text = dump(&snapshot.catalog);
                    if text.contains("view:public.flips in ") {
                        assert!(
                            text.contains("table:public.flip in ")
                                && text.contains("column:public.flip.a in ")
                        );
                        assert!(text.contains("constraint:public.flip.flip_a_check in "));
                    }
                }
                Err(Error::Moving { attempts, .. }) => assert_eq!(attempts, 5),
                Err(error) => panic!("{major}: {error}"),
            }
        }
        stop.store(true, Ordering::SeqCst);
        ddl.await.unwrap();
    }
}
