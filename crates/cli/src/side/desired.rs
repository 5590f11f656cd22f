//! What shall be there.
//!
//! A side that is no model is made into one as `inspect` does it, so that both ways mean the same.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use reconcile_catalog::{Address, Catalog, Complete, Object};
use reconcile_kinds::{Facts, kind};
use reconcile_live::connect::{ConnectOptions, Session, connect};
use reconcile_live::introspect::{ReadOptions, Snapshot, introspect};
use reconcile_model::{Diagnostics, Layout, Model, write};
use reconcile_sql::{QName, ServerVersion};

use super::{Side, read_snapshot, same_side, script};
use crate::args::{Global, ModelPaths};
use crate::failure::Failure;
use crate::output::Output;
use crate::trouble::Trouble;

/// What is desired, as far as it is known without a server.
#[derive(Debug)]
pub(crate) struct Wish {
    side: Side,
    model: Option<Model>,
    prune: bool,
}

/// What is desired.
#[derive(Debug)]
pub(crate) struct Desired {
    /// As a model.
    pub(crate) model: Model,
    /// What it is called: files, or a database without its password.
    pub(crate) names: Vec<String>,
    /// What it has and no model can state, by what it is called.
    pub(crate) not_compared: BTreeMap<String, BTreeSet<String>>,
    /// The version of its server, if it has one.
    pub(crate) version: Option<ServerVersion>,
    /// The types that it has beside those that its model declares.
    types: BTreeSet<QName>,
}

impl Wish {
    /// Reads what can be read without a server.
    pub(crate) fn read(paths: &ModelPaths, output: &Output) -> Result<Self, Failure> {
        let side = Side::desired(&paths.model, output)?;
        let model = match &side {
            Side::Model(paths) => Some(Model::load(paths).map_err(Failure::model)?),
            Side::Script(path) => script::read(path).map(|_| None)?,
            Side::Database(_) | Side::Snapshot(_) => None,
        };
        Ok(Self { side, model, prune: paths.prune })
    }

    pub(super) fn paths(&self) -> &[PathBuf] {
        match &self.side {
            Side::Model(paths) => paths,
            Side::Script(path) | Side::Snapshot(path) => std::slice::from_ref(path),
            Side::Database(_) => &[],
        }
    }

    pub(super) fn has_version(&self) -> bool {
        self.side.has_version()
    }

    pub(super) fn stated_version(&self) -> Option<u32> {
        self.side.stated_version()
    }

    /// Opens it; `hint` is the major version of the other side, `live` its session.
    pub(crate) async fn open(
        self,
        global: &Global,
        hint: Option<u32>,
        live: Option<&mut Session>,
        output: &Output,
    ) -> Result<Desired, Failure> {
        let Self { side, model, prune } = self;
        let name = side.name();
        let hidden = Some(global.journal_schema.clone());
        let options = ReadOptions { hidden_namespace: hidden, ..ReadOptions::default() };
        let mut others = BTreeMap::new();
        let (model, snapshot) = match (model, side) {
            (Some(model), _) => (model, None),
            (None, Side::Model(paths)) => (Model::load(&paths).map_err(Failure::model)?, None),
            (None, side) => {
                let snapshot = read(side, global, hint, live, &options, output).await?;
                let (model, left_out) = as_model(&name, &snapshot.catalog)?;
                others = left_out;
                (model, Some(snapshot))
            }
        };
        let complete = match (prune, &snapshot) {
            (false, _) => Complete::Sections,
            (true, None) => Complete::Namespaces,
            // It has everything that it has, so what it does not have is superfluous.
            (true, Some(_)) => Complete::Database,
        };
        let model = model.complete(complete);
        let version = snapshot.as_ref().map(|snapshot| snapshot.version);
        let names = match version {
            Some(version) => vec![format!("{name} (PostgreSQL {version})")],
            None => model.files().map(str::to_owned).collect(),
        };
        let facts = snapshot.map(|snapshot| snapshot.facts).unwrap_or_default();
        for (plural, excluded) in facts.exclusions {
            others.entry(plural).or_default().extend(excluded);
        }
        Ok(Desired { model, names, not_compared: others, version, types: facts.types })
    }
}

/// Reads a side that is no model.
async fn read(
    side: Side,
    global: &Global,
    hint: Option<u32>,
    live: Option<&mut Session>,
    options: &ReadOptions,
    output: &Output,
) -> Result<Snapshot, Failure> {
    let (mut session, _server) = match side {
        Side::Database(target) => {
            // The role is the live side's: what is only read is read as who logs in.
            let connecting = ConnectOptions { pooled: true, ..ConnectOptions::default() };
            let mut session = connect(&target, &connecting).await.map_err(Trouble::from)?;
            if let Some(live) = live
                && identity(live).await? == identity(&mut session).await?
            {
                return Err(same_side(&target.display()).into());
            }
            (session, None)
        }
        Side::Script(path) => {
            let throwaway = script::load(&path, hint, None, global, output).await?;
            (throwaway.session, Some(throwaway.server))
        }
        Side::Snapshot(path) => return Ok(read_snapshot(&path)?.snapshot),
        Side::Model(_) => {
            return Err(Trouble::new("desired", "a model needs no server").into());
        }
    };
    let snapshot = introspect(&mut session, options).await.map_err(Trouble::from)?;
    session.close().await;
    Ok(snapshot)
}

/// What tells a database from every other: its name, and the moment at which its server began.
async fn identity(session: &mut Session) -> Result<Option<String>, Failure> {
    let sql = "SELECT pg_catalog.current_database() || ' ' || \
               extract(epoch FROM pg_catalog.pg_postmaster_start_time())::text AS identity";
    let rows = session.send(sql).await.map_err(Trouble::from)?;
    Ok(rows.first().and_then(|row| row.get("identity")).map(str::to_owned))
}

/// A catalog as the model that `inspect` writes, and what that leaves out.
fn as_model(
    name: &str,
    catalog: &Catalog,
) -> Result<(Model, BTreeMap<String, BTreeSet<String>>), Failure> {
    let files = write(catalog, Layout::Single, &[]);
    let model = Model::parse(name, &files.text()).map_err(Failure::model)?;
    // Ownership and privileges are nothing that a model forgets: it says when it speaks of them.
    let said = |address: &&Address| address.target().is_none();
    let left_out: Vec<Address> = files.left_out.iter().filter(said).cloned().collect();
    Ok((model, by_kind(&left_out)))
}

/// Objects by what several of their kind are called.
pub(crate) fn by_kind(addresses: &[Address]) -> BTreeMap<String, BTreeSet<String>> {
    let mut out: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for address in addresses {
        let plural = kind(address.kind()).map_or(address.kind(), |kind| kind.plural());
        out.entry(plural.to_owned()).or_default().insert(address.short());
    }
    out
}

impl Desired {
    /// A model by itself.
    pub(crate) fn of_model(model: Model) -> Self {
        Self {
            names: model.files().map(str::to_owned).collect(),
            model,
            not_compared: BTreeMap::new(),
            version: None,
            types: BTreeSet::new(),
        }
    }

    /// The desired catalog, for a live side with these types.
    pub(crate) fn catalog(&self, facts: &Facts) -> Result<Catalog, Diagnostics> {
        self.catalog_with(facts, Vec::new())
    }

    /// The same together with objects that no model declares.
    pub(crate) fn catalog_with(
        &self,
        facts: &Facts,
        given: Vec<Object>,
    ) -> Result<Catalog, Diagnostics> {
        let types: BTreeSet<QName> = self.types.union(&facts.types).cloned().collect();
        self.model.catalog_with(&types, given)
    }

    /// Says that the sides are of different major versions.
    pub(crate) fn compare_versions(&self, live: Option<ServerVersion>, output: &Output) {
        let Some((desired, live)) = self.version.zip(live) else { return };
        if desired.major() != live.major() {
            output.note(&format!(
                "the sides are of different major versions: PostgreSQL {live} is there, and {desired} \
                 is what shall be: some definitions print or work differently there",
            ));
        }
    }
}
