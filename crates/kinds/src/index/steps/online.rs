//! The twin of an index: built beside readers and writers, it changes names with the index.

use reconcile_catalog::Object;
use reconcile_sql::QName;

use super::super::sql::Manner;
use super::super::{Index, qualified};
use super::actions::{Making, drop_beside, rename, roles};
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
        twin.prepare.extend(making.stages(Manner::Beside));
    }
    let spare = doubling.shadow.twin(&format!("{}_spare", object.address.name()));
    let own = |name: &str| QName::new(address.namespace(), name);
    let (first, second) = (object.address.name(), address.name());
    twin.after.push(rename(&object.address, &own(first), &spare));
    twin.after.push(rename(&object.address, &own(second), first));
    twin.after.push(rename(&object.address, &own(&spare), second));
    twin.after.extend(roles(&object.address, Some(live)));
    Ok(twin)
}
