//! The steps that kinds ask for: SQL, and beside it every fact that a person wants to know before
//! it runs.

use reconcile_catalog::{Address, Scope};
use reconcile_sql::{LockLevel, QName};
use serde::Serialize;

/// Steps that run in one transaction, or one that cannot.
#[derive(Clone, Debug)]
pub struct Stage {
    /// Where it runs.
    pub place: Place,
    /// What is done, in order.
    pub actions: Vec<Action>,
}

impl Stage {
    /// A stage in a transaction.
    pub fn transaction(actions: Vec<Action>) -> Self {
        Self { place: Place::Transaction, actions }
    }

    /// A stage outside any transaction.
    pub fn outside(action: Action) -> Self {
        Self { place: Place::Outside, actions: vec![action] }
    }

    /// A stage in the transaction that rewrites a table.
    pub fn with(table: &Address, actions: Vec<Action>) -> Self {
        Self { place: Place::With(table.clone()), actions }
    }
}

/// Where a stage runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a transaction of its own, or one shared with others that fit.
    Transaction,
    /// Not in a transaction: CONCURRENTLY.
    Outside,
    /// In the transaction that rewrites this relation, which is locked there anyway.
    With(Address),
}

/// One thing that is done.
#[derive(Clone, Debug)]
pub struct Action {
    /// The object that it is about.
    pub address: Address,
    /// What it does, in a line.
    pub summary: String,
    /// How.
    pub sql: Sql,
    /// The relation-level locks that it takes.
    pub locks: Vec<RelationLock>,
    /// What it does under them.
    pub work: Work,
    /// Why it cannot be undone, if it cannot: `rollback` restores everything else.
    pub irreversible: Option<String>,
    /// What is lost for good, if anything: needs an approval.
    pub loses: Option<String>,
    /// Expressions of the model by which values become others.
    pub formulas: Vec<Formula>,
    /// What the rows have to be like, asked before anything is touched.
    pub preflights: Vec<Preflight>,
    /// What has to hold inside the transaction, after its locks are taken.
    pub guards: Vec<Guard>,
    /// What has to be the same before and after, inside the transaction.
    pub proofs: Vec<Proof>,
    /// What a person should know.
    pub warnings: Vec<String>,
    /// For an UPDATE of a whole table: that it is done in pieces.
    pub pieces: Option<Pieces>,
}

/// An UPDATE that is done in pieces, each a short transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pieces {
    /// The table.
    pub relation: QName,
    /// The column that is written: how far it is stands in the journal under this name.
    pub note: String,
    /// Whether it is done as a replica, so that triggers which are not for replicas do not fire.
    pub replica: bool,
    /// Whether no trigger but the one that keeps the column in step could change a row, which therefore need
    /// not fire.
    pub alone: bool,
    /// Whether logical replication is told each old row as a whole.
    pub full_identity: bool,
    /// The triggers that fire by it, for what nobody undoes: each needs an approval.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fires: Vec<Fires>,
}

impl Pieces {
    /// What the setting `reconcile.backfill` is while they are written: it tells the trigger of the column
    /// that nobody has written the row.
    pub fn setting(&self) -> String {
        if self.alone { Self::alone(&self.note) } else { self.note.clone() }
    }

    /// The setting with which the trigger of a column does not fire at all.
    pub(crate) fn alone(column: &str) -> String {
        format!("-{column}")
    }
}

/// A trigger that fires for a write that nobody made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fires {
    /// The trigger.
    pub trigger: Address,
    /// How often, in words.
    pub when: String,
}

impl Action {
    /// An action that only touches the catalog and takes no relation-level lock.
    pub fn new(address: &Address, summary: impl Into<String>, sql: Sql) -> Self {
        Self {
            address: address.clone(),
            summary: summary.into(),
            sql,
            locks: Vec::new(),
            work: Work::Catalog,
            irreversible: None,
            loses: None,
            formulas: Vec::new(),
            preflights: Vec::new(),
            guards: Vec::new(),
            proofs: Vec::new(),
            warnings: Vec::new(),
            pieces: None,
        }
    }

    /// The same with a lock.
    #[must_use]
    pub fn locking(mut self, relation: QName, level: LockLevel) -> Self {
        self.locks.push(RelationLock { relation, level });
        self
    }

    /// The same with work under its locks.
    #[must_use]
    pub fn working(mut self, work: Work) -> Self {
        self.work = work;
        self
    }
}

/// The SQL of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sql {
    /// A whole statement.
    Statement(String),
    /// A clause of a statement that several clauses can share: `ALTER TABLE t` and
    /// `ADD COLUMN c text`.
    Clause {
        /// What comes before the clauses.
        head: String,
        /// The clause.
        clause: String,
    },
}

impl Sql {
    /// A clause of ALTER TABLE.
    pub fn alter_table(table: &QName, clause: impl Into<String>) -> Self {
        Self::Clause { head: format!("ALTER TABLE {table}"), clause: clause.into() }
    }
}

/// A relation and the mode in which it is locked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct RelationLock {
    /// The relation.
    pub relation: QName,
    /// The mode.
    pub level: LockLevel,
}

/// What a step does to the rows of a relation while it holds its locks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "class", content = "relation", rename_all = "snake_case")]
pub enum Work {
    /// Nothing: the catalog only.
    Catalog,
    /// Reads all rows.
    Scan(QName),
    /// Builds an index over all rows.
    Build(QName),
    /// Computes the rows of a materialized view.
    Refresh(QName),
    /// Writes all rows, a few at a time.
    Pieces(QName),
    /// Writes all rows and all indexes anew.
    Rewrite(QName),
}

impl Work {
    /// The relation whose size decides how long it takes.
    pub fn relation(&self) -> Option<&QName> {
        match self {
            Self::Catalog => None,
            Self::Scan(r)
            | Self::Build(r)
            | Self::Refresh(r)
            | Self::Pieces(r)
            | Self::Rewrite(r) => Some(r),
        }
    }
}

/// An expression by which the values of a row become another one. The server analyses it before
/// anything starts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Formula {
    /// Whose value it gives.
    pub address: Address,
    /// The key under which the model states it.
    pub key: &'static str,
    /// The expression.
    pub text: String,
    /// What its names mean, and the type of what it gives.
    pub scope: Scope,
}

/// A question to the rows, whose every answer is a reason not to start.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Preflight {
    /// The relation that is read.
    pub relation: QName,
    /// What is wrong with a value that is found: `is longer than varchar(20)`.
    pub complaint: String,
    /// A query of two columns, the offending value as text and the number of rows that have it,
    /// most frequent first.
    pub sql: String,
}

/// A condition inside a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Guard {
    /// A scalar query that counts what is in the way; anything but 0 stops the transaction.
    pub sql: String,
    /// What is counted: `values in column:public.messages.name would be lost`.
    pub complaint: String,
    /// The approval that lifts it, if one does.
    pub lifted_by: Option<&'static str>,
    /// Whether an index answers it, whatever the planner thinks of how many rows there are.
    pub by_index: bool,
}

/// A scalar query whose result must be the same before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// What is compared: `rows and values of messages.role`.
    pub what: String,
    /// The relation that is read.
    pub relation: QName,
    /// The query before the step.
    pub before: String,
    /// The query after the step.
    pub after: String,
}

/// Why something is not done.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, thiserror::Error)]
#[error("{address}: {reason}")]
pub struct Refusal {
    /// What it is about.
    pub address: Address,
    /// Why, and what to do instead.
    pub reason: String,
}

impl Refusal {
    /// A refusal.
    pub fn new(address: &Address, reason: impl Into<String>) -> Self {
        Self { address: address.clone(), reason: reason.into() }
    }
}
