//! The transaction in which two columns change names.
//!
//! Invariant: nothing in it depends on how many rows there are, and after it the second column is the one
//! that was first: kept in step by the same trigger, demanded nothing of, and ready to change names again.

use reconcile_sql::{LockLevel, QName, quote_ident, quote_literal};

use super::super::alter::Steps;
use super::super::declare::{counting, identity_clause};
use super::super::{NotNull, Tuned};
use super::{Carry, proof_of_nulls};
use crate::constraint::{Constraint, table_of};
use crate::online::Shadow;
use crate::step::{Action, Sql, Stage};

/// Stands in the trigger's function from the change of names on.
pub(crate) const SWAPPED: &str = "-- the columns have changed names";

impl Steps<'_> {
    /// The columns change names, and so do their twins; nothing in it depends on how many rows there are.
    pub(super) fn swap(
        &self,
        shadow: &Shadow,
        back: &Carry,
        before: Vec<Action>,
        after: Vec<Action>,
    ) -> Stage {
        let (first, second) = (self.column.clone(), quote_ident(shadow.address.name()));
        let spare = quote_ident(&shadow.twin(&format!("{}_spare", self.address.name())));
        let mut actions = before;
        let rename = |from: &str, to: &str, summary: String| {
            let sql = format!("ALTER TABLE {} RENAME COLUMN {from} TO {to}", self.table);
            Action::new(self.address, summary, Sql::Statement(sql))
                .locking(self.table.clone(), LockLevel::AccessExclusive)
        };
        let name = self.address.short();
        actions.push(rename(&first, &spare, format!("set the old column of {name} aside")));
        actions.push(rename(
            &second,
            &first,
            format!("change {name} from {} to {}", self.live.ty, self.desired.ty),
        ));
        actions.push(rename(
            &spare,
            &second,
            format!("keep the old column of {name} for the way back"),
        ));
        actions.extend(self.hand_counter_over(shadow));
        let mut release = Vec::new();
        if !self.live.nullable {
            release.push("DROP NOT NULL");
        }
        if self.live.default.is_some() {
            release.push("DROP DEFAULT");
        }
        actions.extend(self.left_proof(shadow));
        for clause in release {
            let sql = Sql::alter_table(&self.table, format!("ALTER COLUMN {second} {clause}"));
            let summary = format!("let nobody have to write {}", shadow.address.name());
            actions.push(
                Action::new(self.address, summary, sql)
                    .locking(self.table.clone(), LockLevel::AccessExclusive),
            );
        }
        actions.extend(self.not_null_name(shadow));
        if let Some(default) = &self.desired.default {
            actions.extend(self.set_default(Some(default), &name));
        }
        actions.extend(self.helper(shadow, back));
        let function = self.function(shadow);
        let summary = format!("let every write of {name} write the old column too");
        let body = back.function(&function, shadow, SWAPPED);
        actions.push(Action::new(self.address, summary, Sql::Statement(body)));
        actions.extend(after);
        Stage::with(&table_of(self.address), actions)
    }

    /// A proof that was begun for the column which is the second one from now on, and never came to its end:
    /// it would demand values that its type cannot hold.
    fn left_proof(&self, shadow: &Shadow) -> Option<Action> {
        let name = proof_of_nulls(shadow, &self.live.ty);
        let left = Constraint::address(&table_of(self.address), &name);
        self.cx.afoot.contains(&left).then(|| {
            let clause = format!("DROP CONSTRAINT {}", quote_ident(&name));
            let summary = "drop a proof that an earlier change left".to_owned();
            Action::new(self.address, summary, Sql::alter_table(&self.table, clause))
                .locking(self.table.clone(), LockLevel::AccessExclusive)
        })
    }

    /// The new identity goes on where the old one stands, and takes the name of its sequence.
    fn hand_counter_over(&self, shadow: &Shadow) -> Vec<Action> {
        let sequence = self.live.sequence.as_ref().map(|s| s.value.clone());
        let Some((identity, old)) = self.live.identity.and(self.desired.identity).zip(sequence)
        else {
            return Vec::new();
        };
        let spare = QName::new(&old.namespace, shadow.twin(&old.name));
        let mut column = self.desired.clone();
        column.sequence = Some(Tuned::stated(spare.clone()));
        if !self.differs("counting") {
            let carried = counting(self.live).carried(&self.live.ty, &self.desired.ty);
            column.counting = Some(Tuned::stated(carried));
        }
        let name = self.address.short();
        let clause = format!(
            "ALTER COLUMN {} ADD {}",
            self.column,
            identity_clause(self.address, &column, identity)
        );
        let drop = format!("ALTER COLUMN {} DROP IDENTITY", quote_ident(shadow.address.name()));
        let alter = |summary: String, clause: String| {
            Action::new(self.address, summary, Sql::alter_table(&self.table, clause))
                .locking(self.table.clone(), LockLevel::AccessExclusive)
        };
        let run = |summary: String, sql: String| {
            Action::new(self.address, summary, Sql::Statement(sql))
                .locking(self.table.clone(), LockLevel::AccessExclusive)
        };
        let wanted = self.desired.sequence.as_ref().filter(|_| self.differs("sequence"));
        let wanted = wanted.map_or(&old.name, |wanted| &wanted.value.name);
        vec![
            alter(format!("make {name} an identity column"), clause),
            run(
                format!("let {name} go on where {old} stands"),
                format!(
                    "SELECT setval({}::regclass, s.last_value, s.is_called) FROM {old} AS s",
                    quote_literal(&spare.to_string())
                ),
            ),
            alter(format!("drop sequence {old}, whose place the new one has taken"), drop),
            run(
                format!("rename sequence {} to {wanted}", spare.name),
                format!("ALTER SEQUENCE {spare} RENAME TO {}", quote_ident(wanted)),
            ),
        ]
    }

    /// From 18 on NOT NULL has a name, which the first column's has until it is dropped.
    fn not_null_name(&self, shadow: &Shadow) -> Option<Action> {
        if self.desired.nullable || !self.cx.version.at_least(18) {
            return None;
        }
        let usual = NotNull::usual(self.address);
        let stated = self.desired.not_null.as_ref().filter(|not_null| !not_null.name.silent);
        let wanted = stated.or(self.live.not_null.as_ref()).unwrap_or(&usual);
        let from = quote_ident(&shadow.twin(&NotNull::usual_name(self.address)));
        let to = quote_ident(&wanted.name.value);
        let sql = format!("ALTER TABLE {} RENAME CONSTRAINT {from} TO {to}", self.table);
        let summary = format!("rename constraint {from} to {to}");
        Some(
            Action::new(self.address, summary, Sql::Statement(sql))
                .locking(self.table.clone(), LockLevel::AccessExclusive),
        )
    }
}
