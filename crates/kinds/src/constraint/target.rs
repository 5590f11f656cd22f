//! The statements that a constraint is made, proven, renamed and dropped with, and what each locks.

use reconcile_catalog::{Address, Object};
use reconcile_sql::{LockLevel, QName, quote_ident};

use super::sql::list;
use super::{Constraint, Deferred, Rule, definition};
use crate::step::{Action, Refusal, Sql, Stage, Work};
use crate::storage;
use crate::table::relation;

/// A constraint under a name, on its table.
pub(super) struct Target<'a> {
    pub(super) address: &'a Address,
    pub(super) table: QName,
    pub(super) rule: &'a Constraint,
}

impl<'a> Target<'a> {
    pub(super) fn of(object: &'a Object) -> Result<Self, Refusal> {
        let rule = object.get().ok_or_else(|| Refusal::new(&object.address, "is no constraint"))?;
        Ok(Self { address: &object.address, table: relation(&object.address), rule })
    }

    pub(super) fn alter(&self, summary: String, clause: String, level: LockLevel) -> Action {
        let mut action = Action::new(self.address, summary, Sql::alter_table(&self.table, clause))
            .locking(self.table.clone(), level);
        if let Rule::ForeignKey { references, .. } = &self.rule.rule {
            // A foreign key locks both tables; dropping one too (tried on 13 to 18).
            let level =
                if level == LockLevel::ShareUpdateExclusive { LockLevel::RowShare } else { level };
            action = action.locking(references.clone(), level);
        }
        action
    }

    pub(super) fn level(&self) -> LockLevel {
        match self.rule.rule {
            Rule::ForeignKey { .. } => LockLevel::ShareRowExclusive,
            _ => LockLevel::AccessExclusive,
        }
    }

    /// Added and proven at once, under its lock.
    pub(super) fn add(&self, work: Work) -> Action {
        let name = self.address.name();
        let clause = format!("ADD CONSTRAINT {} {}", quote_ident(name), definition(self.rule));
        self.alter(format!("add {} {name}", self.noun()), clause, self.level()).working(work)
    }

    /// Added for new rows only; old ones are proven later, beside readers and writers.
    pub(super) fn add_not_valid(&self, name: &str) -> Action {
        let clause =
            format!("ADD CONSTRAINT {} {} NOT VALID", quote_ident(name), definition(self.rule));
        let mut add =
            self.alter(format!("add {} {name} for new rows", self.noun()), clause, self.level());
        // The journal has to know that nothing stood under this name: a second run may find it.
        add.address = self.address.renamed(name);
        add
    }

    pub(super) fn validate(&self, name: &str) -> Action {
        let clause = format!("VALIDATE CONSTRAINT {}", quote_ident(name));
        let summary = format!("prove that every row satisfies {name}");
        self.alter(summary, clause, LockLevel::ShareUpdateExclusive)
            .working(Work::Scan(self.table.clone()))
    }

    pub(super) fn drop(&self, name: &str) -> Action {
        let clause = format!("DROP CONSTRAINT {}", quote_ident(name));
        self.alter(format!("drop {} {name}", self.noun()), clause, LockLevel::AccessExclusive)
    }

    pub(super) fn rename(&self, from: &str, to: &str) -> Action {
        let (from_sql, to_sql) = (quote_ident(from), quote_ident(to));
        let sql = format!("ALTER TABLE {} RENAME CONSTRAINT {from_sql} TO {to_sql}", self.table);
        Action::new(self.address, format!("rename constraint {from} to {to}"), Sql::Statement(sql))
            .locking(self.table.clone(), LockLevel::AccessExclusive)
    }

    pub(super) fn noun(&self) -> &'static str {
        match self.rule.rule {
            Rule::PrimaryKey { .. } => "primary key",
            Rule::Unique { .. } => "unique constraint",
            Rule::Check { .. } => "check",
            Rule::ForeignKey { .. } => "foreign key",
            Rule::Other { .. } => "exclusion constraint",
        }
    }

    /// The unique index that a key is made from without stopping writers, built under `name`.
    pub(super) fn build_index(&self, name: &str) -> Option<Stage> {
        let (columns, include, nulls) = match &self.rule.rule {
            Rule::PrimaryKey { columns, include, without_overlaps: false } => {
                (columns, include, "")
            }
            Rule::Unique { columns, include, nulls_not_distinct, without_overlaps: false } => {
                (columns, include, if *nulls_not_distinct { " NULLS NOT DISTINCT" } else { "" })
            }
            _ => return None,
        };
        let include =
            if include.is_empty() { String::new() } else { format!(" INCLUDE {}", list(include)) };
        let space = self.rule.tablespace.as_deref().filter(|space| !space.is_empty());
        let space = space.map_or_else(String::new, |s| format!(" TABLESPACE {}", quote_ident(s)));
        let sql = format!(
            "CREATE UNIQUE INDEX CONCURRENTLY {} ON {} {}{include}{nulls}{}{space}",
            quote_ident(name),
            self.table,
            list(columns),
            self.rule.with.as_ref().map(storage::with).unwrap_or_default(),
        );
        let summary =
            format!("build the index of {} beside readers and writers", self.address.name());
        let action = Action::new(self.address, summary, Sql::Statement(sql))
            .locking(self.table.clone(), LockLevel::ShareUpdateExclusive)
            .working(Work::Build(self.table.clone()));
        Some(Stage::outside(action))
    }

    pub(super) fn add_using_index(&self, index: &str) -> Action {
        let kind = if matches!(self.rule.rule, Rule::PrimaryKey { .. }) {
            "PRIMARY KEY"
        } else {
            "UNIQUE"
        };
        let mut clause = format!(
            "ADD CONSTRAINT {} {kind} USING INDEX {}",
            quote_ident(self.address.name()),
            quote_ident(index)
        );
        match self.rule.deferrable {
            Some(Deferred::InitiallyDeferred) => clause.push_str(" DEFERRABLE INITIALLY DEFERRED"),
            Some(Deferred::InitiallyImmediate) => clause.push_str(" DEFERRABLE"),
            None => {}
        }
        let summary = format!("make {} {} from its index", self.noun(), self.address.name());
        self.alter(summary, clause, LockLevel::AccessExclusive)
    }
}
