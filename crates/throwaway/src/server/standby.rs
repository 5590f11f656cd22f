//! A hot standby of a throw-away server.

use std::fs;

use sqlx::{AssertSqlSafe, Connection, Executor, Row};

use super::{Options, Server};
use crate::cache::unique;
use crate::{Error, data_dir};

impl Server {
    /// Starts a hot standby with all that this server has now. It gets nothing afterwards, and can
    /// be read and not written.
    ///
    /// The files are copied as a base backup is; pg_basebackup is not in every installation.
    ///
    /// # Errors
    /// If the files cannot be copied, or the standby does not start.
    pub async fn standby(&self) -> Result<Server, Error> {
        self.standby_with(Options::default()).await
    }

    /// Starts a hot standby that goes on receiving what this server writes, as `name`.
    ///
    /// # Errors
    /// If the files cannot be copied, or the standby does not start.
    pub async fn follower(&self, name: &str) -> Result<Server, Error> {
        let primary = format!(
            "host={} port={} user=postgres application_name={name}",
            self.socket_dir().display(),
            self.port()
        );
        self.standby_with(Options::default().setting("primary_conninfo", &primary)).await
    }

    async fn standby_with(&self, options: Options) -> Result<Server, Error> {
        let (start, stop) = match self.major() {
            15.. => ("pg_backup_start('standby', true)", "pg_backup_stop(false)"),
            _ => ("pg_start_backup('standby', true, false)", "pg_stop_backup(false, false)"),
        };
        let from = self.socket_dir().join("data");
        let to = self.socket_dir().join(format!("backup-{}", unique()));
        let failed = || Error::io(format!("cannot copy to {}", to.display()));
        let what = "cannot make a base backup";
        let mut connection = self.connect("postgres").await?;
        let start = AssertSqlSafe(format!("SELECT {start}"));
        connection.execute(sqlx::raw_sql(start)).await.map_err(Error::database(what))?;
        data_dir::copy(&from, &to, Some(&self.user)).map_err(failed())?;
        let stop = AssertSqlSafe(format!("SELECT labelfile FROM {stop}"));
        let row = connection.fetch_one(sqlx::raw_sql(stop)).await;
        let label: String = row.and_then(|row| row.try_get(0)).map_err(Error::database(what))?;
        let _ = connection.close().await;
        // The log up to the end of the backup, by which the copied files become consistent.
        fs::remove_dir_all(to.join("pg_wal")).map_err(failed())?;
        let log = from.join("pg_wal");
        data_dir::copy(&log, &to.join("pg_wal"), Some(&self.user)).map_err(failed())?;
        for (name, text) in [("backup_label", label.as_str()), ("standby.signal", "")] {
            fs::write(to.join(name), text).map_err(failed())?;
            self.user.give(&to.join(name)).map_err(failed())?;
        }
        for name in ["postmaster.pid", "postmaster.opts"] {
            fs::remove_file(to.join(name)).map_err(failed())?;
        }
        let options = Options { data: Some(to.clone()), ..options };
        let options = options.setting("max_connections", "300");
        Server::start_with(self.installation(), options).await
    }
}
