//! The gate: which differences stop an application that the model describes.

use reconcile_catalog::{Address, Catalog};
use reconcile_diff::{Change, Difference};
use reconcile_kinds::gate::{Binding, Gap, GateCx, Probe};
use reconcile_kinds::{KINDS, kind};

/// What the catalogs say, and what is left to ask the server.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    /// Differences on which a statement of the application can fail, with the reason.
    pub broken: Vec<Obstacle>,
    /// Differences that do not matter to a running application.
    pub harmless: Vec<Address>,
    /// Questions to the server.
    pub probes: Vec<Probe>,
}

/// A difference that stops the application.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Obstacle {
    /// The object.
    pub address: Address,
    /// Why.
    pub reason: String,
}

/// Judges every difference, and collects what only the server can tell.
pub fn gate(
    difference: &Difference,
    desired: &Catalog,
    live: &Catalog,
    binding: Binding,
    app_role: &str,
) -> Gate {
    let cx = GateCx { live, desired, binding, app_role };
    let mut out = Gate::default();
    let judge = |address: &Address, gap: Gap<'_>, out: &mut Gate| match kind(address.kind())
        .and_then(|k| k.gate(gap, &cx))
    {
        Some(reason) => out.broken.push(Obstacle { address: address.clone(), reason }),
        None => out.harmless.push(address.clone()),
    };
    for change in &difference.changes {
        match change {
            Change::Rename { from, to } => renamed(from, to, &cx, &mut out),
            Change::Create(address) => {
                // What is missing with its parent is said once.
                let object = desired.get(address);
                let parent_missing = object.and_then(|o| o.parent.as_ref()).is_some_and(|p| {
                    difference.changes.iter().any(|c| matches!(c, Change::Create(a) if a == p))
                });
                if let Some(object) = object.filter(|_| !parent_missing) {
                    judge(address, Gap::Missing(object), &mut out);
                }
            }
            Change::Alter { desired: wanted, live: there, properties } => {
                let matched = difference.matched.desired_of(there);
                let pair = live.get(there).zip(desired.get(matched.unwrap_or(wanted)));
                if let Some((live, desired)) = pair {
                    judge(wanted, Gap::Different { live, desired, properties }, &mut out);
                }
            }
            Change::Drop(address) => {
                if let Some(object) = live.get(address) {
                    judge(address, Gap::Extra(object), &mut out);
                }
            }
        }
    }
    for address in &difference.extra {
        if let Some(object) = live.get(address) {
            judge(address, Gap::Extra(object), &mut out);
        }
    }
    for kind in KINDS {
        let objects = desired.objects().filter(|o| o.address.kind() == kind.name());
        out.probes.extend(objects.flat_map(|o| kind.probes(o, &cx)));
    }
    out.broken.sort();
    out
}

/// Where it hurts that something is missing, it hurts that it is called otherwise.
fn renamed(from: &Address, to: &Address, cx: &GateCx<'_>, out: &mut Gate) {
    let missed = cx.desired.get(to).and_then(|o| kind(to.kind())?.gate(Gap::Missing(o), cx));
    match missed {
        Some(_) => out.broken.push(Obstacle {
            address: to.clone(),
            reason: format!("it is called {}", from.name()),
        }),
        None => out.harmless.push(to.clone()),
    }
}
