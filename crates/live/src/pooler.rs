//! Finds out whether a pooler stands between us and the server.
//!
//! Invariant: `Direct` is proven, not assumed. A parameter with a name and value that nobody else
//! uses is given at the start of a connection and read back; a pooler refuses or drops it, because
//! it hands out server connections that were started before.

use std::fmt;
use std::time::Duration;

use sqlx::Connection as _;

use crate::connect::nonce;
use crate::error::{ConnectKind, Error};
use crate::login::open;
use crate::rows;
use crate::target::Target;

/// The nature of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pooled {
    /// The connection is the server's own session.
    Direct,
    /// A pooler lends sessions out.
    Pooled {
        /// How it shows, for people.
        why: String,
    },
}

impl fmt::Display for Pooled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct => f.write_str("direct"),
            Self::Pooled { why } => write!(f, "pooled: {why}"),
        }
    }
}

const PARAMETER: &str = "reconcile.session";

/// Tells a pooler from a server, with a connection of its own.
pub async fn is_pooled(target: &Target, connect_timeout: Duration) -> Result<Pooled, Error> {
    let pooled = |why: &str| Ok(Pooled::Pooled { why: why.to_owned() });
    if let Some(why) = target.pooler_by_name() {
        return pooled(why);
    }
    let nonce = nonce();
    let mut conn = match open(target, connect_timeout, Some((PARAMETER, &nonce))).await {
        Ok(conn) => conn,
        Err(Error::Connect(error)) if error.kind == ConnectKind::StartUpParameter => {
            return pooled("it refuses run-time parameters at the start, as PgBouncer does");
        }
        // Any other refusal by a server counts only if it is about the parameter, that is, if it
        // does not come without it (RDS Proxy says 0A000 here).
        Err(Error::Connect(error))
            if error.kind == ConnectKind::Other && error.server.is_some() =>
        {
            let conn = open(target, connect_timeout, None).await?;
            let _ = conn.close().await;
            return pooled("it refuses run-time parameters at the start");
        }
        Err(error) => return Err(error),
    };
    let sql = format!("SELECT pg_catalog.current_setting('{PARAMETER}', true)");
    let sets = rows::send(&mut conn, target, &sql, 0).await?;
    let _ = conn.close().await;
    let read_back = sets.iter().flat_map(|set| &set.rows).find_map(|row| row.at(0));
    match read_back == Some(nonce.as_str()) {
        true => Ok(Pooled::Direct),
        false => pooled("it drops run-time parameters given at the start"),
    }
}

impl Target {
    /// The host without its pooler, where the name shows it: `host` or `host:port`.
    ///
    /// Neon: "remove `-pooler` from the endpoint" (neon.com/docs/connect/connection-pooling).
    /// Supabase: the direct host is `db.PROJECT.supabase.co`, and the pooler's user name is
    /// `ROLE.PROJECT`.
    pub fn direct_host(&self) -> Option<String> {
        let host = self.host()?;
        if let Some(direct) = neon_direct_host(host) {
            return Some(direct);
        }
        if host.ends_with(".pooler.supabase.com") {
            let (_, project) = self.user().split_once('.')?;
            return Some(format!("db.{project}.supabase.co:5432"));
        }
        (host.ends_with(".supabase.co") && self.port() == 6543).then(|| format!("{host}:5432"))
    }

    /// Why the name alone shows a pooler.
    fn pooler_by_name(&self) -> Option<&'static str> {
        let host = self.host()?;
        if neon_direct_host(host).is_some() {
            Some("the host's name is that of Neon's pooler")
        } else if host.ends_with(".pooler.supabase.com") {
            Some("the host's name is that of Supabase's pooler")
        } else if host.ends_with(".supabase.co") && self.port() == 6543 {
            Some("6543 is the port of Supabase's pooler")
        } else {
            None
        }
    }
}

/// `ep-name-123-pooler.region.aws.neon.tech` without `-pooler`.
fn neon_direct_host(host: &str) -> Option<String> {
    let (endpoint, domain) = host.split_once('.')?;
    let endpoint = endpoint.strip_suffix("-pooler")?;
    endpoint.starts_with("ep-").then(|| format!("{endpoint}.{domain}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn names_show_the_direct_host() {
        let direct = |url: &str| Target::parse(url).unwrap().target.direct_host();
        assert_eq!(
            direct("postgresql://u@ep-cool-name-123-pooler.us-east-2.aws.neon.tech/d").as_deref(),
            Some("ep-cool-name-123.us-east-2.aws.neon.tech")
        );
        assert_eq!(direct("postgresql://u@ep-cool-name-123.us-east-2.aws.neon.tech/d"), None);
        assert_eq!(
            direct("postgresql://app.abcdef@aws-0-eu-1.pooler.supabase.com:6543/d").as_deref(),
            Some("db.abcdef.supabase.co:5432")
        );
        assert_eq!(
            direct("postgresql://u@db.abcdef.supabase.co:6543/d").as_deref(),
            Some("db.abcdef.supabase.co:5432")
        );
        assert_eq!(direct("postgresql://u@db.abcdef.supabase.co:5432/d"), None);
        assert_eq!(direct("postgresql://u@my-pooler.example/d"), None);
    }
}
