//! What a way back has left that was stopped before the columns changed names.
//!
//! Invariant: once the columns have changed names nothing is demanded of the old one, so a demand on it can only
//! come from a way back that had to prove first. It fails the writes of values that the old type cannot hold.
//! What is demanded of the first column alone is no such thing: a way back that changed the names at once proves
//! it afterwards.

use std::sync::Arc;

use reconcile_catalog::{Address, Object};

use super::{Afoot, Shadow};
use crate::column::Column;
use crate::constraint::{Constraint, Rule};

impl Afoot {
    /// What is demanded of the old column of a change: each object, and what is there instead without the
    /// demand, if it does not go as a whole.
    pub fn demands(&self, shadow: &Shadow) -> Vec<(Address, Option<Object>)> {
        let own = self.catalog.in_place().filter(|object| shadow.made(&object.address));
        own.filter_map(|object| without_demand(object, &shadow.address)).collect()
    }
}

fn without_demand(object: &Object, second: &Address) -> Option<(Address, Option<Object>)> {
    if let Some(constraint) = object.get::<Constraint>() {
        let demands = match constraint.rule {
            Rule::Check { .. } | Rule::ForeignKey { .. } => true,
            // Their indexes come beforehand, and they themselves with the names.
            Rule::PrimaryKey { .. } | Rule::Unique { .. } | Rule::Other { .. } => false,
        };
        let demands = demands && object.depends_on.contains(second);
        return demands.then(|| (object.address.clone(), None));
    }
    let column = object.get::<Column>().filter(|column| !column.nullable)?;
    let definition = Arc::new(Column { nullable: true, not_null: None, ..column.clone() });
    Some((object.address.clone(), Some(Object { definition, ..object.clone() })))
}
