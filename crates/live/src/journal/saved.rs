//! What was there before a run, so that it can be put back.

use std::collections::BTreeSet;

use reconcile_catalog::{Address, Catalog, Object};
use reconcile_kinds::kind;

use crate::place::Place;

/// An object as it was before a run.
#[derive(Debug, Clone)]
pub struct Saved {
    /// Its address.
    pub address: Address,
    /// What it was; absent if it did not exist.
    pub object: Option<Object>,
}

/// The objects that a run will touch, as they are now.
pub fn saved(touched: &BTreeSet<Address>, live: &Catalog) -> Vec<Saved> {
    touched
        .iter()
        .map(|address| Saved { address: address.clone(), object: live.get(address).cloned() })
        .collect()
}

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
        Cells {
            place: json(&self.address).to_string(),
            parent: parent.map(|parent| json(parent).to_string()),
            depends_on: serde_json::Value::Array(depends_on.unwrap_or_default()).to_string(),
            definition: object.map(|object| object.definition.to_json().to_string()),
        }
    }

    pub(super) fn decode(cells: &Cells) -> Result<Self, String> {
        let place =
            |text: &str| serde_json::from_str::<Place>(text).map_err(|e| e.to_string())?.address();
        let address = place(&cells.place)?;
        let Some(definition) = &cells.definition else {
            return Ok(Self { address, object: None });
        };
        let kind = kind(address.kind()).ok_or("its kind is not known")?;
        let json = serde_json::from_str(definition).map_err(|e| format!("{address}: {e}"))?;
        let definition = kind.decode(json).map_err(|e| format!("{address}: {e}"))?;
        let parent = cells.parent.as_deref().map(place).transpose()?;
        let mut object = Object::new(address.clone(), parent, definition);
        let places: Vec<Place> =
            serde_json::from_str(&cells.depends_on).map_err(|e| e.to_string())?;
        object.depends_on = places.into_iter().map(Place::address).collect::<Result<_, _>>()?;
        Ok(Self { address, object: Some(object) })
    }
}
