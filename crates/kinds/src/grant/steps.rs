//! Restoring privileges exactly.
//!
//! A new object starts with what its maker's default privileges give (ALTER DEFAULT PRIVILEGES):
//! that is taken back first, or a rebuilt view would be open to more roles than before.

use std::sync::Arc;

use reconcile_catalog::{Address, Definition, Object};
use reconcile_sql::{ServerVersion, quote_ident};

use super::{Grants, NAME, Privilege, read};
use crate::enum_type;
use crate::owner::Owner;
use crate::read::{ReadError, Reader, Row};
use crate::step::{Action, Refusal, Sql, Stage};
use crate::table::relation;
use crate::{Alteration, Cx, Disturbance, How, Kind, Reaction};

/// The kind.
pub struct GrantKind;

/// The object as GRANT … ON names it.
fn on(target: &Address) -> String {
    if target.kind() == enum_type::NAME {
        format!("TYPE {}", target.dotted())
    } else {
        format!("TABLE {}", relation(target))
    }
}

fn grantee(name: &str) -> String {
    if name == "public" { "PUBLIC".to_owned() } else { quote_ident(name) }
}

/// What one GRANT can say: the grantor's turn and name, a column, WITH GRANT OPTION, the grantee.
type Group = (String, Option<String>, bool, String);

/// The statements that bring a new object from its default privileges to these.
fn restore(object: &Object, cx: &Cx<'_>) -> Vec<Stage> {
    let Some((grants, target)) = object.get::<Grants>().zip(object.address.target()) else {
        return Vec::new();
    };
    let owner = cx
        .desired
        .definition::<Owner>(&Owner::address(&target))
        .or_else(|| cx.live.definition::<Owner>(&Owner::address(&target)))
        .map_or_else(|| cx.facts.current_role.clone(), |o| o.role.clone());
    let on = on(&target);
    let mut actions = Vec::new();
    let mut act = |summary: String, sql: String| {
        actions.push(Action::new(&object.address, summary, Sql::Statement(sql)));
    };
    let mut default: Vec<String> =
        cx.facts.default_grantees.iter().filter(|g| **g != owner).map(|g| grantee(g)).collect();
    let is_type = target.kind() == enum_type::NAME;
    if is_type && !grants.items.iter().any(|i| i.grantee.is_none()) {
        default = vec!["PUBLIC".to_owned()];
    }
    if !owner_has_all(grants, &owner, is_type, cx.version) {
        default.push(quote_ident(&owner));
    }
    default.dedup();
    if !default.is_empty() {
        let from = default.join(", ");
        act(
            format!("take back what default privileges give on {}", target.short()),
            format!("REVOKE ALL ON {on} FROM {from}"),
        );
    }
    let revoked_owner = default.iter().any(|d| *d == quote_ident(&owner));
    // In the order of the list, which is the order in which pg_dump will show them again.
    let mut groups: Vec<(Group, Vec<String>)> = Vec::new();
    for item in &grants.items {
        let Privilege { grantee, privilege, column, grantable, grantor } = item;
        if grantee.as_deref() == Some(owner.as_str()) && column.is_none() && !revoked_owner {
            continue;
        }
        // The owner's own grants come first: others may have passed theirs on.
        let turn = format!("{}{grantor}", u8::from(*grantor != owner));
        let group = (turn, column.clone(), *grantable, item.to_whom());
        match groups.iter_mut().find(|(known, _)| *known == group) {
            Some((_, privileges)) => privileges.push(privilege.clone()),
            None => groups.push((group, vec![privilege.clone()])),
        }
    }
    groups.sort_by_key(|((turn, ..), _)| !turn.starts_with('0'));
    for ((turn, column, grantable, whom), privileges) in groups {
        let column = column.map_or_else(String::new, |c| format!(" ({})", quote_ident(&c)));
        let list = privileges.iter().map(|p| format!("{p}{column}")).collect::<Vec<_>>().join(", ");
        let option = if grantable { " WITH GRANT OPTION" } else { "" };
        let grant = format!("GRANT {list} ON {on} TO {whom}{option}");
        let summary = format!("grant {list} on {} to {whom}", target.short());
        let grantor = &turn[1..];
        if turn.starts_with('0') {
            act(summary, grant);
        } else {
            // One step: what is noted between two steps is noted as the role that applies.
            let (theirs, ours) = (quote_ident(grantor), quote_ident(&cx.facts.current_role));
            act(
                format!("{summary}, as {grantor}, who granted it"),
                format!("SET LOCAL ROLE {theirs};\n{grant};\nSET LOCAL ROLE {ours}"),
            );
        }
    }
    if actions.is_empty() { Vec::new() } else { vec![Stage::transaction(actions)] }
}

/// Whether the owner has every privilege that an owner has by default.
fn owner_has_all(grants: &Grants, owner: &str, is_type: bool, version: ServerVersion) -> bool {
    let mut all = if is_type {
        vec!["USAGE"]
    } else {
        vec!["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"]
    };
    if !is_type && version.at_least(17) {
        all.push("MAINTAIN");
    }
    all.iter().all(|wanted| {
        grants.items.iter().any(|i| {
            i.grantee.as_deref() == Some(owner) && i.column.is_none() && i.privilege == *wanted
        })
    })
}

impl Kind for GrantKind {
    fn name(&self) -> &'static str {
        NAME
    }

    fn plural(&self) -> &'static str {
        "access control lists"
    }

    fn queries(&self, _version: ServerVersion) -> Vec<String> {
        vec![read::query()]
    }

    fn read(&self, row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
        read::read(row, reader)
    }

    fn decode(&self, json: serde_json::Value) -> Result<Arc<dyn Definition>, serde_json::Error> {
        Ok(Arc::new(serde_json::from_value::<Grants>(json)?))
    }

    fn designation(&self, address: &Address) -> String {
        format!("PRIVILEGES ON {}", address.dotted())
    }

    fn describe(&self, object: &Object) -> String {
        object
            .definition
            .properties()
            .into_iter()
            .map(|p| p.value.to_string())
            .collect::<Vec<_>>()
            .join("; ")
    }

    fn create(&self, object: &Object, _how: How, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        Ok(restore(object, cx))
    }

    /// Privileges go with their object.
    fn drop(&self, _object: &Object, _how: How, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        Ok(Vec::new())
    }

    fn alter(&self, change: &Alteration<'_>, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        Err(Refusal::new(
            &change.live.address,
            "privileges of an object that stays are not managed",
        ))
    }

    fn react(
        &self,
        _object: &Object,
        _disturbed: &Object,
        by: &Disturbance,
        _cx: &Cx<'_>,
    ) -> Reaction {
        match by {
            Disturbance::Dropped => Reaction::Goes,
            Disturbance::Rebuilt => Reaction::Rebuild { warnings: Vec::new() },
            Disturbance::Retyped(_) => Reaction::Keep,
        }
    }
}
