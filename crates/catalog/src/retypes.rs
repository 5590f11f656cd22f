//! The type changes of a plan, which the texts of other objects have to follow.

use reconcile_sql::SqlType;

use crate::Address;

/// A column whose type changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retype {
    /// The column, also where it is the output column of a view and no object of its own.
    pub address: Address,
    /// The object whose dependents feel it: the column itself, or the view.
    pub through: Address,
    /// The type that it has.
    pub from: SqlType,
    /// The type that it gets.
    pub to: SqlType,
}

/// All type changes of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retypes {
    /// In the order of their addresses.
    pub changes: Vec<Retype>,
}

impl Retypes {
    /// The change of this object's type, if there is one.
    pub fn of(&self, address: &Address) -> Option<&Retype> {
        self.changes.iter().find(|r| &r.address == address)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}
