//! From any schema to any other: every pair of schemas in `fixtures/`, there and back, with rows.
//!
//! A pair is a folder `fixtures/<kind>/<verb_what>/` with `before.sql` and `after.sql`. Of each
//! side is demanded, on every version of `RECONCILE_TEST_MAJORS`:
//!
//! 1. round trip: `inspect`, then `check --prune` the result against the same database: in sync;
//! 2. rebuild: `apply` the result to an empty database: pg_dump says the same, object for object;
//! 3. migrate: `apply --prune` the result to a database of the other side: pg_dump says the same
//!    (but for the order of columns), the second plan is empty, and every row and value of what is
//!    on both sides is there.
//!
//! One pair, on two versions:
//!
//! ```text
//! RECONCILE_TEST_MAJORS=14,18 RECONCILE_PAIR=enum_type/add_value cargo test --test pairs
//! ```
//!
//! `RECONCILE_PAIR` is a part of a name, or several with commas. The models that `inspect` wrote
//! and what `apply` said stay in `target/pairs/<name>/<major>/`. While `cargo test` is building for
//! others, run the newest `target/debug/deps/pairs-*` itself from the root of the repository: it
//! uses `target/debug/reconcile`.
//!
//! What no model declares but both sides need, such as the function of a trigger, stands in
//! `given.sql` beside them and is loaded first everywhere.
//!
//! What a pair asks for stands in the first lines of a file:
//!
//! ```text
//! -- since: 15                         both sides need PostgreSQL 15
//! -- until: 17                         and no newer one than 17
//! -- refused: 3 rows hold the value    the way TO this file is refused (exit 3) with these words
//! -- rowsmove: why                     on the way TO this file values change, and why they may
//! -- oneway: why                       there is no way back from after.sql
//! ```

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;

use common::pair::{Failure, Pair, judge, on_disk};
use reconcile_testkit::majors;
use tokio::task::JoinSet;

/// The name of the variable that takes some pairs only.
const ENV_PAIR: &str = "RECONCILE_PAIR";

/// Two processors do three pairs: each waits for another process now and then.
const AT_ONCE: usize = 3;

#[tokio::test]
async fn from_any_schema_to_any_other() -> Result<(), Told> {
    let wanted = std::env::var(ENV_PAIR).unwrap_or_default();
    let wanted: Vec<&str> = wanted.split(',').map(str::trim).filter(|w| !w.is_empty()).collect();
    let is_wanted = |pair: &Pair| wanted.is_empty() || wanted.iter().any(|w| pair.name.contains(w));
    let pairs: Vec<Pair> = on_disk().into_iter().filter(is_wanted).collect();
    assert!(wanted.is_empty() || !pairs.is_empty(), "no pair is called {wanted:?}");
    let mut found = Vec::new();
    let mut at_work = JoinSet::new();
    let mut count = 0;
    for major in majors() {
        for pair in pairs.iter().filter(|pair| pair.is_for(major)).cloned() {
            if at_work.len() == AT_ONCE {
                found.extend(at_work.join_next().await);
            }
            count += 1;
            at_work.spawn(async move { (major, judge(&pair, major).await, pair.name) });
        }
    }
    while let Some(done) = at_work.join_next().await {
        found.push(done);
    }
    let mut wrong: BTreeMap<(String, u32), Vec<Failure>> = BTreeMap::new();
    for done in found {
        let (major, failures, name) = done.unwrap_or_else(|panic| panic!("{panic}"));
        if !failures.is_empty() {
            wrong.insert((name, major), failures);
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(Told(told(&wrong, count))) }
}

/// What is printed as it is, without a trace of calls.
struct Told(String);

impl std::fmt::Debug for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

fn told(wrong: &BTreeMap<(String, u32), Vec<Failure>>, count: usize) -> String {
    let mut text = String::new();
    for ((name, major), failures) in wrong {
        for failure in failures {
            text.push_str(&format!("\n=== {name} [{major}] {}\n{}\n", failure.place, failure.text));
        }
    }
    text.push_str("\n=== summary\n");
    for ((name, major), failures) in wrong {
        let places: Vec<&str> = failures.iter().map(|failure| failure.place.as_str()).collect();
        text.push_str(&format!("{name} [{major}]: {}\n", places.join(" | ")));
    }
    format!("{text}{} of {count} failed", wrong.len())
}
