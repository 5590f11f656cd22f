//! The journal: what was applied, by whom, when, and what was there before.
//!
//! Invariant: the row of a step is changed in the transaction of the step, so that the journal
//! says `done` exactly where the database says so. Everything here is one namespace of its own
//! (`reconcile` unless told otherwise), which introspection passes over.

mod error;
mod open;
mod read;
mod record;
mod saved;
mod tables;

pub use error::JournalError;
pub use open::Readiness;
pub use read::{Run, RunState, StepRecord, StepState};
pub use record::Record;
pub use saved::{Saved, saved};

/// The namespace of the journal unless another one is named.
pub const DEFAULT_SCHEMA: &str = "reconcile";

/// A journal by its namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    schema: String,
}

impl Journal {
    /// The journal in a namespace; nothing is asked or made yet.
    ///
    /// # Errors
    /// If the name cannot be that of a namespace for a journal.
    pub fn named(schema: &str) -> Result<Self, JournalError> {
        let of_postgresql = schema.starts_with("pg_") || schema == "information_schema";
        let fits = !schema.is_empty() && schema.len() <= reconcile_sql::ident::MAX_IDENT_BYTES;
        if of_postgresql || !fits || schema == "public" || schema.contains('\0') {
            return Err(JournalError::Name { schema: schema.to_owned() });
        }
        Ok(Self { schema: schema.to_owned() })
    }

    /// The name of its namespace.
    pub fn schema(&self) -> &str {
        &self.schema
    }
}
