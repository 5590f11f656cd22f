//! live

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
mod generation;
pub mod introspect;
pub mod journal;
pub mod lease;
mod login;
pub mod marks;
pub mod pooler;
pub mod preflight;
pub mod privileges;
pub mod probe;
pub mod reading;
pub mod rows;
pub mod stamp;
mod statements;
pub mod target;
