//! What PostgreSQL changes of a constraint without making it anew.

use reconcile_sql::{LockLevel, QName, quote_ident};

use super::target::Target;
use super::{Constraint, Deferred, Rule, data};
use crate::step::{Action, Sql, Stage, Work};
use crate::storage::{self, Settings};
use crate::table::DEFAULT_TABLESPACE;
use crate::{Alteration, Cx};

/// Whether everything that differs is of that sort.
pub(super) fn is_enough(change: &Alteration<'_>, desired: &Constraint, cx: &Cx<'_>) -> bool {
    let foreign_key = matches!(desired.rule, Rule::ForeignKey { .. });
    let enforced = change.live.get::<Constraint>().is_some_and(|c| !c.not_enforced);
    change.properties.iter().all(|property| match property.name {
        "with" | "tablespace" => true,
        // There is no way back to NOT VALID; what is only now enforced is asked about then.
        "validated" => desired.validated && enforced,
        "deferrable" => foreign_key,
        "not_enforced" => foreign_key && cx.version.at_least(18),
        _ => false,
    })
}

/// The steps for it.
pub(super) fn stages(target: &Target<'_>, change: &Alteration<'_>, cx: &Cx<'_>) -> Vec<Stage> {
    let name = target.address.name();
    let mut stages = Vec::new();
    for property in change.properties {
        match property.name {
            "validated" => {
                let mut validate = target.validate(name);
                validate.preflights = data::violations(target.address, target.rule, cx);
                stages.push(Stage::transaction(vec![validate]));
            }
            "deferrable" => {
                let clause = match target.rule.deferrable {
                    None => "NOT DEFERRABLE",
                    Some(Deferred::InitiallyImmediate) => "DEFERRABLE INITIALLY IMMEDIATE",
                    Some(Deferred::InitiallyDeferred) => "DEFERRABLE INITIALLY DEFERRED",
                };
                stages.push(Stage::transaction(vec![alter(target, clause, Work::Catalog)]));
            }
            "not_enforced" if target.rule.not_enforced => {
                stages.push(Stage::transaction(vec![alter(target, "NOT ENFORCED", Work::Catalog)]));
            }
            "not_enforced" => {
                let scan = Work::Scan(target.table.clone());
                let mut enforce = alter(target, "ENFORCED", scan);
                enforce.preflights = data::violations(target.address, target.rule, cx);
                stages.push(Stage::transaction(vec![enforce]));
            }
            _ => stages.extend(index(target, property.name, change)),
        }
    }
    stages
}

fn alter(target: &Target<'_>, clause: &str, work: Work) -> Action {
    let name = target.address.name();
    let sql = format!("ALTER CONSTRAINT {} {clause}", quote_ident(name));
    let summary = format!("make {} {name} {}", target.noun(), clause.to_lowercase());
    target.alter(summary, sql, LockLevel::AccessExclusive).working(work)
}

/// The index of a key has a name of its own, which is the constraint's.
fn index(target: &Target<'_>, property: &str, change: &Alteration<'_>) -> Option<Stage> {
    let name = QName::new(target.address.namespace(), target.address.name());
    let head = format!("ALTER INDEX {name}");
    let short = target.address.name();
    if property == "tablespace" {
        let space = target.rule.tablespace.as_deref().filter(|space| !space.is_empty());
        let space = space.unwrap_or(DEFAULT_TABLESPACE);
        let sql = Sql::Statement(format!("{head} SET TABLESPACE {}", quote_ident(space)));
        let summary = format!("move the index of {short} to the tablespace {space}");
        let action = Action::new(target.address, summary, sql)
            .locking(target.table.clone(), LockLevel::ShareUpdateExclusive)
            .working(Work::Build(target.table.clone()));
        return Some(Stage::transaction(vec![action]));
    }
    let none = Settings::new();
    let live = change.live.get::<Constraint>().and_then(|c| c.with.as_ref()).unwrap_or(&none);
    let desired = target.rule.with.as_ref().unwrap_or(&none);
    let actions = storage::changes(live, desired).into_iter().map(|clause| {
        let summary = format!("{} on the index of {short}", clause.to_lowercase());
        // It locks the index only, in SHARE UPDATE EXCLUSIVE mode.
        Action::new(target.address, summary, Sql::Statement(format!("{head} {clause}")))
    });
    Some(Stage::transaction(actions.collect()))
}
