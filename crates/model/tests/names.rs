//! The names that the model gives to constraints and indexes without one are the server's choice.

use std::collections::BTreeSet;

use reconcile_model::Model;
use reconcile_testkit::{database, majors};

const DDL: &str = "
    CREATE TABLE accounts (
        id bigint, email text, word text, quote text, role text, price integer, score integer,
        since timestamptz,
        PRIMARY KEY (id) INCLUDE (email),
        UNIQUE (email), UNIQUE (email, role), UNIQUE (email) INCLUDE (word),
        CHECK (price > 0), CHECK (role <> 'price' OR price > score), CHECK (score > 1),
        CHECK (accounts.price > 1), CHECK (1 > 0));
    CREATE INDEX ON accounts (email);
    CREATE INDEX ON accounts (email);
    CREATE INDEX ON accounts (lower(email), since DESC) INCLUDE (word);
    CREATE INDEX ON accounts ((word || quote), email, (lower(word) || 'x'), (pg_catalog.upper(word)));
    CREATE TABLE a_rather_long_table_name_that_fills_most_of_the_room (
        a_rather_long_column_name_that_fills_it_too bigint PRIMARY KEY,
        other bigint REFERENCES a_rather_long_table_name_that_fills_most_of_the_room,
        CHECK (a_rather_long_column_name_that_fills_it_too > 0),
        UNIQUE (a_rather_long_column_name_that_fills_it_too, other));
    CREATE TABLE \"größe, und so fort, bis fast kein Platz mehr für einen Namen\" (
        \"länge\" bigint CHECK (\"länge\" > 0), UNIQUE (\"länge\"));
";

const MODEL: &str = r#"
tables:
  accounts:
    columns:
      id: bigint
      email: text
      word: text
      quote: text
      role: text
      price: integer
      score: integer
      since: timestamptz
    primary_key: {columns: [id], include: [email]}
    unique: [[email], [email, role], {columns: [email], include: [word]}]
    checks:
      - price > 0
      - role <> 'price' OR price > score
      - score > 1
      - accounts.price > 1
      - 1 > 0
    indexes:
      - [email]
      - [email]
      - {columns: [(lower(email)), since DESC], include: [word]}
      - {columns: [(word || quote), email, (lower(word) || 'x'), (pg_catalog.upper(word))]}
  a_rather_long_table_name_that_fills_most_of_the_room:
    columns: {a_rather_long_column_name_that_fills_it_too: bigint, other: bigint}
    primary_key: [a_rather_long_column_name_that_fills_it_too]
    foreign_keys:
      - {columns: [other], references: a_rather_long_table_name_that_fills_most_of_the_room}
    checks: [a_rather_long_column_name_that_fills_it_too > 0]
    unique: [[a_rather_long_column_name_that_fills_it_too, other]]
  größe, und so fort, bis fast kein Platz mehr für einen Namen:
    columns: {länge: bigint}
    checks: ['länge > 0']
    unique: [[länge]]
"#;

#[tokio::test]
async fn names_are_chosen_as_the_server_chooses_them() {
    let model = Model::parse("model.yaml", MODEL).expect("a model");
    let catalog = model.catalog(&BTreeSet::new()).expect("a catalog");
    let ours: BTreeSet<String> =
        catalog.objects().filter(|o| o.unnamed).map(|o| o.address.name().to_owned()).collect();
    for major in majors() {
        let database = database(major, DDL).await;
        let mut connection = database.connect().await;
        let theirs: Vec<String> = sqlx::query_scalar(
            "SELECT conname::text FROM pg_constraint WHERE connamespace = 'public'::regnamespace \
             AND contype <> 'n' UNION SELECT relname::text FROM pg_class \
             WHERE relnamespace = 'public'::regnamespace AND relkind = 'i'",
        )
        .fetch_all(&mut connection)
        .await
        .expect("the names");
        assert_eq!(ours, theirs.into_iter().collect(), "PostgreSQL {major}");
    }
}
