//! Where an online change could lose, block or give away something: what hangs on the column in unusual
//! ways, what values do that nearly fit, and what others may do with what the change makes.

#![allow(clippy::unwrap_used)]

mod common;

use common::place::Place;
use common::{DONE, PARTIAL, REFUSED, dump, on};
use reconcile_testkit::{majors, unique_name};

const TALK: &str = "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TABLE talk (id int PRIMARY KEY, mood mood NOT NULL); \
    INSERT INTO talk VALUES (1, 'sad'), (2, 'ok');";
const TEXT: &str = "tables: {talk: {columns: {mood: {type: varchar(10), nullable: false}}}}\n";

#[tokio::test]
async fn nobody_acts_with_our_rights_by_the_function_of_the_trigger() {
    for major in majors() {
        let place = Place::new(major, TALK).await;
        place.online(TEXT).await.expect(DONE);
        let (writer, owner) = (unique_name("writer"), unique_name("owner"));
        place.run(&format!("CREATE ROLE {writer}; GRANT SELECT, INSERT ON talk TO {writer}; CREATE ROLE {owner}")).await;
        let function =
            place.ask("SELECT proname FROM pg_proc WHERE proname LIKE '\\_rc\\_%'").await;
        let may = format!(
            "SELECT has_function_privilege('{writer}', 'public.{function}()', 'EXECUTE')::text"
        );
        assert_eq!(place.ask(&may).await, "false", "{major}");
        place
            .run(&format!(
                "SET ROLE {writer}; INSERT INTO talk (id, mood) VALUES (3, 'ok'); RESET ROLE"
            ))
            .await;
        place.contract().await;

        // What it does for the owner of a table it does with his rights.
        place.back().await.expect(DONE);
        place.run(&format!("ALTER TABLE talk OWNER TO {owner}")).await;
        place.online(TEXT).await.expect(DONE);
        let whose = "SELECT proowner::regrole::text FROM pg_proc WHERE proname LIKE '\\_rc\\_%'";
        assert_eq!(place.ask(whose).await, owner, "{major}");
        place.contract().await;
        place.run(&format!("DROP OWNED BY {writer}; DROP ROLE {writer}; REASSIGN OWNED BY {owner} TO CURRENT_USER; DROP ROLE {owner}")).await;
    }
}

#[tokio::test]
async fn an_expression_without_a_way_back_gives_all_rows_what_there_is_by_then() {
    let model = "tables: {t: {columns: {n: {type: bigint, using: n * 100}}}}\n";
    for major in majors() {
        let place = Place::new(major, "CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t SELECT i, i FROM generate_series(1, 4) i;").await;
        place.online(model).await.expect(DONE);
        place.run("UPDATE t SET n = n WHERE id < 3").await;
        place.back().await.expect(DONE);
        let all = "SELECT string_agg(n::text, ' ' ORDER BY id) FROM t";
        assert_eq!(place.ask(all).await, "100 200 300 400", "{major}");
        place.contract().await;
    }
}

#[tokio::test]
async fn a_fill_looks_for_names_where_its_table_is() {
    let sql = "CREATE SCHEMA home; CREATE FUNCTION home.f(int) RETURNS int IMMUTABLE LANGUAGE sql RETURN 1; \
        CREATE FUNCTION public.f(int) RETURNS int IMMUTABLE LANGUAGE sql RETURN 1000; \
        CREATE TABLE home.t (id int PRIMARY KEY, n int, pad text NOT NULL); \
        INSERT INTO home.t SELECT i, NULL, repeat('x', 200) FROM generate_series(1, 50000) i; ANALYZE home.t;";
    let model = "namespace: home\ntables: {t: {columns: {n: {type: int, nullable: false, using: f(id)}}}}\n";
    for major in majors() {
        let place = Place::new(major, sql).await;
        let ran =
            on(&place.database.url(), &["apply", "--yes", &place.model(model)]).await.expect(DONE);
        assert!(ran.out.contains("in pieces"), "{major}: {ran:?}");
        assert_eq!(place.ask("SELECT min(n) || '/' || max(n) FROM home.t").await, "1/1", "{major}");
    }
}

#[tokio::test]
async fn what_logical_replication_goes_by_changes_too() {
    let sql = "CREATE TABLE t (n int NOT NULL, name text); CREATE UNIQUE INDEX t_n ON t (n); \
        ALTER TABLE t REPLICA IDENTITY USING INDEX t_n; INSERT INTO t SELECT i, 'x' FROM generate_series(1, 50) i;";
    let model = "tables: {t: {columns: {n: {type: bigint, nullable: false}, name: text}}}\n";
    for major in majors() {
        let (place, direct) = (Place::new(major, sql).await, Place::new(major, sql).await);
        let before = dump::definitions(&place.database).await;
        place.online(model).await.expect(DONE);
        place.run("INSERT INTO t (n, name) VALUES (60, 'y')").await;
        place.back().await.expect(DONE);
        place.contract().await;
        let back = dump::definitions(&place.database).await;
        let (before, back) = (dump::plain(&before), dump::plain(&back));
        assert!(before == back, "{major}: {}", dump::difference(&before, &back));
        place.online(model).await.expect(DONE);
        place.contract().await;
        let words = ["apply", "--yes", "--strategy", "direct", &direct.model(model)];
        on(&direct.database.url(), &words).await.expect(DONE);
        let (ours, theirs) =
            (dump::definitions(&place.database).await, dump::definitions(&direct.database).await);
        let (ours, theirs) = (dump::plain(&ours), dump::plain(&theirs));
        assert!(ours == theirs, "{major}: {}", dump::difference(&theirs, &ours));
    }
}

#[tokio::test]
async fn numbers_are_rounded_forth_back_and_forth() {
    let sql = "CREATE TABLE t (id int PRIMARY KEY, n numeric(8,4)); INSERT INTO t SELECT i, i / 4.0 FROM generate_series(1, 200) i;";
    let model = "tables: {t: {columns: {n: \"numeric(10, 2)\"}}}\n";
    for major in majors() {
        let place = Place::new(major, sql).await;
        place.online(model).await.expect(DONE);
        place.back().await.expect(DONE);
        // What the wider type holds and the other does not is seen on the way forth as well.
        place.run("UPDATE t SET n = 0.1234 WHERE id = 7").await;
        place.online(model).await.expect(REFUSED).says("0.1234");
        place.run("UPDATE t SET n = 0.12 WHERE id = 7").await;
        place.online(model).await.expect(DONE);
        place.contract().await;
        let sum = "SELECT sum(n)::text FROM t";
        assert_eq!(place.ask(sum).await, "5023.37", "{major}");
    }
}

#[tokio::test]
async fn the_old_type_stays_as_it_is_until_the_change_ends() {
    let renamed =
        format!("{}enums: {{feeling: {{labels: [sad, ok], renamed_from: mood}}}}\n", TEXT);
    let longer = format!("{}enums: {{mood: [sad, ok, happy]}}\n", TEXT);
    for major in majors() {
        let place = Place::new(major, TALK).await;
        place.online(TEXT).await.expect(DONE);
        for model in [&renamed, &longer] {
            let words = ["apply", "--yes", &place.model(model)];
            on(&place.database.url(), &words)
                .await
                .expect(REFUSED)
                .says("its old type may not change; end it first");
        }
        place.run("INSERT INTO talk (id, mood) VALUES (3, 'ok')").await;
        place.contract().await;
    }
}

#[tokio::test]
async fn a_label_that_comes_with_the_change_is_a_value() {
    let sql = "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TABLE talk (id int PRIMARY KEY, mood text NOT NULL); \
        INSERT INTO talk VALUES (1, 'sad'), (2, 'happy');";
    let model = "enums: {mood: [sad, ok, happy]}\ntables: {talk: {columns: {mood: {type: mood, nullable: false}}}}\n";
    for major in majors() {
        let place = Place::new(major, sql).await;
        place.online(model).await.expect(DONE);
        place.run("INSERT INTO talk (id, mood) VALUES (3, 'happy')").await;
        assert_eq!(
            place.ask("SELECT string_agg(mood::text, ' ' ORDER BY id) FROM talk").await,
            "sad happy happy",
            "{major}"
        );
        place.contract().await;
    }
}

#[tokio::test]
async fn what_the_old_type_takes_no_text_for_is_no_value_there() {
    let sql = "CREATE TABLE t (id int PRIMARY KEY, q tsquery); INSERT INTO t VALUES (1, 'a & b');";
    let model = "tables: {t: {columns: {q: text}}}\n";
    for major in majors() {
        let place = Place::new(major, sql).await;
        place.online(model).await.expect(DONE);
        // 42601, which is no data_exception.
        place.run("INSERT INTO t (id, q) VALUES (2, 'a b')").await;
        assert_eq!(place.ask("SELECT count(*)::text FROM t").await, "2", "{major}");
        place.contract().await;
    }
}

#[tokio::test]
async fn blanks_that_are_too_many_are_cut_as_an_assignment_cuts_them() {
    let sql = "CREATE TABLE t (id int PRIMARY KEY, w text); INSERT INTO t VALUES (1, 'ab      '), (2, 'c');";
    let model = "tables: {t: {columns: {w: varchar(5)}}}\n";
    for major in majors() {
        let place = Place::new(major, sql).await;
        place.online(model).await.expect(DONE);
        let all = "SELECT string_agg(quote_literal(w), ' ' ORDER BY id) FROM t";
        assert_eq!(place.ask(all).await, "'ab   ' 'c'", "{major}");
        place.contract().await;
    }
}

#[tokio::test]
async fn a_rule_that_acts_on_update_takes_no_row_that_is_carried_over() {
    let sql = format!(
        "{TALK} CREATE TABLE seen (id int); CREATE RULE tell AS ON UPDATE TO talk DO ALSO INSERT INTO seen VALUES (NEW.id);"
    );
    for major in majors() {
        // A replica does not see it.
        let place = Place::new(major, &sql).await;
        place.online(TEXT).await.expect(DONE);
        assert_eq!(place.ask("SELECT count(*)::text FROM seen").await, "0", "{major}");
        place.run("UPDATE talk SET mood = 'glad' WHERE id = 1").await;
        assert_eq!(place.ask("SELECT count(*)::text FROM seen").await, "1", "{major}");
        place.contract().await;
        for when in ["ENABLE ALWAYS", "ENABLE REPLICA"] {
            let place =
                Place::new(major, &format!("{sql} ALTER TABLE talk {when} RULE tell;")).await;
            let before = dump::definitions(&place.database).await;
            place
                .online(TEXT)
                .await
                .expect(REFUSED)
                .says("the table's rule tell acts beside every UPDATE or in its place");
            assert_eq!(before, dump::definitions(&place.database).await, "{when} on {major}");
            place.run("ALTER TABLE talk DISABLE RULE tell").await;
            place.online(TEXT).await.expect(DONE);
            place.contract().await;
        }
        // Nor does a way back go where a rule stands that came meanwhile.
        let place = Place::new(major, TALK).await;
        let numbers = "tables: {talk: {columns: {mood: {type: int, nullable: false, using: length(mood::text), back: \"'ok'\"}}}}\n";
        place.online(numbers).await.expect(DONE);
        place.run("CREATE RULE none AS ON UPDATE TO talk DO INSTEAD NOTHING; ALTER TABLE talk ENABLE ALWAYS RULE none").await;
        place.back().await.expect(REFUSED).says("the table's rule none acts");
        place.run("DROP RULE none ON talk").await;
        place.back().await.expect(DONE);
        place.contract().await;
    }
}

#[tokio::test]
async fn what_an_earlier_try_has_made_goes_although_nobody_wants_it_any_more() {
    let not_now = "CREATE FUNCTION not_now() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'not now'; END$$; \
        CREATE TRIGGER not_now BEFORE UPDATE ON talk FOR EACH ROW EXECUTE FUNCTION not_now(); \
        ALTER TABLE talk ENABLE ALWAYS TRIGGER not_now;";
    for major in majors() {
        let place = Place::new(major, &format!("{TALK} {not_now}")).await;
        place.online(TEXT).await.expect(PARTIAL).says("not now");
        let second = "SELECT attname::text FROM pg_attribute WHERE attrelid = 'talk'::regclass AND attname LIKE '\\_rc\\_%'";
        let second = place.ask(second).await;
        assert!(!second.is_empty(), "{major}");
        let successor = second.replace("mood", "moods");
        place
            .run(&format!("CREATE MATERIALIZED VIEW {successor} AS SELECT {second} FROM talk"))
            .await;
        place.run("DROP TRIGGER not_now ON talk").await;
        place.online(TEXT).await.expect(DONE).says(&format!("drop {successor} of an earlier"));
        let left = format!("SELECT coalesce(to_regclass('{successor}')::text, 'none')");
        assert_eq!(place.ask(&left).await, "none", "{major}");
        place.contract().await;
    }
}

#[tokio::test]
async fn a_literal_or_a_null_is_a_value_forth_and_back() {
    for major in majors() {
        for (using, back, forth, there) in
            [("'7'", "'ok'", "7", "ok"), ("NULL", "NULL", "", ""), ("3", "null", "3", "")]
        {
            let sql = "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TABLE talk (id int PRIMARY KEY, mood mood); \
                INSERT INTO talk VALUES (1, 'sad');";
            let place = Place::new(major, sql).await;
            let model = format!(
                "tables: {{talk: {{columns: {{mood: {{type: int, using: \"{using}\", back: \"{back}\"}}}}}}}}\n"
            );
            place.online(&model).await.expect(DONE);
            let value = "SELECT coalesce(mood::text, '') FROM talk WHERE id = 1";
            assert_eq!(place.ask(value).await, forth, "{using} on {major}");
            place.run("INSERT INTO talk (id, mood) VALUES (2, 9)").await;
            place.back().await.expect(DONE);
            let new = "SELECT coalesce(mood::text, '') FROM talk WHERE id = 2";
            assert_eq!(place.ask(new).await, there, "{back} on {major}");
            place.contract().await;
        }
    }
}
