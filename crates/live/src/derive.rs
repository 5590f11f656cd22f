//! From a session and a model to a plan: the way that every command goes.
//!
//! Invariant: it only reads. The number of messages does not depend on the number of objects: the
//! catalog is one, each round of questions one (and one more for each expression that the server
//! cannot analyse), the sizes one.

use std::collections::BTreeSet;

use reconcile_catalog::{Address, Catalog, Equivalences, Question, Renames, Scope};
use reconcile_diff::{Change, Difference, compare};
use reconcile_kinds::Facts;
use reconcile_plan::{Approvals, Inputs, Limits, Plan, Strategy, plan};
use reconcile_sql::QName;

use crate::ask::ask;
use crate::connect::Session;
use crate::error::Error;
use crate::facts::sizes;
use crate::formula::{Fault, Known, judge};
use crate::introspect::{ReadOptions, Snapshot, introspect};

/// How a plan is derived.
#[derive(Debug, Clone, Default)]
pub struct DeriveOptions {
    /// How the catalog is read.
    pub read: ReadOptions,
    /// How long the steps may wait and hold others up.
    pub limits: Limits,
    /// What was approved.
    pub approvals: Approvals,
    /// How changes that rewrite a table are carried out.
    pub strategy: Strategy,
    /// Takes what stays unproven for different: a rollback puts back what was there, to the letter.
    pub exact: bool,
    /// Both sides have their texts as the server itself writes them: what differs by then is
    /// different.
    pub settled: bool,
}

/// Everything that is known when a plan is made.
#[derive(Debug, Clone)]
pub struct Derived {
    /// What is there.
    pub snapshot: Snapshot,
    /// What shall be there.
    pub desired: Catalog,
    /// How they differ.
    pub difference: Difference,
    /// What is to be done about it.
    pub plan: Plan,
    /// Expressions of the plan that the server does not understand, or that cannot be used.
    pub faults: Vec<Fault>,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum DeriveError<E> {
    /// The database.
    #[error(transparent)]
    Live(#[from] Error),
    /// The model, in the words of who reads it.
    #[error("{0}")]
    Model(E),
}

/// After so many rounds of questions a difference stays as it is; each round can only raise new
/// ones where the answers made other objects match.
const ROUNDS: usize = 4;

/// Reads the catalog, has the model read against its types, compares, and plans.
///
/// # Errors
/// Whatever the database or the model has to say.
pub async fn derive<E>(
    session: &mut Session,
    options: &DeriveOptions,
    desired: impl FnOnce(&Facts) -> Result<Catalog, E>,
) -> Result<Derived, DeriveError<E>> {
    let snapshot = introspect(session, &options.read).await?;
    let desired = desired(&snapshot.facts).map_err(DeriveError::Model)?;
    derive_from(session, options, snapshot, desired).await.map_err(DeriveError::Live)
}

/// Where the live side is, and who answers questions about expressions.
#[derive(Debug)]
pub enum Live<'s> {
    /// The session is on it.
    There(&'s mut Session),
    /// It is known from a snapshot, sizes included. A session on a database with the same types can
    /// be asked; without one, what spelling does not decide stays unproven.
    Saved(Option<&'s mut Session>),
}

impl Live<'_> {
    /// The same for once more.
    pub fn again(&mut self) -> Live<'_> {
        match self {
            Self::There(session) => Live::There(session),
            Self::Saved(session) => Live::Saved(session.as_deref_mut()),
        }
    }
}

/// The same where both catalogs are at hand.
///
/// # Errors
/// If the server cannot be asked.
pub async fn derive_from(
    session: &mut Session,
    options: &DeriveOptions,
    snapshot: Snapshot,
    desired: Catalog,
) -> Result<Derived, Error> {
    derive_with(Live::There(session), options, snapshot, desired).await
}

/// The same for a live side that need not be at hand.
///
/// # Errors
/// If the server cannot be asked.
pub async fn derive_with(
    mut live: Live<'_>,
    options: &DeriveOptions,
    mut snapshot: Snapshot,
    desired: Catalog,
) -> Result<Derived, Error> {
    let mut difference = match &mut live {
        Live::There(session) | Live::Saved(Some(session)) => {
            settle(session, &desired, &snapshot.catalog).await?
        }
        Live::Saved(None) => compare(&desired, &snapshot.catalog, &Equivalences::default()),
    };
    for change in &mut difference.changes {
        if let Change::Alter { properties, .. } = change {
            for property in properties {
                property.proven |= options.exact || options.settled;
            }
        }
    }
    if let Live::There(session) = &mut live {
        let former = difference.renames.former_names();
        let relations = relations_of(&difference).iter().map(|name| former.of(name)).collect();
        snapshot.facts.sizes = sizes(session, &relations).await?;
    }
    let plan = plan(&Inputs {
        desired: &desired,
        live: &difference.live,
        difference: &difference,
        version: snapshot.version,
        facts: &snapshot.facts.renamed(&difference.renames),
        limits: options.limits,
        approvals: &options.approvals,
        strategy: options.strategy,
        afoot: &snapshot.afoot,
    });
    let faults = match live {
        Live::There(session) | Live::Saved(Some(session)) => {
            faults(session, &plan, &snapshot.facts).await?
        }
        Live::Saved(None) => Vec::new(),
    };
    Ok(Derived { snapshot, desired, difference, plan, faults })
}

/// What is wrong with the expressions of a plan.
async fn faults(session: &mut Session, plan: &Plan, facts: &Facts) -> Result<Vec<Fault>, Error> {
    let formulas: BTreeSet<_> = plan.steps().flat_map(|s| s.formulas.iter().cloned()).collect();
    let made = plan.changes.iter().filter_map(|change| match change {
        Change::Create(address) if address.target().is_none() => {
            // A function is called by the types of its arguments too.
            address.name().split('(').next().map(str::to_owned)
        }
        Change::Create(_) | Change::Alter { .. } | Change::Drop(_) | Change::Rename { .. } => None,
    });
    let known = Known { made: &made.collect(), types: &facts.types };
    judge(session, &formulas, known).await
}

/// Compares, asks the server what spelling alone does not decide, and compares again.
///
/// # Errors
/// If the server cannot be asked.
pub async fn settle(
    session: &mut Session,
    desired: &Catalog,
    live: &Catalog,
) -> Result<Difference, Error> {
    let mut known = Equivalences::default();
    let mut asked = BTreeSet::new();
    let mut difference = compare(desired, live, &known);
    for _ in 0..ROUNDS {
        let news: BTreeSet<_> = difference.questions.difference(&asked).cloned().collect();
        if news.is_empty() {
            break;
        }
        known.extend(ask_by_former_names(session, &news, &difference.renames).await?);
        asked.extend(news);
        difference = compare(desired, live, &known);
    }
    Ok(difference)
}

/// Asks the server, which knows things by the names that they have today.
async fn ask_by_former_names(
    session: &mut Session,
    questions: &BTreeSet<Question>,
    renames: &Renames,
) -> Result<Equivalences, Error> {
    if renames.is_empty() {
        return ask(session, questions).await;
    }
    let names = renames.former_names();
    let today = |question: &Question| {
        let Question { scope, left, right } = question;
        let Scope { namespace, relation, columns, assigned_to } = scope;
        // The columns of the scope are part of the question, whatever they are called today.
        let columns = columns.iter().map(|(name, ty)| (name.clone(), names.of_type(ty)));
        Question {
            scope: Scope {
                namespace: names.in_namespace(namespace),
                relation: relation.clone(),
                columns: columns.collect(),
                assigned_to: assigned_to.as_ref().map(|ty| names.of_type(ty)),
            },
            left: names.of_text(left, None),
            right: names.of_text(right, None),
        }
    };
    let asked: BTreeSet<Question> = questions.iter().map(today).collect();
    let answers = ask(session, &asked).await?;
    let mut known = Equivalences::default();
    for question in questions {
        if let Some(equal) = answers.verdict(&today(question)) {
            known.record(question.clone(), equal);
        }
    }
    Ok(known)
}

/// The relations that a plan for this difference can have to do with: those of the changed objects
/// and of everything that depends on them.
fn relations_of(difference: &Difference) -> BTreeSet<QName> {
    let live = &difference.live;
    let mut queue: Vec<Address> = Vec::new();
    for change in &difference.changes {
        match change {
            Change::Create(address)
            | Change::Drop(address)
            | Change::Rename { to: address, .. } => {
                queue.push(address.clone());
            }
            Change::Alter { desired, live, .. } => queue.extend([desired.clone(), live.clone()]),
        }
    }
    queue.extend(
        difference.retypes.changes.iter().flat_map(|r| [r.address.clone(), r.through.clone()]),
    );
    let mut seen: BTreeSet<Address> = BTreeSet::new();
    let mut relations = BTreeSet::new();
    while let Some(address) = queue.pop() {
        if !seen.insert(address.clone()) {
            continue;
        }
        // A relation is known by its namespace and name; what is none has no size.
        if let [namespace, name, ..] = address.path() {
            relations.insert(QName::new(namespace, name));
        }
        queue.extend(live.dependents(&address).map(|o| o.address.clone()));
    }
    relations
}
