//! What a kind may look at when it plans.

use std::collections::{BTreeMap, BTreeSet};

use reconcile_catalog::{Address, Catalog, Retypes};
use reconcile_sql::{QName, ServerVersion};
use serde::{Deserialize, Serialize};

/// Both sides, and what is known of the plan so far.
#[derive(Clone, Copy, Debug)]
pub struct Cx<'a> {
    /// What is there.
    pub live: &'a Catalog,
    /// What shall be there.
    pub desired: &'a Catalog,
    /// The server.
    pub version: ServerVersion,
    /// The type changes of the plan.
    pub retypes: &'a Retypes,
    /// Relations that the plan rewrites.
    pub rewritten: &'a BTreeSet<Address>,
    /// What is known of the server beside its objects.
    pub facts: &'a Facts,
}

impl Cx<'_> {
    /// Whether an object is made by this plan.
    pub fn is_new(&self, address: &Address) -> bool {
        !self.live.contains(address)
    }

    /// Whether the plan rewrites a relation.
    pub fn is_rewritten(&self, address: &Address) -> bool {
        self.rewritten.contains(address)
    }

    /// The size of a relation, if it is known.
    pub fn size(&self, relation: &QName) -> Option<&RelationSize> {
        self.facts.sizes.get(relation)
    }
}

/// Facts about the server and its data that are no objects: nothing here is a difference.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// Sizes of the relations that the plan touches.
    pub sizes: BTreeMap<QName, RelationSize>,
    /// Whom ALTER DEFAULT PRIVILEGES gives rights on new relations; `public` for everybody.
    pub default_grantees: BTreeSet<String>,
    /// The role that will own what is made.
    pub current_role: String,
    /// Objects that are not modelled, by kind, with their number.
    pub exclusions: BTreeMap<String, u64>,
    /// Tables that logical replication publishes.
    pub published: BTreeSet<QName>,
    /// Standbys and replication slots that follow this server, as far as the role may see.
    pub followers: Vec<String>,
    /// All types that a column may have, by namespace and name; built-in ones are left out.
    pub types: BTreeSet<QName>,
}

/// How large a relation is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RelationSize {
    /// Bytes on disk, TOAST included, indexes not.
    pub bytes: u64,
    /// Bytes of its indexes.
    pub index_bytes: u64,
    /// The planner's estimate; negative if it has none.
    pub rows: f64,
}
