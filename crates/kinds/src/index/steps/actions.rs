//! The single things that are done to indexes.

use reconcile_catalog::Address;
use reconcile_sql::{LockLevel, QName, quote_ident};

use super::super::sql::{self, Manner};
use super::super::{Index, KeyPart};
use crate::step::{Action, Preflight, Sql, Stage, Work};
use crate::table::relation;

/// An index in the making.
pub(super) struct Making<'a> {
    /// The object that it is about.
    pub(super) address: &'a Address,
    /// What it shall be.
    pub(super) index: &'a Index,
    /// The name that it gets.
    pub(super) name: &'a str,
    /// The relation that it is on.
    pub(super) on: QName,
}

impl Making<'_> {
    /// Its steps on a relation that is there, with statistics targets.
    pub(super) fn stages(&self, manner: Manner) -> Vec<Stage> {
        let Self { address, index, name, on } = self;
        let statement = Sql::Statement(sql::create(index, name, on, manner));
        let made = match manner {
            Manner::Beside => {
                let summary = format!("build index {name} beside readers and writers");
                let mut action = Action::new(address, summary, statement)
                    .locking(on.clone(), LockLevel::ShareUpdateExclusive)
                    .working(Work::Build(on.clone()));
                action.preflights.extend(duplicates(on, index));
                Stage::outside(action)
            }
            Manner::Only => {
                let summary = format!("make index {name}, whose partitions' indexes follow");
                let action = Action::new(address, summary, statement);
                Stage::transaction(vec![action.locking(on.clone(), LockLevel::Share)])
            }
            Manner::Plain => Stage::transaction(vec![self.within(false)]),
        };
        vec![made, Stage::transaction(self.targets())]
    }

    /// CREATE INDEX in a transaction that holds the relation, or where nobody else knows it.
    pub(super) fn within(&self, relation_is_new: bool) -> Action {
        let Self { address, index, name, on } = self;
        let statement = Sql::Statement(sql::create(index, name, on, Manner::Plain));
        let action = Action::new(address, format!("make index {name}"), statement);
        if relation_is_new {
            return action;
        }
        action.locking(on.clone(), LockLevel::Share).working(Work::Build(on.clone()))
    }

    /// Its statistics targets, which CREATE INDEX cannot say.
    pub(super) fn targets(&self) -> Vec<Action> {
        let name = QName::new(&self.on.namespace, self.name);
        let targets = self.index.statistics.iter();
        targets.map(|(key, target)| set_target(self.address, &name, *key, *target)).collect()
    }
}

/// Lets ANALYZE sample a key; -1 is as the server's settings say.
pub(super) fn set_target(address: &Address, name: &QName, key: u16, target: i32) -> Action {
    let sql = format!("ALTER INDEX {name} ALTER COLUMN {key} SET STATISTICS {target}");
    let summary = format!("let the statistics target of key {key} of {} be {target}", name.name);
    Action::new(address, summary, Sql::Statement(sql))
}

pub(super) fn drop_beside(address: &Address, name: &QName, summary: String) -> Stage {
    let statement = Sql::Statement(format!("DROP INDEX CONCURRENTLY {name}"));
    Stage::outside(
        Action::new(address, summary, statement)
            .locking(relation(address), LockLevel::ShareUpdateExclusive),
    )
}

pub(super) fn drop_within(address: &Address, name: &QName) -> Action {
    let sql = Sql::Statement(format!("DROP INDEX {name}"));
    Action::new(address, format!("drop index {}", address.name()), sql)
        .locking(relation(address), LockLevel::AccessExclusive)
}

pub(super) fn rename(address: &Address, from: &QName, to: &str) -> Action {
    let sql = Sql::Statement(format!("ALTER INDEX {from} RENAME TO {}", quote_ident(to)));
    // From 12 on it locks the index only, in SHARE UPDATE EXCLUSIVE mode.
    Action::new(address, format!("rename index {} to {to}", quote_ident(&from.name)), sql)
}

/// Rows that a unique index would refuse.
pub(super) fn duplicates(on: &QName, index: &Index) -> Option<Preflight> {
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

/// What a table says of its index, and loses with it: the replica identity, the order of CLUSTER.
pub(super) fn roles(address: &Address, index: Option<&Index>) -> Vec<Action> {
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
