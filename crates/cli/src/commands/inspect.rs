//! `reconcile inspect`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use reconcile_catalog::Address;
use reconcile_diff::Change;
use reconcile_live::derive::{DeriveOptions, Derived};
use reconcile_model::{Layout, Model, State, Update, write};
use reconcile_report::{called, listed_names};

use crate::args::Global;
use crate::derive;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::files;
use crate::output::Output;
use crate::side::{Desired, Live, Side, Sides, by_kind};
use crate::trouble::Trouble;

/// Write the YAML model of a database
///
/// Without --out it goes to standard output as one file. A model that is there is brought up to
/// date: what did not change keeps its text, with its comments. What no model can state is named.
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

    /// The JSON Schema that new files name for editors: a URL, or a path from the folder of --out;
    /// reconcile.schema.json if that is there
    #[arg(long, value_name = "PATH")]
    schema: Option<String>,

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
    let there = match (&args.out, args.format) {
        (Some(out), Form::Yaml) => existing(args, out)?,
        _ => None,
    };
    let mut live = Side::live(global, output)?.open(global, None, output).await?;
    let options = derive::options(global, None)?;
    if args.format == Form::Snapshot {
        let text = live.save(&options.read).await?.write();
        live.close().await;
        match &args.out {
            None => output.result(&text)?,
            Some(path) => files::write(&BTreeMap::from([(path.clone(), Some(text))]))?,
        }
        return Ok(Exit::Done);
    }
    if let (Some(out), Some(model)) = (&args.out, there) {
        return again(args, out, model, live, &options, global, output).await;
    }
    let (snapshot, _) = live.read(&options.read).await?;
    live.close().await;
    let single = args.single || args.out.is_none();
    let layout = if single { Layout::Single } else { Layout::Folder };
    let written = write(&snapshot.catalog, layout, &args.manage);
    tell(&written.left_out, &snapshot.facts.exclusions, output);
    match &args.out {
        None => written.files.values().try_for_each(|text| output.result(text))?,
        Some(out) => {
            let each = written.files.iter().map(|(name, text)| new_file(args, out, name, text));
            files::write(&each.collect())?;
        }
    }
    Ok(Exit::Done)
}

/// The model that is there already.
fn existing(args: &Inspect, out: &Path) -> Result<Option<Model>, Failure> {
    if args.single && out.is_dir() {
        let message = format!("{} is a folder, and --single writes a file", out.display());
        return Err(Trouble::new("out", message).help("Name the file: --out schema.yaml").into());
    }
    if !args.single && out.is_file() {
        let message = format!("{} is a file, and a folder is written", out.display());
        return Err(Trouble::new("out", message).help("--single writes one file.").into());
    }
    if !Model::is_at(out) {
        return Ok(None);
    }
    let model = Model::load(std::slice::from_ref(&out.to_owned())).map_err(Failure::model)?;
    let stated = model.managed();
    if let Some(more) = args.manage.iter().find(|what| !stated.contains(*what)) {
        let message = format!("the model in {} does not manage {more}", out.display());
        return Err(Trouble::new("manage", message)
            .help(format!(
                "Write `manage: [{}]` at the top of one of its files.",
                args.manage.join(", ")
            ))
            .into());
    }
    Ok(Some(model))
}

/// Brings a model that is there up to date.
async fn again(
    args: &Inspect,
    out: &Path,
    model: Model,
    live: Live,
    options: &DeriveOptions,
    global: &Global,
    output: &Output,
) -> Result<Exit, Failure> {
    let layout = if args.single { Layout::Single } else { Layout::Folder };
    let before: BTreeMap<String, String> =
        model.texts().map(|(name, text)| (name.to_owned(), text.to_owned())).collect();
    let mut sides = Sides { live, desired: Desired::of_model(model) };
    let derived = derive::between(&mut sides, options, global).await?;
    let update = update(&sides, &derived, layout);

    // It is written only if it says what is there, which reading it again shows.
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    for (name, text) in &update.files {
        texts.extend(text.as_ref().map(|text| (name.clone(), text.clone())));
    }
    let mut new = BTreeMap::new();
    for (name, text) in &update.new {
        let (path, text) = new_file(args, out, name, text);
        texts.extend(text.clone().map(|text| (path.display().to_string(), text)));
        new.insert(path, text);
    }
    if !texts.is_empty() {
        let pairs = texts.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        let merged = Model::of_texts(pairs).map_err(Failure::model)?;
        sides.desired = Desired::of_model(merged);
        let proof = derive::between(&mut sides, options, global).await?;
        demand_sync(&sides, &proof, layout, &texts, out)?;
    }
    sides.live.close().await;
    tell(&update.left_out, &derived.snapshot.facts.exclusions, output);
    for address in &update.gone {
        output.note(&format!("gone from the model: {}", called(address)));
    }
    let changed = |(name, text): (String, Option<String>)| {
        (before.get(&name) != text.as_ref()).then(|| (PathBuf::from(name), text))
    };
    let mut writing: BTreeMap<PathBuf, Option<String>> =
        update.files.into_iter().filter_map(changed).collect();
    for path in writing.iter().filter(|(_, text)| text.is_none()).map(|(path, _)| path) {
        output.note(&format!("{} is removed: nothing is left in it", path.display()));
    }
    if let Some(path) = new.keys().find(|path| path.exists()) {
        let message = format!("{} is there, and not part of the model", path.display());
        return Err(Trouble::new("out", message).into());
    }
    writing.extend(new);
    files::write(&writing)?;
    Ok(Exit::Done)
}

fn update(sides: &Sides, derived: &Derived, layout: Layout) -> Update {
    let matched = &derived.difference.matched;
    let altered = derived.difference.changes.iter().filter_map(|change| match change {
        Change::Alter { live, .. } => matched.desired_of(live).cloned(),
        Change::Rename { to, .. } => Some(to.clone()),
        Change::Create(_) | Change::Drop(_) => None,
    });
    let former = |live| derived.difference.renames.former(live);
    let state = State {
        altered: altered.collect(),
        matched: matched.pairs().map(|(desired, live)| (desired.clone(), former(live))).collect(),
    };
    sides.desired.model.update(&derived.snapshot.catalog, &state, layout)
}

/// Demands that a model says what is there, and that nothing is left to be done about it.
fn demand_sync(
    sides: &Sides,
    derived: &Derived,
    layout: Layout,
    texts: &BTreeMap<String, String>,
    out: &Path,
) -> Result<(), Failure> {
    let more = update(sides, derived, layout);
    let still = |(name, text): (&String, &Option<String>)| texts.get(name) == text.as_ref();
    if more.new.is_empty() && more.files.iter().all(still) {
        return Ok(());
    }
    let differs: Vec<String> = derived
        .difference
        .changes
        .iter()
        .take(10)
        .map(|change| format!("\n  {}", called(change.address())))
        .collect();
    let message = format!(
        "the model in {} cannot be brought up to date entry by entry, so it is left as it is{}",
        out.display(),
        differs.concat()
    );
    let help = "Inspect into another folder, and take from there what has changed.";
    Err(Trouble::new("merge", message).help(help).into())
}

/// A file that is new, with the line that names its JSON Schema.
fn new_file(args: &Inspect, out: &Path, name: &str, text: &str) -> (PathBuf, Option<String>) {
    let (path, folder) = match args.single {
        true => (out.to_owned(), out.parent().unwrap_or(Path::new(""))),
        false => (out.join(name), out),
    };
    let up = match args.single {
        true => 0,
        false => name.matches('/').count(),
    };
    let schema = match &args.schema {
        Some(schema) if schema.contains("://") || schema.starts_with('/') => Some(schema.clone()),
        Some(schema) => Some(relative(schema, up)),
        None => folder.join(SCHEMA).is_file().then(|| relative(SCHEMA, up)),
    };
    let head = schema.map(|schema| format!("# yaml-language-server: $schema={schema}\n"));
    (path, Some(format!("{}{text}", head.unwrap_or_default())))
}

/// The name under which the JSON Schema is looked for.
const SCHEMA: &str = "reconcile.schema.json";

fn relative(path: &str, up: usize) -> String {
    let path = path.strip_prefix("./").unwrap_or(path);
    match up {
        0 => format!("./{path}"),
        up => format!("{}{path}", "../".repeat(up)),
    }
}

/// Says what the model does not state: what no model can, and what is not read.
fn tell(left_out: &[Address], exclusions: &BTreeMap<String, BTreeSet<String>>, output: &Output) {
    // Ownership and privileges are left out on purpose: --manage states them.
    let said = |address: &&Address| address.target().is_none();
    let left_out: Vec<Address> = left_out.iter().filter(said).cloned().collect();
    let mut all = by_kind(&left_out);
    for (plural, names) in exclusions {
        all.entry(plural.clone()).or_default().extend(names.iter().cloned());
    }
    for (plural, names) in all {
        output.note(&format!(
            "not in the model: {plural} ({}): {}",
            names.len(),
            listed_names(&names)
        ));
    }
}
