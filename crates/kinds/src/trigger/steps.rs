//! Making and removing triggers.

use std::sync::Arc;

use reconcile_catalog::{Address, Catalog, Definition, Object};
use reconcile_sql::lex::{Token, significant};
use reconcile_sql::{LockLevel, QName, ServerVersion, quote_ident};

use super::{Enabled, NAME, Trigger, read};
use crate::extension::Extension;
use crate::function;
use crate::model::ModelPart;
use crate::read::{ReadError, Reader, Row};
use crate::step::{Action, Refusal, Sql, Stage};
use crate::table::relation;
use crate::{Alteration, Cx, Disturbance, How, Kind, Reaction, Replacement};

/// The kind.
pub struct TriggerKind;

impl Kind for TriggerKind {
    fn name(&self) -> &'static str {
        NAME
    }

    fn plural(&self) -> &'static str {
        "triggers"
    }

    fn model(&self) -> Option<&'static dyn ModelPart> {
        Some(&super::model::TriggerModel)
    }

    fn queries(&self, _version: ServerVersion) -> Vec<String> {
        vec![read::query()]
    }

    fn read(&self, row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
        read::read(row, reader)
    }

    fn decode(&self, json: serde_json::Value) -> Result<Arc<dyn Definition>, serde_json::Error> {
        Ok(Arc::new(serde_json::from_value::<Trigger>(json)?))
    }

    fn designation(&self, address: &Address) -> String {
        format!("TRIGGER {} ON {}", quote_ident(address.name()), relation(address))
    }

    fn describe(&self, object: &Object) -> String {
        object.get::<Trigger>().map_or_else(String::new, |t| {
            let state = if t.enabled == Enabled::Origin {
                String::new()
            } else {
                format!(" ({})", t.enabled.sql().to_lowercase())
            };
            format!("{}{state}", t.definition)
        })
    }

    fn create(&self, object: &Object, _how: How, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        if object.get::<Trigger>().is_some_and(|t| t.inherited) {
            let state = clone_state(object).map(|state| set_state(&object.address, state));
            return Ok(state.map(|action| Stage::transaction(vec![action])).into_iter().collect());
        }
        let address = &object.address;
        let Some(trigger) = object.get::<Trigger>().filter(|t| !t.inherited) else {
            return Ok(Vec::new());
        };
        if let Some(function) = missing_function(&trigger.definition, cx) {
            let reason = format!(
                "it calls the function {function}(), which is not there; make that first, since \
                 functions are not managed"
            );
            return Err(Refusal::new(address, reason));
        }
        let table = relation(address);
        let mut actions = vec![
            Action::new(
                address,
                format!("make trigger {}", address.name()),
                Sql::Statement(trigger.definition.clone()),
            )
            .locking(table.clone(), LockLevel::ShareRowExclusive),
        ];
        if trigger.enabled != Enabled::Origin {
            actions.push(set_state(address, trigger.enabled));
        }
        Ok(vec![Stage::transaction(actions)])
    }

    fn rename(&self, live: &Object, to: &str, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let address = &live.address;
        let sql = format!("ALTER {} RENAME TO {}", self.designation(address), quote_ident(to));
        let summary = format!("rename trigger {} to {to}", address.name());
        let action = Action::new(address, summary, Sql::Statement(sql))
            .locking(relation(address), LockLevel::AccessExclusive);
        Ok(vec![Stage::transaction(vec![action])])
    }

    fn drop(&self, object: &Object, _how: How, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let address = &object.address;
        if object.get::<Trigger>().is_some_and(|t| t.inherited) {
            return Ok(Vec::new());
        }
        let table = relation(address);
        let sql = format!("DROP TRIGGER {} ON {table}", quote_ident(address.name()));
        let action =
            Action::new(address, format!("drop trigger {}", address.name()), Sql::Statement(sql))
                .locking(table, LockLevel::AccessExclusive);
        Ok(vec![Stage::transaction(vec![action])])
    }

    fn replacement(&self, _change: &Alteration<'_>, _cx: &Cx<'_>) -> Replacement {
        Replacement::Rebuilt
    }

    fn react(
        &self,
        object: &Object,
        _disturbed: &Object,
        by: &Disturbance,
        _cx: &Cx<'_>,
    ) -> Reaction {
        match by {
            // A clone comes again with its parent's trigger, but not in the state that it has here.
            _ if object.get::<Trigger>().is_some_and(|t| t.inherited) => {
                if clone_state(object).is_some() && *by != Disturbance::Dropped {
                    Reaction::Rebuild { warnings: Vec::new() }
                } else {
                    Reaction::Goes
                }
            }
            Disturbance::Dropped => {
                Reaction::Refuse(format!("{} is for it; drop that first", object.address))
            }
            Disturbance::Rebuilt | Disturbance::Retyped(_) => {
                Reaction::Rebuild { warnings: Vec::new() }
            }
        }
    }
}

/// The function that a trigger calls, if neither side has it. What belongs to PostgreSQL itself or
/// to an extension is not in a catalog: a name that may be one of theirs is left to the server.
fn missing_function(definition: &str, cx: &Cx<'_>) -> Option<String> {
    let tokens = significant(definition);
    let calls = |pair: &[Token<'_>]| {
        pair[0].is("execute") && (pair[1].is("function") || pair[1].is("procedure"))
    };
    let at = tokens.windows(2).rposition(calls)?;
    let name: Vec<String> = tokens[at + 2..]
        .iter()
        .take_while(|token| !token.is("("))
        .filter_map(Token::ident)
        .collect();
    let [namespace, name] = name.as_slice() else { return None };
    // A trigger's function takes no arguments.
    let address = Address::new(function::NAME, [namespace.clone(), format!("{name}()")]);
    let is_there = |catalog: &Catalog| {
        let member_of = |object: &Object| {
            let extension = object.get::<Extension>();
            extension.is_some_and(|e| e.namespace.as_ref().is_none_or(|n| n == namespace))
        };
        catalog.contains(&address) || catalog.objects().any(member_of)
    };
    let own = namespace == "pg_catalog";
    let there = own || is_there(cx.live) || is_there(cx.desired);
    (!there).then(|| QName::new(namespace, name).to_string())
}

/// The state of a clone on a partition, if it is another than that of a trigger that was just made.
fn clone_state(object: &Object) -> Option<Enabled> {
    object.get::<Trigger>().map(|t| t.enabled).filter(|state| *state != Enabled::Origin)
}

/// Sets when a trigger fires, on this relation only.
fn set_state(address: &Address, state: Enabled) -> Action {
    let table = relation(address);
    let name = quote_ident(address.name());
    let summary = format!("{} trigger {} as it was", state.sql().to_lowercase(), address.name());
    let sql = format!("ALTER TABLE ONLY {table} {} TRIGGER {name}", state.sql());
    Action::new(address, summary, Sql::Statement(sql)).locking(table, LockLevel::ShareRowExclusive)
}
