//! From any schema to any other, where nobody thought of either: random pairs and three properties.
//!
//! The demands are those of `tests/pairs.rs`. A pair that fails is made smaller for as long as it
//! fails at the same place; what is left is printed, ready for a folder in `fixtures/`.
//!
//! ```text
//! RECONCILE_GENERATED=500 cargo test --test generated          more pairs
//! RECONCILE_GENERATED=500 RECONCILE_GENERATED_SHRINK=0 …       more pairs, none made smaller
//! RECONCILE_GENERATED_FROM=1000 …                              other pairs
//! RECONCILE_GENERATED_SEED=17 cargo test --test generated      this one only
//! ```
//!
//! `RECONCILE_GENERATED_WITHOUT` leaves something out: some of `types,partitions,views`.
//!
//! What is found of each pair stands in `target/pairs/generated/<seed>/<major>/` at once.

#![allow(clippy::unwrap_used)]

mod common;

use common::generate::Generated;
use common::generate::shrink::simpler;
use common::pair::{Failure, judge, judge_of};
use reconcile_testkit::majors;
use tokio::task::JoinSet;

const ENV_COUNT: &str = "RECONCILE_GENERATED";
const ENV_SHRINK: &str = "RECONCILE_GENERATED_SHRINK";
const ENV_FROM: &str = "RECONCILE_GENERATED_FROM";
const ENV_SEED: &str = "RECONCILE_GENERATED_SEED";

/// How many pairs a normal run looks at, and how many at once.
const COUNT: u64 = 24;
const AT_ONCE: usize = 3;
/// So many smaller pairs are tried at the most, and so many failures are made smaller.
const TRIES: usize = 120;
const SHRUNK: u64 = 3;

struct Found {
    name: String,
    major: u32,
    pair: Generated,
    failures: Vec<Failure>,
}

#[tokio::test]
async fn from_any_schema_to_any_other() -> Result<(), Told> {
    let number = |name: &str| std::env::var(name).ok().and_then(|words| words.parse::<u64>().ok());
    let seeds: Vec<u64> = match number(ENV_SEED) {
        Some(seed) => vec![seed],
        None => {
            let from = number(ENV_FROM).unwrap_or(1);
            (from..from + number(ENV_COUNT).unwrap_or(COUNT)).collect()
        }
    };
    let mut found = Vec::new();
    let mut at_work = JoinSet::new();
    for major in majors() {
        for seed in &seeds {
            if at_work.len() == AT_ONCE {
                found.extend(at_work.join_next().await);
            }
            let (name, pair) = (format!("generated/{seed}"), Generated::of(*seed, major));
            at_work.spawn(async move {
                let failures = judge(&pair.pair(&name), major).await;
                Found { name, major, pair, failures }
            });
        }
    }
    while let Some(done) = at_work.join_next().await {
        found.push(done);
    }
    let found = found.into_iter().map(|done| done.unwrap_or_else(|panic| panic!("{panic}")));
    let mut wrong: Vec<Found> = found.filter(|found| !found.failures.is_empty()).collect();
    if wrong.is_empty() {
        return Ok(());
    }
    wrong.sort_by(|one, other| one.name.cmp(&other.name));
    let mut summary = String::new();
    for found in &wrong {
        let places: Vec<&str> = found.failures.iter().map(|f| f.place.as_str()).collect();
        summary.push_str(&format!("{} [{}]: {}\n", found.name, found.major, places.join(" | ")));
    }
    // The same place is probably the same cause.
    let mut places = Vec::new();
    let shrink = usize::try_from(number(ENV_SHRINK).unwrap_or(SHRUNK)).unwrap_or(0);
    let mut text = String::new();
    for found in wrong {
        let cause = cause(&found.failures[0]);
        if !places.contains(&cause) && places.len() < shrink {
            places.push(cause);
            text.push_str(&shrunk(found).await);
        }
    }
    Err(Told(format!("{text}\n=== summary\n{summary}")))
}

/// The place and the words, without what is different each time.
fn cause(failure: &Failure) -> String {
    let words = failure.text.lines().find(|line| line.contains('×') || line.contains('✗'));
    let words = words.or_else(|| failure.text.lines().find(|line| line.starts_with(['+', '-'])));
    let words: String = words.unwrap_or_default().chars().filter(|c| !c.is_ascii_digit()).collect();
    format!("{} {}", failure.place, words.split_whitespace().take(7).collect::<Vec<_>>().join(" "))
}

async fn shrunk(found: Found) -> String {
    let Found { name, major, mut pair, mut failures } = found;
    let place = failures[0].place.clone();
    let mut tries = 0;
    'smaller: while tries < TRIES {
        for candidate in simpler(&pair) {
            tries += 1;
            if tries > TRIES {
                break 'smaller;
            }
            let smaller = candidate.pair(&format!("{name}-smaller"));
            let said = judge_of(&smaller, major, &place).await;
            if said.iter().any(|failure| failure.place == place) {
                (pair, failures) = (candidate, said);
                continue 'smaller;
            }
        }
        break;
    }
    let sql = pair.pair(&name);
    let mut text = format!("\n=== {name} [{major}], smaller\n");
    for failure in failures {
        text.push_str(&format!("--- {}\n{}\n", failure.place, failure.text));
    }
    text.push_str(&format!("--- before.sql\n{}--- after.sql\n{}", sql.before.sql, sql.after.sql));
    text
}

/// What is printed as it is, without a trace of calls.
struct Told(String);

impl std::fmt::Debug for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
