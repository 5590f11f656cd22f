//! Making and removing policies.

use std::sync::Arc;

use reconcile_catalog::{Address, Definition, Object};
use reconcile_sql::{LockLevel, ServerVersion, quote_ident};

use super::{NAME, Policy, read};
use crate::column;
use crate::model::ModelPart;
use crate::read::{ReadError, Reader, Row};
use crate::step::{Action, Refusal, Sql, Stage};
use crate::table::relation;
use crate::{Alteration, Cx, Disturbance, How, Kind, Reaction, Replacement};

/// The kind.
pub struct PolicyKind;

/// A role as a policy names it.
fn role(name: &str) -> String {
    if name == "public" { "PUBLIC".to_owned() } else { quote_ident(name) }
}

impl Kind for PolicyKind {
    fn name(&self) -> &'static str {
        NAME
    }

    fn plural(&self) -> &'static str {
        "policies"
    }

    fn model(&self) -> Option<&'static dyn ModelPart> {
        Some(&super::model::PolicyModel)
    }

    fn queries(&self, _version: ServerVersion) -> Vec<String> {
        vec![read::query()]
    }

    fn read(&self, row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
        read::read(row, reader)
    }

    fn decode(&self, json: serde_json::Value) -> Result<Arc<dyn Definition>, serde_json::Error> {
        Ok(Arc::new(serde_json::from_value::<Policy>(json)?))
    }

    fn designation(&self, address: &Address) -> String {
        format!("POLICY {} ON {}", quote_ident(address.name()), relation(address))
    }

    fn describe(&self, object: &Object) -> String {
        object.get::<Policy>().map_or_else(String::new, |p| clauses(p).trim_start().to_owned())
    }

    fn create(&self, object: &Object, _how: How, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let address = &object.address;
        let Some(policy) = object.get::<Policy>() else { return Ok(Vec::new()) };
        let table = relation(address);
        let sql =
            format!("CREATE POLICY {} ON {table}{}", quote_ident(address.name()), clauses(policy));
        let action =
            Action::new(address, format!("make policy {}", address.name()), Sql::Statement(sql))
                .locking(table, LockLevel::AccessExclusive);
        Ok(vec![Stage::transaction(vec![action])])
    }

    fn rename(&self, live: &Object, to: &str, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let address = &live.address;
        let sql = format!("ALTER {} RENAME TO {}", self.designation(address), quote_ident(to));
        let summary = format!("rename policy {} to {to}", address.name());
        let action = Action::new(address, summary, Sql::Statement(sql))
            .locking(relation(address), LockLevel::AccessExclusive);
        Ok(vec![Stage::transaction(vec![action])])
    }

    fn drop(&self, object: &Object, _how: How, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let address = &object.address;
        let table = relation(address);
        let sql = format!("DROP POLICY {} ON {table}", quote_ident(address.name()));
        let action =
            Action::new(address, format!("drop policy {}", address.name()), Sql::Statement(sql))
                .locking(table, LockLevel::AccessExclusive);
        Ok(vec![Stage::transaction(vec![action])])
    }

    /// Nobody sees the table without the policy: one transaction.
    fn replacement(&self, _change: &Alteration<'_>, _cx: &Cx<'_>) -> Replacement {
        Replacement::Rebuilt
    }

    fn react(
        &self,
        object: &Object,
        _disturbed: &Object,
        by: &Disturbance,
        cx: &Cx<'_>,
    ) -> Reaction {
        let Some(policy) = object.get::<Policy>() else { return Reaction::Keep };
        if *by == Disturbance::Dropped {
            return Reaction::Refuse(format!("{} reads it; drop that first", object.address));
        }
        let changes = column::column_retypes(cx.retypes);
        let own = relation(&object.address);
        let order_changes =
            cx.retypes.changes.iter().any(|c| column::order_changes(&c.from, &c.to));
        let meets = policy
            .using
            .iter()
            .chain(&policy.check)
            .any(|text| reconcile_sql::retype::retype(text, Some(&own), &changes).meets_other);
        if meets {
            return Reaction::Refuse(format!(
                "{} compares the column with another one that keeps the old type; drop it or write it anew",
                object.address
            ));
        }
        let ordered =
            policy.using.iter().chain(&policy.check).any(|text| {
                reconcile_sql::retype::retype(text, Some(&own), &changes).compares_order
            });
        if order_changes && ordered {
            return Reaction::Refuse(format!(
                "{} compares by the order of the old type, and the order of the new one is another: other rows would be \
                 visible; drop it, or write it anew",
                object.address
            ));
        }
        Reaction::Rebuild { warnings: Vec::new() }
    }
}

fn clauses(policy: &Policy) -> String {
    let Policy { command, permissive, roles, using, check } = policy;
    let mut sql = String::new();
    if !permissive {
        sql.push_str(" AS RESTRICTIVE");
    }
    if command != "ALL" {
        sql.push_str(&format!(" FOR {command}"));
    }
    let roles: Vec<String> = roles.iter().map(|r| role(r)).collect();
    sql.push_str(&format!(" TO {}", roles.join(", ")));
    if let Some(using) = using {
        sql.push_str(&format!(" USING ({using})"));
    }
    if let Some(check) = check {
        sql.push_str(&format!(" WITH CHECK ({check})"));
    }
    sql
}
