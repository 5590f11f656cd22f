//! A server that all tests of a file share, and a pooler before it.

#![allow(dead_code, unused_macros)]

pub(crate) mod pgbouncer;

use std::collections::BTreeSet;

use reconcile_live::connect::{ConnectOptions, Session, connect};
use reconcile_live::target::Target;
use reconcile_throwaway::Server;
use tokio::sync::Mutex;

/// Runs tests that take a major version on every one that this run is about.
macro_rules! on_every_major {
    ($($test:ident)*) => {
        mod on_every_major {
            $(#[tokio::test]
            async fn $test() {
                for major in reconcile_testkit::majors() {
                    super::$test(major).await;
                }
            })*
        }
    };
}

/// The password of the role `app`: everything in it needs percent-encoding in a URL.
pub(crate) const PASSWORD: &str = "p@ss/w:r%d?#&=ü ";

static PREPARED: Mutex<BTreeSet<u32>> = Mutex::const_new(BTreeSet::new());

/// The shared server: the role `app` (member of `owner`) with a password, the database `shop`.
pub(crate) async fn server(major: u32) -> &'static Server {
    let server = reconcile_testkit::server(major).await;
    let mut prepared = PREPARED.lock().await;
    if prepared.insert(major) {
        server.create_database("shop").await.unwrap();
        let mut session = session(&server.url("shop")).await;
        let sql = format!(
            "CREATE ROLE owner; CREATE ROLE app LOGIN PASSWORD '{PASSWORD}' IN ROLE owner; \
             CREATE ROLE \"We\"\"ird\"; GRANT \"We\"\"ird\" TO app; CREATE ROLE stranger"
        );
        session.send(&sql).await.unwrap();
    }
    server
}

/// The URL of the role `app` over TCP.
pub(crate) async fn app_url(major: u32) -> String {
    server(major).await.tcp_url("app", PASSWORD, "shop").unwrap()
}

pub(crate) fn target(url: &str) -> Target {
    Target::parse(url).unwrap_or_else(|e| panic!("{url}: {e}")).target
}

pub(crate) async fn session(url: &str) -> Session {
    connect(&target(url), &ConnectOptions::default()).await.unwrap_or_else(|e| panic!("{e}"))
}

pub(crate) fn role(role: &str, pooled: bool) -> ConnectOptions {
    ConnectOptions { role: Some(role.to_owned()), pooled, ..ConnectOptions::default() }
}
