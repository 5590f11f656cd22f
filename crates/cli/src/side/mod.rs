//! The sides of a comparison: what is there, and what shall be there.
//!
//! A side is a database, a .sql file, a snapshot, or a model's files. Invariant: what can be said
//! of a side without a server is said before one is started or connected to.

mod desired;
mod live;
mod script;

use std::io::Read as _;
use std::path::{Path, PathBuf};

use reconcile_live::snapshot::SavedSnapshot;
use reconcile_live::target::{Parsed, Target};

use crate::args::{Global, ModelPaths};
use crate::failure::Failure;
use crate::output::Output;
use crate::trouble::Trouble;

pub(crate) use desired::{Desired, Wish, by_kind};
pub(crate) use live::{Live, Opened};

/// One side, as it was named.
#[derive(Debug)]
pub(crate) enum Side {
    /// A database.
    Database(Box<Target>),
    /// A file for a throw-away server.
    Script(PathBuf),
    /// A file that `inspect --format snapshot` wrote.
    Snapshot(PathBuf),
    /// Files and folders of a model.
    Model(Vec<PathBuf>),
}

impl Side {
    /// Reads `--live`, `DATABASE_URL` and the `PG*` variables.
    pub(crate) fn live(global: &Global, output: &Output) -> Result<Self, Failure> {
        let parsed = match global.live.as_deref().filter(|text| !text.trim().is_empty()) {
            Some(text) => match of_file(text) {
                Some(side) => return Ok(side),
                None => Target::parse(text).map_err(|error| {
                    let trouble = Trouble::from(error);
                    match looks_like_path(text) {
                        true => trouble.help(format!("There is no file or folder {text} either.")),
                        false => trouble,
                    }
                })?,
            },
            None => Target::from_env().map_err(Trouble::from)?.ok_or_else(no_database)?,
        };
        Ok(Self::database_of(parsed, output))
    }

    /// Reads the positional arguments.
    pub(crate) fn desired(paths: &[PathBuf], output: &Output) -> Result<Self, Failure> {
        let mut others = Vec::new();
        for path in paths {
            let Some(text) = path.to_str() else { continue };
            match of_file(text) {
                Some(Self::Model(_)) => {}
                Some(side) => others.push(side),
                None if text.contains("://") || text.contains('=') => {
                    let parsed = Target::parse(text).map_err(|error| {
                        Trouble::new("database_url", format!("the desired side: {error}"))
                    })?;
                    others.push(Self::database_of(parsed, output));
                }
                // Not there, which the model's reader says better.
                None => {}
            }
        }
        match (others.pop(), paths.len()) {
            (None, _) => Ok(Self::Model(paths.to_vec())),
            (Some(side), 1) => Ok(side),
            (Some(side), _) => Err(Trouble::new(
                "several_sides",
                format!(
                    "{} cannot be one of several: it is a desired side of its own",
                    side.name()
                ),
            )
            .help("Several arguments are the files and folders of one model.")
            .into()),
        }
    }

    fn database_of(parsed: Parsed, output: &Output) -> Self {
        for note in &parsed.notes {
            output.note(note);
        }
        Self::Database(Box::new(parsed.target))
    }

    /// The database, for a command that makes no sense without one that stays.
    pub(crate) fn database(self, command: &str) -> Result<Target, Failure> {
        let name = self.name();
        let why = match self {
            Self::Database(target) => return Ok(*target),
            Self::Script(_) => format!("{name} is loaded into a server that is thrown away"),
            Self::Snapshot(_) => format!("{name} is a snapshot, a picture of one"),
            Self::Model(_) => format!("{name} is a model, which says what shall be there"),
        };
        let message = format!("`{command}` needs a database that stays, and {why}");
        Err(Failure::refused(Trouble::new("throwaway_side", message).help(
            "Name the database with --live postgresql://… or DATABASE_URL; `plan`, `check` and `gate` \
             take files too.",
        )))
    }

    /// What people call it; a database without its password.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Database(target) => target.display(),
            Self::Script(path) | Self::Snapshot(path) => path.display().to_string(),
            Self::Model(paths) => {
                let names: Vec<String> = paths.iter().map(|p| p.display().to_string()).collect();
                names.join(", ")
            }
        }
    }

    /// Whether its server's version is known as soon as it is opened, whatever the other side is.
    fn has_version(&self) -> bool {
        matches!(self, Self::Database(_) | Self::Snapshot(_))
    }

    /// The major version that a file states.
    fn stated_version(&self) -> Option<u32> {
        match self {
            Self::Script(path) => {
                let text = std::fs::read(path).ok()?;
                reconcile_throwaway::dumped_from(&String::from_utf8_lossy(&text))
            }
            Self::Database(_) | Self::Snapshot(_) | Self::Model(_) => None,
        }
    }
}

/// Both sides, open.
#[derive(Debug)]
pub(crate) struct Sides {
    /// What is there.
    pub(crate) live: Live,
    /// What shall be there.
    pub(crate) desired: Desired,
}

impl Sides {
    /// Opens both. A file that needs a server gets one of the other side's major version, where
    /// that is known.
    pub(crate) async fn open(
        global: &Global,
        paths: &ModelPaths,
        output: &Output,
    ) -> Result<Self, Failure> {
        let wish = Wish::read(paths, output)?;
        let live = Side::live(global, output)?;
        not_the_same(&live, &wish)?;
        let sides = if live.has_version() || !wish.has_version() {
            let hint = wish.stated_version();
            let mut live = live.open(global, hint, output).await?;
            let major = live.version().map(|version| version.major());
            let desired = wish.open(global, major, live.session(), output).await?;
            Self { live, desired }
        } else {
            let desired = wish.open(global, None, None, output).await?;
            let hint = desired.version.map(|version| version.major());
            Self { live: live.open(global, hint, output).await?, desired }
        };
        sides.desired.compare_versions(sides.live.version(), output);
        Ok(sides)
    }
}

/// The same file on both sides has no difference, and nobody means that.
fn not_the_same(live: &Side, wish: &Wish) -> Result<(), Failure> {
    let real = |path: &PathBuf| std::fs::canonicalize(path).ok();
    let same = match (live, wish.paths()) {
        (Side::Script(live) | Side::Snapshot(live), [one]) => {
            real(live).is_some() && real(live) == real(one)
        }
        (Side::Model(live), desired) => {
            live.iter().map(real).collect::<Vec<_>>()
                == desired.iter().map(real).collect::<Vec<_>>()
        }
        _ => false,
    };
    if same { Err(same_side(&live.name()).into()) } else { Ok(()) }
}

fn same_side(name: &str) -> Trouble {
    Trouble::new("same_side", format!("both sides are the same: {name}")).help(
        "--live (or DATABASE_URL) names what is there; the argument names what shall be there.",
    )
}

/// Reads a snapshot's file.
fn read_snapshot(path: &Path) -> Result<SavedSnapshot, Failure> {
    let name = path.display();
    let trouble = |message: String| Trouble::new("snapshot", message);
    let bytes = std::fs::read(path).map_err(|e| trouble(format!("cannot read {name}: {e}")))?;
    let text = String::from_utf8(bytes).map_err(|_| trouble(format!("{name} is not UTF-8")))?;
    SavedSnapshot::read(&text).map_err(|error| {
        trouble(format!("{name}: {error}"))
            .help("`reconcile inspect --format snapshot --out FILE` writes one.")
            .into()
    })
}

/// The side that a name means if it is a file's or a folder's.
///
/// A name that ends in .sql, .json or .yaml means a file, there or not.
fn of_file(text: &str) -> Option<Side> {
    if text.contains("://") {
        return None;
    }
    let path = Path::new(text);
    let ends = |endings: &[&str]| {
        path.extension()
            .is_some_and(|e| endings.iter().any(|ending| e.eq_ignore_ascii_case(ending)))
    };
    let path = path.to_owned();
    match () {
        () if path.is_dir() => Some(Side::Model(vec![path])),
        () if ends(&["sql"]) => Some(Side::Script(path)),
        () if ends(&["yaml", "yml"]) => Some(Side::Model(vec![path])),
        () if ends(&["json"]) => Some(Side::Snapshot(path)),
        () if path.is_file() && begins_with_brace(&path) => Some(Side::Snapshot(path)),
        () if path.is_file() => Some(Side::Script(path)),
        () => None,
    }
}

/// SQL does not begin with a brace, and a snapshot does.
fn begins_with_brace(path: &Path) -> bool {
    let mut start = [0; 64];
    let read = std::fs::File::open(path).and_then(|mut file| file.read(&mut start)).unwrap_or(0);
    start[..read].iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{')
}

fn looks_like_path(text: &str) -> bool {
    !text.contains("://") && !text.contains('=')
}

fn no_database() -> Trouble {
    Trouble::new("no_database", "no database is named").help(
        "Give --live postgresql://user@host:5432/database, or set DATABASE_URL, or PGHOST and \
         PGDATABASE. A .sql file is taken too: --live dump.sql",
    )
}
