//! A target as the driver's options.
//!
//! Invariant: the driver decides nothing. It reads `PG*` variables and `~/.pgpass` by itself and
//! its fields cannot be unset, so every field that it might have filled is overwritten here.

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::{Host, Secret, SslMode, Target};

/// One way of reaching the server; `allow` and `prefer` have two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attempt(SslMode);

impl Target {
    /// The ways of reaching the server, in the order in which libpq tries them.
    pub(crate) fn attempts(&self) -> Vec<Attempt> {
        match (&self.host, self.ssl_mode) {
            // libpq: "sslmode is ignored for Unix domain socket communication."
            (Host::Socket(_), _) => vec![Attempt(SslMode::Disable)],
            (_, SslMode::Allow) => vec![Attempt(SslMode::Disable), Attempt(SslMode::Require)],
            (_, SslMode::Prefer) => vec![Attempt(SslMode::Prefer), Attempt(SslMode::Disable)],
            (_, mode) => vec![Attempt(mode)],
        }
    }

    /// The driver's options, with one more run-time parameter to set at the start if given.
    pub(crate) fn driver_options(
        &self,
        attempt: Attempt,
        parameter: Option<(&str, &str)>,
    ) -> PgConnectOptions {
        // `options` as the user wrote it can only be given in a URL, where the driver appends it
        // to PGOPTIONS. The password keeps it from looking for one of its own.
        let own = self
            .options
            .as_deref()
            .filter(|own| std::env::var("PGOPTIONS").map_or(true, |variable| variable != *own));
        let mut options = match own {
            Some(own) => {
                let own = utf8_percent_encode(own, NON_ALPHANUMERIC);
                format!("postgresql://x:x@localhost/?options={own}")
                    .parse()
                    .unwrap_or_else(|_| PgConnectOptions::new_without_pgpass())
            }
            None => PgConnectOptions::new_without_pgpass(),
        };
        options = match &self.host {
            Host::Tcp(host) => match self.host_address {
                Some(address) => options.host(&address.to_string()),
                None => options.host(host),
            },
            Host::Socket(path) => options.socket(path),
        };
        options = options
            .port(self.port)
            .username(&self.user)
            .password(self.password.as_ref().map_or("", |Secret(password)| password))
            .database(&self.database)
            .application_name(&self.application_name)
            // A stock PgBouncer refuses the start-up parameter extra_float_digits.
            .extra_float_digits(None)
            .ssl_mode(match attempt.0 {
                SslMode::Disable | SslMode::Allow => PgSslMode::Disable,
                SslMode::Prefer => PgSslMode::Prefer,
                SslMode::Require => PgSslMode::Require,
                SslMode::VerifyCa => PgSslMode::VerifyCa,
                SslMode::VerifyFull => PgSslMode::VerifyFull,
            });
        options = match &self.ssl_root_cert {
            Some(path) => options.ssl_root_cert(path),
            // No certificate besides those of the system; it overwrites what the driver took
            // from PGSSLROOTCERT, where it reads `system` as the name of a file.
            None => options.ssl_root_cert_from_pem(Vec::new()),
        };
        if let Some((cert, key)) = &self.ssl_client {
            options = options.ssl_client_cert(cert).ssl_client_key(key);
        }
        if let Some(parameter) = parameter {
            options = options.options([parameter]);
        }
        options.disable_statement_logging()
    }

    /// True if a password is known.
    pub(crate) fn has_password(&self) -> bool {
        self.password.is_some()
    }

    /// How long the user's own words let a connection take, none for no word on it.
    pub(crate) fn connect_timeout(&self) -> Option<Duration> {
        self.connect_timeout
    }
}

/// The name of the operating system's user, as libpq takes it for a role's name.
pub(super) fn default_user() -> String {
    PgConnectOptions::new_without_pgpass().get_username().to_owned()
}
