//! Altering a column: the clauses, in the order in which PostgreSQL needs them.

use reconcile_catalog::{Address, Object};
use reconcile_sql::ident::fit;
use reconcile_sql::lex::significant;
use reconcile_sql::{LockLevel, QName, quote_ident, quote_literal};

use super::casts::{Conversion, using};
use super::steps::{convert, heirs, name_of, retyped_default};
use super::{Column, data};
use crate::constraint::{Constraint, table_of};
use crate::step::{Action, Refusal, Sql, Stage, Work};
use crate::table::{Table, relation};
use crate::{Alteration, Cx};

/// What one alteration of a column takes.
pub(super) struct Steps<'a> {
    change: &'a Alteration<'a>,
    pub(super) cx: &'a Cx<'a>,
    pub(super) live: &'a Column,
    pub(super) desired: &'a Column,
    pub(super) address: &'a Address,
    pub(super) table: QName,
    column: String,
}

impl<'a> Steps<'a> {
    pub(super) fn new(change: &'a Alteration<'a>, cx: &'a Cx<'a>) -> Result<Self, Refusal> {
        let address = &change.desired.address;
        let columns = change.live.get::<Column>().zip(change.desired.get::<Column>());
        let (live, desired) = columns.ok_or_else(|| Refusal::new(address, "is no column"))?;
        let (table, column) = (relation(address), quote_ident(address.name()));
        Ok(Self { change, cx, live, desired, address, table, column })
    }

    pub(super) fn stages(self) -> Result<Vec<Stage>, Refusal> {
        if self.change.of("generated").is_some() {
            return Err(self.refuse(
                "the expression of a generated column cannot be changed in place; drop the column and add it again",
            ));
        }
        let retyped = self.change.of("type").is_some() || self.change.of("collation").is_some();
        let identity = self.change.of("identity").is_some();
        if retyped && self.follows_parent() {
            return Ok(Vec::new());
        }
        let mut stages = Vec::new();
        // An identity column has no default and no nulls: identity goes first and comes last.
        if identity && self.desired.identity.is_none() {
            stages.push(Stage::transaction(self.identity()));
        }
        if retyped {
            stages.push(self.retype()?);
        } else if self.change.of("default").is_some() {
            stages.push(Stage::transaction(
                self.set_default(self.desired.default.as_deref(), &self.address.short()),
            ));
        }
        if self.change.of("nullable").is_some() {
            if self.desired.nullable {
                let action =
                    self.clause("DROP NOT NULL", format!("let {} be null", self.address.short()));
                stages.push(Stage::transaction(vec![action]));
            } else {
                stages.extend(self.set_not_null());
            }
        }
        if identity && self.desired.identity.is_some() {
            stages.push(Stage::transaction(self.identity()));
        }
        Ok(stages)
    }

    fn refuse(&self, reason: impl Into<String>) -> Refusal {
        Refusal::new(self.address, reason)
    }

    pub(super) fn clause(&self, clause: &str, summary: String) -> Action {
        let sql = Sql::alter_table(&self.table, format!("ALTER COLUMN {} {clause}", self.column));
        Action::new(self.address, summary, sql)
            .locking(self.table.clone(), LockLevel::AccessExclusive)
    }

    /// A child's column changes with its parent's, by the parent's statement.
    fn follows_parent(&self) -> bool {
        self.live.inherited
            && self
                .change
                .live
                .depends_on
                .iter()
                .any(|parent| self.cx.retypes.of(parent).is_some_and(|c| c.to == self.desired.ty))
    }

    fn retype(&self) -> Result<Stage, Refusal> {
        if self.live.inherited {
            return Err(self.refuse(
                "its type comes from a parent table; change it there: PostgreSQL does not alter an inherited column",
            ));
        }
        let (from, to) = (&self.live.ty, &self.desired.ty);
        self.refuse_partition_key()?;
        self.refuse_two_parents()?;
        if self.live.generated.is_some() {
            return Err(self.refuse("the type of a generated column cannot be changed in place"));
        }
        let work = match convert(from, to, self.cx) {
            _ if from == to => Work::Build(self.table.clone()),
            Conversion::Rewrite => Work::Rewrite(self.table.clone()),
            Conversion::Catalog => self.rebuilds(),
        };
        let mut clause = format!("TYPE {to}");
        // A COLLATE that is not restated is reset to the type's own.
        if let Some(collation) = self.desired.collation.as_ref().or(self.live.collation.as_ref()) {
            clause.push_str(&format!(" COLLATE {collation}"));
        }
        let using = (from != to).then(|| using(self.address.name(), from, to)).flatten();
        if let Some(using) = &using {
            clause.push_str(&format!(" USING {using}"));
        }
        let mut retype = self
            .clause(&clause, format!("change {} from {from} to {to}", self.address.short()))
            .working(work.clone());
        for (child, _) in heirs(self.address, self.cx) {
            retype = retype.locking(name_of(child), LockLevel::AccessExclusive);
        }
        retype.preflights.extend(data::unfit(self.address, from, to, self.cx));
        if matches!(work, Work::Rewrite(_)) {
            let size = self.cx.size(&self.table).map_or(0, |size| size.bytes);
            let proof = data::histogram(self.address, from, to);
            if size <= data::COMPARED {
                retype.proofs.extend(proof);
            } else if proof.is_some() {
                retype.warnings.push(
                    "the table is too large to compare its values before and after while it is locked".to_owned(),
                );
            }
        }
        // The default keeps a cast to the old type unless it is taken away before.
        let mut actions = Vec::new();
        let taken_away = using.is_some() && self.any_default();
        if taken_away {
            actions.push(self.clause(
                "DROP DEFAULT",
                format!("take the default of {} away", self.address.short()),
            ));
        }
        actions.push(retype);
        match &self.desired.default {
            Some(default) if using.is_some() || self.change.of("default").is_some() => {
                actions.extend(self.set_default(Some(default), &self.address.short()));
            }
            None if taken_away => actions.extend(self.heirs_defaults(None)),
            None if self.live.default.is_some() => {
                actions.extend(self.set_default(None, &self.address.short()))
            }
            _ => {}
        }
        Ok(match work {
            Work::Rewrite(_) => Stage::with(&table_of(self.address), actions),
            _ => Stage::transaction(actions),
        })
    }

    /// PostgreSQL does not alter a column that a partition key reads, here or in a partition that
    /// is partitioned itself.
    pub(super) fn refuse_partition_key(&self) -> Result<(), Refusal> {
        let tables = heirs(self.address, self.cx).into_iter().map(|(o, _)| table_of(&o.address));
        for table in tables.chain([table_of(self.address)]) {
            let key =
                self.cx.live.definition::<Table>(&table).and_then(|t| t.partition_key.as_ref());
            let reads = |key: &String| {
                significant(key).iter().any(|t| t.ident().as_deref() == Some(self.address.name()))
            };
            if let Some(key) = key.filter(|k| reads(k)) {
                return Err(self.refuse(format!(
                    "{table} is partitioned by {key}, and PostgreSQL does not alter the type of a partition key; make a \
                     new partitioned table and move the rows"
                )));
            }
        }
        Ok(())
    }

    /// A child with two parents that both have the column cannot follow either.
    pub(super) fn refuse_two_parents(&self) -> Result<(), Refusal> {
        let mine = |address: &Address| {
            address == self.address
                || heirs(self.address, self.cx).iter().any(|(o, _)| &o.address == address)
        };
        for (child, _) in heirs(self.address, self.cx) {
            if let Some(other) = child
                .depends_on
                .iter()
                .find(|p| self.cx.live.definition::<Column>(p).is_some() && !mine(p))
            {
                return Err(self.refuse(format!(
                    "{} inherits the column from {other} too, and PostgreSQL does not alter a column with two parents",
                    child.address
                )));
            }
        }
        Ok(())
    }

    /// A change that leaves the rows alone still rebuilds partial and expression indexes on the
    /// column and rescans for its checks.
    fn rebuilds(&self) -> Work {
        let touches = self.cx.live.dependents(self.address).any(|o| {
            o.get::<crate::index::Index>().is_some_and(|i| {
                i.predicate.is_some()
                    || i.keys.iter().any(|k| matches!(k.what, crate::index::KeyPart::Expression(_)))
            }) || o
                .get::<Constraint>()
                .is_some_and(|c| matches!(c.rule, crate::constraint::Rule::Check { .. }))
        });
        if touches { Work::Build(self.table.clone()) } else { Work::Catalog }
    }

    pub(super) fn any_default(&self) -> bool {
        self.live.default.is_some()
            || heirs(self.address, self.cx).iter().any(|(_, c)| c.default.is_some())
    }

    pub(super) fn set_default(&self, default: Option<&str>, name: &str) -> Vec<Action> {
        let action = match default {
            Some(default) => self.clause(
                &format!("SET DEFAULT {default}"),
                format!("let {name} default to {default}"),
            ),
            None => self.clause("DROP DEFAULT", format!("take the default of {name} away")),
        };
        let mut actions = vec![action];
        actions.extend(self.heirs_defaults(default));
        actions
    }

    /// SET and DROP DEFAULT on a parent overwrite what a child has of its own (tried on 14 to 18):
    /// it gets it back.
    pub(super) fn heirs_defaults(&self, parent: Option<&str>) -> Vec<Action> {
        let own = |(child, column): &(&Object, &Column)| {
            let differs = column.default != self.live.default;
            let wanted = self.cx.desired.definition::<Column>(&child.address);
            let default = wanted
                .map_or_else(|| retyped_default(child, self.cx.retypes), |c| c.default.clone());
            (differs && default.as_deref() != parent).then(|| {
                let table = name_of(child);
                let what = default
                    .map_or_else(|| "DROP DEFAULT".to_owned(), |d| format!("SET DEFAULT {d}"));
                let clause = format!("ALTER COLUMN {} {what}", self.column);
                let summary = format!("give {} its own default back", child.address.short());
                Action::new(&child.address, summary, Sql::alter_table(&table, clause))
                    .locking(table, LockLevel::AccessExclusive)
            })
        };
        heirs(self.address, self.cx).iter().filter_map(own).collect()
    }

    fn identity(&self) -> Vec<Action> {
        let name = self.address.short();
        match (self.live.identity, self.desired.identity) {
            (None, Some(identity)) => {
                let add = self.clause(
                    &format!("ADD {}", identity.sql()),
                    format!("make {name} an identity column"),
                );
                // The new sequence starts at 1, whatever the rows hold.
                // A serial column has an older sequence of its own: pg_get_serial_sequence names that.
                let sql = format!(
                    "SELECT setval((SELECT d.objid::regclass FROM pg_depend d JOIN pg_attribute a \
                     ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid \
                     WHERE d.classid = 'pg_class'::regclass AND d.deptype = 'i' \
                     AND d.refobjid = {}::regclass AND a.attname = {}), \
                     coalesce(max({column}), 0) + 1, false) FROM {}",
                    quote_literal(&self.table.to_string()),
                    quote_literal(self.address.name()),
                    self.table,
                    column = self.column,
                );
                let start = Action::new(
                    self.address,
                    format!("let {name} go on after its largest value"),
                    Sql::Statement(sql),
                )
                .locking(self.table.clone(), LockLevel::AccessExclusive)
                .working(Work::Scan(self.table.clone()));
                vec![add, start]
            }
            (Some(_), Some(identity)) => {
                let words = identity.sql().trim_end_matches(" AS IDENTITY");
                vec![self.clause(
                    &format!("SET {words}"),
                    format!("let {name} be {}", words.to_lowercase()),
                )]
            }
            (_, None) => vec![self.clause("DROP IDENTITY", format!("make {name} a plain column"))],
        }
    }

    /// In the open: a CHECK that is validated beside writers proves it, so that SET NOT NULL scans
    /// nothing. In a transaction that rewrites the table the proof is free.
    fn set_not_null(&self) -> Vec<Stage> {
        let table = table_of(self.address);
        let name = self.address.short();
        let mut set = self.clause("SET NOT NULL", format!("forbid nulls in {name}"));
        let nulls = data::nulls(&self.table, self.address.name());
        if self.cx.is_rewritten(&table) {
            set.preflights.push(nulls);
            return vec![Stage::with(&table, vec![set])];
        }
        let proof = fit(&format!("{}_{}", self.table.name, self.address.name()), "_rc_not_null");
        let proof_sql = quote_ident(&proof);
        let there = self.cx.live.definition::<Constraint>(&Constraint::address(&table, &proof));
        let lock = |action: Action, level| action.locking(self.table.clone(), level);
        let mut stages = Vec::new();
        if there.is_none() {
            let clause =
                format!("ADD CONSTRAINT {proof_sql} CHECK ({} IS NOT NULL) NOT VALID", self.column);
            let summary = format!("check new rows for nulls in {name}");
            let mut add = lock(
                Action::new(self.address, summary, Sql::alter_table(&self.table, clause)),
                LockLevel::AccessExclusive,
            );
            add.preflights.push(nulls);
            stages.push(Stage::transaction(vec![add]));
        }
        if there.is_none_or(|c| !c.validated) {
            let clause = format!("VALIDATE CONSTRAINT {proof_sql}");
            let summary = format!("prove that no row has a null in {name}");
            let validate =
                Action::new(self.address, summary, Sql::alter_table(&self.table, clause))
                    .working(Work::Scan(self.table.clone()));
            stages.push(Stage::transaction(vec![lock(validate, LockLevel::ShareUpdateExclusive)]));
        }
        let clause = format!("DROP CONSTRAINT {proof_sql}");
        let summary = "drop the proof, which the column now carries itself".to_owned();
        let drop = Action::new(
            self.address,
            summary,
            Sql::Statement(format!("ALTER TABLE {} {clause}", self.table)),
        );
        stages.push(Stage::transaction(vec![set, lock(drop, LockLevel::AccessExclusive)]));
        stages
    }
}
