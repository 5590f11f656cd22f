//! A throw-away server that fails as real ones do: it goes down, and comes back or does not.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{START_TIMEOUT, Server};
use crate::Error;

/// How a server ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Its sessions are ended first (`pg_ctl stop -m fast`).
    Fast,
    /// At once, so that the next start recovers from the log (`pg_ctl stop -m immediate`).
    Immediate,
    /// By `kill -9`. Its sessions see it when they look.
    Killed,
}

impl Ending {
    fn signal(self) -> &'static str {
        match self {
            Self::Fast => "INT",
            Self::Immediate => "QUIT",
            Self::Killed => "KILL",
        }
    }
}

impl Server {
    /// Ends the server and starts it again with the same files; returns when it takes connections.
    ///
    /// # Errors
    /// If it does not come back.
    pub async fn restart(&self, ending: Ending) -> Result<(), Error> {
        let before = self.pid()?;
        let again = self.dir.join("again");
        fs::write(&again, "").map_err(Error::io(format!("cannot write {}", again.display())))?;
        signal(before, ending)?;
        let begin = Instant::now();
        while !self.is_ready_as_another_than(before) {
            if begin.elapsed() > START_TIMEOUT || self.dir.join("exited").exists() {
                let log = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
                let bin = self.installation.bin.clone();
                return Err(Error::Start { bin, reason: format!("it did not come back\n{log}") });
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// Ends the server for good; its files stay until this value goes.
    ///
    /// # Errors
    /// If it cannot be signalled.
    pub async fn end(&self, ending: Ending) -> Result<(), Error> {
        signal(self.pid()?, ending)?;
        while !self.dir.join("exited").exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// The process id of the server itself, the parent of its sessions.
    ///
    /// # Errors
    /// If it does not run.
    pub fn pid(&self) -> Result<u32, Error> {
        let what = format!("cannot read the process id of the server in {}", self.dir.display());
        let text = fs::read_to_string(self.dir.join("pid")).map_err(Error::io(what.clone()))?;
        let none = || std::io::Error::from(std::io::ErrorKind::InvalidData);
        text.trim().parse().map_err(|_| Error::io(what)(none()))
    }

    /// The first line of the file is the process id, the eighth the state.
    fn is_ready_as_another_than(&self, before: u32) -> bool {
        fs::read_to_string(self.dir.join("data/postmaster.pid")).is_ok_and(|text| {
            let mut lines = text.lines().map(str::trim);
            let other = lines.next().is_some_and(|pid| pid != before.to_string());
            other && lines.nth(6) == Some("ready")
        })
    }
}

fn signal(pid: u32, ending: Ending) -> Result<(), Error> {
    let command = format!("kill -{} {pid}", ending.signal());
    let status = Command::new("/bin/sh").args(["-c", &command]).stdin(Stdio::null()).status();
    match status.map_err(Error::io(command.clone()))?.success() {
        true => Ok(()),
        false => Err(Error::io(command)(std::io::ErrorKind::NotFound.into())),
    }
}
