//! Reaches the server and logs in.
//!
//! Invariant: every failure becomes a [`ConnectKind`] with a sentence in plain words, and no word of
//! it is the password.

use std::time::Duration;

use sqlx::postgres::PgDatabaseError;
use sqlx::{ConnectOptions as _, PgConnection};

use crate::error::{ConnectError, ConnectKind, Error, ServerError};
use crate::target::{Attempt, Target};

/// Opens a connection by the ways that the target's sslmode allows, with one more run-time
/// parameter to set at the start if given.
pub(crate) async fn open(
    target: &Target,
    timeout: Duration,
    parameter: Option<(&str, &str)>,
) -> Result<PgConnection, Error> {
    let timeout = target.connect_timeout().unwrap_or(timeout);
    let tries = async {
        let mut first: Option<ConnectError> = None;
        for attempt in target.attempts() {
            match open_once(target, attempt, parameter).await {
                Ok(conn) => return Ok(conn),
                Err(error) => {
                    // The other way is tried where this one was refused for its encryption; its
                    // error counts if it got as far as the server.
                    let retry = matches!(error.kind, ConnectKind::Tls | ConnectKind::Rejected);
                    first = match first {
                        Some(first) if error.server.is_none() => Some(first),
                        _ => Some(error),
                    };
                    if !retry {
                        break;
                    }
                }
            }
        }
        Err(first)
    };
    let late = || ConnectError {
        target: target.display(),
        kind: ConnectKind::TimedOut,
        reason: format!("no answer within {} s", timeout.as_secs_f32()),
        server: None,
    };
    match tokio::time::timeout(timeout, tries).await {
        Ok(Ok(conn)) => Ok(conn),
        Ok(Err(error)) => Err(error.unwrap_or_else(late).into()),
        Err(_) => Err(late().into()),
    }
}

async fn open_once(
    target: &Target,
    attempt: Attempt,
    parameter: Option<(&str, &str)>,
) -> Result<PgConnection, ConnectError> {
    let options = target.driver_options(attempt, parameter);
    options.connect().await.map_err(|error| {
        let (kind, reason, server) = match &error {
            sqlx::Error::Database(error) => {
                let error = error.downcast_ref::<PgDatabaseError>();
                let server = ServerError::new(error, "", 0, 0).map_texts(|text| target.scrub(text));
                let kind = refusal(&server, target.has_password());
                let reason = match kind {
                    ConnectKind::NoPassword => {
                        format!(
                            "the server wants a password for {} and none is known",
                            target.user()
                        )
                    }
                    _ => server.to_string(),
                };
                (kind, reason, Some(Box::new(server)))
            }
            sqlx::Error::Io(error) => {
                let (kind, reason) = io_failure(error);
                (kind, reason.unwrap_or_else(|| target.scrub(&error.to_string())), None)
            }
            sqlx::Error::Tls(error) => (ConnectKind::Tls, tls_reason(&error.to_string()), None),
            other => (ConnectKind::Other, target.scrub(&other.to_string()), None),
        };
        ConnectError { target: target.display(), kind, reason, server }
    })
}

/// What a server's refusal of a login means.
fn refusal(error: &ServerError, has_password: bool) -> ConnectKind {
    let says = |text: &str| error.message.contains(text);
    match error.sqlstate.as_str() {
        "28P01" if !has_password => ConnectKind::NoPassword,
        "28P01" => ConnectKind::WrongPassword,
        // PgBouncer has no SQLSTATE of its own for these and says 08P01.
        "08P01" if says("authentication failed") && !has_password => ConnectKind::NoPassword,
        "08P01" if says("authentication failed") => ConnectKind::WrongPassword,
        "08P01" if says("startup parameter") => ConnectKind::StartUpParameter,
        "08P01" if says("no such database") || says("database \"") => ConnectKind::NoSuchDatabase,
        "08P01" if says("no such user") => ConnectKind::NoSuchRole,
        "28000" if says("does not exist") || says("not permitted to log in") => {
            ConnectKind::NoSuchRole
        }
        "28000" => ConnectKind::Rejected,
        "3D000" => ConnectKind::NoSuchDatabase,
        "42501" => ConnectKind::NoPrivilege,
        "53300" => ConnectKind::TooManyConnections,
        code if code.starts_with("57P0") => ConnectKind::NotAccepting,
        _ => ConnectKind::Other,
    }
}

fn io_failure(error: &std::io::Error) -> (ConnectKind, Option<String>) {
    use std::io::ErrorKind as Io;
    let text = error.to_string();
    if text.contains("lookup address") {
        return (ConnectKind::UnknownHost, Some("the host's name has no address".to_owned()));
    }
    if text.contains("certificate") {
        return (ConnectKind::Tls, Some(tls_reason(&text)));
    }
    match error.kind() {
        Io::ConnectionRefused => {
            (ConnectKind::Unreachable, Some("nothing listens there (refused)".to_owned()))
        }
        Io::NotFound if text.contains("os error 2") => {
            let reason = "there is no such socket, or a certificate's file is missing";
            (ConnectKind::Unreachable, Some(reason.to_owned()))
        }
        Io::TimedOut => (ConnectKind::TimedOut, None),
        Io::UnexpectedEof | Io::ConnectionReset => {
            let reason = "the other side closed the connection at once";
            (ConnectKind::Unreachable, Some(reason.to_owned()))
        }
        Io::InvalidData => (ConnectKind::Tls, None),
        _ => (ConnectKind::Unreachable, None),
    }
}

/// Says in plain words what the TLS library calls by the names of its variants.
fn tls_reason(text: &str) -> String {
    let known = [
        ("UnknownIssuer", "the server's certificate is not signed by an authority that is trusted"),
        ("BadSignature", "the server's certificate is not signed by an authority that is trusted"),
        ("NotValidForName", "the server's certificate is for another host name"),
        ("not valid for name", "the server's certificate is for another host name"),
        ("Expired", "the server's certificate has expired"),
        ("expired", "the server's certificate has expired"),
        ("NotValidYet", "the server's certificate is not valid yet"),
        (
            "CaUsedAsEndEntity",
            "the server shows an authority's certificate (self-signed, CA:TRUE) as its own; give \
             it one that is signed by that authority",
        ),
        ("does not support TLS", "the server does not offer TLS, and sslmode asks for it"),
    ];
    match known.iter().find(|(name, _)| text.contains(name)) {
        Some((_, words)) => format!("{words} ({text})"),
        None => text.to_owned(),
    }
}
