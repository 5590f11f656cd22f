//! The server goes down and comes back, its standby takes its place, or its disk is full.

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use reconcile_testkit::{lasting_server, majors};
use reconcile_throwaway::{Ending, Options, Server};

use crate::busy::{Busy, HALF_WAY, Held, Load, Nerves, until};
use crate::common::{PARTIAL, execute, on, scalar};

/// An index is being built and waits for somebody's old snapshot.
const BUILDING: &str = "EXISTS (SELECT FROM pg_stat_progress_create_index WHERE phase LIKE 'waiting for old snapshots')";

#[tokio::test]
async fn the_server_is_restarted() {
    for major in majors() {
        let server = lasting_server(major, Options::default()).await;
        for (ending, give_up) in [(Ending::Fast, false), (Ending::Immediate, true)] {
            for at in [HALF_WAY, BUILDING] {
                let what = format!("{major}, {ending:?}, {at}");
                let busy = Busy::on(server).await;
                let load = Load::start(&busy.url(), Nerves::Strong).await;
                let mut watcher = busy.database.connect().await;
                let held = Held::half_way(&busy).await;
                let mut old = busy.database.connect().await;
                if at == BUILDING {
                    let snapshot = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM other";
                    execute(&mut old, snapshot).await;
                    held.let_go().await;
                }
                let apply = busy.begin(&["--throttle", "off"]);
                until(&mut watcher, at).await;
                server.restart(ending).await.unwrap();
                let ran = apply.await.unwrap().expect(PARTIAL);
                let ran =
                    ran.says("the connection was lost").says("`reconcile apply` again goes on");
                drop(ran);
                load.goes_on().await;
                match give_up {
                    false => busy.finish(load, &what).await,
                    true => busy.give_up(load, &what).await,
                }
            }
        }
    }
}

#[tokio::test]
async fn a_synchronous_standby_takes_over() {
    for major in majors() {
        let options = Options::default()
            .setting("synchronous_commit", "on")
            .setting("wal_keep_size", "512MB")
            // Its files are in its folder then, and go with it although it is killed.
            .setting("dynamic_shared_memory_type", "mmap")
            .setting("max_connections", "300");
        let primary = lasting_server(major, options).await;
        let busy = Busy::on(primary).await;
        let standby = Box::leak(Box::new(primary.follower("second").await.unwrap()));
        let mut connection = busy.database.connect().await;
        execute(&mut connection, "ALTER SYSTEM SET synchronous_standby_names = 'second'").await;
        execute(&mut connection, "SELECT pg_reload_conf()").await;
        let following = "EXISTS (SELECT FROM pg_stat_replication WHERE sync_state = 'sync')";
        until(&mut connection, following).await;

        let load = Load::start(&busy.url(), Nerves::Strong).await;
        let held = Held::half_way(&busy).await;
        let apply = busy.begin(&[]);
        until(&mut connection, HALF_WAY).await;
        primary.end(Ending::Killed).await.unwrap();
        let ran = apply.await.unwrap().expect(PARTIAL);
        drop((ran.says("the connection was lost"), held));
        load.stop().await;

        let busy = busy.moved_to(standby);
        let words = busy.words(&[]);
        on(&busy.url(), &words).await.says("is a standby: it cannot be changed");
        let mut connection = busy.database.connect().await;
        execute(&mut connection, "ALTER SYSTEM SET synchronous_standby_names = ''").await;
        execute(&mut connection, "SELECT pg_promote()").await;
        let load = Load::start(&busy.url(), Nerves::Strong).await;
        busy.finish(load, &format!("{major}, after the failover")).await;
    }
}

/// Limits how large a file may become that sessions write which are opened from now on.
fn limit_files(server: &Server, bytes: Option<u64>) {
    let bytes = bytes.map_or_else(|| "unlimited".to_owned(), |bytes| bytes.to_string());
    let pid = format!("--pid={}", server.pid().unwrap());
    let owner = std::fs::metadata(server.socket_dir().join("data")).unwrap();
    let mut command = Command::new("prlimit");
    // Root need not have the right to do it; the user that the server runs as has.
    if std::fs::metadata("/proc/self").unwrap().uid() != owner.uid() {
        command.uid(owner.uid()).gid(owner.gid());
    }
    let status = command.args([pid, format!("--fsize={bytes}:")]).status();
    assert!(status.expect("util-linux is there").success());
}

#[tokio::test]
async fn there_is_no_room_for_more_rows() {
    for major in majors() {
        let server = lasting_server(major, Options::default()).await;
        for give_up in [false, true] {
            let what = format!("{major}, {give_up}");
            let busy = Busy::on(server).await;
            let load = Load::start(&busy.url(), Nerves::Weak).await;
            let mut connection = busy.database.connect().await;
            load.goes_on().await;
            let size = "SELECT pg_relation_size('busy')::text";
            let size: u64 = scalar(&mut connection, size).await.parse().unwrap();
            limit_files(server, Some(size * 5 / 4));
            let ran = busy.apply(&[]).await.expect(PARTIAL);
            limit_files(server, None);
            let ran = ran.says("could not extend file").says("`reconcile apply` again goes on");
            drop(ran);
            load.goes_on().await;
            match give_up {
                false => busy.finish(load, &what).await,
                true => busy.give_up(load, &what).await,
            }
        }
    }
}
