//! The live side: a database, or a .sql file in a throw-away server.

use std::path::{Path, PathBuf};

use reconcile_live::connect::{ConnectOptions, Session, connect};
use reconcile_live::target::Target;
use reconcile_throwaway::{Server, Wanted};

use crate::args::Global;
use crate::failure::Failure;
use crate::output::Output;
use crate::trouble::Trouble;

/// The database that a script is loaded into.
const DATABASE: &str = "live";

/// What `--live` names.
#[derive(Debug)]
pub(crate) enum Side {
    /// A database.
    Database(Box<Target>),
    /// A file for a throw-away server.
    Script(PathBuf),
}

/// An open side. The throw-away server, if there is one, lives as long as this.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The connection.
    pub(crate) session: Session,
    /// What it is called, without a password.
    pub(crate) label: String,
    /// Keeps the server up.
    _server: Option<Server>,
}

impl Side {
    /// Reads `--live`, `DATABASE_URL` and the `PG*` variables.
    pub(crate) fn of(global: &Global, output: &Output) -> Result<Self, Failure> {
        let parsed = match global.live.as_deref().filter(|text| !text.trim().is_empty()) {
            Some(text) if is_file(text) => return Ok(Self::Script(PathBuf::from(text))),
            Some(text) => Target::parse(text).map_err(Trouble::from)?,
            None => Target::from_env().map_err(Trouble::from)?.ok_or_else(no_database)?,
        };
        for note in &parsed.notes {
            output.note(note);
        }
        Ok(Self::Database(Box::new(parsed.target)))
    }

    /// The database, for a command that makes no sense on a throw-away server.
    pub(crate) fn database(self, command: &str) -> Result<Target, Failure> {
        match self {
            Self::Database(target) => Ok(*target),
            Self::Script(path) => Err(Failure::refused(
                Trouble::new(
                    "throwaway_side",
                    format!("`{command}` needs a database that stays, and {} is loaded into a server that is thrown away", path.display()),
                )
                .help("Name the database with --live postgresql://… or DATABASE_URL; `plan`, `check` and `gate` take a .sql file."),
            )),
        }
    }

    /// Connects, or starts a throw-away server first.
    pub(crate) async fn open(
        self,
        global: &Global,
        pooled: bool,
        output: &Output,
    ) -> Result<Opened, Failure> {
        match self {
            Self::Database(target) => {
                let options = ConnectOptions {
                    role: global.role.clone(),
                    pooled,
                    ..ConnectOptions::default()
                };
                let session = connect(&target, &options).await.map_err(Trouble::from)?;
                Ok(Opened { session, label: target.display(), _server: None })
            }
            Self::Script(path) => script(&path, global, output).await,
        }
    }
}

async fn script(path: &Path, global: &Global, output: &Output) -> Result<Opened, Failure> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|error| {
        Trouble::new("script", format!("cannot read {name}: {error}"))
            .help("--live takes a URL or a .sql file.")
    })?;
    let sql = String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()]
            .iter()
            .filter(|b| **b == b'\n')
            .count()
            + 1;
        Trouble::new(
            "script",
            format!("{name} is not UTF-8 (line {line}); pg_dump's other formats are no SQL either"),
        )
        .help("Make a plain dump: pg_dump --encoding=UTF8 --format=plain")
    })?;
    // A dump loads into the version that it was dumped from, and into later ones.
    let explicit = global.pg_bin.clone();
    let dumped = reconcile_throwaway::dumped_from(&sql);
    let installation = tokio::task::spawn_blocking(move || find(dumped, explicit.as_deref()))
        .await
        .map_err(|error| Trouble::new("throwaway", error.to_string()))?
        .map_err(Trouble::from)?;
    let server = Server::start(&installation).await.map_err(Trouble::from)?;
    let report =
        reconcile_throwaway::load(&server, DATABASE, &sql, &name).await.map_err(Trouble::from)?;
    for skipped in &report.skipped {
        output.note(&format!(
            "{name}:{}: not run: {} ({})",
            skipped.line, skipped.reason, skipped.statement_head
        ));
    }
    if !report.missing_extensions.is_empty() {
        output.note(&format!(
            "{name}: extensions that the throw-away server does not have: {}",
            report.missing_extensions.join(", ")
        ));
    }
    if !report.created_roles.is_empty() {
        output.note(&format!(
            "{name}: roles made without login in the throw-away server: {}",
            report.created_roles.join(", ")
        ));
    }
    let target = Target::parse(&server.url(DATABASE)).map_err(Trouble::from)?.target;
    let options = ConnectOptions { role: global.role.clone(), ..ConnectOptions::default() };
    let session = connect(&target, &options).await.map_err(Trouble::from)?;
    Ok(Opened { session, label: format!("{name} in a throw-away server"), _server: Some(server) })
}

fn find(
    dumped: Option<u32>,
    explicit: Option<&Path>,
) -> Result<reconcile_throwaway::Installation, reconcile_throwaway::Error> {
    if let (Some(major), None) = (dumped, explicit)
        && let Ok(found) = reconcile_throwaway::find(Wanted::Major(major), None)
    {
        return Ok(found);
    }
    reconcile_throwaway::find(Wanted::Any, explicit)
}

/// A name that ends in .sql means a file, there or not; anything else only if it is one.
fn is_file(text: &str) -> bool {
    let names_script = Path::new(text).extension().is_some_and(|e| e.eq_ignore_ascii_case("sql"));
    (names_script && !text.contains("://")) || Path::new(text).is_file()
}

fn no_database() -> Trouble {
    Trouble::new("no_database", "no database is named").help(
        "Give --live postgresql://user@host:5432/database, or set DATABASE_URL, or PGHOST and \
         PGDATABASE. A .sql file is taken too: --live dump.sql",
    )
}
