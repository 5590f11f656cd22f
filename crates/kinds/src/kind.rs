//! What a kind of object has to say.

use std::sync::Arc;

use reconcile_catalog::{Address, Definition, Object, PropertyChange, Retype};
use reconcile_sql::{QName, ServerVersion};

use crate::Cx;
use crate::gate::{Gap, GateCx, Probe};
use crate::model::ModelPart;
use crate::online::{Doubling, Shadow, Twin};
use crate::read::{ReadError, Reader, Row};
use crate::step::{Action, Refusal, Stage};

/// A kind of object: everything that is true of tables and of no other kind, and so on.
pub trait Kind: Sync {
    /// The name in addresses: `column`.
    fn name(&self) -> &'static str;

    /// How several of them are called in a sentence: `columns`.
    fn plural(&self) -> &'static str;

    /// What a model can say of it; nothing if it is read from databases only.
    fn model(&self) -> Option<&'static dyn ModelPart> {
        None
    }

    /// The catalog queries that read all of them; every column is text. They run with an empty
    /// `search_path` in a read-only transaction.
    fn queries(&self, version: ServerVersion) -> Vec<String>;

    /// Takes one row of one of the queries.
    ///
    /// # Errors
    /// If the row is not what the query promises.
    fn read(&self, row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError>;

    /// Reads back what [`Definition::to_json`] wrote.
    ///
    /// # Errors
    /// If it is not a definition of this kind.
    fn decode(&self, json: serde_json::Value) -> Result<Arc<dyn Definition>, serde_json::Error>;

    /// The object as COMMENT ON and ALTER … OWNER TO name it: `COLUMN public.messages.role`.
    fn designation(&self, address: &Address) -> String;

    /// How GRANT … ON calls objects of this kind.
    fn grant_class(&self) -> &'static str {
        "TABLE"
    }

    /// The definition in a line: `varchar(100), nullable`.
    fn describe(&self, object: &Object) -> String;

    /// The steps that make it.
    ///
    /// # Errors
    /// If it cannot be made, with the reason.
    fn create(&self, object: &Object, how: How, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal>;

    /// The steps that remove it.
    ///
    /// # Errors
    /// If it cannot be removed, with the reason.
    fn drop(&self, object: &Object, how: How, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal>;

    /// How a live object gets its desired properties.
    fn replacement(&self, _change: &Alteration<'_>, _cx: &Cx<'_>) -> Replacement {
        Replacement::None
    }

    /// The steps that give a live object its desired properties. The name is right already. Not
    /// asked for what is [`Replacement::Rebuilt`].
    ///
    /// # Errors
    /// If that cannot be done, with the reason.
    fn alter(&self, change: &Alteration<'_>, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        Err(Refusal::new(&change.live.address, format!("a {} cannot be altered", self.name())))
    }

    /// Whether `gone`, which the plan removes, has to be gone before `object` can be made or changed, although
    /// neither refers to the other: partitions whose bounds may overlap.
    fn waits_for(&self, _object: &Object, _gone: &Object, _cx: &Cx<'_>) -> bool {
        false
    }

    /// Whether making or changing `object` reads `gone`, which the plan removes and the object as it shall be
    /// does not need: that goes afterwards.
    fn reads(&self, _object: &Object, _gone: &Object, _cx: &Cx<'_>) -> bool {
        false
    }

    /// Whether `user`, which depends on the live object and is changed too, has to be changed first:
    /// a key that lets go of a column, before that may be null.
    fn waits_for_change(&self, _object: &Object, _user: &Object, _cx: &Cx<'_>) -> bool {
        false
    }

    /// The steps that give a live object another name.
    ///
    /// # Errors
    /// If it cannot be renamed.
    fn rename(&self, live: &Object, to: &str, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        Err(Refusal::new(&live.address, format!("a {} cannot be renamed to {to}", self.name())))
    }

    /// For an object that a changed one stops using: who else still uses it after the plan, in
    /// words. It goes if nobody does; `None` if objects of this kind never go by themselves.
    fn remaining_users(
        &self,
        _object: &Object,
        _after: &After<'_>,
        _cx: &Cx<'_>,
    ) -> Option<Vec<String>> {
        None
    }

    /// The steps that give a live type another name, so that its successor can take its own; what
    /// is of the type keeps it. Only asked for what [`Replacement::Exchanged`] is said of.
    fn set_aside(&self, live: &Object, _cx: &Cx<'_>) -> Vec<Action> {
        vec![crate::user_type::set_aside(&live.address)]
    }

    /// Whether a part of a type can get these properties only with a successor of the whole type.
    fn needs_exchange(&self, _wanted: &Object, _cx: &Cx<'_>) -> bool {
        false
    }

    /// Whether anything may need it without saying so: it is made before and dropped after
    /// everything that it does not need itself.
    fn comes_first(&self) -> bool {
        false
    }

    /// The names that it has among the relations of its namespace: two of them cannot have one name.
    fn relation_names(&self, _object: &Object) -> Vec<QName> {
        Vec::new()
    }

    /// The relations that are rewritten when these properties change.
    fn rewrites(&self, _change: &Alteration<'_>, _cx: &Cx<'_>) -> Vec<Address> {
        Vec::new()
    }

    /// How the change can be carried out beside readers and writers instead of rewriting; `None` for a
    /// change that rewrites nothing.
    ///
    /// # Errors
    /// If it cannot, with the reason.
    fn online(&self, _change: &Alteration<'_>, _cx: &Cx<'_>) -> Option<Result<Shadow, Refusal>> {
        None
    }

    /// The twin of an object that is about a column which is changed online; `None` if it reacts as it
    /// does to any change of type.
    ///
    /// # Errors
    /// If it stands in the way of such a change.
    fn twin(
        &self,
        _object: &Object,
        _doubling: &Doubling<'_>,
        _cx: &Cx<'_>,
    ) -> Result<Option<Twin>, Refusal> {
        Ok(None)
    }

    /// Why an application that the model describes cannot run with this difference; `None` if it
    /// can, which is so for everything that no statement of an application fails on.
    fn gate(&self, _gap: Gap<'_>, _cx: &GateCx<'_>) -> Option<String> {
        None
    }

    /// What the server is asked about a desired object, without executing anything.
    fn probes(&self, _desired: &Object, _cx: &GateCx<'_>) -> Vec<Probe> {
        Vec::new()
    }

    /// The live tables that have to be made anew and filled with their rows for this change, because
    /// PostgreSQL alters none of this: by what a table is partitioned, and the types of that.
    fn refilled(&self, change: &Alteration<'_>, cx: &Cx<'_>) -> Vec<Address> {
        if self.replacement(change, cx) == Replacement::Exchanged {
            crate::table::keyed_by(change.live, cx)
        } else {
            Vec::new()
        }
    }

    /// The live tables that have to be made anew because this one goes, whose rows may belong elsewhere
    /// in them.
    fn refilled_without(&self, _gone: &Object, _cx: &Cx<'_>) -> Vec<Address> {
        Vec::new()
    }

    /// Whether it has to be there before a new table is filled with the rows of the old one.
    fn comes_before_rows(&self) -> bool {
        false
    }

    /// What happens to `object` when `disturbed`, on which it depends, is changed.
    fn react(&self, object: &Object, disturbed: &Object, by: &Disturbance, cx: &Cx<'_>)
    -> Reaction;
}

/// Whether an object is made where others use the relation meanwhile, or inside a transaction
/// that holds it anyway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Others use it: CONCURRENTLY, NOT VALID first.
    Online,
    /// It is locked by the same transaction, or nobody knows it yet.
    Within,
}

/// What becomes of the object itself when its properties change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replacement {
    /// It stays, and so does what belongs to it.
    None,
    /// Its steps put another object in its place: what belongs to it (a comment) is made again.
    Replaced,
    /// It is dropped and made again in one transaction, with everything that depends on it.
    Rebuilt,
    /// It is a type, and another one takes its place and name in one transaction. What is of the
    /// type goes over to it; what else depends on it is dropped before and made again after.
    Exchanged,
}

/// The live objects as they are after the plan.
#[derive(Clone, Copy)]
pub struct After<'a> {
    /// The definition that a live object ends with; `None` if it goes.
    pub definition: &'a dyn Fn(&Object) -> Option<Arc<dyn Definition>>,
}

/// A live object and what it shall be.
#[derive(Clone, Debug)]
pub struct Alteration<'a> {
    /// What is there, under its present name.
    pub live: &'a Object,
    /// What shall be there.
    pub desired: &'a Object,
    /// The properties that differ.
    pub properties: &'a [PropertyChange],
}

impl Alteration<'_> {
    /// The change of a property, if it changes.
    pub fn of(&self, name: &str) -> Option<&PropertyChange> {
        self.properties.iter().find(|p| p.name == name)
    }
}

/// What is done to an object that others depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disturbance {
    /// Its type changes. The two types are equal where another type takes over the name of the one
    /// that it has.
    Retyped(Box<Retype>),
    /// It is dropped and made again in one transaction, or another one takes its place.
    Rebuilt,
    /// It is dropped for good.
    Dropped,
}

/// What a dependent object does about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// Nothing: PostgreSQL carries it along.
    Keep,
    /// It is dropped before and made again after, in the same transaction.
    Rebuild {
        /// What a person should know about it.
        warnings: Vec<String>,
    },
    /// It is changed in the same way by the same statement, and its own dependents are disturbed.
    Follow(Box<Retype>),
    /// Another type takes its place, because what it is made of is another one.
    Exchange,
    /// It goes too, without a step of its own.
    Goes,
    /// The change cannot be made while this object is as it is.
    Refuse(String),
}
