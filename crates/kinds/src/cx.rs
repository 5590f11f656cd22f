//! What a kind may look at when it plans.

use std::collections::{BTreeMap, BTreeSet};

use reconcile_catalog::{Address, Catalog, Renames, Retypes};
use reconcile_sql::{QName, ServerVersion};
use serde::{Deserialize, Serialize};

use crate::online::Shadow;
use crate::trigger::Enabled;

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
    /// Which object is which, and what becomes of it.
    pub fates: &'a Fates,
    /// What is known of the server beside its objects.
    pub facts: &'a Facts,
    /// The columns that are changed beside readers and writers.
    pub online: &'a BTreeMap<Address, Shadow>,
    /// What such changes have made so far; no part of `live`.
    pub afoot: &'a Catalog,
    /// Patterns of the tables whose subscribers have the second columns of such changes already.
    pub subscribed: &'a [String],
    /// Whether everything shall be done at once, however long that takes.
    pub at_once: bool,
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

/// Which live object is which desired one, and what becomes of it.
#[derive(Clone, Debug, Default)]
pub struct Fates {
    /// Desired addresses by live ones.
    pub desired: BTreeMap<Address, Address>,
    /// Live addresses by desired ones.
    pub live: BTreeMap<Address, Address>,
    /// Live objects that get other properties, with these; a new name alone is none.
    pub altered: BTreeMap<Address, Vec<&'static str>>,
    /// Live objects that go for good.
    pub gone: BTreeSet<Address>,
}

/// Facts about the server and its data that are no objects: nothing here is a difference.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// Sizes of the relations that the plan touches.
    #[serde(with = "pairs")]
    pub sizes: BTreeMap<QName, RelationSize>,
    /// Whom ALTER DEFAULT PRIVILEGES gives rights on new relations; `public` for everybody.
    pub default_grantees: BTreeSet<String>,
    /// The role that will own what is made.
    pub current_role: String,
    /// The names of objects that are not modelled, by what they are called in a sentence.
    pub exclusions: BTreeMap<String, BTreeSet<String>>,
    /// Tables that logical replication publishes with all their columns.
    pub published: BTreeSet<QName>,
    /// Those that it publishes with a list of columns.
    #[serde(default)]
    pub published_in_part: BTreeSet<QName>,
    /// Publications of all tables, also of those that are made later.
    #[serde(default)]
    pub publications_of_all: BTreeSet<String>,
    /// Standbys and replication slots that follow this server, as far as the role may see.
    pub followers: Vec<String>,
    /// Whether the write-ahead log has what logical replication needs (`wal_level`).
    #[serde(default)]
    pub logical: bool,
    /// All types that a column may have, by namespace and name; built-in ones are left out.
    pub types: BTreeSet<QName>,
    /// Whether the role may set `session_replication_role`, so that ordinary triggers do not see what it
    /// writes.
    #[serde(default)]
    pub may_be_replica: bool,
    /// Enum types from which somebody has made a cast to text, with whether it is implicit.
    #[serde(default, with = "pairs")]
    pub casts: BTreeMap<QName, bool>,
    /// Tables with rules on UPDATE, which the server puts beside or in the place of every one; each rule with
    /// when it acts.
    #[serde(default, with = "pairs")]
    pub update_rules: BTreeMap<QName, BTreeMap<String, Enabled>>,
}

impl Facts {
    /// What is known once the renames are done.
    #[must_use]
    pub fn renamed(&self, renames: &Renames) -> Self {
        let Self {
            sizes,
            default_grantees,
            current_role,
            exclusions,
            published,
            publications_of_all,
            published_in_part,
            followers,
            logical,
            types,
            may_be_replica,
            casts,
            update_rules,
        } = self;
        Self {
            sizes: sizes.iter().map(|(name, size)| (renames.name(name), *size)).collect(),
            default_grantees: default_grantees.clone(),
            current_role: current_role.clone(),
            exclusions: exclusions.clone(),
            published: published.iter().map(|name| renames.name(name)).collect(),
            publications_of_all: publications_of_all.clone(),
            published_in_part: published_in_part.iter().map(|name| renames.name(name)).collect(),
            followers: followers.clone(),
            logical: *logical,
            types: types.iter().map(|name| renames.name(name)).collect(),
            may_be_replica: *may_be_replica,
            casts: casts.iter().map(|(name, implicit)| (renames.name(name), *implicit)).collect(),
            update_rules: update_rules
                .iter()
                .map(|(name, rules)| (renames.name(name), rules.clone()))
                .collect(),
        }
    }
}

/// A map whose keys are no text, in JSON: a list of pairs.
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(super) fn deserialize<'d, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'d> + Ord,
        V: Deserialize<'d>,
        D: Deserializer<'d>,
    {
        Vec::<(K, V)>::deserialize(deserializer).map(|pairs| pairs.into_iter().collect())
    }
}

/// How large a relation is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RelationSize {
    /// Bytes on disk, TOAST included, indexes not.
    pub bytes: u64,
    /// The part of them that its rows take themselves, without values that are stored apart.
    #[serde(default)]
    pub row_bytes: u64,
    /// Bytes of its indexes.
    pub index_bytes: u64,
    /// How many indexes it has.
    #[serde(default)]
    pub indexes: u64,
    /// The planner's estimate; negative if it has none.
    pub rows: f64,
}
