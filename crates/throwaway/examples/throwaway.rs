//! Starts a throw-away server, loads a script into it if one is given, prints its URL, and keeps
//! it until standard input ends: `cargo run -p reconcile-throwaway --example throwaway -- 16 x.sql`.
#![allow(clippy::print_stdout)]

use std::io::Read;
use std::time::Instant;

use reconcile_throwaway::{Server, Wanted, find, load};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let wanted = match arguments.next().map(|major| major.parse()).transpose()? {
        Some(major) => Wanted::Major(major),
        None => Wanted::Any,
    };
    let begin = Instant::now();
    let installation = find(wanted, None)?;
    println!("found in {:?}: {installation:?}", begin.elapsed());
    let begin = Instant::now();
    let server = Server::start(&installation).await?;
    println!("started in {:?}", begin.elapsed());
    if let Some(path) = arguments.next() {
        let sql = std::fs::read_to_string(&path)?;
        let begin = Instant::now();
        let report = load(&server, "loaded", &sql, &path).await?;
        println!("loaded in {:?}: {report:#?}", begin.elapsed());
        println!("{}", server.url("loaded"));
    } else {
        println!("{}", server.url("postgres"));
    }
    std::io::stdin().read_to_end(&mut Vec::new())?;
    let begin = Instant::now();
    drop(server);
    println!("stopped in {:?}", begin.elapsed());
    Ok(())
}
