//! Stands between the program and the server, counts the queries, and can act on one of them.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use reconcile_testkit::Database;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream, UnixStream};

/// When to act, seen from the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// The server has not seen the query.
    Before,
    /// The server has the query, the program has no answer.
    After,
    /// The server has it up to the end of one of its steps, and then no more: no COMMIT.
    Within(usize),
    /// The server has all of it but the COMMIT.
    BeforeCommit,
}

/// At which query to act, and what to do.
pub(crate) struct Trap {
    pub(crate) query: usize,
    pub(crate) when: When,
    pub(crate) act: Box<dyn FnMut() + Send>,
}

#[derive(Default)]
struct Seen {
    queries: Vec<String>,
    trap: Option<Trap>,
}

/// A running proxy before a database.
pub(crate) struct Proxy {
    url: String,
    seen: Arc<Mutex<Seen>>,
}

impl Proxy {
    pub(crate) async fn start(database: &Database) -> Self {
        let server = database.server();
        let socket = server.socket_dir().join(format!(".s.PGSQL.{}", server.port()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url =
            format!("postgresql://postgres@127.0.0.1:{port}/{}?sslmode=disable", database.name());
        let seen = Arc::new(Mutex::new(Seen::default()));
        tokio::spawn(accept(listener, socket, Arc::clone(&seen)));
        Self { url, seen }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The queries that went by.
    pub(crate) fn queries(&self) -> Vec<String> {
        self.seen.lock().unwrap().queries.clone()
    }

    pub(crate) fn set(&self, trap: Trap) {
        self.seen.lock().unwrap().trap = Some(trap);
    }
}

async fn accept(listener: TcpListener, socket: PathBuf, seen: Arc<Mutex<Seen>>) {
    while let Ok((client, _)) = listener.accept().await {
        let Ok(server) = UnixStream::connect(&socket).await else { return };
        tokio::spawn(carry(client, server, Arc::clone(&seen)));
    }
}

async fn carry(client: TcpStream, server: UnixStream, seen: Arc<Mutex<Seen>>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let answers = tokio::spawn(async move {
        let _ = copy(&mut from_server, &mut to_client).await;
        let _ = to_client.shutdown().await;
    });
    let mut typed = false;
    while let Some(frame) = frame(&mut from_client, typed).await {
        // A startup packet has no type; one that asks for something first (TLS) is followed by it.
        typed = typed || frame.get(4..8) == Some(&196_608_i32.to_be_bytes());
        let trap = if frame.first() == Some(&b'Q') { trapped(&seen, &frame) } else { None };
        let sent = match trap.as_ref().map(|trap| trap.when) {
            Some(When::Before) => Vec::new(),
            Some(When::Within(step)) => beginning(&frame, step),
            Some(When::BeforeCommit) => without_commit(&frame),
            Some(When::After) | None => frame,
        };
        if to_server.write_all(&sent).await.is_err() || to_server.flush().await.is_err() {
            return;
        }
        if let Some(mut trap) = trap {
            // Neither side hears of the other any more.
            answers.abort();
            (trap.act)();
            return;
        }
    }
}

/// Notes a query; the trap, if it is the one.
fn trapped(seen: &Mutex<Seen>, frame: &[u8]) -> Option<Trap> {
    let mut seen = seen.lock().unwrap();
    seen.queries.push(text(frame));
    let number = seen.queries.len();
    seen.trap.take_if(|trap| trap.query == number)
}

fn text(frame: &[u8]) -> String {
    let text = String::from_utf8_lossy(frame.get(5..).unwrap_or_default());
    text.trim_end_matches('\0').to_owned()
}

/// How many steps a query does: each is noted in the journal.
pub(crate) fn steps(query: &str) -> usize {
    query.split(BETWEEN).filter(|statement| is_note(statement)).count()
}

/// Between two statements of one message.
const BETWEEN: &str = "\n;\n";

fn is_note(statement: &str) -> bool {
    statement.starts_with("UPDATE \"reconcile\".\"step\"") && statement.contains("'done'")
}

/// The query up to the note of its n-th step.
fn beginning(frame: &[u8], step: usize) -> Vec<u8> {
    let query = text(frame);
    let mut left = step;
    let statements = query.split(BETWEEN).take_while(|statement| {
        let goes_on = left > 0;
        left = left.saturating_sub(usize::from(is_note(statement)));
        goes_on
    });
    query_frame(&statements.collect::<Vec<_>>().join(BETWEEN))
}

fn without_commit(frame: &[u8]) -> Vec<u8> {
    let query = text(frame);
    query_frame(query.strip_suffix("COMMIT").unwrap_or(&query))
}

fn query_frame(query: &str) -> Vec<u8> {
    let length = i32::try_from(query.len() + 5).expect("a query is short");
    let mut frame = vec![b'Q'];
    frame.extend(length.to_be_bytes());
    frame.extend(query.as_bytes());
    frame.push(0);
    frame
}

async fn frame(from: &mut (impl AsyncReadExt + Unpin), typed: bool) -> Option<Vec<u8>> {
    let mut frame = vec![0; if typed { 5 } else { 4 }];
    from.read_exact(&mut frame).await.ok()?;
    let head = frame.len();
    let length = u32::from_be_bytes(frame[head - 4..].try_into().ok()?) as usize;
    frame.resize(head - 4 + length, 0);
    from.read_exact(&mut frame[head..]).await.ok()?;
    Some(frame)
}
