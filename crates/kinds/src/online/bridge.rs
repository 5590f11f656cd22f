//! Which casts help statements that still name the old type of a column, and until when.
//!
//! Invariant: a cast of ours is there only as long as there is a column that was an enum, is a text, and has
//! its old column kept for the way back, and while no column is of the type. For with an implicit
//! cast to text, two values of an enum cannot be compared any more (`operator is not unique`, measured on
//! 15 and 18), and `value = 'label'` compares texts, without the index on the column. So it is made
//! in the transaction in which the columns change names, and dropped in the one in which they do so back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use reconcile_catalog::{Address, Object};
use reconcile_sql::{QName, SqlType};

use super::{Afoot, Doubling, Shadow};
use crate::Cx;
use crate::cast::{self, Cast};
use crate::column::Column;
use crate::enum_type::{EnumType, names};
use crate::step::{Refusal, Sql};

/// The casts that a plan makes and drops.
#[derive(Debug, Default)]
pub struct Bridges {
    /// What is made, each when these columns change names.
    pub make: Vec<(Object, BTreeSet<Address>)>,
    /// What is dropped.
    pub drop: Vec<Dropped>,
    /// What is wanted and cannot be made.
    pub refusals: Vec<Refusal>,
    /// Where none is made although one is wanted, and why.
    pub remarks: Vec<(Option<Address>, String)>,
}

/// A cast that is dropped.
#[derive(Debug)]
pub struct Dropped {
    /// The cast.
    pub object: Object,
    /// The columns that get the type back.
    pub columns: BTreeSet<Address>,
    /// Whether something has to be built with the type beside writers, which the cast would not let.
    pub first: bool,
}

/// The condition that a cast is one of ours, by its OID.
pub fn is_bridge(oid: &str) -> String {
    cast::is_ours(oid)
}

/// The bridges of a plan. Without `wanted` none is made; one that is there stays as long as it is needed.
pub fn bridges(wanted: bool, cx: &Cx<'_>, afoot: &Afoot) -> Bridges {
    let mut out = Bridges::default();
    let mut needed: BTreeMap<Address, BTreeSet<Address>> = BTreeMap::new();
    let columns = cx.retypes.changes.iter().filter(|change| is_column(&change.address, cx));
    for change in columns {
        let reason = match (bridged(&change.from, &change.to, cx), cx.online.get(&change.address)) {
            (Some(ty), Some(_)) => {
                needed.entry(ty).or_default().insert(change.address.clone());
                continue;
            }
            (Some(_), None) => {
                "no bridge is made: it is changed at once, and its old type goes with that; \
                 `--strategy online` keeps it until `reconcile contract`"
            }
            (None, Some(_)) => {
                "no bridge is made: that takes an enum that becomes a text; what statements bind as the old type \
                 has to fit the new one"
            }
            (None, None) => continue,
        };
        if wanted {
            out.remarks.push((Some(change.address.clone()), reason.to_owned()));
        }
    }
    for (shadow, _) in afoot
        .columns
        .iter()
        .filter(|(shadow, swapped)| *swapped && !cx.online.contains_key(&shadow.column))
    {
        if let Some(ty) = bridged_since(shadow, cx) {
            needed.entry(ty).or_default();
        }
    }
    for object in cx.afoot.objects().filter(|o| o.get::<Cast>().is_some()) {
        if needed.keys().any(|ty| Cast::address(ty) == object.address) {
            continue;
        }
        let dropped = dropped(object, cx);
        if dropped.first {
            let text = "what still needs it has to do without until the columns have changed names back: \
                        something is built with the old type before";
            out.remarks.push((Some(object.address.clone()), text.to_owned()));
        }
        out.drop.push(dropped);
    }
    if !wanted {
        return out;
    }
    if needed.is_empty() && out.remarks.is_empty() {
        let text = "no bridge is made: no enum becomes a text here";
        out.remarks.push((None, text.to_owned()));
    }
    for (ty, columns) in needed {
        out.demand(ty, columns, cx);
    }
    out
}

impl Bridges {
    /// Makes the cast from a type, unless there is one.
    fn demand(&mut self, ty: Address, columns: BTreeSet<Address>, cx: &Cx<'_>) {
        let address = Cast::address(&ty);
        if cx.afoot.contains(&address) || cx.live.contains(&address) {
            return;
        }
        let other = cx.live.dependents(&ty).filter(|user| {
            let is_of_type = user.get::<Column>().is_some() || user.definition.is_type();
            is_of_type && !columns.contains(&user.address) && !cx.fates.gone.contains(&user.address)
        });
        if let Some(other) = other.map(|user| user.address.to_string()).min() {
            let reason = format!(
                "no bridge can be made: {other} is of it too, and two values of it could not be compared \
                 meanwhile (`operator is not unique`); change all its columns in one plan, or leave \
                 --bridge out"
            );
            self.refusals.push(Refusal::new(&ty, reason));
            return;
        }
        match cx.facts.casts.get(&QName::new(ty.namespace(), ty.name())) {
            None => {
                let mut object = Object::new(address, None, Arc::new(Cast {}));
                object.depends_on.insert(ty);
                self.make.push((object, columns));
            }
            Some(true) => {
                let text = "somebody's own implicit cast to text is the bridge; it is left as it is";
                self.remarks.push((Some(ty), text.to_owned()));
            }
            Some(false) => self.refusals.push(Refusal::new(
                &ty,
                "no bridge can be made: somebody has given it a cast to text that is not implicit, and there \
                 can be only one; drop that cast, or leave --bridge out",
            )),
        }
    }
}

/// How a cast is dropped.
fn dropped(object: &Object, cx: &Cx<'_>) -> Dropped {
    let of_type = |ty: &SqlType| {
        let namespace = ty.namespace.as_deref().unwrap_or_default();
        [namespace, &ty.name] == *object.address.path()
    };
    let back = cx.retypes.changes.iter().filter(|change| of_type(&change.to));
    let back: BTreeMap<&Address, &Shadow> =
        back.filter_map(|change| cx.online.get_key_value(&change.address)).collect();
    let name = QName::new(object.address.namespace(), object.address.name());
    let built = |shadow: &Shadow| {
        // What is wrong with them is said when the column's own steps are made.
        let twins = Doubling::twins(shadow, cx).unwrap_or_default();
        let before = twins.into_iter().flat_map(|(_, twin)| {
            let stages = twin.prepare.into_iter().chain(twin.late);
            stages.flat_map(|stage| stage.actions).chain(twin.demand)
        });
        before.into_iter().any(|action| match &action.sql {
            Sql::Statement(text) | Sql::Clause { clause: text, .. } => names(text, &name),
        })
    };
    Dropped {
        object: object.clone(),
        first: back.values().any(|shadow| built(shadow)),
        columns: back.into_keys().cloned().collect(),
    }
}

fn is_column(address: &Address, cx: &Cx<'_>) -> bool {
    cx.live.definition::<Column>(address).is_some()
}

/// The enum type from which a cast helps, if one does.
fn bridged(from: &SqlType, to: &SqlType, cx: &Cx<'_>) -> Option<Address> {
    let namespace = from.namespace.as_deref().filter(|_| !from.array && to.is_textual())?;
    let address = EnumType::address(&QName::new(namespace, &from.name));
    (cx.live.contains(&address) || cx.desired.contains(&address)).then_some(address)
}

/// The same for a column that has changed names already.
fn bridged_since(shadow: &Shadow, cx: &Cx<'_>) -> Option<Address> {
    let old = cx.afoot.definition::<Column>(&shadow.address);
    let old = old.or_else(|| cx.live.definition(&shadow.address))?;
    let now = cx.live.definition::<Column>(&shadow.column)?;
    bridged(&old.ty, &now.ty, cx)
}
