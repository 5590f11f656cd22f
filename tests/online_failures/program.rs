//! The program is killed, or its connection is cut.

use std::time::Duration;

use reconcile_testkit::majors;

use crate::busy::{Busy, HALF_WAY, Load, Nerves, is, until};
use crate::common::blow::{Blow, Recorded, disturb};
use crate::common::proxy::When;
use crate::common::{DONE, on, scalar};

/// The seed of the moments, which a failure prints.
const SEED: &str = "RECONCILE_KILL_SEED";
/// How often it is killed, and after how many times the work is given up.
const ROUNDS: u64 = 9;
const GIVE_UP: u64 = 3;

#[tokio::test]
async fn killed_at_random_moments_of_the_backfill() {
    let seed = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    for major in majors() {
        let busy = Busy::new(major).await;
        let url = busy.url();
        let load = Load::start(&url, Nerves::Weak).await;
        let mut connection = busy.database.connect().await;
        let (mut random, mut half_way) = (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, 0);
        for round in 1..=ROUNDS {
            let what = format!("{major}, {SEED}={seed}, round {round}");
            let runs = "SELECT coalesce(max(id), 0)::text FROM reconcile.run";
            let runs =
                if round == 1 { "0".to_owned() } else { scalar(&mut connection, runs).await };
            let mut child = busy.spawn(&[]);
            let begun = format!("(SELECT max(id) FROM reconcile.run) > {runs}");
            until(&mut connection, &begun).await;
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            tokio::time::sleep(Duration::from_millis(random % 500)).await;
            child.kill().await.unwrap();
            half_way += u32::from(is(&mut connection, HALF_WAY).await);
            load.goes_on().await;
            let plan = on(&url, &["plan", "--exit-code", &busy.model]).await;
            if round % GIVE_UP == 0 || plan.status == Some(DONE) {
                // One of these, by how far it had come.
                on(&url, &["abort", "--yes"]).await.expect(DONE);
                on(&url, &["rollback", "--yes", "--max-stall", "1h"]).await.expect(DONE);
                on(&url, &["contract", "--yes"]).await.expect(DONE);
                busy.is_whole(&what).await;
            }
        }
        assert!(half_way > 0, "{major}, {SEED}={seed}: it was never killed half way");
        busy.spawn(&[]).kill().await.unwrap();
        busy.finish(load, &format!("{major}, {SEED}={seed}")).await;
    }
}

#[tokio::test]
async fn cut_off_in_a_piece_and_between_two() {
    for major in majors() {
        let model = Busy::new(major).await;
        let recorded = Recorded::of(&model.database, &model.words(&[])).await;
        let piece = |query: &String| query.contains("SET LOCAL reconcile.backfill");
        let pieces = recorded.queries.iter().enumerate().filter(|(_, query)| piece(query));
        // The first ones come in the same order whatever they take.
        let pieces: Vec<usize> = pieces.map(|(at, _)| at + 1).take(3).collect();
        assert_eq!(pieces.len(), 3, "{:?}", recorded.queries);
        for (number, boundary) in [
            (pieces[0], When::BeforeCommit),
            (pieces[1], When::Before),
            (pieces[1], When::After),
            (pieces[2], When::BeforeCommit),
        ]
        .into_iter()
        .enumerate()
        {
            let busy = Busy::new(major).await;
            let load = Load::start(&busy.url(), Nerves::Weak).await;
            let what = format!("{major}, {boundary:?}");
            let status = disturb(&busy.database, &busy.words(&[]), boundary, Blow::Cut).await;
            assert_eq!(status, Some(4), "{what}");
            match number % 2 {
                0 => busy.finish(load, &what).await,
                _ => busy.give_up(load, &what).await,
            }
        }
    }
}
