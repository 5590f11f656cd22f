//! SQL as text: names, literals, types, tokens, lock levels and versions.
//!
//! The leaf of the workspace. Nothing here knows a catalog, a model or a connection; everything
//! here is a pure function of its input.

pub mod ident;
pub mod keywords;
pub mod lex;
pub mod literal;
pub mod lock;
pub mod operand;
pub mod path;
pub mod rename;
pub mod restate;
pub mod retype;
pub mod spelling;
pub mod types;
pub mod version;

pub use ident::{QName, quote_ident};
pub use literal::quote_literal;
pub use lock::LockLevel;
pub use operand::in_default;
pub use path::search_path;
pub use types::SqlType;
pub use version::ServerVersion;
