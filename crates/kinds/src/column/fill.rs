//! Rows without a value get one, by the expression of the model, before nulls are forbidden.

use reconcile_catalog::Address;
use reconcile_sql::{LockLevel, QName, quote_ident};

use super::steps::{heirs, name_of};
use super::{Column, data, formula};
use crate::Cx;
use crate::constraint::table_of;
use crate::replica_identity::ReplicaIdentity;
use crate::step::{Action, Formula, Pieces, Preflight, Sql, Stage, Work};
use crate::table::relation;
use crate::trigger::{Enabled, Trigger};

/// Up to this size of a table its rows are filled by one statement, which is what takes as long as a
/// client may be kept waiting anyway.
const AT_ONCE: u64 = 8 << 20;

/// How the rows of one column are filled.
pub(super) struct Fill {
    address: Address,
    table: QName,
    /// The children's tables, whose rows one statement fills too.
    heirs: Vec<QName>,
    sql: String,
    formulas: Vec<Formula>,
    in_pieces: bool,
    full_identity: bool,
    /// Triggers that fire for each row that is filled.
    triggers: Vec<String>,
    /// Rows that would have no value even then.
    pub(super) remains: Preflight,
}

impl Fill {
    /// Nothing where the model does not say how, or where the expression is about a change of type.
    pub(super) fn of(
        address: &Address,
        live: &Column,
        desired: &Column,
        cx: &Cx<'_>,
    ) -> Option<Self> {
        let text = desired.using.as_ref().filter(|_| live.ty == desired.ty && !desired.nullable)?;
        let (table, column) = (relation(address), quote_ident(address.name()));
        let heirs: Vec<QName> = heirs(address, cx).into_iter().map(|(o, _)| name_of(o)).collect();
        let large = cx.size(&table).is_none_or(|size| size.bytes > AT_ONCE);
        let only = if heirs.is_empty() { "ONLY " } else { "" };
        let fires = |o: &reconcile_catalog::Object| {
            o.get::<Trigger>().is_some_and(|t| {
                !matches!(t.enabled, Enabled::Disabled | Enabled::Replica)
                    && t.definition.to_lowercase().contains("update")
            })
        };
        let own = table_of(address);
        let triggers = cx.live.children(&own).filter(|o| fires(o));
        let remains = data::values_where(
            &table,
            "NULL",
            &format!("{column} IS NULL AND ({text}) IS NULL"),
            format!("{table}.{column} is null, and so is what `using:` gives"),
        );
        Some(Self {
            sql: format!("UPDATE {only}{table} SET {column} = ({text}) WHERE {column} IS NULL"),
            formulas: formula::formulas(address, live, desired, cx),
            in_pieces: large && heirs.is_empty(),
            full_identity: ReplicaIdentity::is_full(&own, cx),
            triggers: triggers.map(|o| o.address.name().to_owned()).collect(),
            address: address.clone(),
            table,
            heirs,
            remains,
        })
    }

    fn action(&self, summary: String) -> Action {
        let update = Action::new(&self.address, summary, Sql::Statement(self.sql.clone()));
        let mut update = update.locking(self.table.clone(), LockLevel::RowExclusive);
        for heir in &self.heirs {
            update = update.locking(heir.clone(), LockLevel::RowExclusive);
        }
        update.irreversible = Some("which rows had no value is not kept".to_owned());
        update
    }

    /// Fills the rows that are there, in pieces where there are many.
    pub(super) fn first(&self) -> Stage {
        let name = self.address.short();
        let mut update = self.action(format!("give {name} a value where it is null"));
        update.formulas.clone_from(&self.formulas);
        update.preflights.push(self.remains.clone());
        if !self.triggers.is_empty() {
            update.warnings.push(format!(
                "triggers of {} fire for each row that is filled: {}",
                self.table,
                self.triggers.join(", ")
            ));
        }
        if !self.heirs.is_empty() {
            update.warnings.push(format!(
                "one statement fills the rows of {} and of its children, and has them until it ends",
                self.table
            ));
        }
        if !self.in_pieces {
            return Stage::transaction(vec![update.working(Work::Scan(self.table.clone()))]);
        }
        let note = self.address.name().to_owned();
        let pieces = Some(Pieces {
            relation: self.table.clone(),
            note,
            replica: false,
            alone: false,
            full_identity: self.full_identity,
            fires: Vec::new(),
        });
        let update = update.working(Work::Pieces(self.table.clone()));
        Stage::outside(Action { pieces, ..update })
    }

    /// Fills the rows that came while the others were filled.
    pub(super) fn rest(&self) -> Stage {
        let summary = format!("do the same where {} was null meanwhile", self.address.short());
        Stage::transaction(vec![self.action(summary).working(Work::Scan(self.table.clone()))])
    }
}
