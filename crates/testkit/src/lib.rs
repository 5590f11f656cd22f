//! What the tests share: real PostgreSQL servers, databases on them, and pg_dump to compare them.
//!
//! A test names a major version and gets a database of its own; [`majors`] says which versions
//! this run is about. A failure here is a panic with the reason, because a test can do no more.

mod pg_dump;
mod server;

pub use pg_dump::{pg_dump, pg_dump_program};
pub use server::{
    Database, database, database_on, lasting_server, majors, own_server, server, unique_name,
};
