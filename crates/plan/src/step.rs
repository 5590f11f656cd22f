//! The plan as a value.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use reconcile_catalog::{Address, Definition, Renames};
use reconcile_diff::Change;
use reconcile_kinds::{Formula, Guard, Pieces, Preflight, Proof, Refusal, RelationLock, Work};
use serde::Serialize;

use crate::space::Space;

/// What is to be done, what is not done and why.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Transactions, and steps that run outside of one, in order.
    pub batches: Vec<Batch>,
    /// Changes that are needed and cannot be made, or not without an approval.
    pub refusals: Vec<Refusal>,
    /// What the model leaves to somebody else: objects in sections that it states in full.
    pub extra: Vec<Address>,
    /// How many objects of each kind the model does not speak of; the key is the plural noun.
    pub unmanaged: BTreeMap<String, usize>,
    /// What a person should know although nothing is wrong.
    pub warnings: Vec<Warning>,
    /// The differences that the batches remove.
    pub changes: Vec<Change>,
    /// Every object that a step touches, and their dependents: what the fingerprint covers.
    pub touched: BTreeSet<Address>,
    /// What is renamed before anything else: the steps behind that use the new names.
    pub renames: Renames,
    /// The live columns that are changed beside readers and writers.
    pub online: BTreeSet<Address>,
    /// Whether statements that still name the old type of a column are helped, as was asked for.
    pub bridge: bool,
    /// What is needed on disk and in the log by what is done in pieces.
    pub space: Vec<Space>,
    /// What objects become, by their present addresses, where more than what they are has to be known
    /// to undo that.
    pub becomes: BTreeMap<Address, Arc<dyn Definition>>,
}

impl Plan {
    /// Whether there is nothing to do and nothing in the way.
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty() && self.refusals.is_empty()
    }

    /// All steps in order.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.batches.iter().flat_map(|b| b.steps.iter())
    }

    /// A digest of what would be executed: the same steps in the same transactions.
    pub fn digest(&self) -> String {
        let mut text = String::new();
        for batch in &self.batches {
            text.push_str(if batch.transaction { "transaction\n" } else { "outside\n" });
            for step in &batch.steps {
                text.push_str(&step.sql);
                text.push('\n');
            }
        }
        reconcile_catalog::digest(&text)
    }
}

/// Steps that run in one transaction; or one step that cannot run in any.
#[derive(Clone, Debug, Serialize)]
pub struct Batch {
    /// False for a step outside a transaction (CONCURRENTLY).
    pub transaction: bool,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// The strongest lock on each relation, in the order in which they are taken first.
    pub locks: Vec<RelationLock>,
    /// How long each lock may be waited for, in milliseconds.
    #[serde(serialize_with = "milliseconds", rename = "lock_timeout_ms")]
    pub lock_timeout: Duration,
    /// How long the locks may be held once they are taken, in milliseconds; the batch rolls back
    /// when it takes longer. Zero if it holds no lock that anybody waits for.
    #[serde(serialize_with = "milliseconds", rename = "hold_bound_ms")]
    pub hold: Duration,
    /// How long it probably takes, estimated from sizes, in milliseconds.
    #[serde(serialize_with = "milliseconds", rename = "estimate_ms")]
    pub estimate: Duration,
    /// The longest that a client can be kept waiting, in milliseconds: all lock waits and the
    /// hold bound.
    #[serde(serialize_with = "milliseconds", rename = "worst_stall_ms")]
    pub stall: Duration,
}

/// One statement, with everything that a person wants to know about it.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// Its number in the plan, from 1.
    pub number: usize,
    /// The objects that it is about.
    pub addresses: Vec<Address>,
    /// What it does, a line each.
    pub summary: Vec<String>,
    /// The statement, without a semicolon.
    pub sql: String,
    /// The locks that it takes.
    pub locks: Vec<RelationLock>,
    /// What it does under them; the heaviest if there are several.
    pub work: Work,
    /// Rows and bytes of the relation that the work is on, if they are known.
    pub size: Option<reconcile_kinds::RelationSize>,
    /// Why it cannot be undone; absent if `rollback` can.
    pub irreversible: Option<String>,
    /// What it loses for good, if anything.
    pub loses: Option<String>,
    /// Expressions of the model that the server is asked about before anything starts.
    #[serde(skip)]
    pub formulas: Vec<Formula>,
    /// Questions to the rows before anything starts.
    #[serde(skip)]
    pub preflights: Vec<Preflight>,
    /// What must hold once the locks are taken.
    #[serde(skip)]
    pub guards: Vec<Guard>,
    /// What must be the same before and after.
    #[serde(skip)]
    pub proofs: Vec<Proof>,
    /// Whether the statement is done in pieces, each a short transaction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pieces: Option<Pieces>,
}

impl Step {
    /// The namespace in which its statement looks names up.
    pub fn home(&self) -> &str {
        self.addresses.first().map_or("", |address| address.namespace())
    }
}

/// Something worth knowing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Warning {
    /// What it is about; absent if it is about the server.
    pub address: Option<Address>,
    /// A sentence.
    pub text: String,
}

fn milliseconds<S: serde::Serializer>(
    duration: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
