//! A proxy that counts what a client sends, message by message.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Messages that came from clients so far.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// `Query`: the simple protocol.
    pub(crate) simple: AtomicUsize,
    /// `Parse`: something is prepared.
    pub(crate) parse: AtomicUsize,
}

impl Counts {
    pub(crate) fn simple(&self) -> usize {
        self.simple.load(Ordering::SeqCst)
    }

    pub(crate) fn parse(&self) -> usize {
        self.parse.load(Ordering::SeqCst)
    }
}

/// Starts a proxy before 127.0.0.1:`port`, and returns its own port. Clients must not use TLS.
pub(crate) async fn proxy(port: u16) -> (u16, Arc<Counts>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap().port();
    let counts = Arc::new(Counts::default());
    let shared = Arc::clone(&counts);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let counts = Arc::clone(&shared);
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
            tokio::spawn(async move {
                // The first message has no type byte: the start of the session.
                let mut first = true;
                loop {
                    let mut head = vec![0; if first { 4 } else { 5 }];
                    if from_client.read_exact(&mut head).await.is_err() {
                        return;
                    }
                    let length = u32::from_be_bytes(head[head.len() - 4..].try_into().unwrap());
                    let mut body = vec![0; length as usize - 4];
                    from_client.read_exact(&mut body).await.unwrap();
                    match head[0] {
                        _ if first => {}
                        b'Q' => _ = counts.simple.fetch_add(1, Ordering::SeqCst),
                        b'P' => _ = counts.parse.fetch_add(1, Ordering::SeqCst),
                        _ => {}
                    }
                    first = false;
                    to_server.write_all(&head).await.unwrap();
                    to_server.write_all(&body).await.unwrap();
                }
            });
        }
    });
    (own, counts)
}
