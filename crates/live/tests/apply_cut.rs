//! The connection is cut between the server's COMMIT and its answer.

#![allow(clippy::unwrap_used)]

mod apply_kit;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use apply_kit::*;
use reconcile_live::apply::Cause;
use reconcile_live::journal::{Journal, RunState};
use reconcile_testkit::{database, majors};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};

/// When this text goes by, the connection hears nothing more, and ends a moment later. It is what
/// the transaction of the second batch says to the journal.
const CUT: &str = "\"batch\" = (2)";

/// Stands between the program and the server; returns its port.
async fn proxy(socket: std::path::PathBuf, reachable: Arc<AtomicBool>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            if reachable.load(Ordering::SeqCst) {
                let server = UnixStream::connect(&socket).await.unwrap();
                tokio::spawn(carry(client, server, Arc::clone(&reachable)));
            }
        }
    });
    port
}

async fn carry(client: TcpStream, server: UnixStream, reachable: Arc<AtomicBool>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let cut = Arc::new(AtomicBool::new(false));
    let deaf = Arc::clone(&cut);
    let answers = tokio::spawn(async move {
        let mut buffer = vec![0; 65536];
        while let Ok(n @ 1..) = from_server.read(&mut buffer).await {
            if !deaf.load(Ordering::SeqCst) && to_client.write_all(&buffer[..n]).await.is_err() {
                break;
            }
        }
    });
    let mut buffer = vec![0; 65536];
    while let Ok(n @ 1..) = from_client.read(&mut buffer).await {
        let seen = String::from_utf8_lossy(&buffer[..n]).contains(CUT);
        if seen {
            cut.store(true, Ordering::SeqCst);
        }
        if to_server.write_all(&buffer[..n]).await.is_err() {
            break;
        }
        if seen {
            // The server works on, whether the client is there or not.
            reachable.store(false, Ordering::SeqCst);
            drop(from_client);
            tokio::time::sleep(Duration::from_millis(700)).await;
            answers.abort();
            let _ = answers.await;
            reachable.store(true, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_secs(20)).await;
            return;
        }
    }
}

#[tokio::test]
async fn what_was_committed_unheard_is_found_out() {
    for (second, is_done) in [
        ("ALTER TABLE public.t ADD COLUMN b int", true),
        ("ALTER TABLE public.t ADD COLUMN b no_such_type", false),
        // Still at work when the program asks again: its end is waited for.
        ("SELECT pg_sleep(3)", true),
        // It does not end soon enough: it is cancelled.
        ("SELECT pg_sleep(60)", false),
    ] {
        let db = database(majors()[0], TABLES).await;
        let socket = db.server().socket_dir().join(format!(".s.PGSQL.{}", db.server().port()));
        let reachable = Arc::new(AtomicBool::new(true));
        let port = proxy(socket, reachable).await;
        let url = format!("postgresql://postgres@127.0.0.1:{port}/{}?sslmode=disable", db.name());
        let mut session = session(&url).await;
        let mut middle = batch(vec![step(2, second)]);
        middle.hold = Duration::from_secs(100);
        let plan = plan(vec![
            batch(vec![step(1, "ALTER TABLE public.t ADD COLUMN a int")]),
            middle,
            batch(vec![step(3, "ALTER TABLE public.t ADD COLUMN c int")]),
        ]);
        let (result, _) = run(&mut session, &plan).await;
        let stopped = result.unwrap_err();
        assert!(
            matches!(stopped.cause, Cause::Lost { certain: true, .. }),
            "{second}: {stopped:?}"
        );
        let done: &[usize] = if is_done { &[1, 2] } else { &[1] };
        assert_eq!(stopped.done, done, "{second}");
        let run = Journal::named("reconcile").unwrap().runs(&mut session).await.unwrap().remove(0);
        assert_eq!((run.state, run.steps_done), (RunState::Stopped, done.len()), "{second}");
    }
}
