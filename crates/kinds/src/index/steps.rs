//! Making, altering and removing indexes.

use std::sync::Arc;

use reconcile_catalog::{Address, Definition, Object};
use reconcile_sql::ident::fit;
use reconcile_sql::{LockLevel, QName, ServerVersion, quote_ident};

use super::{Index, KeyPart, NAME, qualified, read, sql};
use crate::constraint::SUCCESSOR;
use crate::gate::{Gap, GateCx};
use crate::model::ModelPart;
use crate::read::{ReadError, Reader, Row};
use crate::step::{Action, Preflight, Refusal, Sql, Stage, Work};
use crate::table::{Table, relation};
use crate::{Alteration, Cx, Disturbance, How, Kind, Reaction, Replacement};

/// The kind.
pub struct IndexKind;

fn index_of(object: &Object) -> Result<&Index, Refusal> {
    object.get().ok_or_else(|| Refusal::new(&object.address, "is no index"))
}

/// CREATE INDEX CONCURRENTLY, beside readers and writers.
fn build(address: &Address, index: &Index, name: &str) -> Stage {
    let on = relation(address);
    let statement = sql::create(index, name, &on, true);
    let summary = format!("build index {name} beside readers and writers");
    let mut action = Action::new(address, summary, Sql::Statement(statement))
        .locking(on.clone(), LockLevel::ShareUpdateExclusive)
        .working(Work::Build(on.clone()));
    action.preflights.extend(duplicates(&on, index));
    Stage::outside(action)
}

fn drop_beside(address: &Address, name: &QName, summary: String) -> Stage {
    let statement = Sql::Statement(format!("DROP INDEX CONCURRENTLY {name}"));
    Stage::outside(
        Action::new(address, summary, statement)
            .locking(relation(address), LockLevel::ShareUpdateExclusive),
    )
}

/// Rows that a unique index would refuse; only for keys that are plain columns.
fn duplicates(on: &QName, index: &Index) -> Option<Preflight> {
    if !index.unique {
        return None;
    }
    let keys: Vec<String> = index
        .keys
        .iter()
        .map(|k| match &k.what {
            KeyPart::Column(name) => quote_ident(name),
            KeyPart::Expression(text) => format!("({text})"),
        })
        .collect();
    let list = keys.join(", ");
    let mut conditions: Vec<String> = index.predicate.iter().map(|p| format!("({p})")).collect();
    if !index.nulls_not_distinct {
        conditions.extend(keys.iter().map(|k| format!("{k} IS NOT NULL")));
    }
    let condition =
        if conditions.is_empty() { "true".to_owned() } else { conditions.join(" AND ") };
    Some(Preflight {
        relation: on.clone(),
        complaint: format!("{on} ({list}) is not unique"),
        sql: format!(
            "SELECT (row({list}))::text, count(*) FROM {on} WHERE {condition} GROUP BY {list} HAVING count(*) > 1 \
             ORDER BY 2 DESC, 1 LIMIT 20"
        ),
    })
}

fn is_partitioned(address: &Address, cx: &Cx<'_>) -> bool {
    let table = Address::new(crate::table::NAME, &address.path()[..2]);
    cx.live.definition::<Table>(&table).is_some_and(|t| t.partition_key.is_some())
}

/// The server writes the index of a partitioned table as ON ONLY, which leaves the partitions out.
fn whole(definition: &str) -> bool {
    !definition.contains(" ON ONLY ")
}

/// CREATE INDEX in a transaction that holds the relation, or where nobody else knows it.
fn create_within(address: &Address, index: &Index, cx: &Cx<'_>) -> Action {
    let on = relation(address);
    let new = cx.is_new(&Address::new(crate::table::NAME, &address.path()[..2]));
    // What the server deparsed has everything that the model cannot say yet.
    let statement = index
        .definition
        .clone()
        .filter(|d| whole(d))
        .unwrap_or_else(|| sql::create(index, address.name(), &on, false));
    let mut action =
        Action::new(address, format!("make index {}", address.name()), Sql::Statement(statement));
    if !new {
        action = action.locking(on.clone(), LockLevel::Share).working(Work::Build(on));
    }
    action
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
        let text = sql::create(index, "", &on, false);
        let start = text.find(" USING ").map_or(0, |at| at + 1);
        let unique = if index.unique { "unique " } else { "" };
        let valid = if index.valid { "" } else { ", invalid" };
        format!("{unique}{}{valid}", text[start..].replacen("USING ", "", 1))
    }

    fn create(&self, object: &Object, how: How, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let index = index_of(object)?;
        let address = &object.address;
        if index.inherited {
            return Ok(Vec::new()); // It is made with the parent's.
        }
        let relation_is_new = !cx.live.has_top(&address.path()[..2]);
        if how == How::Within || relation_is_new || is_partitioned(address, cx) {
            let mut action = create_within(address, index, cx);
            if how == How::Online {
                action
                    .preflights
                    .extend(duplicates(&relation(address), index).filter(|_| !relation_is_new));
            }
            // What is restored says itself what it was; a model does not.
            let there = cx.live.definition::<Index>(address).filter(|_| index.definition.is_none());
            let mut actions = vec![action];
            actions.extend(roles(address, there.or(Some(index))));
            return Ok(vec![Stage::transaction(actions)]);
        }
        Ok(vec![build(address, index, address.name())])
    }

    fn drop(&self, object: &Object, how: How, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let address = &object.address;
        if index_of(object)?.inherited {
            return Ok(Vec::new());
        }
        let summary = format!("drop index {}", address.name());
        if how == How::Within || is_partitioned(address, cx) {
            let sql = Sql::Statement(format!("DROP INDEX {}", qualified(address)));
            let action = Action::new(address, summary, sql)
                .locking(relation(address), LockLevel::AccessExclusive);
            return Ok(vec![Stage::transaction(vec![action])]);
        }
        Ok(vec![drop_beside(address, &qualified(address), summary)])
    }

    fn replacement(&self, _change: &Alteration<'_>, _cx: &Cx<'_>) -> Replacement {
        Replacement::Replaced
    }

    /// The successor is built first under another name, so that queries have an index all along.
    fn alter(&self, change: &Alteration<'_>, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let index = index_of(change.desired)?;
        let address = &change.desired.address;
        let name = address.name();
        if index_of(change.live)?.inherited {
            if change.live.depends_on.iter().any(|parent| is_another(parent, cx)) {
                return Ok(Vec::new()); // It is made with the parent's.
            }
            return Err(Refusal::new(
                address,
                "it belongs to the index of the partitioned parent; change it there",
            ));
        }
        if is_partitioned(address, cx) {
            let drop = self.drop(change.live, How::Within, cx)?;
            let create = create_within(address, index, cx);
            let actions = drop
                .into_iter()
                .flat_map(|s| s.actions)
                .chain([create])
                .chain(roles(address, change.live.get()))
                .collect();
            return Ok(vec![Stage::transaction(actions)]);
        }
        let successor = fit(name, SUCCESSOR);
        let mut stages = Vec::new();
        let left =
            Index::address(&Address::new(crate::table::NAME, &address.path()[..2]), &successor);
        if cx.live.contains(&left) {
            let summary = format!("drop the unfinished index {successor} of an earlier attempt");
            stages.push(drop_beside(
                address,
                &QName::new(address.namespace(), &successor),
                summary,
            ));
        }
        stages.push(build(address, index, &successor));
        // The swap is one transaction, so that no kill leaves the name without an index or the
        // index without what belongs to it.
        let mut swap = self.drop(change.live, How::Within, cx)?;
        let rename = rename(address, &QName::new(address.namespace(), &successor), name);
        swap.push(Stage::transaction(vec![rename]));
        swap.push(Stage::transaction(roles(address, change.live.get())));
        stages.push(Stage::transaction(swap.into_iter().flat_map(|s| s.actions).collect()));
        Ok(stages)
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

    fn react(
        &self,
        object: &Object,
        _disturbed: &Object,
        by: &Disturbance,
        cx: &Cx<'_>,
    ) -> Reaction {
        let Some(index) = object.get::<Index>() else { return Reaction::Keep };
        match by {
            Disturbance::Dropped => Reaction::Goes,
            Disturbance::Rebuilt if index.inherited => Reaction::Goes,
            Disturbance::Rebuilt => Reaction::Rebuild { warnings: Vec::new() },
            Disturbance::Retyped(_) if index.inherited => Reaction::Goes,
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

/// Whether an index shall have another definition.
fn is_another(address: &Address, cx: &Cx<'_>) -> bool {
    let both = cx.live.definition::<Index>(address).zip(cx.desired.definition::<Index>(address));
    both.is_some_and(|(live, desired)| live.properties() != desired.properties())
}

/// Whether a condition or an expression shall read in another way: its present text may not even
/// be allowed for the new type (`role::text` of an enum is not immutable), and PostgreSQL builds
/// such an index anew anyway (`CheckIndexCompatible`).
fn reads_anew(object: &Object, index: &Index, cx: &Cx<'_>) -> bool {
    let texts = |index: &Index| -> Vec<String> {
        let keys = index.keys.iter().filter_map(|key| match &key.what {
            KeyPart::Expression(text) => Some(text.clone()),
            KeyPart::Column(_) => None,
        });
        keys.chain(index.predicate.clone()).collect()
    };
    let to_user_type = cx.retypes.changes.iter().any(|change| change.to.namespace.is_some());
    to_user_type
        && cx.desired.definition::<Index>(&object.address).is_some_and(|desired| {
            let (now, then) = (texts(index), texts(desired));
            now.len() != then.len()
                || now
                    .iter()
                    .zip(&then)
                    .any(|(now, then)| !reconcile_sql::spelling::same(now, then))
        })
}

fn rename(address: &Address, from: &QName, to: &str) -> Action {
    let sql = Sql::Statement(format!("ALTER INDEX {from} RENAME TO {}", quote_ident(to)));
    // From 12 on it locks the index only, in SHARE UPDATE EXCLUSIVE mode.
    Action::new(address, format!("rename index {} to {to}", quote_ident(&from.name)), sql)
}

/// What a table says of its index, and loses with it: the replica identity, the order of CLUSTER.
fn roles(address: &Address, index: Option<&Index>) -> Vec<Action> {
    let Some(index) = index else { return Vec::new() };
    let table = relation(address);
    let name = quote_ident(address.name());
    let mut actions = Vec::new();
    if index.replica_identity {
        let summary = format!("let {} be the replica identity again", address.name());
        let sql =
            Sql::Statement(format!("ALTER TABLE {table} REPLICA IDENTITY USING INDEX {name}"));
        actions.push(
            Action::new(address, summary, sql).locking(table.clone(), LockLevel::AccessExclusive),
        );
    }
    if index.clustered {
        let summary = format!("let CLUSTER go by {} again", address.name());
        let sql = Sql::Statement(format!("ALTER TABLE {table} CLUSTER ON {name}"));
        actions.push(
            Action::new(address, summary, sql).locking(table, LockLevel::ShareUpdateExclusive),
        );
    }
    actions
}
