//! What can be in the way of the journal.

use crate::error::Error;

/// Why the journal cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalError {
    /// A name that no namespace of a journal can have.
    #[error(
        "`{schema}` cannot be the namespace of the journal: it needs one of its own, not \
         PostgreSQL's and not `public`"
    )]
    Name {
        /// The name.
        schema: String,
    },
    /// The namespace is not there and must not be made.
    #[error(
        "the journal needs a namespace, and {role} may not make one in this database: \
         GRANT CREATE ON DATABASE {database} TO {role}, or CREATE SCHEMA {schema} AUTHORIZATION \
         {role}, or name an existing one with --journal-schema"
    )]
    NoNamespace {
        /// The namespace, as SQL.
        schema: String,
        /// The database, as SQL.
        database: String,
        /// The role in force, as SQL.
        role: String,
    },
    /// The namespace is there, without the rights that are needed.
    #[error("{role} may not use the journal in namespace {schema}: {grant}")]
    NoPrivilege {
        /// The namespace, as SQL.
        schema: String,
        /// The role in force, as SQL.
        role: String,
        /// The statement that helps.
        grant: String,
    },
    /// The namespace is there and holds something else.
    #[error(
        "namespace {schema} holds {relation}, which is not the journal's: name an empty one with \
         --journal-schema"
    )]
    Occupied {
        /// The namespace, as SQL.
        schema: String,
        /// A relation in it.
        relation: String,
    },
    /// A later release wrote it.
    #[error(
        "the journal in namespace {schema} has version {found}, and this program knows versions \
         up to {known}: use the newer program"
    )]
    Newer {
        /// The namespace, as SQL.
        schema: String,
        /// The version of the tables.
        found: u32,
        /// The version that this program writes.
        known: u32,
    },
    /// A row that does not say what it should.
    #[error("the journal in namespace {schema} cannot be read: {reason}")]
    Unreadable {
        /// The namespace, as SQL.
        schema: String,
        /// What is wrong.
        reason: String,
    },
    /// The server or the connection.
    #[error(transparent)]
    Server(#[from] Error),
}
