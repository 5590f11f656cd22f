//! What a throw-away server of the target's major version is good for: to try a plan on a copy of
//! the catalog, and to learn how the server itself would write the statements of a model.
//!
//! Nothing is fetched for it, and nothing fails for want of it: what cannot be found out is said.

use std::collections::BTreeMap;
use std::sync::Arc;

use reconcile_catalog::{Address, Catalog, Definition, Object, Pruned};
use reconcile_diff::Change;
use reconcile_kinds::{Facts, kind};
use reconcile_live::connect::{ConnectOptions, Session, connect};
use reconcile_live::derive::{DeriveOptions, Derived, Live, derive_with};
use reconcile_live::introspect::Snapshot;
use reconcile_live::rehearse::{Built, Outcome, build, differs, rehearse};
use reconcile_live::target::Target;
use reconcile_model::{Layout, Model, write};
use reconcile_throwaway::{Server, Wanted, find_here};

use crate::args::Global;
use crate::failure::Failure;
use crate::output::Output;
use crate::side::Desired;
use crate::trouble::Trouble;

/// How a rehearsal ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    /// The plan leads to the model on a copy, which lacks these things.
    Passed(Vec<String>),
    /// It does not, for these reasons.
    Failed(Vec<String>),
    /// There is no copy to try it on, for these reasons.
    NotBuilt(Vec<String>),
}

impl Verdict {
    /// In a sentence, with its reasons a line each.
    fn words(&self) -> String {
        let (head, reasons) = match self {
            Self::Passed(without) if without.is_empty() => {
                ("Rehearsed: on a copy of the catalog the plan leads to the model.", without)
            }
            Self::Passed(without) => (
                "Rehearsed: on a copy of the catalog the plan leads to the model. The copy lacks",
                without,
            ),
            Self::Failed(reasons) => ("The rehearsal failed on a copy of the catalog", reasons),
            Self::NotBuilt(reasons) => {
                ("Not rehearsed: there is no true copy of the catalog", reasons)
            }
        };
        let lines = reasons.iter().map(|reason| format!("\n  · {reason}"));
        std::iter::once(head.to_owned()).chain(lines).collect()
    }
}

/// Tries a plan out, says how that ended, and refuses a plan that failed.
pub(crate) async fn demand(
    derived: &Derived,
    global: &Global,
    output: &Output,
) -> Result<(), Failure> {
    if derived.plan.batches.is_empty() {
        return Ok(());
    }
    let verdict = try_out(derived, global).await;
    if matches!(verdict, Verdict::Failed(_)) {
        let help = "Nothing was changed. This is a defect of the plan: --rehearse=never does it all the same.";
        return Err(Failure::refused(Trouble::new("rehearsal", verdict.words()).help(help)));
    }
    output.progress(&verdict.words());
    Ok(())
}

/// A server that lives as long as this, and a session in its empty database.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) session: Session,
    _server: Server,
}

impl Stage {
    async fn start(major: u32, global: &Global) -> Result<Self, String> {
        let explicit = global.pg_bin.clone();
        let find = move || find_here(Wanted::Major(major), explicit.as_deref());
        let found = tokio::task::spawn_blocking(find).await.map_err(|error| error.to_string())?;
        let installation =
            found.map_err(|_| format!("no server of PostgreSQL {major} can be started here"))?;
        let server = Server::start(&installation).await.map_err(|error| error.to_string())?;
        let parsed = Target::parse(&server.url("postgres")).map_err(|error| error.to_string())?;
        let session = connect(&parsed.target, &ConnectOptions::default()).await;
        let session = session.map_err(|error| error.to_string())?;
        Ok(Self { session, _server: server })
    }
}

/// Tries a plan on a copy of the live catalog.
async fn try_out(derived: &Derived, global: &Global) -> Verdict {
    match attempt(derived, global).await {
        Ok(verdict) => verdict,
        Err(reason) => Verdict::NotBuilt(vec![reason]),
    }
}

async fn attempt(derived: &Derived, global: &Global) -> Result<Verdict, String> {
    if !derived.snapshot.afoot.is_empty() {
        let why = "an online change is afoot, which the copy would lack".to_owned();
        return Ok(Verdict::NotBuilt(vec![why]));
    }
    let live = &derived.snapshot.catalog;
    let mut stage = Stage::start(derived.snapshot.version.major(), global).await?;
    let copied = copy_of(live, &derived.snapshot.facts)?;
    let Built { snapshot, mut missing, unsure: _ } =
        build(&mut stage.session, copied).await.map_err(|error| error.to_string())?;
    // Ownership, privileges and functions are as they could be made; who owns what decides
    // nothing that a plan does.
    let matters = |address: &Address| {
        live.get(address).is_some_and(|o| o.definition.pruned(address) != Pruned::Never)
    };
    let inexact = differs(live, &snapshot.catalog).into_iter().filter(|a| matters(a));
    missing.extend(inexact.map(|address| format!("{address} is another one in the copy")));
    missing.sort();
    missing.dedup();
    let outcome = rehearse(&mut stage.session, &derived.plan, &derived.desired)
        .await
        .map_err(|error| error.to_string())?;
    stage.session.close().await;
    Ok(match outcome {
        Outcome::Passed => Verdict::Passed(missing),
        Outcome::Failed(reasons) if missing.is_empty() => Verdict::Failed(reasons),
        Outcome::Failed(reasons) => {
            missing.extend(reasons);
            Verdict::NotBuilt(missing)
        }
    })
}

/// A copy of a catalog in a server of its major version, and what of it is missing there.
pub(crate) async fn copy(
    snapshot: &Snapshot,
    global: &Global,
) -> Result<(Stage, Vec<String>), String> {
    let copied = copy_of(&snapshot.catalog, &snapshot.facts)?;
    let mut stage = Stage::start(snapshot.version.major(), global).await?;
    let built = build(&mut stage.session, copied).await.map_err(|error| error.to_string())?;
    Ok((stage, built.missing))
}

/// A live catalog as something to be made: by way of a model, and with what no model declares.
fn copy_of(live: &Catalog, facts: &Facts) -> Result<Catalog, String> {
    let files = write(live, Layout::Single, &[]);
    let text = files.files.values().next().map_or("namespaces: {}\n", String::as_str);
    let model = Model::parse("the live catalog", text).map_err(|problems| problems.to_string())?;
    model.catalog_with(&facts.types, undeclared(live)).map_err(|problems| problems.to_string())
}

/// What stands on its own in a catalog and no model declares: functions.
fn undeclared(catalog: &Catalog) -> Vec<Object> {
    let by_itself = |o: &&Object| {
        o.parent.is_none() && kind(o.address.kind()).is_some_and(|kind| kind.model().is_none())
    };
    catalog.objects().filter(by_itself).cloned().collect()
}

/// The live catalog with the model's objects in it, all as the server writes them; without those
/// that could not be made.
async fn canonical(wish: &Desired, global: &Global, derived: &Derived) -> Result<Catalog, String> {
    let (live, facts) = (&derived.snapshot.catalog, &derived.snapshot.facts);
    let copied = copy_of(live, facts)?;
    let desired = wish.catalog_with(facts, undeclared(live));
    let desired = desired.map_err(|problems| problems.to_string())?;
    let mut stage = Stage::start(derived.snapshot.version.major(), global).await?;
    build(&mut stage.session, copied).await.map_err(|error| error.to_string())?;
    let built = build(&mut stage.session, desired).await.map_err(|error| error.to_string())?;
    stage.session.close().await;
    let mut catalog = built.snapshot.catalog;
    built.unsure.iter().for_each(|address| catalog.forget(address));
    Ok(catalog)
}

/// Settles which texts of the model are the database's in other words: both as the server writes
/// them. What cannot be settled stays unproven.
pub(crate) async fn settle_texts(
    at: Live<'_>,
    wish: &Desired,
    options: &DeriveOptions,
    global: &Global,
    derived: Derived,
) -> Result<Derived, Failure> {
    let unproven: Vec<Address> = derived
        .difference
        .changes
        .iter()
        .filter_map(|change| match change {
            Change::Alter { desired, properties, .. } => {
                properties.iter().any(|p| !p.proven).then(|| desired.clone())
            }
            Change::Create(_) | Change::Drop(_) | Change::Rename { .. } => None,
        })
        .collect();
    if unproven.is_empty() {
        return Ok(derived);
    }
    let Ok(canonical) = canonical(wish, global, &derived).await else { return Ok(derived) };
    let known: BTreeMap<Address, Arc<dyn Definition>> = unproven
        .into_iter()
        .filter_map(|address| {
            let definition = canonical.get(&address)?.definition.clone();
            let said = derived.desired.get(&address)?;
            let whole = definition.come_by(&*said.definition);
            Some((address, whole.unwrap_or(definition)))
        })
        .collect();
    let Derived { snapshot, mut desired, .. } = derived;
    for (address, definition) in known {
        let Some(stated) = desired.get(&address).map(|o| o.definition.clone()) else { continue };
        desired.redefine(&address, stated.settled(definition));
    }
    let options = DeriveOptions { settled: true, ..options.clone() };
    derive_with(at, &options, snapshot, desired).await.map_err(|error| Trouble::from(error).into())
}
