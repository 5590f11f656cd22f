//! Making, altering and removing checks of domains.

use std::sync::Arc;

use reconcile_catalog::{Address, Definition, Object};
use reconcile_sql::{ServerVersion, quote_ident};

use super::{DomainCheck, NAME, domain_name, domain_of, read};
use crate::column::data;
use crate::domain::{Domain, columns_of, is_inside_others, lock_users};
use crate::gate::{Gap, GateCx};
use crate::model::ModelPart;
use crate::read::{ReadError, Reader, Row};
use crate::step::{Action, Preflight, Refusal, Sql, Stage};
use crate::table::relation;
use crate::{Alteration, Cx, Disturbance, How, Kind, Reaction, Replacement};

/// The kind.
pub struct DomainCheckKind;

fn check_of(object: &Object) -> Result<&DomainCheck, Refusal> {
    object.get().ok_or_else(|| Refusal::new(&object.address, "is no check"))
}

fn act(address: &Address, clause: &str, summary: String) -> Action {
    let sql = Sql::Statement(format!("ALTER DOMAIN {} {clause}", domain_name(address)));
    Action::new(address, summary, sql)
}

fn add(address: &Address, check: &DomainCheck) -> Action {
    let (name, short) = (quote_ident(address.name()), domain_name(address));
    let clause = format!("ADD CONSTRAINT {name} CHECK ({}) NOT VALID", check.expression);
    act(address, &clause, format!("check new values of {short} by {name}"))
}

fn validate(address: &Address, cx: &Cx<'_>) -> Action {
    let (name, short) = (quote_ident(address.name()), domain_name(address));
    let action = act(
        address,
        &format!("VALIDATE CONSTRAINT {name}"),
        format!("prove that all values of {short} satisfy {name}"),
    );
    lock_users(action, &domain_of(address), cx)
}

/// Rows with values that the check refuses.
fn violations(address: &Address, check: &DomainCheck, cx: &Cx<'_>) -> Vec<Preflight> {
    let Some(domain) = cx.live.definition::<Domain>(&domain_of(address)) else { return Vec::new() };
    let ask = |column: &&Object| {
        let (table, name) = (relation(&column.address), quote_ident(column.address.name()));
        let expression = &check.expression;
        let source = format!("(SELECT {name}::{} AS value FROM {table}) AS source", domain.ty);
        let mut preflight = data::values_where(&table, "value", "true", String::new());
        preflight.complaint =
            format!("{table}.{name} does not satisfy {} ({expression})", address.name());
        preflight.sql = format!(
            "SELECT (value)::text, count(*) FROM {source} WHERE ({expression}) IS FALSE GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 20"
        );
        preflight
    };
    columns_of(&domain_of(address), cx).iter().map(ask).collect()
}

impl Kind for DomainCheckKind {
    fn name(&self) -> &'static str {
        NAME
    }

    fn plural(&self) -> &'static str {
        "checks of domains"
    }

    fn model(&self) -> Option<&'static dyn ModelPart> {
        Some(&super::model::DomainCheckModel)
    }

    fn queries(&self, _version: ServerVersion) -> Vec<String> {
        vec![read::query()]
    }

    fn read(&self, row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
        read::read(row, reader)
    }

    fn decode(&self, json: serde_json::Value) -> Result<Arc<dyn Definition>, serde_json::Error> {
        Ok(Arc::new(serde_json::from_value::<DomainCheck>(json)?))
    }

    fn designation(&self, address: &Address) -> String {
        format!("CONSTRAINT {} ON DOMAIN {}", quote_ident(address.name()), domain_name(address))
    }

    fn describe(&self, object: &Object) -> String {
        object.get::<DomainCheck>().map_or_else(String::new, |check| {
            let valid = if check.validated { "" } else { " not valid" };
            format!("check ({}){valid}", check.expression)
        })
    }

    /// A domain that nobody uses yet has no values to be read.
    fn create(&self, object: &Object, _how: How, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let (address, check) = (&object.address, check_of(object)?);
        let mut first = add(address, check);
        if !check.validated {
            return Ok(vec![Stage::transaction(vec![first])]);
        }
        if cx.is_new(&domain_of(address)) {
            return Ok(Vec::new()); // CREATE DOMAIN has it.
        }
        first.preflights = violations(address, check, cx);
        let validate = validate(address, cx);
        Ok(vec![Stage::transaction(vec![first]), Stage::transaction(vec![validate])])
    }

    fn drop(&self, object: &Object, _how: How, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let address = &object.address;
        let name = quote_ident(address.name());
        let summary = format!("drop check {name} of {}", domain_name(address));
        let drop = act(address, &format!("DROP CONSTRAINT {name}"), summary);
        Ok(vec![Stage::transaction(vec![drop])])
    }

    fn replacement(&self, change: &Alteration<'_>, _cx: &Cx<'_>) -> Replacement {
        let same = change.properties.iter().all(|p| p.name == "validated");
        if same { Replacement::None } else { Replacement::Replaced }
    }

    fn alter(&self, change: &Alteration<'_>, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let (address, check) = (&change.desired.address, check_of(change.desired)?);
        let validated_only = change.properties.iter().all(|p| p.name == "validated");
        if validated_only && check.validated {
            let mut validate = validate(address, cx);
            validate.preflights = violations(address, check, cx);
            return Ok(vec![Stage::transaction(vec![validate])]);
        }
        let mut first = add(address, check);
        if check.validated {
            first.preflights = violations(address, check, cx);
        }
        let drop = self.drop(change.live, How::Within, cx)?.into_iter().flat_map(|s| s.actions);
        let mut stages = vec![Stage::transaction(drop.chain([first]).collect())];
        if check.validated {
            stages.push(Stage::transaction(vec![validate(address, cx)]));
        }
        Ok(stages)
    }

    fn needs_exchange(&self, wanted: &Object, cx: &Cx<'_>) -> bool {
        let validated = wanted.get::<DomainCheck>().is_some_and(|c| c.validated);
        validated && is_inside_others(&domain_of(&wanted.address), cx)
    }

    fn rename(&self, live: &Object, to: &str, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let (from, to) = (quote_ident(live.address.name()), quote_ident(to));
        let clause = format!("RENAME CONSTRAINT {from} TO {to}");
        let summary = format!("rename check {from} of {} to {to}", domain_name(&live.address));
        Ok(vec![Stage::transaction(vec![act(&live.address, &clause, summary)])])
    }

    fn gate(&self, gap: Gap<'_>, _cx: &GateCx<'_>) -> Option<String> {
        match gap {
            Gap::Missing(_) => None,
            Gap::Extra(object) | Gap::Different { live: object, .. } => Some(format!(
                "values that the application writes may fail it: {}",
                self.describe(object)
            )),
        }
    }

    fn react(
        &self,
        object: &Object,
        disturbed: &Object,
        by: &Disturbance,
        _cx: &Cx<'_>,
    ) -> Reaction {
        let own = object.parent.as_ref() == Some(&disturbed.address);
        match by {
            Disturbance::Retyped(_) => Reaction::Keep,
            // CREATE DOMAIN has those that are valid.
            Disturbance::Rebuilt
                if own && object.get::<DomainCheck>().is_some_and(|c| c.validated) =>
            {
                Reaction::Goes
            }
            Disturbance::Rebuilt => Reaction::Rebuild { warnings: Vec::new() },
            Disturbance::Dropped if own => Reaction::Goes,
            Disturbance::Dropped => {
                Reaction::Refuse(format!("{} depends on {}", object.address, disturbed.address))
            }
        }
    }
}
