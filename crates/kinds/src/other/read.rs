//! Objects that only a dependency tells of.

use std::sync::Arc;

use reconcile_catalog::{Address, Object};

use super::{NAME, Other};

impl Other {
    /// The object, under its description.
    pub(crate) fn into_object(self) -> Object {
        let address = Address::new(NAME, [self.description.clone()]);
        Object::new(address, None, Arc::new(self))
    }
}
