//! ALTER TABLE, as far as it is about the table itself.

use reconcile_catalog::{Object, PropertyChange, Value};
use reconcile_sql::{LockLevel, QName, quote_ident};

use super::{DEFAULT_TABLESPACE, HEAP, Table, relation};
use crate::step::{Action, Refusal, Sql, Stage, Work};
use crate::storage::{self, Settings};
use crate::{Alteration, Cx};

/// The steps that give a table its desired properties.
pub(super) fn alter(change: &Alteration<'_>, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
    let address = &change.live.address;
    let tables = change.live.get::<Table>().zip(change.desired.get::<Table>());
    let Some((live, desired)) = tables else { return Ok(Vec::new()) };
    let steps = Steps { object: change.live, name: relation(address), live, desired };
    let mut stages = Vec::new();
    let mut rewriting = Vec::new();
    for property in change.properties {
        match property.name {
            "unlogged" | "access_method" => rewriting.push(steps.rewriting(property, cx)?),
            "with" => stages.extend(steps.with()),
            "tablespace" => stages.push(Stage::transaction(vec![steps.tablespace()])),
            "row_security" | "force_row_security" => {
                stages.push(Stage::transaction(vec![steps.row_security(property)]));
            }
            _ => {
                let reason = format!(
                    "it is partitioned by {}, and shall be by {}: PostgreSQL does not alter a partition key; make a new \
                     table and move the rows",
                    property.live, property.desired
                );
                return Err(Refusal::new(address, reason));
            }
        }
    }
    if !rewriting.is_empty() {
        stages.push(Stage::with(address, rewriting));
    }
    Ok(stages)
}

struct Steps<'a> {
    object: &'a Object,
    name: QName,
    live: &'a Table,
    desired: &'a Table,
}

impl Steps<'_> {
    fn clause(&self, summary: String, clause: String, level: LockLevel) -> Action {
        Action::new(&self.object.address, summary, Sql::alter_table(&self.name, clause))
            .locking(self.name.clone(), level)
    }

    /// Both write every row anew; a tablespace in the same statement would be no more work.
    fn rewriting(&self, property: &PropertyChange, cx: &Cx<'_>) -> Result<Action, Refusal> {
        let short = self.object.address.short();
        let (clause, summary) = if property.name == "unlogged" {
            let unlogged = property.desired == Value::Flag(true);
            let word = if unlogged { "unlogged" } else { "logged" };
            let clause = format!("SET {}", word.to_uppercase());
            (clause, format!("make {short} {word}, which writes it anew"))
        } else {
            if !cx.version.at_least(15) {
                let reason = "its access method can be changed from PostgreSQL 15 on";
                return Err(Refusal::new(&self.object.address, reason));
            }
            let method = self.desired.access_method.as_deref().unwrap_or(HEAP);
            let clause = format!("SET ACCESS METHOD {}", quote_ident(method));
            (clause, format!("let {short} use the access method {method}, which writes it anew"))
        };
        let mut action = self.clause(summary, clause, LockLevel::AccessExclusive);
        if self.live.partition_key.is_none() {
            action = action.working(Work::Rewrite(self.name.clone()));
        }
        if self.desired.unlogged == Some(true) && property.name == "unlogged" {
            action.warnings.push("an unlogged table is empty after a crash".to_owned());
        }
        Ok(action)
    }

    /// SET and RESET of storage parameters let readers and writers go on
    /// (`AlterTableGetRelOptionsLockLevel`, `src/backend/access/common/reloptions.c`).
    fn with(&self) -> Option<Stage> {
        let none = Settings::new();
        let live = self.live.with.as_ref().unwrap_or(&none);
        let desired = self.desired.with.as_ref().unwrap_or(&none);
        const EXCLUSIVE: &str = "user_catalog_table";
        let level = if storage::get(live, EXCLUSIVE) != storage::get(desired, EXCLUSIVE) {
            LockLevel::AccessExclusive
        } else {
            LockLevel::ShareUpdateExclusive
        };
        let clauses = storage::changes(live, desired);
        let short = self.object.address.short();
        let actions = clauses.into_iter().map(|clause| {
            let summary = format!("{} on {short}", clause.to_lowercase());
            self.clause(summary, clause, level)
        });
        let actions: Vec<Action> = actions.collect();
        (!actions.is_empty()).then(|| Stage::transaction(actions))
    }

    /// The files are copied; indexes stay where they are.
    fn tablespace(&self) -> Action {
        let space = self.desired.tablespace.as_deref().unwrap_or(DEFAULT_TABLESPACE);
        let summary = format!("move {} to the tablespace {space}", self.object.address.short());
        let clause = format!("SET TABLESPACE {}", quote_ident(space));
        // It stands alone: together with other clauses it would be one phase of a rewrite.
        let sql = Sql::Statement(format!("ALTER TABLE {} {clause}", self.name));
        let action = Action::new(&self.object.address, summary, sql)
            .locking(self.name.clone(), LockLevel::AccessExclusive);
        if self.live.partition_key.is_some() {
            return action;
        }
        action.working(Work::Scan(self.name.clone()))
    }

    fn row_security(&self, property: &PropertyChange) -> Action {
        let clause = match (property.name, &property.desired) {
            ("row_security", Value::Flag(true)) => "ENABLE ROW LEVEL SECURITY",
            ("row_security", _) => "DISABLE ROW LEVEL SECURITY",
            (_, Value::Flag(true)) => "FORCE ROW LEVEL SECURITY",
            _ => "NO FORCE ROW LEVEL SECURITY",
        };
        let summary = format!("{} on {}", clause.to_lowercase(), self.object.address.short());
        self.clause(summary, clause.to_owned(), LockLevel::AccessExclusive)
    }
}
