//! Making, altering and removing domains.

use std::sync::Arc;

use reconcile_catalog::{Address, Definition, Object};
use reconcile_sql::{LockLevel, QName, ServerVersion, quote_ident};

use super::{Domain, NAME, read};
use crate::column::{Column, data};
use crate::domain_check::DomainCheck;
use crate::gate::{Gap, GateCx};
use crate::model::{ModelPart, object_name};
use crate::read::{ReadError, Reader, Row};
use crate::step::{Action, Refusal, Sql, Stage, Work};
use crate::table::relation;
use crate::user_type;
use crate::{Alteration, Cx, Disturbance, How, Kind, Reaction, Replacement};

/// The kind.
pub struct DomainKind;

fn domain_of(object: &Object) -> Result<&Domain, Refusal> {
    object.get().ok_or_else(|| Refusal::new(&object.address, "is no domain"))
}

/// The live columns whose values are of the domain itself, whose rules are proven by reading them.
pub(crate) fn columns_of<'a>(domain: &Address, cx: &Cx<'a>) -> Vec<&'a Object> {
    let mut out = Vec::new();
    for domain in domains_over(domain, cx) {
        let ty = user_type::type_at(&domain);
        let users = cx.live.dependents(&domain);
        out.extend(users.filter(|o| o.get::<Column>().is_some_and(|c| c.ty == ty)));
    }
    out
}

/// A domain, and those over it.
fn domains_over(domain: &Address, cx: &Cx<'_>) -> Vec<Address> {
    let mut out = vec![domain.clone()];
    let mut at = 0;
    while at < out.len() {
        let over = cx.live.dependents(&out[at]).filter(|o| o.get::<Domain>().is_some());
        let new: Vec<Address> =
            over.map(|o| o.address.clone()).filter(|a| !out.contains(a)).collect();
        out.extend(new);
        at += 1;
    }
    out
}

/// Whether values of a domain are part of values of other types, where PostgreSQL does not look for
/// those that a new rule refuses: it refuses the rule (`get_rels_with_domain`,
/// `src/backend/commands/typecmds.c`).
pub(crate) fn is_inside_others(domain: &Address, cx: &Cx<'_>) -> bool {
    domains_over(domain, cx).iter().any(|domain| {
        let ty = user_type::type_at(domain);
        cx.live.dependents(domain).any(|user| match user.get::<Column>() {
            Some(column) => column.ty != ty && column.ty.element() == ty,
            None => user.definition.is_type() && user.get::<Domain>().is_none(),
        })
    })
}

/// The action with the locks and the work of a statement that reads all values of a domain
/// (`validateDomainCheckConstraint`, `src/backend/commands/typecmds.c`).
pub(crate) fn lock_users(mut action: Action, domain: &Address, cx: &Cx<'_>) -> Action {
    let mut largest: Option<QName> = None;
    for column in columns_of(domain, cx) {
        let table = relation(&column.address);
        let bytes = |table: &QName| cx.size(table).map_or(0, |size| size.bytes);
        if largest.as_ref().is_none_or(|l| bytes(l) < bytes(&table)) {
            largest = Some(table.clone());
        }
        action = action.locking(table, LockLevel::Share);
    }
    match largest {
        Some(table) => action.working(Work::Scan(table)),
        None => action,
    }
}

/// The checks of a domain that stand in its CREATE DOMAIN.
fn inline_checks(domain: &Object, cx: &Cx<'_>) -> Vec<String> {
    let side = if cx.desired.contains(&domain.address) { cx.desired } else { cx.live };
    let checks = side.children(&domain.address);
    checks
        .filter_map(|o| o.get::<DomainCheck>().filter(|c| c.validated).map(|c| (o, c)))
        .map(|(o, c)| {
            format!(" CONSTRAINT {} CHECK ({})", quote_ident(o.address.name()), c.expression)
        })
        .collect()
}

impl Kind for DomainKind {
    fn name(&self) -> &'static str {
        NAME
    }

    fn plural(&self) -> &'static str {
        "domains"
    }

    fn model(&self) -> Option<&'static dyn ModelPart> {
        Some(&super::model::DomainModel)
    }

    fn queries(&self, version: ServerVersion) -> Vec<String> {
        vec![read::query(version)]
    }

    fn read(&self, row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
        read::read(row, reader)
    }

    fn decode(&self, json: serde_json::Value) -> Result<Arc<dyn Definition>, serde_json::Error> {
        Ok(Arc::new(serde_json::from_value::<Domain>(json)?))
    }

    fn designation(&self, address: &Address) -> String {
        format!("DOMAIN {}", address.dotted())
    }

    fn grant_class(&self) -> &'static str {
        "TYPE"
    }

    fn describe(&self, object: &Object) -> String {
        object.get::<Domain>().map_or_else(String::new, |domain| {
            let null = if domain.nullable { "" } else { ", not null" };
            let default =
                domain.default.as_ref().map_or_else(String::new, |d| format!(", default {d}"));
            format!("domain over {}{null}{default}", domain.ty)
        })
    }

    fn create(&self, object: &Object, _how: How, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let address = &object.address;
        let Domain { ty, nullable, default, collation, not_null_name } = domain_of(object)?;
        let mut sql = format!("CREATE DOMAIN {} AS {ty}", address.dotted());
        if let Some(collation) = collation {
            sql.push_str(&format!(" COLLATE {collation}"));
        }
        if let Some(default) = default {
            sql.push_str(&format!(" DEFAULT {default}"));
        }
        if !nullable {
            // Its predecessor may still have the name that PostgreSQL would choose.
            let usual = || object_name(address.name(), None, "not_null");
            let succeeds = !cx.is_new(address) && cx.version.at_least(17);
            if let Some(name) = not_null_name.clone().or_else(|| succeeds.then(usual)) {
                sql.push_str(&format!(" CONSTRAINT {}", quote_ident(&name)));
            }
            sql.push_str(" NOT NULL");
        }
        inline_checks(object, cx).iter().for_each(|check| sql.push_str(check));
        let summary = format!("make domain {}", address.short());
        Ok(vec![Stage::transaction(vec![Action::new(address, summary, Sql::Statement(sql))])])
    }

    fn drop(&self, object: &Object, _how: How, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let address = &object.address;
        let sql = Sql::Statement(format!("DROP DOMAIN {}", address.dotted()));
        let action = Action::new(address, format!("drop domain {}", address.short()), sql);
        Ok(vec![Stage::transaction(vec![action])])
    }

    fn replacement(&self, change: &Alteration<'_>, cx: &Cx<'_>) -> Replacement {
        let forbids_nulls = change.of("nullable").is_some()
            && change.desired.get::<Domain>().is_some_and(|d| !d.nullable);
        let other_values = change.of("type").is_some()
            || change.of("collation").is_some()
            || (forbids_nulls && is_inside_others(&change.live.address, cx));
        if other_values { Replacement::Exchanged } else { Replacement::None }
    }

    fn alter(&self, change: &Alteration<'_>, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let address = &change.live.address;
        let (live, desired) = (domain_of(change.live)?, domain_of(change.desired)?);
        let short = address.short();
        let act = |clause: String, summary: String| {
            let sql = Sql::Statement(format!("ALTER DOMAIN {} {clause}", address.dotted()));
            Action::new(address, summary, sql)
        };
        let usual = object_name(address.name(), None, "not_null");
        let name = |domain: &Domain| quote_ident(domain.not_null_name.as_ref().unwrap_or(&usual));
        let mut actions = Vec::new();
        if change.of("default").is_some() {
            actions.push(match &desired.default {
                Some(default) => act(
                    format!("SET DEFAULT {default}"),
                    format!("let {short} default to {default}"),
                ),
                None => act("DROP DEFAULT".to_owned(), format!("take the default of {short} away")),
            });
        }
        match (live.nullable, desired.nullable) {
            (true, false) => {
                let clause = match &desired.not_null_name {
                    Some(name) if cx.version.at_least(17) => {
                        format!("ADD CONSTRAINT {} NOT NULL", quote_ident(name))
                    }
                    _ => "SET NOT NULL".to_owned(),
                };
                let mut action = act(clause, format!("forbid nulls in {short}"));
                for column in columns_of(address, cx) {
                    let table = relation(&column.address);
                    action.preflights.push(data::nulls(&table, column.address.name()));
                }
                actions.push(lock_users(action, address, cx));
            }
            (false, true) => {
                actions.push(act("DROP NOT NULL".to_owned(), format!("let {short} be null")));
            }
            (false, false) if name(live) != name(desired) && cx.version.at_least(17) => {
                let (from, to) = (name(live), name(desired));
                actions.push(act(
                    format!("RENAME CONSTRAINT {from} TO {to}"),
                    format!("rename constraint {from} of {short} to {to}"),
                ));
            }
            _ => {}
        }
        Ok(actions.into_iter().map(|action| Stage::transaction(vec![action])).collect())
    }

    fn rename(&self, live: &Object, to: &str, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let address = &live.address;
        // Its NOT NULL is a constraint from 17 on, and keeps the name that it has.
        let usual = |domain: &str| quote_ident(&object_name(domain, None, "not_null"));
        let own = live.get::<Domain>().filter(|d| !d.nullable && d.not_null_name.is_none());
        let follows = own.filter(|_| cx.version.at_least(17)).map(|_| {
            let (from, to) = (usual(address.name()), usual(to));
            let name = address.dotted();
            let sql = format!("ALTER DOMAIN {name} RENAME CONSTRAINT {from} TO {to}");
            let summary = format!("rename constraint {from} of {} to {to}", address.short());
            Action::new(address, summary, Sql::Statement(sql))
        });
        let sql = format!("ALTER DOMAIN {} RENAME TO {}", address.dotted(), quote_ident(to));
        let summary = format!("rename domain {} to {to}", address.short());
        let action = Action::new(address, summary, Sql::Statement(sql));
        Ok(vec![Stage::transaction(follows.into_iter().chain([action]).collect())])
    }

    fn gate(&self, gap: Gap<'_>, _cx: &GateCx<'_>) -> Option<String> {
        match gap {
            Gap::Missing(_) => Some("it is missing".to_owned()),
            Gap::Different { live, desired, .. } => {
                let (live, desired) = live.get::<Domain>().zip(desired.get::<Domain>())?;
                let over = || format!("it is over {}, not {}", live.ty, desired.ty);
                let nulls = || "it refuses nulls".to_owned();
                (live.ty != desired.ty)
                    .then(over)
                    .or_else(|| (desired.nullable && !live.nullable).then(nulls))
            }
            Gap::Extra(_) => None,
        }
    }

    fn react(
        &self,
        object: &Object,
        disturbed: &Object,
        by: &Disturbance,
        cx: &Cx<'_>,
    ) -> Reaction {
        user_type::react(object, disturbed, by, cx)
    }
}
