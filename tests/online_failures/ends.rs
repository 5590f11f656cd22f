//! The ends of an online change: under load, and killed at every boundary.

use std::sync::Arc;

use reconcile_testkit::majors;

use crate::busy::{Busy, HALF_WAY, Held, Load, Nerves, begin, until};
use crate::common::blow::{Blow, Recorded, disturb};
use crate::common::proxy::When;
use crate::common::{self, DONE, PARTIAL, REFUSED, dump, on};

/// How an online change is left or ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Given up half way.
    Abort,
    /// The old column goes.
    Contract,
    /// The columns change names again, and then the new column goes.
    Rollback,
}

impl End {
    fn words(self) -> &'static [&'static str] {
        match self {
            Self::Abort => &["abort", "--yes"],
            Self::Contract => &["contract", "--yes"],
            Self::Rollback => &["rollback", "--yes", "--max-stall", "1h"],
        }
    }

    /// A database for which it is time for this end.
    async fn prepared(self, major: u32) -> Busy {
        let busy = Busy::new(major).await;
        match self {
            Self::Abort => stopped_half_way(&busy).await,
            Self::Contract | Self::Rollback => {
                busy.apply(&["--throttle", "off"]).await.expect(DONE);
            }
        }
        busy
    }

    /// What is there afterwards.
    async fn after(self, busy: &Busy) -> String {
        if self == Self::Rollback {
            on(&busy.url(), Self::Contract.words()).await.expect(DONE);
        }
        dump::plain(&dump::definitions(&busy.database).await)
    }
}

/// An apply that meets a row which somebody holds, and gives up.
async fn stopped_half_way(busy: &Busy) {
    let mut watcher = busy.database.connect().await;
    let held = Held::half_way(busy).await;
    let apply = busy.begin(&["--wait", "1s"]);
    until(&mut watcher, HALF_WAY).await;
    apply.await.unwrap().expect(PARTIAL);
    held.let_go().await;
}

async fn killed_at(end: End, of: Arc<Busy>, boundary: (usize, When), expected: Arc<String>) {
    let what = format!("{end:?} on {}, killed at {boundary:?}", of.database.server().major());
    let busy = of.copy().await;
    let load = Load::start(&busy.url(), Nerves::Weak).await;
    let status = disturb(&busy.database, end.words(), boundary, Blow::Kill).await;
    assert_eq!(status, None, "{what}: it was not killed");
    load.goes_on().await;
    if end == End::Abort && matches!(boundary.1, When::After) {
        // Somebody changes his mind, which he can until the trigger is gone.
        let ran = busy.apply(&["--throttle", "off"]).await;
        if ran.status == Some(REFUSED) {
            drop(ran.says("end the change with `reconcile abort`"));
            on(&busy.url(), end.words()).await.expect(DONE);
        } else {
            drop(ran.expect(DONE));
            on(&busy.url(), End::Rollback.words()).await.expect(DONE);
            on(&busy.url(), End::Contract.words()).await.expect(DONE);
        }
    } else {
        on(&busy.url(), end.words()).await.expect(DONE);
    }
    load.goes_on().await;
    let after = end.after(&busy).await;
    load.stop().await;
    assert!(after == *expected, "{what}: {}", dump::difference(&expected, &after));
    busy.is_whole(&what).await;
}

async fn killed_everywhere(end: End) {
    for major in majors() {
        let prepared = Arc::new(end.prepared(major).await);
        let busy = prepared.copy().await;
        let recorded = Recorded::of(&busy.database, end.words()).await;
        let expected = Arc::new(end.after(&busy).await);
        busy.is_whole("undisturbed").await;
        // Before a query it is as after the one before it.
        let mut boundaries = recorded.boundaries();
        boundaries.retain(|(_, when)| !matches!(when, When::Before));
        assert!(boundaries.len() > 6, "{boundaries:?}");
        let at = |boundary| killed_at(end, Arc::clone(&prepared), boundary, Arc::clone(&expected));
        common::all(boundaries.into_iter().map(at)).await;
    }
}

#[tokio::test]
async fn abort_is_killed_at_every_boundary() {
    killed_everywhere(End::Abort).await;
}

#[tokio::test]
async fn contract_is_killed_at_every_boundary() {
    killed_everywhere(End::Contract).await;
}

#[tokio::test]
async fn rollback_is_killed_at_every_boundary() {
    killed_everywhere(End::Rollback).await;
}

#[tokio::test]
async fn each_of_them_under_load() {
    for major in majors() {
        let busy = Busy::new(major).await;
        let (url, what) = (busy.url(), format!("{major}"));
        let load = Load::start(&url, Nerves::Weak).await;
        stopped_half_way(&busy).await;
        load.goes_on().await;
        let aborting = begin(&url, End::Abort.words());
        load.goes_on().await;
        aborting.await.unwrap().expect(DONE);
        busy.is_whole(&what).await;
        busy.apply(&[]).await.expect(DONE);
        for words in [End::Rollback.words(), End::Contract.words()] {
            let ending = begin(&url, words);
            load.goes_on().await;
            ending.await.unwrap().expect(DONE);
        }
        busy.is_whole(&what).await;
        busy.finish(load, &what).await;
    }
}
