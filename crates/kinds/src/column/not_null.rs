//! NOT NULL: given, taken away, and from 18 on a constraint with a name.

use reconcile_catalog::Address;
use reconcile_sql::ident::fit;
use reconcile_sql::{LockLevel, QName, quote_ident};

use super::fill::Fill;
use super::{Column, NotNull, data};
use crate::Cx;
use crate::constraint::{Constraint, table_of};
use crate::step::{Action, Preflight, Refusal, Sql, Stage, Work};
use crate::table::relation;

/// NOT NULL of one column.
pub(super) struct Nulls<'a> {
    address: &'a Address,
    table: QName,
    column: String,
    /// The rows that are in the way; none where the plan fills them itself.
    preflights: Vec<Preflight>,
    /// How rows without a value get one, if the model says so.
    fill: Option<Fill>,
    /// The name of the CHECK that proves it where NOT NULL is no constraint.
    proof: String,
    cx: &'a Cx<'a>,
}

/// How nulls are forbidden beside readers and writers.
#[derive(Debug, Default)]
pub(super) struct Forbidding {
    /// Forbids them in new rows, under a lock of a moment.
    pub(super) demand: Option<Action>,
    /// Proves that no row has any.
    pub(super) prove: Option<Action>,
    /// What that allows to do without a scan.
    pub(super) settle: Vec<Action>,
}

impl<'a> Nulls<'a> {
    pub(super) fn of(address: &'a Address, cx: &'a Cx<'a>) -> Self {
        let table = relation(address);
        let preflights = vec![data::nulls(&table, address.name())];
        let proof = fit(&format!("{}_{}", table.name, address.name()), "_rc_not_null");
        let column = quote_ident(address.name());
        Self { address, column, table, preflights, fill: None, proof, cx }
    }

    /// The same for rows that get a value by an expression over them.
    ///
    /// # Errors
    /// If that cannot be relied on.
    pub(super) fn filled_by(self, live: &Column, desired: &Column) -> Result<Self, Refusal> {
        match Fill::of(self.address, live, desired, self.cx) {
            Some(fill) => Ok(self.filling(fill.reliable()?)),
            None => Ok(self),
        }
    }

    /// The same for rows that get their values in this way.
    pub(super) fn filling(self, fill: Fill) -> Self {
        Self { preflights: Vec::new(), fill: Some(fill), ..self }
    }

    /// The same with another name for the proof.
    pub(super) fn proven_by(self, proof: String) -> Self {
        Self { proof, ..self }
    }

    /// The same for a column that the plan fills before.
    pub(super) fn filled(self) -> Self {
        Self { preflights: Vec::new(), ..self }
    }

    fn alter(&self, summary: String, clause: String, level: LockLevel) -> Action {
        Action::new(self.address, summary, Sql::alter_table(&self.table, clause))
            .locking(self.table.clone(), level)
    }

    /// Nulls may come.
    pub(super) fn allow(&self) -> Stage {
        let clause = format!("ALTER COLUMN {} DROP NOT NULL", self.column);
        let summary = format!("let {} be null", self.address.short());
        Stage::transaction(vec![self.alter(summary, clause, LockLevel::AccessExclusive)])
    }

    /// Nulls are forbidden, in a way that scans nothing while readers wait.
    pub(super) fn forbid(&self, wanted: &Column) -> Vec<Stage> {
        let stages = self.forbid_new(wanted);
        match &self.fill {
            Some(fill) => fill.around(stages),
            None => stages,
        }
    }

    /// The same stages with the filling of a new column, which goes on whatever becomes of nulls.
    pub(super) fn go_on(&self, stages: Vec<Stage>) -> Vec<Stage> {
        match self.fill.as_ref().filter(|fill| fill.is_of_new()) {
            Some(fill) => fill.around(stages),
            None => stages,
        }
    }

    fn forbid_new(&self, wanted: &Column) -> Vec<Stage> {
        let table = table_of(self.address);
        let validated = wanted.not_null.as_ref().is_none_or(|not_null| not_null.validated);
        if self.cx.is_rewritten(&table) && validated {
            // The proof is free in a transaction that rewrites the table.
            let usual = NotNull::usual(self.address);
            let mut set = match self.cx.version.at_least(18) {
                true => self.add(wanted.not_null.as_ref().unwrap_or(&usual), true),
                false => self.set(),
            };
            set.preflights.extend(self.preflights.clone());
            return vec![Stage::with(&table, vec![set])];
        }
        let Forbidding { demand, prove, settle } = self.forbidding(wanted);
        let parts = [demand.into_iter().collect(), prove.into_iter().collect(), settle];
        let parts = parts.into_iter().filter(|actions: &Vec<Action>| !actions.is_empty());
        parts.map(Stage::transaction).collect()
    }

    /// The parts of it, as far as they are not there yet.
    pub(super) fn forbidding(&self, wanted: &Column) -> Forbidding {
        if self.cx.version.at_least(18) {
            let usual = NotNull::usual(self.address);
            self.by_name(wanted.not_null.as_ref().unwrap_or(&usual))
        } else {
            self.by_check()
        }
    }

    fn set(&self) -> Action {
        let clause = format!("ALTER COLUMN {} SET NOT NULL", self.column);
        let summary = format!("forbid nulls in {}", self.address.short());
        self.alter(summary, clause, LockLevel::AccessExclusive)
    }

    /// A CHECK that is validated beside writers proves it, so that SET NOT NULL scans nothing.
    fn by_check(&self) -> Forbidding {
        let (table, name) = (table_of(self.address), self.address.short());
        let proof = &self.proof;
        let proof_sql = quote_ident(proof);
        let there = Constraint::address(&table, proof);
        let there = (self.cx.live.definition::<Constraint>(&there))
            .or_else(|| self.cx.afoot.definition(&there));
        let demand = there.is_none().then(|| {
            let clause =
                format!("ADD CONSTRAINT {proof_sql} CHECK ({} IS NOT NULL) NOT VALID", self.column);
            let summary = format!("check new rows for nulls in {name}");
            let mut add = self.alter(summary, clause, LockLevel::AccessExclusive);
            add.preflights.extend(self.preflights.clone());
            add
        });
        let prove = there.is_none_or(|c| !c.validated).then(|| self.validate(proof));
        let summary = "drop the proof, which the column now carries itself".to_owned();
        let sql = format!("ALTER TABLE {} DROP CONSTRAINT {proof_sql}", self.table);
        let drop = Action::new(self.address, summary, Sql::Statement(sql))
            .locking(self.table.clone(), LockLevel::AccessExclusive);
        Forbidding { demand, prove, settle: vec![self.set(), drop] }
    }

    pub(super) fn validate(&self, name: &str) -> Action {
        let clause = format!("VALIDATE CONSTRAINT {}", quote_ident(name));
        let summary = format!("prove that no row has a null in {}", self.address.short());
        let validate = self.alter(summary, clause, LockLevel::ShareUpdateExclusive);
        validate.working(Work::Scan(self.table.clone()))
    }

    /// From 18 on: the constraint itself, for new rows first, then for all.
    fn by_name(&self, wanted: &NotNull) -> Forbidding {
        let mut demand = self.add(wanted, false);
        let prove = wanted.validated.then(|| self.validate(&wanted.name.value));
        if wanted.validated {
            demand.preflights.extend(self.preflights.clone());
        }
        Forbidding { demand: Some(demand), prove, settle: Vec::new() }
    }

    /// The constraint of a column that has none; NOT VALID unless rows are proven at once.
    fn add(&self, wanted: &NotNull, proven: bool) -> Action {
        let NotNull { name, no_inherit, validated: _ } = wanted;
        let clause = format!(
            "ADD CONSTRAINT {} NOT NULL {}{}{}",
            quote_ident(&name.value),
            self.column,
            if *no_inherit { " NO INHERIT" } else { "" },
            if proven { "" } else { " NOT VALID" }
        );
        let rows = if proven { "" } else { " from now on" };
        let summary = format!("forbid nulls in {}{rows}", self.address.short());
        self.alter(summary, clause, LockLevel::AccessExclusive)
    }

    /// A constraint that a declaration could not make: one that old rows need not satisfy.
    pub(super) fn add_unproven(&self, wanted: &Column) -> Option<Action> {
        let constraint = wanted.not_null.as_ref().filter(|c| !c.validated && !wanted.nullable)?;
        self.cx.version.at_least(18).then(|| self.add(constraint, false))
    }

    /// One constraint becomes another one, under another name if that is asked for.
    pub(super) fn change(&self, live: &NotNull, wanted: &NotNull, renamed: bool) -> Vec<Stage> {
        let mut actions = Vec::new();
        let mut stages = Vec::new();
        if live.validated && !wanted.validated {
            // There is no way back from validated but a new constraint.
            actions.extend(self.allow().actions);
            actions.push(self.add(wanted, false));
            return self.go_on(vec![Stage::transaction(actions)]);
        }
        let (from, to) = (quote_ident(&live.name.value), quote_ident(&wanted.name.value));
        if renamed {
            let sql = format!("ALTER TABLE {} RENAME CONSTRAINT {from} TO {to}", self.table);
            let summary = format!("rename constraint {from} to {to}");
            let rename = Action::new(self.address, summary, Sql::Statement(sql))
                .locking(self.table.clone(), LockLevel::AccessExclusive);
            actions.push(rename);
        }
        let name = if renamed { &wanted.name.value } else { &live.name.value };
        if live.no_inherit != wanted.no_inherit {
            let how = if wanted.no_inherit { "NO INHERIT" } else { "INHERIT" };
            let clause = format!("ALTER CONSTRAINT {} {how}", quote_ident(name));
            let summary = format!("let children have the constraint {name}: {how}");
            actions.push(self.alter(summary.to_lowercase(), clause, LockLevel::AccessExclusive));
        }
        stages.push(Stage::transaction(actions));
        if !live.validated && wanted.validated {
            let mut validate = self.validate(name);
            validate.preflights.extend(self.preflights.clone());
            stages.push(Stage::transaction(vec![validate]));
            return match &self.fill {
                Some(fill) => fill.around(stages),
                None => stages,
            };
        }
        self.go_on(stages)
    }
}
