//! A link that is far away: a proxy that delivers what the program sends 50 ms later.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reconcile_throwaway::Server;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// How much longer each answer takes.
pub(crate) const DELAY: Duration = Duration::from_millis(50);

/// A running proxy.
pub(crate) struct Link {
    port: u16,
    trips: Arc<AtomicUsize>,
}

impl Link {
    pub(crate) async fn to(server: &Server) -> Self {
        let socket = server.socket_dir().join(format!(".s.PGSQL.{}", server.port()));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let trips = Arc::new(AtomicUsize::new(0));
        tokio::spawn(accept(listener, socket, Arc::clone(&trips)));
        Self { port, trips }
    }

    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }

    /// How often the program has waited for the server so far.
    pub(crate) fn trips(&self) -> usize {
        self.trips.load(Ordering::SeqCst)
    }
}

async fn accept(listener: TcpListener, socket: PathBuf, trips: Arc<AtomicUsize>) {
    while let Ok((client, _)) = listener.accept().await {
        let Ok(server) = UnixStream::connect(&socket).await else { return };
        tokio::spawn(carry(client, server, Arc::clone(&trips)));
    }
}

async fn carry(client: TcpStream, server: UnixStream, trips: Arc<AtomicUsize>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    tokio::spawn(async move {
        let _ = copy(&mut from_server, &mut to_client).await;
        let _ = to_client.shutdown().await;
    });
    let (send, mut late) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    tokio::spawn(async move {
        while let Some((when, bytes)) = late.recv().await {
            sleep_until(when).await;
            if to_server.write_all(&bytes).await.is_err() {
                return;
            }
        }
        let _ = to_server.shutdown().await;
    });
    let mut buffer = vec![0; 1 << 16];
    let mut last: Option<Instant> = None;
    while let Ok(length @ 1..) = from_client.read(&mut buffer).await {
        let now = Instant::now();
        // What comes before the last could have been answered belongs to it.
        if last.is_none_or(|last| now.duration_since(last) >= DELAY) {
            trips.fetch_add(1, Ordering::SeqCst);
            last = Some(now);
        }
        if send.send((now + DELAY, buffer[..length].to_vec())).is_err() {
            return;
        }
    }
}
