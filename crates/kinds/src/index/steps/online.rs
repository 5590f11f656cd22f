//! The twin of an index: built beside readers and writers, it changes names with the index.

use reconcile_catalog::Object;
use reconcile_sql::QName;

use super::super::sql::Manner;
use super::super::{Index, KeyPart, qualified};
use super::actions::{Making, drop_beside, drop_within, rename, roles};
use super::index_of;
use crate::Cx;
use crate::online::{Doubling, Twin};
use crate::step::Refusal;
use crate::table::relation;

/// The twin. One that an interrupted build left is dropped first, and so is one that is another by now.
pub(super) fn twin(object: &Object, doubling: &Doubling<'_>, cx: &Cx<'_>) -> Result<Twin, Refusal> {
    let live = index_of(object)?;
    let double = doubling.double(object, cx)?;
    let address = &double.address;
    let index = Index { clustered: false, replica_identity: false, ..index_of(&double)?.clone() };
    let mut twin = Twin::default();
    let there = cx.afoot.definition::<Index>(address);
    if there.is_none_or(|there| !there.valid) {
        if there.is_some() {
            let summary =
                format!("drop the unfinished index {} of an earlier attempt", address.name());
            twin.prepare.push(drop_beside(address, &qualified(address), summary));
        }
        let on = relation(address);
        let making = Making { address, index: &index, name: address.name(), on };
        let mut stages = making.stages(Manner::Beside);
        // What is asked before anything starts cannot be about a column that is not there yet; that the old
        // values are unique the old index says.
        stages.iter_mut().flat_map(|s| &mut s.actions).for_each(|a| a.preflights.clear());
        twin.prepare.extend(stages);
    }
    let spare = doubling.shadow.twin(&format!("{}_spare", object.address.name()));
    let own = |name: &str| QName::new(address.namespace(), name);
    let (first, second) = (object.address.name(), address.name());
    if stays(live) {
        twin.after.push(rename(&object.address, &own(first), &spare));
        twin.after.push(rename(&object.address, &own(second), first));
        twin.after.push(rename(&object.address, &own(&spare), second));
    } else {
        twin.before.push(drop_within(&object.address, &own(first)));
        twin.after.push(rename(&object.address, &own(second), first));
    }
    twin.after.extend(roles(&object.address, Some(live)));
    Ok(twin)
}

/// Whether an index can stay on the old column, for the way back: a value that comes back may be rounded,
/// and neither collide with another one nor fail in an expression.
fn stays(index: &Index) -> bool {
    let plain = index.keys.iter().all(|key| matches!(key.what, KeyPart::Column(_)));
    plain && !index.unique && index.predicate.is_none()
}
