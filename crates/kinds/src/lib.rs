//! All that is known of the kinds of objects: one folder a kind, one line in [`registry::KINDS`].
//!
//! The other crates see [`Kind`] and nothing behind it. A kind reads itself from the catalog,
//! says what it is in words, and says which steps create, alter, rename and drop it, what each
//! step locks, and how it reacts when something that it depends on is changed.

pub mod cast;
pub mod column;
pub mod comment;
pub mod composite;
pub mod constraint;
mod cx;
pub mod domain;
pub mod domain_check;
pub mod enum_type;
mod exchange;
pub mod extension;
pub mod function;
pub mod gate;
pub mod grant;
pub mod index;
pub mod inheritance;
mod kind;
pub mod materialized_view;
pub mod model;
pub mod namespace;
pub mod online;
pub mod other;
pub mod owned_by;
pub mod owner;
pub mod policy;
pub mod range;
mod read;
pub mod registry;
mod renaming;
pub mod replica_identity;
pub mod sequence;
pub mod statistics;
mod step;
mod storage;
pub mod table;
pub mod trigger;
mod user_type;
pub mod view;

pub use cx::{Cx, Facts, Fates, RelationSize};
pub use exchange::{Exchanged, exchange};
pub use kind::{After, Alteration, Disturbance, How, Kind, Reaction, Replacement};
pub use read::{ObjectId, ReadError, Reader, Row, dependencies};
pub use registry::{KINDS, kind};
pub use step::{
    Action, Fires, Formula, Guard, Pieces, Place, Preflight, Proof, Refusal, RelationLock, Sql,
    Stage, Work,
};
pub use storage::Settings;
pub use table::{Refilling, refilling};
pub use trigger::Enabled;
