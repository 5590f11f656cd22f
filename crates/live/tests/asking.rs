//! Whether the server is understood when it says that two spellings are one expression.
//!
//! Each text is made a CHECK, a default or a policy of a real table, read back as the server
//! deparses it, and asked about against what the person wrote.

#![allow(clippy::unwrap_used)]

mod kit;

use std::collections::BTreeSet;

use kit::session;
use reconcile_catalog::{Question, Scope};
use reconcile_live::ask::ask;
use reconcile_live::connect::Session;
use reconcile_sql::SqlType;
use reconcile_testkit::{Database, database, majors, unique_name};

const COLUMNS: &[(&str, &str)] = &[
    ("id", "bigint"),
    ("role", "varchar(20)"),
    ("name", "text"),
    ("code", "char(3)"),
    ("n", "integer"),
    ("small", "smallint"),
    ("price", "numeric(10,2)"),
    ("ratio", "double precision"),
    ("at", "timestamptz"),
    ("local_at", "timestamp"),
    ("day", "date"),
    ("span", "interval"),
    ("ok", "boolean"),
    ("tags", "text[]"),
    ("doc", "jsonb"),
    ("key", "uuid"),
    ("status", "public.status"),
    ("short", "public.short_text"),
    ("userId", "integer"),
    ("addr", "inet"),
    ("period", "int4range"),
    ("roles", "varchar(20)[]"),
];

const SETUP: &str = "CREATE TYPE public.status AS ENUM ('new', 'done', 'lost');
CREATE DOMAIN public.short_text AS varchar(10) CHECK (VALUE <> '');
CREATE FUNCTION public.is_short(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT length($1) < 10';
CREATE FUNCTION public.is_brief(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT length($1) < 10';
CREATE FUNCTION public.five() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 5';
CREATE FUNCTION public.valid(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 <> ''''; END';
CREATE TABLE public.conversations (id bigint PRIMARY KEY, owner text, open boolean);";

/// What people write as a CHECK.
const CHECKS: &[&str] = &[
    "role IN ('user', 'assistant', 'system', 'tool')",
    "role in ('user','tool')",
    "role NOT IN ('user', 'tool')",
    "role = 'user'",
    "role <> 'system' OR name <> ''",
    "role != 'x'",
    "role = ANY (ARRAY['user', 'tool'])",
    "role::text = ANY (ARRAY['user'::text, 'tool'::text])",
    "role = 'user'::varchar",
    "messages.role = 'user'",
    "lower(role) = role",
    "char_length(role) > 3",
    "length(name) BETWEEN 1 AND 100",
    "name LIKE 'a%'",
    "name NOT ILIKE '%b_'",
    "name ~ '^[a-z]+$'",
    "name !~* 'x'",
    "name SIMILAR TO '(a|b)%'",
    "code IN ('abc', 'def')",
    "code = 'abc'",
    "n > 0",
    "n >= 0 AND n < 10",
    "(n > 0) and ((small < 5) or n is null)",
    "NOT (n = 1)",
    "n + small * 2 > 10 - n",
    "n % 2 = 0",
    "-n < 5",
    "n IN (1, 2, 3)",
    "n = -1",
    "price > 0",
    "price >= 0.01 AND price <= 1e6",
    "ratio BETWEEN 0 AND 1",
    "price * n < 1000",
    "at > '2020-01-01'",
    "at >= timestamptz '2020-01-01 00:00:00+02'",
    "local_at < at",
    "local_at > '2020-01-01'::timestamp",
    "day > DATE '2020-01-01'",
    "day - DATE '2020-01-01' > 5",
    "span < interval '1 day 2 hours'",
    "extract(year from at at time zone 'UTC') > 2000",
    "date_trunc('day', at, 'UTC') = at",
    "ok",
    "ok IS TRUE",
    "ok IS NOT FALSE",
    "NOT ok",
    "ok = true",
    "'x' = ANY (tags)",
    "tags @> ARRAY['a', 'b']",
    "cardinality(tags) < 5",
    "array_length(tags, 1) IS NOT NULL",
    "tags[1] <> ''",
    "doc ? 'a'",
    "doc->>'a' = 'b'",
    "(doc->'n')::int > 5",
    "jsonb_typeof(doc) = 'object'",
    "doc @> '{\"a\": 1}'",
    "key <> '00000000-0000-0000-0000-000000000000'",
    "status = 'new'",
    "status IN ('new', 'done')",
    "status <> ALL (ARRAY['lost'::public.status])",
    "status::text = 'new'",
    "short <> 'a'",
    "short IN ('a', 'b')",
    "\"userId\" > 0",
    "messages.\"userId\" IS DISTINCT FROM 5",
    "addr << '10.0.0.0/8'",
    "period @> 5",
    "period && int4range(1, 10)",
    "coalesce(role, 'none') <> ''",
    "nullif(role, '') IS NOT NULL",
    "CASE WHEN n > 0 THEN role = 'user' ELSE false END",
    "CASE role WHEN 'user' THEN 1 WHEN 'tool' THEN 2 END = 1",
    "greatest(n, small) < 100",
    "is_short(name)",
    "public.is_short(role)",
    "valid(role)",
    "n < five()",
    "trim(name) = name",
    "trim(both 'x' from name) <> ''",
    "substring(name from 1 for 2) = 'ab'",
    "position('a' in name) > 0",
    "overlay(name placing 'x' from 1) <> 'y'",
    "name || role <> 'xy'",
    "upper(left(name, 1)) = left(name, 1)",
    "(n, small) <> (1, 2)",
    "ROW(n, role) IS NOT NULL",
    "name COLLATE \"C\" < 'b'",
    "'user' = ANY (roles)",
    "roles <@ ARRAY['user', 'tool']::varchar[]",
    "CAST(name AS numeric(10, 2)) > 0",
    "num_nonnulls(role, name) = 1",
    "role IS NULL OR role = 'a''b'",
    "name = E'tab\\there'",
    "name <> $q$it's$q$",
    "tableoid > 0",
];

/// A text, and another one that means something else.
const EDITS: &[(&str, &str)] = &[
    ("role IN ('user', 'assistant', 'system', 'tool')", "role IN ('user', 'assistant', 'system')"),
    ("role IN ('user', 'tool')", "role IN ('user', 'Tool')"),
    ("role IN ('user', 'tool')", "role NOT IN ('user', 'tool')"),
    ("role = 'user'", "name = 'user'"),
    ("role = 'user'", "role <> 'user'"),
    ("role = 'user'", "role = 'user '"),
    ("n > 0", "n >= 0"),
    ("n > 0", "n > 1"),
    ("n > 0", "small > 0"),
    ("n >= 0 AND n < 10", "n >= 0 OR n < 10"),
    ("(n > 0 OR small > 0) AND ok", "n > 0 OR (small > 0 AND ok)"),
    ("length(name) BETWEEN 1 AND 100", "length(name) BETWEEN 1 AND 101"),
    ("name LIKE 'a%'", "name ILIKE 'a%'"),
    ("lower(role) = role", "upper(role) = role"),
    ("at > '2020-01-01'", "at > '2020-01-02'"),
    ("status IN ('new', 'done')", "status IN ('new', 'lost')"),
    ("doc->>'a' = 'b'", "doc->>'b' = 'b'"),
    ("coalesce(role, 'none') <> ''", "coalesce(name, 'none') <> ''"),
    ("n - small > 0", "small - n > 0"),
    ("ok IS TRUE", "ok IS NOT FALSE"),
    ("'x' = ANY (tags)", "'x' = ALL (tags)"),
    ("price >= 0.01", "price >= 0.1"),
    ("n IS NULL", "n IS NOT NULL"),
    ("CASE WHEN n > 0 THEN ok ELSE false END", "CASE WHEN n > 0 THEN ok ELSE true END"),
    ("name = role", "name || '' = role"),
];

/// A type, a default as people write it, and one that means something else.
const DEFAULTS: &[(&str, &str, &str)] = &[
    ("varchar(20)", "'user'", "'tool'"),
    ("varchar(20)", "'user'::varchar", "'User'::varchar"),
    ("text", "''", "' '"),
    ("timestamptz", "now()", "statement_timestamp()"),
    ("timestamptz", "CURRENT_TIMESTAMP", "LOCALTIMESTAMP"),
    ("timestamptz", "'2020-01-01 00:00:00+00'", "'2020-01-01 00:00:01+00'"),
    ("date", "CURRENT_DATE", "CURRENT_DATE + 1"),
    ("integer", "0", "1"),
    ("integer", "-1", "1"),
    ("bigint", "0", "1"),
    ("numeric(10,2)", "0", "0.01"),
    ("boolean", "false", "true"),
    ("boolean", "'t'", "'f'"),
    ("jsonb", "'{}'", "'[]'"),
    ("text[]", "'{}'", "'{a}'"),
    ("text[]", "ARRAY['a', 'b']", "ARRAY['b', 'a']"),
    ("uuid", "gen_random_uuid()", "'00000000-0000-0000-0000-000000000000'"),
    ("public.status", "'new'", "'done'"),
    ("interval", "'1 day'", "'2 days'"),
    ("varchar(20)", "CURRENT_USER", "SESSION_USER"),
];

fn scope() -> Scope {
    Scope {
        namespace: "public".to_owned(),
        relation: "messages".to_owned(),
        columns: COLUMNS
            .iter()
            .map(|(name, ty)| ((*name).to_owned(), SqlType::parse(ty).unwrap()))
            .collect(),
        assigned_to: None,
    }
}

fn question(scope: &Scope, left: &str, right: &str) -> Question {
    Question { scope: scope.clone(), left: left.to_owned(), right: right.to_owned() }
}

/// The role that may connect and nothing else, and its session.
async fn stranger(db: &Database, root: &mut Session) -> Session {
    let role = unique_name("stranger");
    root.send(&format!("CREATE ROLE {role} LOGIN PASSWORD 'x'")).await.unwrap();
    session(&db.tcp_url(&role, "x")).await
}

/// A database with the table, and a session on it.
async fn prepared(major: u32) -> (Database, Session) {
    let columns: Vec<String> =
        COLUMNS.iter().map(|(name, ty)| format!("\"{name}\" {ty}")).collect();
    let table = format!("CREATE TABLE public.messages ({})", columns.join(", "));
    let db = database(major, &format!("{SETUP}{table};")).await;
    let session = session(&db.url()).await;
    (db, session)
}

/// Each text as the server deparses it after it was made a CHECK.
async fn deparsed(session: &mut Session, texts: &[&str]) -> Vec<String> {
    let mut sql = String::new();
    for (at, text) in texts.iter().enumerate() {
        sql.push_str(&format!("ALTER TABLE public.messages ADD CONSTRAINT c{at} CHECK ({text}); "));
    }
    sql.push_str(
        "SET LOCAL search_path = ''; SELECT pg_get_expr(conbin, conrelid) AS text FROM pg_constraint \
         WHERE conrelid = 'public.messages'::regclass AND contype = 'c' ORDER BY substr(conname, 2)::int",
    );
    let rows =
        session.send(&format!("BEGIN; {sql}; ROLLBACK")).await.unwrap_or_else(|e| panic!("{e}"));
    let texts_read: Vec<String> = rows.iter().map(|r| r.get("text").unwrap().to_owned()).collect();
    assert_eq!(texts_read.len(), texts.len());
    texts_read
}

#[tokio::test]
async fn a_persons_spelling_is_the_servers() {
    for major in majors() {
        let (db, mut root) = prepared(major).await;
        let live = deparsed(&mut root, CHECKS).await;
        let scope = scope();
        let questions: BTreeSet<Question> =
            CHECKS.iter().zip(&live).map(|(person, live)| question(&scope, person, live)).collect();
        assert!(questions.len() >= 60);
        for session in [&mut root, &mut stranger(&db, &mut session(&db.url()).await).await] {
            let known = ask(session, &questions).await.unwrap();
            for question in &questions {
                assert_eq!(
                    known.verdict(question),
                    Some(true),
                    "{major} {}: {} / {}",
                    session.role,
                    question.left,
                    question.right
                );
            }
        }
    }
}

#[tokio::test]
async fn an_edit_is_seen() {
    for major in majors() {
        let (db, mut root) = prepared(major).await;
        let (left, right): (Vec<&str>, Vec<&str>) = EDITS.iter().copied().unzip();
        let (left_live, right_live) =
            (deparsed(&mut root, &left).await, deparsed(&mut root, &right).await);
        let scope = scope();
        let mut questions = BTreeSet::new();
        for at in 0..EDITS.len() {
            questions.insert(question(&scope, left[at], &right_live[at]));
            questions.insert(question(&scope, right[at], &left_live[at]));
        }
        for session in [&mut root, &mut stranger(&db, &mut session(&db.url()).await).await] {
            let known = ask(session, &questions).await.unwrap();
            for question in &questions {
                assert_eq!(
                    known.verdict(question),
                    Some(false),
                    "{major} {}: {} / {}",
                    session.role,
                    question.left,
                    question.right
                );
            }
        }
    }
}

#[tokio::test]
async fn defaults_are_of_their_columns_type() {
    for major in majors() {
        let (_db, mut root) = prepared(major).await;
        for (ty, person, other) in DEFAULTS {
            let sql = format!(
                "BEGIN; CREATE TABLE public.d (a {ty} DEFAULT {person}); SET LOCAL search_path = ''; \
                 SELECT pg_get_expr(adbin, adrelid) AS text FROM pg_attrdef WHERE adrelid = 'public.d'::regclass; ROLLBACK"
            );
            let rows = root.send(&sql).await.unwrap_or_else(|e| panic!("{e}"));
            let live = rows[0].get("text").unwrap();
            let scope = Scope {
                namespace: "public".to_owned(),
                assigned_to: Some(SqlType::parse(ty).unwrap()),
                ..Scope::default()
            };
            let (same, edited) = (question(&scope, person, live), question(&scope, other, live));
            let known = ask(&mut root, &[same.clone(), edited.clone()].into()).await.unwrap();
            assert_eq!(known.verdict(&same), Some(true), "{major} {ty}: {person} / {live}");
            assert_eq!(known.verdict(&edited), Some(false), "{major} {ty}: {other} / {live}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_analysed_stays_open_and_spoils_nothing() {
    for major in majors() {
        let (_db, mut root) = prepared(major).await;
        let scope = scope();
        let mut new_column = scope.clone();
        new_column.columns.push(("kind".to_owned(), SqlType::parse("public.not_yet").unwrap()));
        let open = [
            question(&scope, "no_such_function(n)", "n > 0"),
            question(&scope, "no_such_column > 0", "n > 0"),
            question(&scope, "n >", "n > 0"),
            question(&scope, "n > 0); DROP TABLE public.messages; --", "n > 0"),
            question(
                &scope,
                "n > 0) FROM public.messages; COMMIT; DROP TABLE public.messages; --",
                "n > 0",
            ),
            // No position comes with it: the planner divides.
            question(&scope, "n > 1 / 0", "n > 2 / 0"),
            question(&new_column, "kind = 'a'", "kind = 'a'::public.not_yet"),
            // The body of each is inlined, and equal.
            question(&scope, "is_short(name)", "public.is_brief(name)"),
            question(&scope, "n < five()", "n < 5"),
            // A plan does not print collations.
            question(&scope, "name = role::text COLLATE \"C\"", "name = role"),
            question(
                &scope,
                "name = role::text COLLATE \"C\"",
                "name = role::text COLLATE \"POSIX\"",
            ),
        ];
        let told = [
            question(&scope, "n > 0 AND n < 5", "((n > 0) AND (n < 5))"),
            question(&scope, "role IN ('a')", "((role)::text = 'a'::text)"),
            question(&new_column, "n > 7", "(n > 7)"),
        ];
        let questions: BTreeSet<Question> = open.iter().chain(&told).cloned().collect();
        let known = ask(&mut root, &questions).await.unwrap();
        for question in &open {
            assert_eq!(
                known.verdict(question),
                None,
                "{major}: {} / {}",
                question.left,
                question.right
            );
        }
        for question in &told {
            assert_eq!(
                known.verdict(question),
                Some(true),
                "{major}: {} / {}",
                question.left,
                question.right
            );
        }
        root.send("SELECT FROM public.messages").await.unwrap();
        assert_eq!(root.send("SHOW transaction_read_only").await.unwrap()[0].at(0), Some("off"));
    }
}

/// Policies look into other tables.
const POLICIES: &[(&str, &str, bool)] = &[
    (
        "EXISTS (SELECT 1 FROM conversations c WHERE c.id = messages.id AND c.open)",
        "EXISTS (SELECT 1 FROM conversations c WHERE c.id = messages.id AND NOT c.open)",
        true,
    ),
    (
        "name = (SELECT owner FROM conversations c WHERE c.id = messages.id LIMIT 1)",
        "name = (SELECT owner FROM conversations c WHERE c.id = messages.id LIMIT 2)",
        true,
    ),
    (
        "id IN (SELECT id FROM conversations WHERE owner = CURRENT_USER)",
        "n IN (SELECT id FROM conversations WHERE owner = CURRENT_USER)",
        // Before 17 a plan does not show what is compared with the rows.
        false,
    ),
];

#[tokio::test]
async fn sub_selects_are_told_by_the_whole_plan() {
    for major in majors() {
        let (_db, mut root) = prepared(major).await;
        for (person, edit, every_version) in POLICIES {
            let sql = format!(
                "BEGIN; CREATE POLICY p ON public.messages USING ({person}); SET LOCAL search_path = ''; \
                 SELECT pg_get_expr(polqual, polrelid) AS text FROM pg_policy; ROLLBACK"
            );
            let rows = root.send(&sql).await.unwrap_or_else(|e| panic!("{e}"));
            let live = rows[0].get("text").unwrap();
            let scope = scope();
            let (same, edited) = (question(&scope, person, live), question(&scope, edit, live));
            let known = ask(&mut root, &[same.clone(), edited.clone()].into()).await.unwrap();
            let told = *every_version || major >= 17;
            assert_eq!(known.verdict(&same), told.then_some(true), "{major}: {person} / {live}");
            assert_eq!(known.verdict(&edited), None, "{major}: {edit} / {live}");
        }
    }
}

#[tokio::test]
async fn names_are_looked_up_beside_the_relation() {
    let major = majors()[0];
    let sql = "CREATE SCHEMA app; CREATE SCHEMA \"Other\";
        CREATE FUNCTION app.f(int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 > 0';
        CREATE FUNCTION \"Other\".f(int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 > 0';";
    let db = database(major, sql).await;
    let mut root = session(&db.url()).await;
    let scope = |namespace: &str| Scope {
        namespace: namespace.to_owned(),
        relation: "t".to_owned(),
        columns: vec![("n".to_owned(), SqlType::built_in("integer"))],
        assigned_to: None,
    };
    let cases = [
        (question(&scope("app"), "f(n)", "app.f(n)"), Some(true)),
        (question(&scope("Other"), "f(n)", "\"Other\".f(n)"), Some(true)),
        (question(&scope("app"), "f(n)", "\"Other\".f(n)"), None),
        (question(&scope("public"), "f(n)", "app.f(n)"), None),
    ];
    let known = ask(&mut root, &cases.iter().map(|(q, _)| q.clone()).collect()).await.unwrap();
    for (question, verdict) in &cases {
        assert_eq!(known.verdict(question), *verdict, "{question:?}");
    }
}
