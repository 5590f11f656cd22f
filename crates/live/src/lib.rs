//! The only crate that talks to the user's database: reads, asks, applies, keeps the journal.
//!
//! The way through it: [`target`] reads what the user named, [`connect`] makes a session of it,
//! [`introspect`] reads the catalog in one message, [`ask`] has the server decide whether two
//! spellings are one expression, [`mod@derive`] puts these together into a plan, [`preflight`] and
//! [`privileges`] say what is in its way, [`apply`] does it under a [`lease`] and notes it in the
//! [`journal`].
//!
//! Invariants: what only reads runs in a transaction that is read-only, with a bound on every
//! wait. A transaction that changes something is one message: it proves that the lease is still
//! ours, compares the [`marks`] of what it touches once its locks are taken, and writes the journal
//! itself, so that what the journal says is what was committed; what cannot run in a transaction
//! (CONCURRENTLY) is judged by the catalog instead. No statement is prepared but by [`probe`],
//! which executes none, so that a pooler in transaction mode does for everything but changes. No
//! error or note carries a password.

pub mod apply;
pub mod ask;
pub mod backup;
pub mod blockers;
pub mod cancel;
pub mod connect;
pub mod derive;
pub mod error;
pub mod facts;
mod failpoint;
pub mod formula;
mod generation;
pub mod introspect;
pub mod journal;
pub mod lease;
mod login;
pub mod marks;
mod place;
pub mod pooler;
pub mod preflight;
pub mod privileges;
pub mod probe;
pub mod reading;
pub mod rehearse;
pub mod rows;
pub mod snapshot;
pub mod stamp;
mod statements;
pub mod target;
