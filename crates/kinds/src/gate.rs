//! May an application that the model describes run on this database now?
//!
//! Being equal is not needed, being compatible is: a difference only matters if a statement of the
//! application can fail on it, or read something that it does not expect.

use reconcile_catalog::{Catalog, Object, PropertyChange};

/// How the application's driver sends parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// With the types that the application has for its columns: asyncpg, psycopg 3, JDBC.
    Typed,
    /// As literals whose type the server infers: psycopg2.
    Untyped,
}

/// A difference, as the gate sees it.
#[derive(Clone, Copy, Debug)]
pub enum Gap<'a> {
    /// The model has it, the database does not.
    Missing(&'a Object),
    /// Both have it, and these properties differ.
    Different {
        /// What is there.
        live: &'a Object,
        /// What shall be there.
        desired: &'a Object,
        /// How they differ.
        properties: &'a [PropertyChange],
    },
    /// The database has it in a section that the model states in full.
    Extra(&'a Object),
}

/// What a kind may look at when it judges.
#[derive(Clone, Copy, Debug)]
pub struct GateCx<'a> {
    /// What is there.
    pub live: &'a Catalog,
    /// What shall be there.
    pub desired: &'a Catalog,
    /// How parameters are sent.
    pub binding: Binding,
    /// The role that the application connects as.
    pub app_role: &'a str,
}

/// Something that the server itself is asked, without executing anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// What it stands for: `insert into messages`.
    pub what: String,
    /// What is asked.
    pub test: Test,
}

/// A question to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// A statement to PREPARE, with the types of its parameters in parentheses or nothing.
    Prepare {
        /// `(bigint, varchar)`, or empty.
        parameters: String,
        /// The statement.
        sql: String,
    },
    /// A scalar query that must be true.
    Holds(String),
}
