//! How one property differs.

use crate::Value;

/// A property whose live value is not the desired one.
#[derive(Clone, Debug, PartialEq)]
pub struct PropertyChange {
    /// The property.
    pub name: &'static str,
    /// What is there.
    pub live: Value,
    /// What shall be there.
    pub desired: Value,
    /// False if nothing proves that the two differ: they are spelt differently, and the server
    /// could not say what they mean.
    pub proven: bool,
}
