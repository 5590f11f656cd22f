//! The same through PgBouncer in transaction mode.

#![allow(clippy::unwrap_used)]

#[macro_use]
mod support;

use std::time::{Duration, Instant};

use reconcile_live::connect::{ConnectOptions, connect};
use reconcile_live::error::{ConnectKind, Error};
use reconcile_live::pooler::{Pooled, is_pooled};
use support::pgbouncer::PgBouncer;
use support::{role, server, target};

const SOON: Duration = Duration::from_secs(15);

on_every_major! {
    a_pooler_is_fine_for_reading_and_is_recognised
    a_pooler_that_drops_the_parameter_is_recognised
    only_our_own_statement_is_cancelled_behind_a_pooler
    a_poolers_own_refusals_are_understood
}

async fn a_pooler_is_fine_for_reading_and_is_recognised(major: u32) {
    let server = server(major).await;
    let Some(pooler) = PgBouncer::start(server, "").await else { return };
    let target = target(&pooler.url("app", "shop"));
    let pooled = is_pooled(&target, SOON).await.unwrap();
    assert!(matches!(&pooled, Pooled::Pooled { why } if why.contains("PgBouncer")), "{pooled}");

    let mut session = connect(&target, &role("owner", true)).await.unwrap();
    assert_eq!((session.role.as_str(), session.login.as_str()), ("owner", "app"));
    let sql = format!(
        "BEGIN READ ONLY; {}; SELECT current_user, pg_backend_pid(); COMMIT",
        session.preamble().unwrap()
    );
    assert_eq!(session.send(&sql).await.unwrap()[0].at(0), Some("owner"));
    assert_eq!(session.send("SELECT current_user").await.unwrap()[0].at(0), Some("app"));

    // What is told of an error does not show the comment that the session is found by.
    let error = session.send("SELECT 1;\nSELECT mising").await.unwrap_err();
    let server = error.server().unwrap();
    assert_eq!(server.statement.as_deref(), Some("SELECT mising"));
    assert_eq!(server.position.unwrap().column, 8);
    let error = session.send("SELECT mising").await.unwrap_err();
    assert_eq!(error.server().unwrap().position.unwrap().column, 8);
}

async fn a_pooler_that_drops_the_parameter_is_recognised(major: u32) {
    let server = server(major).await;
    let Some(pooler) = PgBouncer::start(server, "ignore_startup_parameters = options").await else {
        return;
    };
    let pooled = is_pooled(&target(&pooler.url("app", "shop")), SOON).await.unwrap();
    assert!(matches!(&pooled, Pooled::Pooled { why } if why.contains("drops")), "{pooled}");
}

async fn only_our_own_statement_is_cancelled_behind_a_pooler(major: u32) {
    let server = server(major).await;
    let Some(pooler) = PgBouncer::start(server, "").await else { return };
    let target = target(&pooler.url("app", "shop"));
    let mut ours = connect(&target, &ConnectOptions { pooled: true, ..ConnectOptions::default() })
        .await
        .unwrap();
    let mut theirs = connect(&target, &ConnectOptions::default()).await.unwrap();
    let canceller = ours.canceller();
    let begin = Instant::now();
    let cancel = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        canceller.cancel().await.unwrap()
    };
    let (ended, undisturbed, sent) =
        tokio::join!(ours.send("SELECT pg_sleep(30)"), theirs.send("SELECT pg_sleep(1)"), cancel);
    assert!(sent && ended.unwrap_err().server().unwrap().is_cancelled());
    undisturbed.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert_eq!(ours.send("SELECT 1").await.unwrap()[0].at(0), Some("1"));
    assert!(!canceller.cancel().await.unwrap(), "nothing of ours runs now");
}

async fn a_poolers_own_refusals_are_understood(major: u32) {
    let server = server(major).await;
    let Some(pooler) = PgBouncer::start(server, "").await else { return };
    let refused = async |url: &str| match connect(&target(url), &ConnectOptions::default()).await {
        Err(Error::Connect(error)) => error,
        other => panic!("{other:?}"),
    };
    let error = refused(&pooler.url("app", "missing")).await;
    assert_eq!(error.kind, ConnectKind::NoSuchDatabase, "{error}");
    let error = refused(&format!("{}?options=-c%20geqo%3Doff", pooler.url("app", "shop"))).await;
    assert_eq!(error.kind, ConnectKind::StartUpParameter, "{error}");
    assert!(error.to_string().contains("Leave `options` out"), "{error}");
}
