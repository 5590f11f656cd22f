//! A catalog in a file: a plan can be made without access to the database.
//!
//! Invariants: the same catalog gives the same bytes, an object a line; what is read is what was
//! written or an error, and no text whatever makes the reader panic or loop. No password is known
//! here, so none can be written.

use std::collections::{BTreeMap, BTreeSet};

use reconcile_catalog::{Address, Catalog, Object, digest};
use reconcile_kinds::online::Afoot;
use reconcile_kinds::{Facts, kind};
use reconcile_sql::ServerVersion;
use serde::{Deserialize, Serialize};

use crate::introspect::Snapshot;
use crate::place::Place;

/// By which such a file is known.
const FORMAT: &str = "reconcile snapshot";

/// The version of the form.
const VERSION: u32 = 1;

/// Why a text is no snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Something else.
    #[error("this is no snapshot that `reconcile inspect --format snapshot` wrote: {0}")]
    Other(String),
    /// Another version of the program wrote it.
    #[error(
        "the snapshot has version {0}, and this version of reconcile reads version {VERSION}: \
         take it again"
    )]
    Version(u64),
    /// It ends before its end.
    #[error("the snapshot is cut off: its end is missing")]
    CutOff,
    /// It contradicts itself.
    #[error("the snapshot is damaged: {0}")]
    Damaged(String),
}

/// A catalog as it was, and of what.
#[derive(Debug, Clone)]
pub struct SavedSnapshot {
    /// The name of the database.
    pub database: String,
    /// What was there.
    pub snapshot: Snapshot,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    format: String,
    version: u32,
    written_by: String,
    database: String,
    server_version_num: ServerVersion,
    facts: Facts,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(rename = "format")]
    _format: String,
    #[serde(rename = "version")]
    _version: u32,
    #[serde(rename = "written_by")]
    _written_by: String,
    database: String,
    server_version_num: ServerVersion,
    facts: Facts,
    objects: Vec<Line>,
    digest: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    address: Place,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parent: Option<Place>,
    definition: serde_json::Value,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    depends_on: Vec<Place>,
}

/// As much as tells what a file is.
#[derive(Deserialize)]
struct Opening {
    format: Option<serde_json::Value>,
    version: Option<u64>,
}

impl SavedSnapshot {
    /// The text of the file.
    pub fn write(&self) -> String {
        let Self { database, snapshot } = self;
        let Snapshot { catalog, afoot: _, facts, version, generation: _ } = snapshot;
        let head = Head {
            format: FORMAT.to_owned(),
            version: VERSION,
            written_by: concat!("reconcile ", env!("CARGO_PKG_VERSION")).to_owned(),
            database: database.clone(),
            server_version_num: *version,
            facts: facts.clone(),
        };
        // Serialising to memory fails for keys of maps that are no text, and there are none.
        let head = serde_json::to_string_pretty(&head).unwrap_or_default();
        let head = head.trim_end_matches('}').trim_end();
        let objects: Vec<String> = catalog.objects().map(line).collect();
        let objects = objects.join(",\n");
        let digest = digest(&objects);
        format!("{head},\n  \"objects\": [\n{objects}\n  ],\n  \"digest\": \"{digest}\"\n}}\n")
    }

    /// Reads what [`SavedSnapshot::write`] wrote.
    ///
    /// # Errors
    /// If it is something else.
    pub fn read(text: &str) -> Result<Self, SnapshotError> {
        let other = |error: serde_json::Error| match error.is_eof() && !text.trim().is_empty() {
            true => SnapshotError::CutOff,
            false => SnapshotError::Other(error.to_string()),
        };
        let opening: Opening = serde_json::from_str(text).map_err(other)?;
        if opening.format.as_ref().and_then(serde_json::Value::as_str) != Some(FORMAT) {
            return Err(SnapshotError::Other(format!("`format` is not \"{FORMAT}\"")));
        }
        match opening.version {
            Some(version) if version == u64::from(VERSION) => {}
            Some(version) => return Err(SnapshotError::Version(version)),
            None => return Err(SnapshotError::Other("it has no version".to_owned())),
        }
        let document: Document = serde_json::from_str(text).map_err(other)?;
        let Document {
            _format: _,
            _version: _,
            _written_by: _,
            database,
            server_version_num,
            facts,
            objects,
            digest: stated,
        } = document;
        if !(130_000..1_000_000).contains(&server_version_num.0) {
            let message = format!("there is no PostgreSQL {}", server_version_num.0);
            return Err(SnapshotError::Damaged(message));
        }
        let catalog = catalog(objects).map_err(SnapshotError::Damaged)?;
        let lines: Vec<String> = catalog.objects().map(line).collect();
        let found = digest(&lines.join(",\n"));
        if found != stated {
            let message = "its objects are not those that its digest was made of".to_owned();
            return Err(SnapshotError::Damaged(message));
        }
        let version = server_version_num;
        Ok(Self {
            database,
            snapshot: Snapshot {
                catalog,
                afoot: Afoot::default(),
                facts,
                version,
                generation: found,
            },
        })
    }
}

fn line(object: &Object) -> String {
    let line = Line {
        address: Place::of(&object.address),
        parent: object.parent.as_ref().map(Place::of),
        definition: object.definition.to_json(),
        depends_on: object.depends_on.iter().map(Place::of).collect(),
    };
    format!("    {}", serde_json::json!(line))
}

fn catalog(lines: Vec<Line>) -> Result<Catalog, String> {
    let mut objects: BTreeMap<Address, Object> = BTreeMap::new();
    for Line { address, parent, definition, depends_on } in lines {
        let address = address.address()?;
        let kind = kind(address.kind()).ok_or("its kind is not known")?;
        let definition = kind.decode(definition).map_err(|e| format!("{address}: {e}"))?;
        let mut object =
            Object::new(address.clone(), parent.map(Place::address).transpose()?, definition);
        object.depends_on = depends_on.into_iter().map(Place::address).collect::<Result<_, _>>()?;
        if objects.insert(address.clone(), object).is_some() {
            return Err(format!("{address} is there twice"));
        }
    }
    sound(&objects)?;
    let mut catalog = Catalog::new();
    for object in objects.into_values() {
        // Addresses are unique: they were keys.
        let _ = catalog.insert(object);
    }
    Ok(catalog)
}

/// Every object that is referred to is there, and no object is part of itself.
fn sound(objects: &BTreeMap<Address, Object>) -> Result<(), String> {
    for object in objects.values() {
        let named = object.parent.iter().chain(&object.depends_on);
        for address in named {
            if !objects.contains_key(address) {
                return Err(format!("{} needs {address}, which is not there", object.address));
            }
        }
        let mut seen = BTreeSet::from([&object.address]);
        let mut at = object;
        while let Some(parent) = at.parent.as_ref().and_then(|parent| objects.get(parent)) {
            if !seen.insert(&parent.address) {
                return Err(format!("{} is part of itself", object.address));
            }
            at = parent;
        }
    }
    Ok(())
}
