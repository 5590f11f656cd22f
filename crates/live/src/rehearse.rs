//! A plan tried on a copy of the catalog, in a server that is thrown away.
//!
//! Invariant: the session is that of an empty database which nobody else uses. There are no rows,
//! no journal and nobody to wait for, so a plan is run as it stands: its SQL, its transactions and
//! its settings are those of [`crate::apply`], its locks, marks and proofs are not needed.

use std::collections::BTreeSet;

use reconcile_catalog::{Address, Catalog};
use reconcile_diff::{Change, compare};
use reconcile_plan::{Limits, Plan, Step};
use reconcile_sql::quote_ident;

use crate::connect::Session;
use crate::derive::{DeriveOptions, derive_from, settle};
use crate::error::Error;
use crate::introspect::{ReadOptions, Snapshot, introspect};
use crate::reading::{SETTINGS, search_path};

/// A database that was built from a catalog.
#[derive(Debug)]
pub struct Built {
    /// What is in it.
    pub snapshot: Snapshot,
    /// What of the catalog is not in it, each with the reason, in words.
    pub missing: Vec<String>,
    /// The objects that this is about, and those that were to be changed together with them.
    pub unsure: BTreeSet<Address>,
}

/// How a rehearsal ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The plan leads to the desired catalog.
    Passed,
    /// It does not: why, in words.
    Failed(Vec<String>),
}

/// A step that the server refused.
#[derive(Debug, thiserror::Error)]
#[error("step {number} ({summary}) fails: {error}")]
struct FailedStep {
    number: usize,
    summary: String,
    error: Error,
}

/// Brings the database to a catalog, whatever it takes.
///
/// # Errors
/// If the server cannot be read or asked. What cannot be made is no error, but said.
pub async fn build(session: &mut Session, desired: Catalog) -> Result<Built, Error> {
    let snapshot = introspect(session, &ReadOptions::default()).await?;
    let derived = derive_from(session, &unbounded(), snapshot, desired).await?;
    let mut missing: Vec<String> = derived.plan.refusals.iter().map(ToString::to_string).collect();
    let mut unsure: BTreeSet<Address> =
        derived.plan.refusals.iter().map(|refusal| refusal.address.clone()).collect();
    // What depends on something that could not be made fails too; the rest is worth having.
    let mut plan = derived.plan;
    for batch in std::mem::take(&mut plan.batches) {
        plan.batches = vec![batch];
        if let Err(failed) = run(session, &plan).await? {
            missing.push(failed.to_string());
            unsure.extend(plan.steps().flat_map(|step| step.addresses.iter().cloned()));
        }
    }
    let snapshot = introspect(session, &ReadOptions::default()).await?;
    Ok(Built { snapshot, missing, unsure })
}

/// Runs a plan and looks whether the desired catalog is what comes of it.
///
/// # Errors
/// If the server cannot be read or asked.
pub async fn rehearse(
    session: &mut Session,
    plan: &Plan,
    desired: &Catalog,
) -> Result<Outcome, Error> {
    if let Err(failed) = run(session, plan).await? {
        return Ok(Outcome::Failed(vec![failed.to_string()]));
    }
    let after = introspect(session, &ReadOptions::default()).await?;
    let difference = settle(session, desired, &after.catalog).await?;
    let left: Vec<String> = difference.changes.iter().map(words).collect();
    Ok(if left.is_empty() { Outcome::Passed } else { Outcome::Failed(left) })
}

/// What of an original is another one in its copy.
pub fn differs(original: &Catalog, copy: &Catalog) -> BTreeSet<Address> {
    let difference = compare(original, copy, &reconcile_catalog::Equivalences::default());
    difference.changes.iter().map(|change| change.address().clone()).collect()
}

fn unbounded() -> DeriveOptions {
    let mut options = DeriveOptions {
        limits: Limits { max_stall: std::time::Duration::MAX, ..Limits::default() },
        exact: true,
        ..DeriveOptions::default()
    };
    options.approvals.drop.push("all".to_owned());
    options
}

fn words(change: &Change) -> String {
    match change {
        Change::Create(address) => format!("{address} is missing afterwards"),
        Change::Drop(address) => format!("{address} is still there afterwards"),
        Change::Rename { from, to } => format!("{to} is still called {} afterwards", from.name()),
        Change::Alter { desired, properties, .. } => {
            let each: Vec<String> = properties
                .iter()
                .map(|p| format!("{} is {}, shall be {}", p.name, p.live, p.desired))
                .collect();
            format!("{desired} differs afterwards: {}", each.join("; "))
        }
    }
}

/// Runs the batches of a plan. The inner error is the server's refusal of a step.
async fn run(session: &mut Session, plan: &Plan) -> Result<Result<(), FailedStep>, Error> {
    for batch in &plan.batches {
        for step in batch.steps.iter().filter(|_| !batch.transaction) {
            let settings = settings("SET", home(step));
            session.send(&settings).await?;
            if let Err(failed) = attempt(session, &step.sql, step).await? {
                return Ok(Err(failed));
            }
        }
        if batch.transaction {
            session.send("BEGIN").await?;
            for step in &batch.steps {
                let sql = format!("{}; {}\n", settings("SET LOCAL", home(step)), step.sql);
                if let Err(failed) = attempt(session, &sql, step).await? {
                    session.rollback().await?;
                    return Ok(Err(failed));
                }
            }
            session.send("COMMIT").await?;
        }
    }
    Ok(Ok(()))
}

fn home(step: &Step) -> &str {
    step.addresses.first().map_or("", |address| address.namespace())
}

fn settings(set: &str, home: &str) -> String {
    let mut all: Vec<String> =
        SETTINGS.iter().map(|(name, value)| format!("{set} {name} = {value}")).collect();
    all.push(format!("{set} search_path = {}", search_path(home)));
    // Bodies may name what is made later.
    all.push(format!("{set} check_function_bodies = off"));
    all.join("; ")
}

/// Runs one step; a role that it names and that is not there is made first.
async fn attempt(
    session: &mut Session,
    sql: &str,
    step: &Step,
) -> Result<Result<(), FailedStep>, Error> {
    let in_transaction = sql != step.sql;
    for _ in 0..ROLES {
        if in_transaction {
            // After ALTER DOMAIN … DROP CONSTRAINT, 18.4 makes no savepoint ("cannot start a
            // subtransaction when there are unprocessed inval messages") until a command has
            // counted as one that writes; one that finds no row does.
            session
                .send("DELETE FROM pg_catalog.pg_description WHERE false; SAVEPOINT step")
                .await?;
        }
        let error = match session.send(sql).await {
            Ok(_) => return Ok(Ok(())),
            Err(Error::Server(error)) => error,
            Err(other) => return Err(other),
        };
        if in_transaction {
            session.send("ROLLBACK TO SAVEPOINT step").await?;
        }
        match missing_role(&error.message) {
            Some(role) => {
                session.send(&format!("CREATE ROLE {}", quote_ident(role))).await?;
            }
            None => {
                return Ok(Err(FailedStep {
                    number: step.number,
                    summary: step.summary.join("; "),
                    error: Error::Server(error),
                }));
            }
        }
    }
    Ok(Ok(()))
}

/// After so many roles a step is given up.
const ROLES: usize = 100;

/// The role that the server does not know, by its message in English.
fn missing_role(message: &str) -> Option<&str> {
    message.strip_prefix("role \"")?.strip_suffix("\" does not exist")
}
