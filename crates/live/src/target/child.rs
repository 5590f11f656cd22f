//! A target as the environment of a libpq program such as `pg_dump`.
//!
//! Invariant: nothing is passed in the arguments, where every user of the machine could read it,
//! and no `PG*` variable of ours is left that could lead the child elsewhere.

use std::ffi::OsString;
use std::process::Command;

use super::surroundings::VARIABLES;
use super::{Host, SSL_MODES, Secret, SslMode, Target};

impl Target {
    /// Makes a libpq program connect to this target without a word on its command line.
    ///
    /// For an asynchronous command: `target.configure_child(command.as_std_mut())`.
    pub fn configure_child(&self, command: &mut Command) {
        for (name, value) in self.child_env() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
    }

    /// The variables to set for a libpq program, and those to remove (`None`).
    pub fn child_env(&self) -> Vec<(OsString, Option<OsString>)> {
        let value = |name: &str| -> Option<OsString> {
            let text = match name {
                "PGHOST" => match &self.host {
                    Host::Tcp(host) => host.clone(),
                    Host::Socket(path) => return Some(path.clone().into()),
                },
                "PGHOSTADDR" => self.host_address?.to_string(),
                "PGPORT" => self.port.to_string(),
                "PGUSER" => self.user.clone(),
                "PGPASSWORD" => {
                    let Secret(password) = self.password.as_ref()?;
                    password.clone()
                }
                "PGDATABASE" => self.database.clone(),
                "PGAPPNAME" => self.application_name.clone(),
                "PGOPTIONS" => self.options.clone()?,
                "PGSSLMODE" => self.child_ssl_mode().to_owned(),
                "PGSSLROOTCERT" => match &self.ssl_root_cert {
                    Some(path) => return Some(path.clone().into()),
                    // Read so from libpq 16 on; an older one looks for a file and refuses.
                    None if self.ssl_mode >= SslMode::VerifyCa => "system".to_owned(),
                    None => return None,
                },
                "PGSSLCERT" => return Some(self.ssl_client.as_ref()?.0.clone().into()),
                "PGSSLKEY" => return Some(self.ssl_client.as_ref()?.1.clone().into()),
                "PGCHANNELBINDING" => self.channel_binding.clone()?,
                "PGCONNECT_TIMEOUT" => self.connect_timeout?.as_secs().to_string(),
                _ => return None,
            };
            Some(text.into())
        };
        VARIABLES.iter().map(|(name, _)| (OsString::from(name), value(name))).collect()
    }

    /// libpq takes nothing weaker than `verify-full` together with the system's certificates.
    fn child_ssl_mode(&self) -> &'static str {
        let mode = match (self.ssl_mode, &self.ssl_root_cert) {
            (SslMode::VerifyCa, None) => SslMode::VerifyFull,
            (mode, _) => mode,
        };
        SSL_MODES.iter().find(|(_, other)| *other == mode).map_or("prefer", |(name, _)| *name)
    }
}
