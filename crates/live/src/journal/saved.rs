//! What was there before a run, so that it can be put back.

use std::collections::BTreeMap;

use reconcile_catalog::{Address, Catalog, Object};
use reconcile_kinds::kind;
use reconcile_plan::Plan;

use crate::place::Place;

/// An object as it was before a run.
#[derive(Debug, Clone)]
pub struct Saved {
    /// Its address.
    pub address: Address,
    /// What it was; absent if it did not exist.
    pub object: Option<Object>,
    /// What it is called after the run, if that is something else.
    pub renamed_to: Option<Address>,
}

/// The objects that a plan will touch, as they are now.
pub fn saved(plan: &Plan, live: &Catalog) -> Vec<Saved> {
    let renamed: BTreeMap<&Address, &Address> =
        plan.renames.declared.iter().map(|(before, after)| (before, after)).collect();
    let saved = plan.touched.iter().map(|address| Saved {
        address: address.clone(),
        object: live.get(address).cloned().map(|object| {
            let becomes = plan.becomes.get(address);
            let way_back = becomes.and_then(|becomes| object.definition.way_back(&**becomes));
            Object { definition: way_back.unwrap_or(object.definition.clone()), ..object }
        }),
        renamed_to: renamed.get(address).map(|after| (*after).clone()),
    });
    saved.collect()
}

/// The key of the later path in the column `place`.
const RENAMED_TO: &str = "renamed_to";

/// The columns of the table `saved`, as text.
pub(super) struct Cells {
    pub(super) place: String,
    pub(super) parent: Option<String>,
    pub(super) depends_on: String,
    pub(super) definition: Option<String>,
}

impl Saved {
    pub(super) fn encode(&self) -> Cells {
        let json = |address: &Address| serde_json::json!(Place::of(address));
        let object = self.object.as_ref();
        let parent = object.and_then(|object| object.parent.as_ref());
        let depends_on = object.map(|object| object.depends_on.iter().map(json).collect());
        let mut place = json(&self.address);
        if let Some(after) = &self.renamed_to {
            place[RENAMED_TO] = serde_json::json!(after.path());
        }
        Cells {
            place: place.to_string(),
            parent: parent.map(|parent| json(parent).to_string()),
            depends_on: serde_json::Value::Array(depends_on.unwrap_or_default()).to_string(),
            definition: object.map(|object| object.definition.to_json().to_string()),
        }
    }

    pub(super) fn decode(cells: &Cells) -> Result<Self, String> {
        let place =
            |text: &str| serde_json::from_str::<Place>(text).map_err(|e| e.to_string())?.address();
        let mut own: serde_json::Value =
            serde_json::from_str(&cells.place).map_err(|e| e.to_string())?;
        let after = own.as_object_mut().and_then(|own| own.remove(RENAMED_TO));
        let address = serde_json::from_value::<Place>(own).map_err(|e| e.to_string())?.address()?;
        let path: Option<Vec<String>> =
            after.map(serde_json::from_value).transpose().map_err(|e| e.to_string())?;
        let renamed_to = path.map(|path| address.moved(path));
        let Some(definition) = &cells.definition else {
            return Ok(Self { address, object: None, renamed_to });
        };
        let kind = kind(address.kind()).ok_or("its kind is not known")?;
        let json = serde_json::from_str(definition).map_err(|e| format!("{address}: {e}"))?;
        let definition = kind.decode(json).map_err(|e| format!("{address}: {e}"))?;
        let parent = cells.parent.as_deref().map(place).transpose()?;
        let mut object = Object::new(address.clone(), parent, definition);
        let places: Vec<Place> =
            serde_json::from_str(&cells.depends_on).map_err(|e| e.to_string())?;
        object.depends_on = places.into_iter().map(Place::address).collect::<Result<_, _>>()?;
        Ok(Self { address, object: Some(object), renamed_to })
    }
}
