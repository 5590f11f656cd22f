//! Another type or collation for a column, and what has to move for it.

use reconcile_catalog::{Address, Object};
use reconcile_sql::{LockLevel, SqlType, quote_ident};

use super::alter::Steps;
use super::casts::{Conversion, using};
use super::steps::{convert, heirs, name_of, retyped_default};
use super::{Column, data, formula};
use crate::constraint::{Constraint, table_of};
use crate::step::{Action, Preflight, Refusal, Sql, Stage, Work};

/// Whether times without a zone become times with one, or lose it.
fn gains_zone(from: &SqlType, to: &SqlType) -> bool {
    let zone = |t: &SqlType| {
        let has = matches!(t.name.as_str(), "timestamptz" | "timetz");
        let may = has || matches!(t.name.as_str(), "timestamp" | "time" | "date");
        (may && t.namespace.is_none()).then_some(has)
    };
    zone(from).zip(zone(to)).is_some_and(|(from, to)| from != to)
}

impl Steps<'_> {
    pub(super) fn retype(&self) -> Result<Stage, Refusal> {
        if self.live.inherited {
            return Err(self.refuse(
                "its type comes from a parent table; change it there: PostgreSQL does not alter an inherited column",
            ));
        }
        let (from, to) = (&self.live.ty, &self.desired.ty);
        self.refuse_partition_key()?;
        self.refuse_two_parents()?;
        if let Some(reason) = formula::fault(self.address, self.desired, self.cx) {
            return Err(self.refuse(reason));
        }
        if self.live.generated.is_some() {
            return Err(self.refuse("the type of a generated column cannot be changed in place"));
        }
        let work = match convert(self.address, self.live, self.desired, self.cx) {
            _ if from == to => Work::Build(self.table.clone()),
            Conversion::Rewrite => Work::Rewrite(self.table.clone()),
            Conversion::Catalog => self.rebuilds(),
        };
        let mut clause = format!("TYPE {to}");
        // A COLLATE that is not restated is reset to the type's own.
        let collation = if self.differs("collation") { self.desired } else { self.live };
        let collatable = to.element().is_textual() || !to.is_built_in();
        if let Some(collation) = collation.collation.value.as_ref().filter(|_| collatable) {
            clause.push_str(&format!(" COLLATE {collation}"));
        }
        let asked = self.desired.using.as_ref().filter(|_| from != to);
        let using = match asked {
            Some(text) => Some(format!("({text})")),
            None => (from != to).then(|| using(self.address.name(), from, to)).flatten(),
        };
        if let Some(using) = &using {
            clause.push_str(&format!(" USING {using}"));
        }
        let mut retype = self
            .clause(&clause, format!("change {} from {from} to {to}", self.address.short()))
            .working(work.clone());
        for (child, _) in heirs(self.address, self.cx) {
            retype = retype.locking(name_of(child), LockLevel::AccessExclusive);
        }
        retype.formulas = formula::formulas(self.address, self.live, self.desired, self.cx);
        retype.preflights = self.unfit();
        retype.warnings.extend(self.remarks());
        if let (Some(_), Work::Rewrite(_)) = (asked, &work) {
            // The values are others afterwards.
        } else if matches!(work, Work::Rewrite(_)) {
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
        // A literal in it has the type's name, which a fresh column's has too.
        let renewed = from.name != to.name || from.namespace != to.namespace || using.is_some();
        let taken_away = renewed && self.any_default();
        if taken_away {
            actions.push(self.clause(
                "DROP DEFAULT",
                format!("take the default of {} away", self.address.short()),
            ));
        }
        actions.push(retype);
        match &self.desired.default {
            Some(default) if renewed || self.change.of("default").is_some() => {
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

    /// Questions to the rows: what does not become a value of the new type.
    pub(super) fn unfit(&self) -> Vec<Preflight> {
        let (from, to) = (&self.live.ty, &self.desired.ty);
        match &self.desired.using {
            Some(text) => {
                let value = quote_ident(self.address.name());
                formula::preflights(self.address, (&value, None), text, self.desired, self.cx)
            }
            None => data::unfit(self.address, from, to, self.cx).into_iter().collect(),
        }
    }

    /// What a person should know of how the values are converted.
    pub(super) fn remarks(&self) -> Vec<String> {
        let (from, to) = (&self.live.ty, &self.desired.ty);
        let name = quote_ident(self.address.name());
        let Column { using, back, .. } = self.desired;
        let mut out = Vec::new();
        if using.is_none() && gains_zone(from, to) {
            let moment = matches!(from.name.as_str(), "timestamp" | "timestamptz");
            let how = format!(
                "; if they are those of another place, say so: `using: {name} AT TIME ZONE 'Europe/Vienna'`"
            );
            let how = if moment { how } else { String::new() };
            out.push(format!("its times are taken as UTC{how}"));
        }
        if using.is_some() && back.is_none() {
            out.push(
                "`using:` says how its values are converted, and no `back:` how they come back: `rollback` gives the \
                 old type what there is by then"
                    .to_owned(),
            );
        }
        out
    }

    /// PostgreSQL does not alter a column that a partition key reads, here or in a partition that
    /// is partitioned itself.
    pub(super) fn refuse_partition_key(&self) -> Result<(), Refusal> {
        let mine = [self.address.clone()];
        let heirs = heirs(self.address, self.cx).into_iter().map(|(o, _)| o.address.clone());
        for column in heirs.chain(mine) {
            if let Some(key) = crate::table::key_with(&column, self.cx) {
                return Err(self.refuse(format!(
                    "{} is partitioned by {key}, and PostgreSQL does not alter the type of a partition key; make a \
                     new partitioned table and move the rows",
                    table_of(&column)
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
}
