//! What types of somebody's own have in common.
//!
//! What PostgreSQL cannot change in place about a type is done by exchange: the type is set aside
//! under another name, its successor takes the name, whatever is of the type goes over to it, and
//! the old one goes.

use reconcile_catalog::{Address, Object};
use reconcile_sql::ident::fit;
use reconcile_sql::{SqlType, quote_ident};

use crate::registry;
use crate::step::{Action, Sql, Stage};
use crate::{Cx, Disturbance, Reaction, range};

/// What is added to the name of a type that its successor takes.
pub(crate) const ASIDE: &str = "_rc_old";

/// The type that an address names.
pub(crate) fn type_at(address: &Address) -> SqlType {
    SqlType::named(Some(address.namespace().to_owned()), address.name())
}

/// Whether a type, or an array of it, comes with an object: a range type brings its multirange type.
pub(crate) fn makes(object: &Object, ty: &SqlType) -> bool {
    let element = ty.element();
    type_at(&object.address) == element
        || object.get::<range::Range>().is_some_and(|r| {
            let multirange = range::multirange_of(&object.address, r);
            element == SqlType::named(Some(multirange.namespace), multirange.name)
        })
}

/// How a type reacts that is made of another one.
pub(crate) fn react(
    object: &Object,
    disturbed: &Object,
    by: &Disturbance,
    _cx: &Cx<'_>,
) -> Reaction {
    match by {
        Disturbance::Retyped(_) => Reaction::Keep,
        Disturbance::Rebuilt if disturbed.definition.is_type() => Reaction::Exchange,
        Disturbance::Rebuilt | Disturbance::Dropped => {
            Reaction::Refuse(format!("{} depends on {}", object.address, disturbed.address))
        }
    }
}

fn designation(address: &Address) -> String {
    registry::kind(address.kind()).map_or_else(String::new, |kind| kind.designation(address))
}

/// Gives a type another name.
pub(crate) fn rename(address: &Address, to: &str) -> Vec<Stage> {
    let sql = format!("ALTER {} RENAME TO {}", designation(address), quote_ident(to));
    let summary = format!("rename type {} to {to}", address.short());
    vec![Stage::transaction(vec![Action::new(address, summary, Sql::Statement(sql))])]
}

/// Makes room for the successor of a type.
pub(crate) fn set_aside(address: &Address) -> Action {
    let to = fit(address.name(), ASIDE);
    let sql = format!("ALTER {} RENAME TO {}", designation(address), quote_ident(&to));
    let summary = format!("set type {} aside for its successor", address.short());
    Action::new(address, summary, Sql::Statement(sql))
}
