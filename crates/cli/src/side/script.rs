//! A .sql file in a throw-away server.

use std::path::{Path, PathBuf};

use reconcile_live::connect::{ConnectOptions, Session, connect};
use reconcile_live::target::Target;
use reconcile_throwaway::{Installation, Server, Wanted};

use crate::args::Global;
use crate::failure::Failure;
use crate::output::Output;
use crate::trouble::Trouble;

/// The database in a throw-away server.
const DATABASE: &str = "live";

/// A session in a throw-away server, which lives as long as this.
#[derive(Debug)]
pub(super) struct Throwaway {
    pub(super) session: Session,
    pub(super) server: Server,
}

/// Loads a file; `wanted` is the major version of the other side.
pub(super) async fn load(
    path: &Path,
    wanted: Option<u32>,
    role: Option<&str>,
    global: &Global,
    output: &Output,
) -> Result<Throwaway, Failure> {
    let name = path.display().to_string();
    let sql = read(path)?;
    let dumped = reconcile_throwaway::dumped_from(&sql);
    // The other side's version, so that both print alike; else the one that it was dumped from.
    let first = find([wanted, dumped], global).await?;
    let again = dumped.filter(|own| wanted.is_some() && *own != first.major);
    note_version(wanted, &first, &name, output);
    let server = start(&first).await?;
    let (server, report) = match reconcile_throwaway::load(&server, DATABASE, &sql, &name).await {
        Ok(report) => (server, report),
        Err(error) => {
            // What a later version wrote need not be SQL to an earlier one.
            let Some(own) = again else { return Err(Trouble::from(error).into()) };
            output.note(&format!(
                "{name} does not load into PostgreSQL {} ({error}): loaded into {own}, where it \
                 comes from",
                first.major
            ));
            let server = start(&find([Some(own), None], global).await?).await?;
            let report = reconcile_throwaway::load(&server, DATABASE, &sql, &name)
                .await
                .map_err(Trouble::from)?;
            (server, report)
        }
    };
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
    let session = session(&server, role).await?;
    Ok(Throwaway { session, server })
}

/// An empty database in a throw-away server.
pub(super) async fn empty(
    name: &str,
    wanted: Option<u32>,
    global: &Global,
    output: &Output,
) -> Result<Throwaway, Failure> {
    let installation = find([wanted, None], global).await?;
    note_version(wanted, &installation, name, output);
    let server = start(&installation).await?;
    server.create_database(DATABASE).await.map_err(Trouble::from)?;
    let session = session(&server, None).await?;
    Ok(Throwaway { session, server })
}

async fn start(installation: &Installation) -> Result<Server, Failure> {
    Ok(Server::start(installation).await.map_err(Trouble::from)?)
}

async fn session(server: &Server, role: Option<&str>) -> Result<Session, Failure> {
    let target = Target::parse(&server.url(DATABASE)).map_err(Trouble::from)?.target;
    let options = ConnectOptions { role: role.map(str::to_owned), ..ConnectOptions::default() };
    Ok(connect(&target, &options).await.map_err(Trouble::from)?)
}

/// The text of a file.
pub(super) fn read(path: &Path) -> Result<String, Failure> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|error| {
        Trouble::new("script", format!("cannot read {name}: {error}"))
            .help("A side is a URL, a .sql file, a snapshot, or a folder of YAML files.")
    })?;
    let text = String::from_utf8(bytes).map_err(|error| {
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
    Ok(text)
}

/// The server programs of the first of these versions that can be had, else of any.
async fn find(wanted: [Option<u32>; 2], global: &Global) -> Result<Installation, Failure> {
    let explicit = global.pg_bin.clone();
    let look = move || {
        let explicit: Option<&PathBuf> = explicit.as_ref();
        for major in wanted.into_iter().flatten() {
            if explicit.is_none()
                && let Ok(found) = reconcile_throwaway::find(Wanted::Major(major), None)
            {
                return Ok(found);
            }
        }
        reconcile_throwaway::find(Wanted::Any, explicit.map(PathBuf::as_path))
    };
    let found = tokio::task::spawn_blocking(look)
        .await
        .map_err(|error| Trouble::new("throwaway", error.to_string()))?;
    Ok(found.map_err(Trouble::from)?)
}

fn note_version(wanted: Option<u32>, found: &Installation, name: &str, output: &Output) {
    if let Some(wanted) = wanted.filter(|wanted| *wanted != found.major) {
        output.note(&format!(
            "{name} is in a throw-away PostgreSQL {}: the other side's {wanted} is not to be had here",
            found.major
        ));
    }
}
