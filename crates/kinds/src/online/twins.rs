//! The twins of what reads a column that is changed online.

use reconcile_catalog::{Address, Object, Renames};

use super::{Shadow, Twin, readers};
use crate::column::online::Loss;
use crate::constraint::table_of;
use crate::step::Refusal;
use crate::{Cx, kind};

/// A column and its shadow, with the new reading of everything that is about the column.
#[derive(Debug)]
pub struct Doubling<'a> {
    /// The two columns.
    pub shadow: &'a Shadow,
    /// What the old column loses of what is written once the columns have changed names.
    pub(crate) loss: Loss,
    /// Whether the second column is known to be in step, so that the names change at once, and what is
    /// demanded of it is proven afterwards.
    pub(crate) at_once: bool,
    renames: Renames,
}

impl<'a> Doubling<'a> {
    /// The twins of a column's dependents: which live object, and what its twin takes. What has none
    /// reacts as it does to any change of type.
    ///
    /// # Errors
    /// If one of them cannot have a twin and cannot do without.
    pub fn twins(shadow: &'a Shadow, cx: &Cx<'_>) -> Result<Vec<(Address, Twin)>, Refusal> {
        let to = [(shadow.column.clone(), shadow.address.name().to_owned())];
        let doubling = Doubling {
            shadow,
            loss: crate::column::online::loss_of_the_way_back(shadow, cx),
            at_once: crate::column::online::in_step(shadow, cx).is_some(),
            renames: Renames::new(cx.live, &to, Vec::new()),
        };
        readers::name_columns(&shadow.column, cx)?;
        let mut out = Vec::new();
        // What belongs to the table as a whole may be about the column too: its privileges.
        let table = table_of(&shadow.column);
        let belongs =
            cx.live.children(&table).filter(|o| o.address.target().as_ref() == Some(&table));
        for object in cx.live.dependents(&shadow.column).chain(belongs) {
            if cx.fates.gone.contains(&object.address) {
                continue;
            }
            let Some(kind) = kind(object.address.kind()) else { continue };
            if let Some(twin) = kind.twin(object, &doubling, cx)? {
                out.push((object.address.clone(), twin));
            }
        }
        out.extend(readers::twins(&doubling, cx)?);
        out.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(out)
    }

    /// What a live object shall be once the column has its new type.
    pub fn wanted(&self, live: &Object, cx: &Cx<'_>) -> Object {
        wanted(live, cx)
    }

    /// What a live object shall be once the column has its new type, as it reads about the shadow
    /// and is called there.
    ///
    /// # Errors
    /// If it shall have another name as well.
    pub fn double(&self, live: &Object, cx: &Cx<'_>) -> Result<Object, Refusal> {
        let wanted = self.wanted(live, cx);
        if wanted.address != live.address {
            return Err(Refusal::new(
                &live.address,
                "it shall have another name and is about a column that is changed online: do one after the other",
            ));
        }
        let definition = self.shadow.definition(&wanted, &self.renames);
        let address = live.address.renamed(&self.shadow.twin(live.address.name()));
        Ok(Object { address, definition, ..wanted })
    }
}

/// What a live object shall be: as the model says, or as it reads after the changes of type.
pub(crate) fn wanted(live: &Object, cx: &Cx<'_>) -> Object {
    let desired = cx.fates.desired.get(&live.address).and_then(|d| cx.desired.get(d));
    let mut out = live.clone();
    match desired {
        Some(desired) => {
            out.definition = desired.definition.clone();
            if !desired.unnamed {
                out.address = desired.address.clone();
            }
        }
        None => {
            if let Some(definition) = live.definition.retyped(&live.address, cx.retypes) {
                out.definition = definition;
            }
        }
    }
    out
}
