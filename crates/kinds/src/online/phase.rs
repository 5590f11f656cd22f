//! How far an online change is, by what it has made so far.

use std::fmt;

use super::{Afoot, Shadow};
use crate::column::Column;
use crate::constraint::{Constraint, table_of};
use crate::function::Function;
use crate::trigger::Trigger;

/// How far an online change is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The second column is there and kept in step; the rows that were there before are carried over.
    CarryingOver,
    /// What hangs on the column is made for the second one.
    Preparing,
    /// It is proven that both columns agree.
    Proving,
    /// Nothing is left to do but to change the names.
    Ready,
    /// The names are changed; the old column waits for its end.
    Changed,
    /// The names are changed, and a way back that was begun demands of new values that the old column can
    /// hold them.
    GoingBack,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CarryingOver => "carrying the rows over",
            Self::Preparing => "preparing indexes and constraints",
            Self::Proving => "proving that both columns agree",
            Self::Ready => "ready to change names",
            Self::Changed => "the names are changed, and the old column is kept for the way back",
            Self::GoingBack => {
                "the names are changed, and a way back was begun: writes of values that the old type cannot hold fail"
            }
        })
    }
}

impl Afoot {
    /// How far each change is, in the order of the columns.
    pub fn phases(&self) -> Vec<(&Shadow, Phase)> {
        self.columns
            .iter()
            .map(|(shadow, changed)| (shadow, self.phase(shadow, *changed)))
            .collect()
    }

    fn phase(&self, shadow: &Shadow, changed: bool) -> Phase {
        let proof = Constraint::address(&table_of(&shadow.column), &shadow.agreement());
        let proof = self.catalog.definition::<Constraint>(&proof);
        let twin = |object: &reconcile_catalog::Object| {
            let itself = object.get::<Column>().is_some()
                || object.get::<Function>().is_some()
                || object.get::<Trigger>().is_some();
            !itself && object.address.target().is_none() && shadow.made(&object.address)
        };
        match proof {
            _ if changed && !self.demands(shadow).is_empty() => Phase::GoingBack,
            _ if changed => Phase::Changed,
            Some(proof) if proof.validated => Phase::Ready,
            Some(_) => Phase::Proving,
            None if self.catalog.objects().any(twin) => Phase::Preparing,
            None => Phase::CarryingOver,
        }
    }
}
