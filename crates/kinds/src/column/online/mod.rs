//! Another type for a column while others read and write it.
//!
//! The steps, each of which can be interrupted and done again: a second column and the trigger that keeps
//! it in step (one transaction), the rows in pieces, the twins of indexes, what is demanded of the second
//! column (NOT NULL, checks, that it agrees with the first one: [`agree`]), one proof of all that beside
//! writers, and the change of names ([`swap`]). What is there already is not made again. A second column
//! that is known to be in step ([`in_step`]) changes names at once: the way back.

mod agree;
mod carry;
mod in_step;
mod loss;
mod reasons;
mod rows;
mod swap;
pub(super) mod triggers;

use reconcile_catalog::Object;
use reconcile_sql::{LockLevel, QName, SqlType, quote_ident, quote_literal};

use super::alter::Steps;
use super::declare::{settings, without_values};
use super::not_null::{Forbidding, Nulls};
use super::{Column, NotNull};
use crate::constraint::table_of;
use crate::function::Function;
use crate::online::{Doubling, Shadow, Twin};
use crate::owner::Owner;
use crate::step::{Action, Pieces, Refusal, Sql, Stage};
use crate::trigger::{Enabled, Trigger};

use carry::{Carry, Helper, ways};
pub use in_step::finish;
pub(crate) use in_step::in_step;
pub(crate) use loss::{Loss, loss_of_the_way_back};
pub(super) use reasons::{rewritten, shadow};
pub(crate) use swap::SWAPPED;

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
                "the trigger of an online change of it is gone, and its second column has missed writes; end the change \
                 with `reconcile abort`, or with `reconcile contract` once the columns have changed names",
            ));
        }
        let trigger = self.cx.afoot.definition::<Trigger>(&shadow.trigger_address());
        if trigger.is_some_and(|trigger| trigger.enabled != Enabled::Always) {
            return Err(self.refuse(format!(
                "the trigger {} was disabled, and its second column has missed writes; end the change with \
                 `reconcile abort`, or with `reconcile contract` once the columns have changed names",
                shadow.trigger()
            )));
        }
        let (forth, back) = ways(shadow, self.live, self.desired, self.cx);
        if let Some(in_step) = in_step(shadow, self.cx) {
            return Ok(self.at_once(shadow, &second, &back, twins, &in_step));
        }
        let mut stages = Vec::new();
        match there {
            None => stages.push(Stage::transaction(self.expand(shadow, &second, &forth, &back))),
            Some(_) => self.goes_on(shadow, &forth)?,
        }
        stages.push(self.carry_over(shadow, &forth));
        let mut twins: Vec<Twin> = twins.into_iter().map(|(_, twin)| twin).collect();
        stages.extend(twins.iter_mut().flat_map(|twin| std::mem::take(&mut twin.prepare)));
        stages.extend(self.lost(shadow));
        let vacuum = Sql::Statement(format!("VACUUM (ANALYZE, TRUNCATE false) {}", self.table));
        let summary = format!("clean up behind the rows of {}, and sample them", self.table.name);
        stages.push(Stage::outside(
            Action::new(&shadow.address, summary, vacuum)
                .locking(self.table.clone(), LockLevel::ShareUpdateExclusive),
        ));
        stages.extend(self.proven(shadow, &second, there, &forth, &mut twins));
        stages.extend(twins.iter_mut().flat_map(|twin| std::mem::take(&mut twin.late)));
        let (mut before, after) = around(twins);
        before.push(self.drop_proof(shadow));
        before.extend(self.lend(shadow, &forth, false));
        stages.push(self.swap(shadow, &back, before, after));
        Ok(stages)
    }

    /// What is demanded of the second column, all of it at once, and one scan that proves it.
    fn proven(
        &self,
        shadow: &Shadow,
        second: &Column,
        there: Option<&Column>,
        forth: &Carry,
        twins: &mut [Twin],
    ) -> Vec<Stage> {
        let nulls = self.without_nulls(shadow, second, there);
        let (agree, agreed) = self.agreement(shadow, forth);
        let (mut demand, mut prove) = (Vec::new(), Vec::new());
        demand.extend(nulls.demand);
        prove.extend(nulls.prove);
        for twin in twins {
            demand.append(&mut twin.demand);
            prove.append(&mut twin.prove);
        }
        if agree.is_some() {
            demand.splice(0..0, self.lend(shadow, forth, true));
        }
        demand.extend(agree);
        prove.extend(agreed);
        [demand, prove, nulls.settle].into_iter().map(Stage::transaction).collect()
    }

    /// What is under way converts values as it was begun with.
    fn goes_on(&self, shadow: &Shadow, forth: &Carry) -> Result<(), Refusal> {
        let mut functions = self.cx.afoot.objects().filter(|o| shadow.is_function(&o.address));
        let body = functions.find_map(|o| o.get::<Function>()).map(|f| f.body.as_str());
        if body.is_none_or(|body| forth.is_of(body, shadow)) {
            return Ok(());
        }
        Err(self.refuse(
            "the online change of it that is under way was begun with another `using:`; put that back, or end it \
             with `reconcile abort`, or with `reconcile contract` once the columns have changed names",
        ))
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
    fn expand(&self, shadow: &Shadow, second: &Column, forth: &Carry, back: &Carry) -> Vec<Action> {
        let clause = format!("ADD COLUMN {}", without_values(&shadow.address, second));
        let add = Action::new(
            &shadow.address,
            format!("add a second column for {}", self.address.short()),
            Sql::alter_table(&self.table, clause),
        )
        .locking(self.table.clone(), LockLevel::AccessExclusive);
        let mut actions = vec![add];
        actions.extend(settings(&shadow.address, &self.table, second));
        // The way back is made too, because nothing else tells whether PostgreSQL understands it.
        for way in [forth, back] {
            actions.extend(self.helper(shadow, way));
        }
        let function = self.function(shadow);
        let body = forth.function(&function, shadow, "");
        let summary = format!("make the function that keeps {} in step", shadow.address.name());
        actions.push(Action::new(&shadow.address, summary, Sql::Statement(body)));
        let kept = self.keep(shadow, &format!("{function}()"));
        let trigger = quote_ident(&shadow.trigger());
        let summary = format!("let every write of {} write it too", self.table.name);
        actions.push(self.act(
            shadow,
            summary,
            format!(
                "CREATE TRIGGER {trigger} BEFORE INSERT OR UPDATE ON {} FOR EACH ROW \
                 WHEN (current_setting('reconcile.backfill', true) IS DISTINCT FROM {}) EXECUTE FUNCTION {function}()",
                self.table,
                quote_literal(&Pieces::alone(shadow.address.name()))
            ),
        ));
        let summary = "let it fire in replicas and restored sessions too".to_owned();
        let always = format!("ALTER TABLE {} ENABLE ALWAYS TRIGGER {trigger}", self.table);
        actions.push(self.act(shadow, summary, always));
        let address = Trigger::address(&table_of(self.address), &shadow.trigger());
        for action in actions.iter_mut().rev().take(2) {
            action.address = address.clone();
        }
        // Whoever makes a trigger needs the right to use its function.
        actions.extend(kept);
        actions
    }

    /// The function that computes a value, which nobody calls but the trigger, and for a while the proof.
    fn helper(&self, shadow: &Shadow, way: &Carry) -> Vec<Action> {
        let Some(Helper { name, signature, sql }) = &way.helper else { return Vec::new() };
        let summary = format!("make the function {} that computes a value", name.name);
        let make = Action::new(&shadow.address, summary, Sql::Statement(sql.clone()));
        [make].into_iter().chain(self.keep(shadow, signature)).collect()
    }

    /// Nobody else may use a function of ours, which acts with the rights of its owner; nor has whoever owns the
    /// table more rights by it than he has. Firing a trigger takes no right on its function.
    fn keep(&self, shadow: &Shadow, signature: &str) -> Vec<Action> {
        let others = self.cx.facts.default_grantees.iter();
        let others =
            others.filter(|role| *role != "public" && **role != self.cx.facts.current_role);
        let from: Vec<String> = others.map(|role| quote_ident(role)).collect();
        let from = [&["PUBLIC".to_owned()][..], &from].concat().join(", ");
        let act = |summary: &str, sql: String| {
            Action::new(&shadow.address, summary.to_owned(), Sql::Statement(sql))
        };
        let revoke = format!("REVOKE ALL ON FUNCTION {signature} FROM {from}");
        let mut actions = vec![act("let nobody else use it", revoke)];
        let owner = Owner::address(&table_of(self.address));
        let owner = self.cx.live.definition::<Owner>(&owner).map(|owner| &owner.role);
        let other = owner.filter(|role| **role != self.cx.facts.current_role);
        if let Some(role) = other.filter(|_| self.cx.facts.may_be_replica) {
            let give = format!("ALTER FUNCTION {signature} OWNER TO {}", quote_ident(role));
            actions.push(act("give it to whoever has the table", give));
        }
        actions
    }

    /// From 18 on a NOT NULL that is not proven yet is there as well.
    fn without_nulls(
        &self,
        shadow: &Shadow,
        second: &Column,
        there: Option<&Column>,
    ) -> Forbidding {
        if second.nullable {
            return Forbidding::default();
        }
        let proof = proof_of_nulls(shadow, &self.desired.ty);
        let nulls = Nulls::of(&shadow.address, self.cx).filled().proven_by(proof);
        let Some(there) = there.filter(|there| !there.nullable) else {
            return nulls.forbidding(second);
        };
        let unproven = there.not_null.as_ref().filter(|not_null| !not_null.validated);
        let prove = unproven.map(|not_null| nulls.validate(&not_null.name.value));
        Forbidding { prove, ..Forbidding::default() }
    }
}

/// The name of the CHECK that a column of a type has no nulls: each of the two columns has its own.
fn proof_of_nulls(shadow: &Shadow, ty: &SqlType) -> String {
    shadow.twin(&format!("{}_full_{ty}", shadow.column.name()))
}

/// What twins take before and after the columns change names. Who refers to a key goes before it and
/// comes after it.
fn around(twins: Vec<Twin>) -> (Vec<Action>, Vec<Action>) {
    let (refer, mut other): (Vec<_>, Vec<_>) = twins.into_iter().partition(|twin| twin.refers);
    // Who reads it goes first of all: a query may need a key.
    other.sort_by_key(|twin| !twin.replaces);
    let (mut before, mut after) = (Vec::new(), Vec::new());
    before.extend(refer.iter().flat_map(|twin| twin.before.iter().cloned()));
    for twin in other {
        before.extend(twin.before);
        after.extend(twin.after);
    }
    after.extend(refer.into_iter().flat_map(|twin| twin.after));
    (before, after)
}

/// An object as a column, if it is one.
fn column(object: &Object) -> Option<&Column> {
    object.get::<Column>()
}
