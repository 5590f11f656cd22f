//! Throw-away PostgreSQL servers, and loading what pg_dump (or a person) wrote into one.
//!
//! A server lives exactly as long as its [`Server`] value, and never longer than this process:
//! a watchdog that holds the other end of a pipe stops it when the process ends, however it ends.
//! Nothing is kept but the cache of server programs and of freshly initialised data directories.
//!
//! A `.sql` file is a program: [`load`] runs it as the superuser of the throw-away server, with
//! the rights of the operating system user that the server runs as (an unprivileged one if this
//! process is root). Load what you would give to `psql`.

mod cache;
mod data_dir;
mod error;
mod find;
mod load;
mod package;
pub mod script;
mod server;
mod trace;

pub use cache::cache_dir;
pub use error::{Error, StatementError};
pub use find::{Installation, Source, Wanted, find, find_here};
pub use load::{LoadReport, Skipped, load};
pub use script::dumped_from;
pub use server::{Ending, Options, Server};
