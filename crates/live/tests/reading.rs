//! The catalog as it is read from real servers.

#![allow(clippy::unwrap_used)]

mod kit;

use std::time::Duration;

use kit::{all_fixtures, dump, fixtures, read, session};
use reconcile_live::blockers::blockers;
use reconcile_live::error::Error;
use reconcile_live::facts::sizes;
use reconcile_live::introspect::{ReadOptions, introspect};
use reconcile_sql::{LockLevel, QName};
use reconcile_testkit::{database, majors};

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
                if let Some(parent) = &object.parent {
                    assert!(snapshot.catalog.contains(parent) || parent.path().len() > 2, "{}", object.address);
                }
                assert!(!object.definition.to_json().is_null(), "{}", object.address);
            }
        }
    }
}
