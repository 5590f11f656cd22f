//! `reconcile inspect`.

use std::path::PathBuf;

use clap::Args;
use reconcile_model::{Layout, write};

use crate::args::Global;
use crate::derive;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::side::Side;
use crate::trouble::Trouble;

/// Write the YAML model of a database
///
/// Without --out it goes to standard output as one file. What no model can state is named.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// The folder to write to, or with --single the file
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,

    /// Write one file
    #[arg(long)]
    single: bool,

    /// State these of all objects, too: owners, grants
    #[arg(long, value_name = "WHAT", value_delimiter = ',', value_parser = ["owners", "grants"])]
    manage: Vec<String>,
}

pub(crate) async fn run(args: &Inspect, global: &Global, output: &Output) -> Result<Exit, Failure> {
    let mut opened = Side::of(global, output)?.open(global, true, output).await?;
    let options = derive::options(global, None)?;
    let snapshot = reconcile_live::introspect::introspect(&mut opened.session, &options.read)
        .await
        .map_err(Trouble::from)?;
    opened.session.close().await;
    let single = args.single || args.out.is_none();
    let layout = if single { Layout::Single } else { Layout::Folder };
    let files = write(&snapshot.catalog, layout, &args.manage);
    for address in &files.left_out {
        output.note(&format!("not in the model: {address}"));
    }
    let Some(out) = &args.out else {
        files.files.values().try_for_each(|text| output.result(text))?;
        return Ok(Exit::Done);
    };
    for (name, text) in &files.files {
        let path = if single { out.clone() } else { out.join(name) };
        let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        folder.and_then(|()| std::fs::write(&path, text)).map_err(|error| {
            Trouble::new("out", format!("cannot write {}: {error}", path.display()))
        })?;
    }
    Ok(Exit::Done)
}
