//! Another type for a column while others read and write it.
//!
//! The steps, each of which can be interrupted and done again: a second column and the trigger that keeps
//! it in step (one transaction), the rows in pieces, what has to be true of the second column (NOT NULL,
//! the twins), the proof that it is the same everywhere (a CHECK that is validated beside writers), and
//! the change of names. What is there already is not made again.

mod carry;
mod reasons;

use reconcile_catalog::Object;
use reconcile_sql::{LockLevel, QName, quote_ident, quote_literal};

use super::alter::Steps;
use super::declare::{counting, identity_clause, settings, without_values};
use super::not_null::Nulls;
use super::{Column, NotNull, data};
use crate::constraint::{Constraint, table_of};
use crate::online::{Doubling, Shadow};
use crate::step::{Action, Pieces, Refusal, Sql, Stage, Work};
use crate::trigger::Trigger;

use carry::Carry;
pub(super) use reasons::shadow;

/// Stands in the trigger's function from the change of names on.
pub(crate) const SWAPPED: &str = "-- the columns have changed names";

impl Steps<'_> {
    /// The stages of a change that has a shadow.
    pub(super) fn online(&self, shadow: &Shadow) -> Result<Vec<Stage>, Refusal> {
        let twins = Doubling::twins(shadow, self.cx)?;
        let second = self.second(shadow);
        let there = self.cx.afoot.definition::<Column>(&shadow.address);
        if let Some(there) = there.filter(|there| there.ty != second.ty) {
            return Err(self.refuse(format!(
                "an online change of it to or from {} is under way; end it with `reconcile abort`, or with \
                 `reconcile contract` once the columns have changed names",
                there.ty
            )));
        }
        if there.is_some() && !self.cx.afoot.contains(&shadow.trigger_address()) {
            return Err(self.refuse(
                "an online change of it was given up half way; end that with `reconcile abort` first",
            ));
        }
        let forth = Carry::new(self.address.name(), &self.live.ty, &self.desired.ty, self.cx);
        let mut stages = Vec::new();
        if there.is_none() {
            stages.push(Stage::transaction(self.expand(shadow, &second, &forth)));
        }
        stages.push(self.carry_over(shadow, &forth));
        if !second.nullable {
            stages.extend(self.without_nulls(shadow, &second, there));
        }
        let (mut before, mut after) = (Vec::new(), Vec::new());
        // Who refers to a key goes before it and comes after it.
        let (refer, other): (Vec<_>, Vec<_>) =
            twins.into_iter().map(|(_, twin)| twin).partition(|twin| !twin.finish.is_empty());
        for twin in &refer {
            before.extend(twin.before.iter().cloned());
        }
        for twin in other {
            stages.extend(twin.prepare);
            before.extend(twin.before);
            after.extend(twin.after);
        }
        after.extend(refer.into_iter().flat_map(|twin| twin.after));
        let vacuum = Sql::Statement(format!("VACUUM (ANALYZE, TRUNCATE false) {}", self.table));
        let summary = format!("clean up behind the rows of {}, and sample them", self.table.name);
        stages.push(Stage::outside(
            Action::new(&shadow.address, summary, vacuum)
                .locking(self.table.clone(), LockLevel::ShareUpdateExclusive),
        ));
        stages.extend(self.proof(shadow, &forth));
        stages.push(self.swap(shadow, before, after));
        Ok(stages)
    }

    /// The second column as it is made: nullable, without values of its own.
    fn second(&self, shadow: &Shadow) -> Column {
        let mut second = self.desired.clone();
        if !self.differs("collation") {
            second.collation = self.live.collation.clone();
        }
        let tuned = [("statistics", 0), ("storage", 1), ("compression", 2), ("options", 3)];
        for (property, which) in tuned {
            if self.differs(property) {
                continue;
            }
            match which {
                0 => second.statistics = self.live.statistics.clone(),
                1 => second.storage = super::Tuned::silent(None),
                2 => second.compression = self.live.compression.clone(),
                _ => second.options = self.live.options.clone(),
            }
        }
        let name = shadow.twin(&NotNull::usual_name(self.address));
        if let Some(not_null) = &mut second.not_null {
            not_null.name = super::Tuned::silent(name);
        } else if !second.nullable {
            let name = super::Tuned::silent(name);
            second.not_null = Some(NotNull { name, no_inherit: false, validated: true });
        }
        second
    }

    fn function(&self, shadow: &Shadow) -> QName {
        QName::new(&self.table.namespace, shadow.function())
    }

    fn act(&self, shadow: &Shadow, summary: String, sql: String) -> Action {
        Action::new(&shadow.address, summary, Sql::Statement(sql))
            .locking(self.table.clone(), LockLevel::AccessExclusive)
    }

    /// The second column, and the trigger that writes it. The lock waits for every writer that does not know
    /// the trigger yet, so that no row is missed.
    fn expand(&self, shadow: &Shadow, second: &Column, forth: &Carry) -> Vec<Action> {
        let clause = format!("ADD COLUMN {}", without_values(&shadow.address, second));
        let add = Action::new(
            &shadow.address,
            format!("add a second column for {}", self.address.short()),
            Sql::alter_table(&self.table, clause),
        )
        .locking(self.table.clone(), LockLevel::AccessExclusive);
        let mut actions = vec![add];
        actions.extend(settings(&shadow.address, &self.table, second));
        let function = self.function(shadow);
        let body = forth.function(&function, shadow, "");
        let summary = format!("make the function that keeps {} in step", shadow.address.name());
        actions.push(Action::new(&shadow.address, summary, Sql::Statement(body)));
        let trigger = quote_ident(&shadow.trigger());
        let summary = format!("let every write of {} write it too", self.table.name);
        actions.push(self.act(
            shadow,
            summary,
            format!(
                "CREATE TRIGGER {trigger} BEFORE INSERT OR UPDATE ON {} FOR EACH ROW EXECUTE FUNCTION {function}()",
                self.table
            ),
        ));
        let summary = "let it fire in replicas and restored sessions too".to_owned();
        let always = format!("ALTER TABLE {} ENABLE ALWAYS TRIGGER {trigger}", self.table);
        actions.push(self.act(shadow, summary, always));
        let address = Trigger::address(&table_of(self.address), &shadow.trigger());
        for action in actions.iter_mut().rev().take(2) {
            action.address = address.clone();
        }
        actions
    }

    /// Writes the second column of the rows that were there before the trigger.
    fn carry_over(&self, shadow: &Shadow, forth: &Carry) -> Stage {
        let second = quote_ident(shadow.address.name());
        let sql = format!(
            "UPDATE ONLY {} SET {second} = {} WHERE {}",
            self.table,
            forth.value,
            forth.differs(&second)
        );
        let summary = format!(
            "carry the values of {} over, in pieces that nobody waits for",
            self.address.short()
        );
        let action = Action::new(&shadow.address, summary, Sql::Statement(sql))
            .locking(self.table.clone(), LockLevel::RowExclusive)
            .working(Work::Pieces(self.table.clone()));
        let unfit = data::unfit(self.address, &self.live.ty, &self.desired.ty, self.cx);
        Stage::outside(Action {
            preflights: unfit.into_iter().collect(),
            pieces: Some(Pieces {
                relation: self.table.clone(),
                note: shadow.address.name().to_owned(),
            }),
            ..action
        })
    }

    /// From 18 on a NOT NULL that is not proven yet is there as well.
    fn without_nulls(
        &self,
        shadow: &Shadow,
        second: &Column,
        there: Option<&Column>,
    ) -> Vec<Stage> {
        let proof = shadow.twin(&format!("{}_proof", self.address.name()));
        let nulls = Nulls::of(&shadow.address, self.cx).filled().proven_by(proof);
        let Some(there) = there.filter(|there| !there.nullable) else {
            return nulls.forbid(second);
        };
        let both = there.not_null.as_ref().zip(second.not_null.as_ref());
        both.map_or_else(Vec::new, |(live, wanted)| nulls.change(live, wanted, false))
    }

    /// A CHECK that every row has the same in both columns, validated beside writers.
    fn proof(&self, shadow: &Shadow, forth: &Carry) -> Vec<Stage> {
        let name = shadow.agreement();
        let table = table_of(self.address);
        let there = self.cx.afoot.definition::<Constraint>(&Constraint::address(&table, &name));
        let sql = quote_ident(&name);
        let mut stages = Vec::new();
        if there.is_none() {
            let second = quote_ident(shadow.address.name());
            let clause =
                format!("ADD CONSTRAINT {sql} CHECK (NOT ({})) NOT VALID", forth.differs(&second));
            let summary = format!("demand that both columns of {} agree", self.address.short());
            let add = Action::new(&shadow.address, summary, Sql::alter_table(&self.table, clause));
            stages.push(Stage::transaction(vec![
                add.locking(self.table.clone(), LockLevel::AccessExclusive),
            ]));
        }
        if there.is_none_or(|c| !c.validated) {
            let clause = format!("VALIDATE CONSTRAINT {sql}");
            let summary = format!("prove that every row of {} agrees", self.table.name);
            let prove =
                Action::new(&shadow.address, summary, Sql::alter_table(&self.table, clause));
            stages.push(Stage::transaction(vec![
                prove
                    .locking(self.table.clone(), LockLevel::ShareUpdateExclusive)
                    .working(Work::Scan(self.table.clone())),
            ]));
        }
        stages
    }

    /// The columns change names, and so do their twins; nothing in it depends on how many rows there are.
    fn swap(&self, shadow: &Shadow, before: Vec<Action>, after: Vec<Action>) -> Stage {
        let (first, second) = (self.column.clone(), quote_ident(shadow.address.name()));
        let spare = quote_ident(&shadow.twin(&format!("{}_spare", self.address.name())));
        let mut actions = before;
        let same = format!("DROP CONSTRAINT {}", quote_ident(&shadow.agreement()));
        let summary = "drop the proof, which the change of names needs no more".to_owned();
        actions.push(
            Action::new(
                self.address,
                summary,
                Sql::Statement(format!("ALTER TABLE {} {same}", self.table)),
            )
            .locking(self.table.clone(), LockLevel::AccessExclusive),
        );
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
        let back = Carry::new(self.address.name(), &self.desired.ty, &self.live.ty, self.cx);
        let function = self.function(shadow);
        let summary = format!("let every write of {name} write the old column too");
        let body = back.function(&function, shadow, SWAPPED);
        actions.push(Action::new(self.address, summary, Sql::Statement(body)));
        actions.extend(after);
        Stage::with(&table_of(self.address), actions)
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
        column.sequence = Some(super::Tuned::stated(spare.clone()));
        if !self.differs("counting") {
            let carried = counting(self.live).carried(&self.live.ty, &self.desired.ty);
            column.counting = Some(super::Tuned::stated(carried));
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
        let wanted =
            self.desired.not_null.as_ref().or(self.live.not_null.as_ref()).unwrap_or(&usual);
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

/// An object as a column, if it is one.
fn column(object: &Object) -> Option<&Column> {
    object.get::<Column>()
}
