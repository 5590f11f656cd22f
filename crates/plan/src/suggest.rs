//! What may be a rename that the model does not say: a guess is told, and never acted on.
//!
//! Only where something would be lost that a rename keeps: the values of a column, the rows of a
//! table, a type with what is of it, a value of a type. What loses nothing needs no guess.

use std::collections::BTreeSet;

use reconcile_catalog::{Address, Catalog, Object, Value};
use reconcile_diff::Change;
use reconcile_kinds::{Kind, kind};

use crate::planner::Planner;
use crate::step::Warning;

impl Planner<'_> {
    /// Tells of pairs of which one goes, or is left over, and one comes, as like as a rename would
    /// leave them. Where more than two are alike there is nothing to tell.
    pub(crate) fn suggest_renames(&mut self) {
        let (desired, live) = (self.inputs.desired, self.inputs.live);
        let difference = self.inputs.difference;
        let mut comes: Vec<&Object> = Vec::new();
        let mut goes: Vec<&Object> = difference.extra.iter().filter_map(|a| live.get(a)).collect();
        for change in &difference.changes {
            match change {
                Change::Create(address) => comes.extend(desired.get(address)),
                Change::Drop(address) => goes.extend(live.get(address)),
                Change::Alter { desired, properties, .. } => {
                    for property in properties {
                        self.suggest_value(desired, &property.live, &property.desired);
                    }
                }
                Change::Rename { .. } => {}
            }
        }
        let place = |parent: &Option<Address>| {
            let parent = parent.as_ref()?;
            Some(difference.matched.desired_of(parent).unwrap_or(parent).clone())
        };
        let pairs: Vec<(&Object, &Object)> = comes
            .iter()
            .flat_map(|new| goes.iter().map(move |old| (*new, *old)))
            .filter(|(new, old)| {
                new.address.kind() == old.address.kind()
                    && new.parent == place(&old.parent)
                    && new.address.namespace() == old.address.namespace()
            })
            .filter(|(new, old)| alike(new, desired, old, live).is_some())
            .collect();
        for (new, old) in &pairs {
            let only =
                pairs.iter().filter(|(n, o)| n.address == new.address || o.address == old.address);
            let Some(what) = alike(new, desired, old, live).filter(|_| only.count() == 1) else {
                continue;
            };
            let noun = kind(new.address.kind()).map_or("", Kind::name).replace('_', " ");
            let name = old.address.name();
            let text = format!(
                "it is made, and {noun} {name} has the same {what}: a rename? `renamed_from: {name}` says so, and \
                 keeps what is in it"
            );
            self.out.warnings.push(Warning { address: Some(new.address.clone()), text });
        }
    }

    /// The same for one of the parts that a type is made of.
    fn suggest_value(&mut self, of: &Address, live: &Value, desired: &Value) {
        let is_type = self.inputs.desired.get(of).is_some_and(|o| o.definition.is_type());
        let (Value::List(live), Value::List(desired)) = (live, desired) else { return };
        let differs: Vec<(&Value, &Value)> =
            live.iter().zip(desired).filter(|(live, desired)| live != desired).collect();
        let [(old, new)] = differs.as_slice() else { return };
        if is_type && live.len() == desired.len() && !desired.contains(old) && !live.contains(new) {
            let text = format!(
                "`{old}` goes and `{new}` comes in the same place: a rename? `renamed_from` says so"
            );
            self.out.warnings.push(Warning { address: Some(of.clone()), text });
        }
    }
}

/// What two objects have in common that makes a rename likely, in words.
fn alike(new: &Object, desired: &Catalog, old: &Object, live: &Catalog) -> Option<&'static str> {
    if new.definition.is_column() {
        let ty = |object: &Object| type_of(object);
        return (ty(new).is_some() && ty(new) == ty(old)).then_some("type");
    }
    let columns = |of: &Object, catalog: &Catalog| -> BTreeSet<(String, String)> {
        let columns = catalog.children(&of.address).filter(|o| o.definition.is_column());
        let typed = columns.filter_map(|c| Some((c.address.name().to_owned(), type_of(c)?)));
        typed.collect()
    };
    let wanted = columns(new, desired);
    if !wanted.is_empty() {
        return (wanted == columns(old, live)).then_some("columns");
    }
    let same = new.definition.properties() == old.definition.properties();
    (new.definition.is_type() && same).then_some("definition")
}

fn type_of(object: &Object) -> Option<String> {
    object.definition.properties().into_iter().find_map(|p| match p.value {
        Value::Type(ty) => Some(ty.to_string()),
        _ => None,
    })
}
