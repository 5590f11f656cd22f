//! Making, altering and removing indexes.

mod actions;
mod online;
mod partitions;
mod settings;

use std::sync::Arc;

use reconcile_catalog::{Address, Definition, Object};
use reconcile_sql::ident::fit;
use reconcile_sql::{LockLevel, QName, ServerVersion};

use super::sql::{self, Manner};
use super::{Index, KeyPart, NAME, qualified, read, table_of};
use crate::constraint::SUCCESSOR;
use crate::gate::{Gap, GateCx};
use crate::model::ModelPart;
use crate::online::{Doubling, Twin};
use crate::read::{ReadError, Reader, Row};
use crate::step::{Refusal, Stage};
use crate::table::relation;
use crate::{Alteration, Cx, Disturbance, How, Kind, Reaction, Replacement};

use actions::{Making, drop_beside, drop_within, rename, roles};

/// The kind.
pub struct IndexKind;

fn index_of(object: &Object) -> Result<&Index, Refusal> {
    object.get().ok_or_else(|| Refusal::new(&object.address, "is no index"))
}

impl Kind for IndexKind {
    fn name(&self) -> &'static str {
        NAME
    }

    fn plural(&self) -> &'static str {
        "indexes"
    }

    fn model(&self) -> Option<&'static dyn ModelPart> {
        Some(&super::model::IndexModel)
    }

    fn queries(&self, version: ServerVersion) -> Vec<String> {
        vec![read::query(version)]
    }

    fn read(&self, row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
        read::read(row, reader)
    }

    fn decode(&self, json: serde_json::Value) -> Result<Arc<dyn Definition>, serde_json::Error> {
        Ok(Arc::new(serde_json::from_value::<Index>(json)?))
    }

    fn designation(&self, address: &Address) -> String {
        format!("INDEX {}", qualified(address))
    }

    fn describe(&self, object: &Object) -> String {
        let Some(index) = object.get::<Index>() else { return String::new() };
        let on = relation(&object.address);
        let text = sql::create(index, "", &on, Manner::Plain);
        let start = text.find(" USING ").map_or(0, |at| at + 1);
        let unique = if index.unique { "unique " } else { "" };
        let mut out = format!("{unique}{}", text[start..].replacen("USING ", "", 1));
        for (key, target) in &index.statistics {
            out.push_str(&format!(", statistics of key {key}: {target}"));
        }
        if let Some(parent) = &index.attached_to {
            out.push_str(&format!(", part of {}", parent.index));
        }
        if !index.valid {
            out.push_str(", invalid");
        }
        out
    }

    fn create(&self, object: &Object, how: How, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let index = index_of(object)?;
        let address = &object.address;
        if let Some(parent) = &index.attached_to {
            return Ok(partitions::create_part(address, index, parent, how, cx));
        }
        if partitions::is_partitioned(&table_of(address), cx) {
            return Ok(partitions::create(address, index, how, cx));
        }
        let relation_is_new = !cx.live.has_top(&address.path()[..2]);
        let making = Making { address, index, name: address.name(), on: relation(address) };
        if how == How::Online && !relation_is_new {
            return Ok(making.stages(Manner::Beside));
        }
        // A materialized view is made anew in the same transaction.
        let unknown = relation_is_new || cx.is_new(&table_of(address));
        let mut actions = vec![making.within(unknown)];
        actions.extend(making.targets());
        // What is restored says itself what it was; a model does not.
        actions.extend(roles(address, cx.live.definition::<Index>(address).or(Some(index))));
        Ok(vec![Stage::transaction(actions)])
    }

    fn drop(&self, object: &Object, how: How, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let address = &object.address;
        if index_of(object)?.attached_to.is_some() {
            return Ok(Vec::new()); // It goes with the parent's.
        }
        let name = qualified(address);
        if how == How::Within || partitions::is_partitioned(&table_of(address), cx) {
            let mut action = drop_within(address, &name);
            for partition in partitions::all(&table_of(address), cx) {
                action = action.locking(partition, LockLevel::AccessExclusive);
            }
            return Ok(vec![Stage::transaction(vec![action])]);
        }
        Ok(vec![drop_beside(address, &name, format!("drop index {}", address.name()))])
    }

    fn replacement(&self, change: &Alteration<'_>, cx: &Cx<'_>) -> Replacement {
        let keeps = settings::in_place(change, cx)
            || partitions::is_completed(change, cx)
            || (change.live.get::<Index>()).is_some_and(|i| partitions::is_mended(i, change, cx));
        if keeps { Replacement::None } else { Replacement::Replaced }
    }

    /// The successor is built first under another name, so that queries have an index all along.
    fn alter(&self, change: &Alteration<'_>, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let (live, index) = (index_of(change.live)?, index_of(change.desired)?);
        let address = &change.desired.address;
        if settings::in_place(change, cx) {
            return Ok(settings::alter(change, live, index));
        }
        if live.attached_to.is_some() {
            return partitions::alter_part(change, live, index, cx);
        }
        if partitions::is_partitioned(&table_of(address), cx) {
            return Ok(partitions::alter(change, index, cx));
        }
        let name = address.name();
        let on = relation(address);
        let attach = index.attached_to.as_ref().map(|parent| partitions::attach(address, parent));
        if !live.valid {
            // No query uses it, and it costs every write.
            let summary = format!("drop index {name}, which is not valid");
            let mut stages = vec![drop_beside(address, &qualified(address), summary)];
            stages.extend(Making { address, index, name, on }.stages(Manner::Beside));
            let last = attach.into_iter().chain(roles(address, Some(live))).collect();
            stages.push(Stage::transaction(last));
            return Ok(stages);
        }
        let successor = fit(name, SUCCESSOR);
        let mut stages = Vec::new();
        if cx.live.contains(&Index::address(&table_of(address), &successor)) {
            let summary = format!("drop the unfinished index {successor} of an earlier attempt");
            let left = QName::new(address.namespace(), &successor);
            stages.push(drop_beside(address, &left, summary));
        }
        stages.extend(Making { address, index, name: &successor, on }.stages(Manner::Beside));
        // The swap is one transaction, so that no kill leaves the name without an index or the
        // index without what belongs to it.
        let mut swap = vec![drop_within(address, &qualified(address))];
        swap.push(rename(address, &QName::new(address.namespace(), &successor), name));
        swap.extend(attach);
        swap.extend(roles(address, Some(live)));
        stages.push(Stage::transaction(swap));
        Ok(stages)
    }

    fn twin(
        &self,
        object: &Object,
        doubling: &Doubling<'_>,
        cx: &Cx<'_>,
    ) -> Result<Option<Twin>, Refusal> {
        online::twin(object, doubling, cx).map(Some)
    }

    /// The name of a part is free once the parent's index is gone.
    fn waits_for(&self, object: &Object, gone: &Object, cx: &Cx<'_>) -> bool {
        let live = cx.fates.live.get(&object.address).unwrap_or(&object.address);
        let live = cx.live.definition::<Index>(live);
        live.is_some_and(|live| partitions::goes_with(live, &gone.address, cx))
    }

    fn rename(&self, live: &Object, to: &str, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        Ok(vec![Stage::transaction(vec![rename(&live.address, &qualified(&live.address), to)])])
    }

    /// Only a unique index refuses rows; an invalid one may.
    fn gate(&self, gap: Gap<'_>, _cx: &GateCx<'_>) -> Option<String> {
        let (Gap::Extra(live) | Gap::Different { live, .. }) = gap else { return None };
        live.get::<Index>().filter(|i| i.unique).map(|_| {
            format!("rows that the application writes may fail it: {}", self.describe(live))
        })
    }

    fn relation_names(&self, object: &Object) -> Vec<QName> {
        vec![qualified(&object.address)]
    }

    fn react(
        &self,
        object: &Object,
        disturbed: &Object,
        by: &Disturbance,
        cx: &Cx<'_>,
    ) -> Reaction {
        let Some(index) = object.get::<Index>() else { return Reaction::Keep };
        match by {
            Disturbance::Dropped => Reaction::Goes,
            // A part goes with the index that it is part of, and comes again after it.
            Disturbance::Rebuilt if index.attached_to.is_some() => match disturbed.get::<Index>() {
                Some(_) => Reaction::Rebuild { warnings: Vec::new() },
                None => Reaction::Goes,
            },
            Disturbance::Rebuilt => Reaction::Rebuild { warnings: Vec::new() },
            Disturbance::Retyped(_) if index.attached_to.is_some() => Reaction::Goes,
            // PostgreSQL rebuilds an index whose text stays; a text with a cast to the old type
            // has no operator any more.
            Disturbance::Retyped(_) => match object.definition.retyped(&object.address, cx.retypes)
            {
                None if !reads_anew(object, index, cx) => Reaction::Keep,
                _ => Reaction::Rebuild { warnings: Vec::new() },
            },
        }
    }
}

/// Whether a condition or an expression shall read in another way: its present text may not even
/// be allowed for the new type (`role::text` of an enum is not immutable), or keeps casts to the
/// old one. PostgreSQL builds such an index anew anyway (`CheckIndexCompatible`).
fn reads_anew(object: &Object, index: &Index, cx: &Cx<'_>) -> bool {
    let texts = |index: &Index| -> Vec<String> {
        let keys = index.keys.iter().filter_map(|key| match &key.what {
            KeyPart::Expression(text) => Some(text.clone()),
            KeyPart::Column(_) => None,
        });
        keys.chain(index.predicate.clone()).collect()
    };
    cx.desired.definition::<Index>(&object.address).is_some_and(|desired| {
        let (now, then) = (texts(index), texts(desired));
        now.len() != then.len()
            || now.iter().zip(&then).any(|(now, then)| !reconcile_sql::spelling::same(now, then))
    })
}
