//! What has a name of ours and belongs to no online change that anybody could end.
//!
//! Invariant: a change that goes its way is no stray, however far it is. What is one is named with the way out.

use std::fmt;

use reconcile_catalog::{Address, Catalog};

use super::{Afoot, Shadow, is_ours};

/// Why something is a stray.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stray {
    /// No change of this name is there.
    Alone,
    /// The trigger that keeps the second column in step is gone; whether the names are changed already.
    Halved(bool),
    /// No journal has a run that made it; whether the names are changed already.
    Unclaimed(bool),
}

impl fmt::Display for Stray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = |changed: bool| if changed { "contract" } else { "abort" };
        match self {
            Self::Alone => f.write_str(
                "it has a name that only online changes give, and no such change is there; drop it by hand",
            ),
            Self::Halved(changed) => write!(
                f,
                "it is part of an online change whose trigger is gone, so that writes miss it; `reconcile {}` takes \
                 it away",
                end(*changed)
            ),
            Self::Unclaimed(changed) => write!(
                f,
                "it is part of an online change that no journal knows, as in a copy of another database; \
                 `reconcile {}` takes it away",
                end(*changed)
            ),
        }
    }
}

/// What is astray; `claimed` tells whether a journal has a run that names a change. `base` is what is there
/// apart from what is afoot.
pub fn strays(
    base: &Catalog,
    afoot: &Afoot,
    claimed: impl Fn(&Shadow) -> bool,
) -> Vec<(Address, Stray)> {
    let named = base.objects().map(|object| &object.address);
    let alone = named.filter(|address| address.target().is_none() && is_ours(address));
    let mut out: Vec<_> = alone.map(|address| (address.clone(), Stray::Alone)).collect();
    for (shadow, changed) in &afoot.columns {
        let why = if !claimed(shadow) {
            Stray::Unclaimed(*changed)
        } else if !afoot.catalog.contains(&shadow.trigger_address()) {
            Stray::Halved(*changed)
        } else {
            continue;
        };
        out.push((shadow.address.clone(), why));
    }
    out.sort();
    out
}
