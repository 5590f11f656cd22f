//! `reconcile inspect`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
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

    /// The form of the output
    #[arg(long, value_enum, default_value_t = Form::Yaml)]
    format: Form,
}

/// The form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A model, for people.
    Yaml,
    /// One file with everything that a plan needs, for where the database cannot be reached.
    Snapshot,
}

pub(crate) async fn run(args: &Inspect, global: &Global, output: &Output) -> Result<Exit, Failure> {
    let mut live = Side::live(global, output)?.open(global, None, output).await?;
    let options = derive::options(global, None)?;
    if args.format == Form::Snapshot {
        let text = live.save(&options.read).await?.write();
        live.close().await;
        match &args.out {
            None => output.result(&text)?,
            Some(path) => std::fs::write(path, text).map_err(|error| {
                Trouble::new("out", format!("cannot write {}: {error}", path.display()))
            })?,
        }
        return Ok(Exit::Done);
    }
    let (snapshot, _) = live.read(&options.read).await?;
    live.close().await;
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
