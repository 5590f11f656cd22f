//! The proof that two columns agree in every row, and the sight of rows that do not any more.
//!
//! Invariant: the columns change names for the first time only while a validated CHECK demands that they
//! agree, so no row can be missed. From then on the trigger is all that writes the second one, and an index
//! of the rows whose values the old type cannot hold tells in a moment whether there is a way back.

use reconcile_sql::{LockLevel, QName, SqlType, quote_ident};

use super::super::alter::Steps;
use super::Carry;
use super::loss::loss_of_the_way_back;
use crate::constraint::{Constraint, table_of};
use crate::index::Index;
use crate::online::Shadow;
use crate::step::{Action, Sql, Stage, Work};

impl Steps<'_> {
    /// A CHECK that both columns agree, and its proof beside writers; what is there already is left out.
    pub(super) fn agreement(
        &self,
        shadow: &Shadow,
        forth: &Carry,
    ) -> (Option<Action>, Option<Action>) {
        let name = shadow.agreement();
        let table = table_of(self.address);
        let there = self.cx.afoot.definition::<Constraint>(&Constraint::address(&table, &name));
        let sql = quote_ident(&name);
        let demand = there.is_none().then(|| {
            let second = quote_ident(shadow.address.name());
            let clause =
                format!("ADD CONSTRAINT {sql} CHECK (NOT ({})) NOT VALID", forth.differs(&second));
            let summary = format!("demand that both columns of {} agree", self.address.short());
            Action::new(&shadow.address, summary, Sql::alter_table(&self.table, clause))
                .locking(self.table.clone(), LockLevel::AccessExclusive)
        });
        let prove = there.is_none_or(|c| !c.validated).then(|| {
            let clause = format!("VALIDATE CONSTRAINT {sql}");
            let summary = format!("prove that every row of {} agrees", self.table.name);
            Action::new(&shadow.address, summary, Sql::alter_table(&self.table, clause))
                .locking(self.table.clone(), LockLevel::ShareUpdateExclusive)
                .working(Work::Scan(self.table.clone()))
        });
        (demand, prove)
    }

    /// Takes the CHECK away in the transaction in which the columns change names.
    pub(super) fn drop_proof(&self, shadow: &Shadow) -> Action {
        let name = quote_ident(&shadow.agreement());
        let sql = Sql::Statement(format!("ALTER TABLE {} DROP CONSTRAINT {name}", self.table));
        let summary = "drop the proof, which the change of names needs no more".to_owned();
        Action::new(self.address, summary, sql)
            .locking(self.table.clone(), LockLevel::AccessExclusive)
    }

    /// The CHECK calls the function that computes a value as the one who writes, who may use it for so long.
    pub(super) fn lend(&self, shadow: &Shadow, way: &Carry, begins: bool) -> Option<Action> {
        let signature = &way.helper.as_ref()?.signature;
        let (summary, sql) = match begins {
            true => (
                "let whoever writes use it for the proof",
                format!("GRANT EXECUTE ON FUNCTION {signature} TO PUBLIC"),
            ),
            false => (
                "let nobody else use it any more",
                format!("REVOKE EXECUTE ON FUNCTION {signature} FROM PUBLIC"),
            ),
        };
        Some(Action::new(&shadow.address, summary, Sql::Statement(sql)))
    }

    /// An index of the rows whose values the old column will not hold: empty when it is made, and then as
    /// large as the loss.
    pub(super) fn lost(&self, shadow: &Shadow) -> Vec<Stage> {
        let loss = loss_of_the_way_back(shadow, self.cx);
        // The columns have each other's names then: what is the second one now is written by everybody.
        let Some(condition) = loss.condition(shadow.address.name(), self.address.name()) else {
            return Vec::new();
        };
        let address = lost_index(shadow, &self.live.ty);
        let there = self.cx.afoot.definition::<Index>(&address);
        if there.is_some_and(|index| index.valid) {
            return Vec::new();
        }
        let name = address.name();
        let act = |summary: String, sql: String| {
            Action::new(&address, summary, Sql::Statement(sql))
                .locking(self.table.clone(), LockLevel::ShareUpdateExclusive)
        };
        let mut stages = Vec::new();
        if there.is_some() {
            let own = QName::new(&self.table.namespace, name);
            let summary = format!("drop the unfinished index {name} of an earlier attempt");
            let drop = act(summary, format!("DROP INDEX CONCURRENTLY {own}"));
            stages.push(Stage::outside(drop));
        }
        let sql = format!(
            "CREATE INDEX CONCURRENTLY {} ON {} ((true)) WHERE {condition}",
            quote_ident(name),
            self.table
        );
        let summary = format!("index what {} will not hold any more: nothing yet", self.live.ty);
        let build = act(summary, sql).working(Work::Scan(self.table.clone()));
        stages.push(Stage::outside(build));
        stages
    }
}

/// The index of the rows whose values a type cannot hold; each of the two has its own.
pub(super) fn lost_index(shadow: &Shadow, ty: &SqlType) -> reconcile_catalog::Address {
    let name = shadow.twin(&format!("{}_no_{ty}", shadow.column.name()));
    Index::address(&table_of(&shadow.column), &name)
}
