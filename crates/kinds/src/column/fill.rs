//! Rows without a value get one: by the expression of the model before nulls are forbidden, and by the
//! default or the expression of a column that is new.
//!
//! Invariant: the catalog itself tells whether the rows of a new column have their values. Until then its
//! default is a marked one, which gives the same values: whoever goes on, in another process and without
//! any journal, finds the mark, fills what is left and sets the default that the model states.

use reconcile_catalog::Address;
use reconcile_sql::{LockLevel, QName, SqlType, in_default, quote_ident};

use super::online::rewritten;
use super::online::triggers::Firing;
use super::steps::{heirs, name_of};
use super::{Column, data, formula};
use crate::Cx;
use crate::constraint::table_of;
use crate::inheritance::Inheritance;
use crate::replica_identity::ReplicaIdentity;
use crate::step::{Action, Formula, Pieces, Preflight, Refusal, Sql, Stage, Work};
use crate::table::relation;
use crate::trigger::{Enabled, Trigger};

/// Up to this size of a table its rows are filled by one statement, which is what takes as long as a
/// client may be kept waiting anyway.
const AT_ONCE: u64 = 8 << 20;

/// The setting that marks a default. It is asked for by a function that is not IMMUTABLE, since the server
/// would fold a constant away when it compares two defaults.
const MARK: &str = "reconcile.filling";

/// A default that gives the same values and tells that there are rows without one.
fn marked(default: Option<&str>, ty: &SqlType) -> String {
    let value = default.map_or_else(|| format!("NULL::{ty}"), str::to_owned);
    // A literal alone would become text; everything else is assigned as it is.
    let never = if formula::is_untyped(&value) { format!("NULL::{ty}") } else { "NULL".to_owned() };
    format!("CASE WHEN current_setting('{MARK}', true) = 'never' THEN {never} ELSE {value} END")
}

/// Whether a column is new and has rows without the value that they shall have.
pub(super) fn is_marked(column: &Column) -> bool {
    let mark = format!("'{MARK}'");
    column.default.as_deref().is_some_and(|default| default.contains(&mark))
}

/// Whether a model says how rows that have no value get one.
pub(super) fn is_said(column: &Column) -> bool {
    column.using.is_some() || column.default.is_some()
}

/// How the rows of one column are filled.
pub(super) struct Fill {
    address: Address,
    table: QName,
    /// The children's tables, whose rows one statement fills too.
    heirs: Vec<QName>,
    sql: String,
    formulas: Vec<Formula>,
    large: bool,
    in_pieces: bool,
    /// Whether the pieces are written as a replica, so that nobody's triggers fire.
    replica: bool,
    full_identity: bool,
    /// Triggers that fire for each row that is filled.
    triggers: Vec<String>,
    /// A rule on UPDATE, which may rewrite the one that fills the rows.
    rule: Option<String>,
    /// Rows that would have no value even then.
    remains: Vec<Preflight>,
    /// What ends the filling of a new column: nothing for one that was there.
    finish: Option<Action>,
    /// Whether rows may go on without a value.
    nullable: bool,
}

impl Fill {
    /// For a column that is there. Nothing where the model does not say how, or where the expression is
    /// about a change of type.
    pub(super) fn of(
        address: &Address,
        live: &Column,
        desired: &Column,
        cx: &Cx<'_>,
    ) -> Option<Self> {
        if live.ty != desired.ty {
            return None;
        }
        if is_marked(live) {
            return Self::added(address, desired, cx);
        }
        let text = desired.using.as_ref().filter(|_| !desired.nullable)?;
        let (table, column) = (relation(address), quote_ident(address.name()));
        let remains = (!formula::mentions_new(text, cx)).then(|| {
            data::values_where(
                &table,
                "NULL",
                &format!("{column} IS NULL AND ({text}) IS NULL"),
                format!("{table}.{column} is null, and so is what `using:` gives"),
            )
        });
        let formulas = formula::formulas(address, live, desired, cx);
        let fill = Self::new(address, text, cx);
        Some(Self { formulas, remains: remains.into_iter().collect(), ..fill })
    }

    /// For a column that is new: by the expression of the model, or else by the default.
    pub(super) fn added(address: &Address, desired: &Column, cx: &Cx<'_>) -> Option<Self> {
        let value = desired.using.clone().or_else(|| desired.default.as_deref().map(in_default))?;
        let mut fill = Self::new(address, &value, cx);
        if fill.in_pieces {
            let firing = Firing::of(&table_of(address), cx);
            let quiet = firing.replica && firing.beyond.is_empty() && firing.undone.is_empty();
            fill.replica = quiet && !fill.triggers.is_empty();
        }
        if let Some(text) = &desired.using {
            fill.formulas = formula::formulas(address, desired, desired, cx);
            fill.formulas.retain(|formula| formula.key == formula::USING);
            // Of those that were there when it was half done, some have their values.
            let unfilled = format!("{} IS NULL", quote_ident(address.name()));
            let among = (!cx.is_new(address)).then_some(unfilled.as_str());
            fill.remains = formula::preflights(address, ("NULL", among), text, desired, cx);
        }
        fill.nullable = desired.nullable;
        let default = desired.default.as_deref();
        fill.finish = Some(set_default(
            address,
            default,
            format!(
                "have no row of {} wait for its value any more: {}",
                address.short(),
                default.map_or_else(
                    || "new ones have no default".to_owned(),
                    |default| format!("new ones default to {default}"),
                )
            ),
        ));
        Some(fill)
    }

    fn new(address: &Address, value: &str, cx: &Cx<'_>) -> Self {
        let (table, column) = (relation(address), quote_ident(address.name()));
        let mut heirs: Vec<QName> =
            heirs(address, cx).into_iter().map(|(o, _)| name_of(o)).collect();
        if heirs.is_empty() && cx.is_new(address) {
            heirs = below(&table, cx);
        }
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
        let mut rules = cx.facts.update_rules.get(&table).into_iter().flatten();
        let rule = rules.find(|(_, on)| **on != Enabled::Disabled).map(|(name, _)| name.clone());
        Self {
            sql: format!("UPDATE {only}{table} SET {column} = ({value}) WHERE {column} IS NULL"),
            formulas: Vec::new(),
            large,
            in_pieces: large && heirs.is_empty() && !cx.at_once,
            replica: false,
            full_identity: ReplicaIdentity::is_full(&own, cx),
            triggers: triggers.map(|o| o.address.name().to_owned()).collect(),
            rule,
            address: address.clone(),
            table,
            heirs,
            remains: Vec::new(),
            finish: None,
            nullable: false,
        }
    }

    /// Whether the column is new.
    pub(super) fn is_of_new(&self) -> bool {
        self.finish.is_some()
    }

    /// Whether no trigger and no rule sees that rows are filled.
    pub(super) fn is_unseen(&self) -> bool {
        (self.triggers.is_empty() || self.replica) && self.rule.is_none()
    }

    /// The same, if it can be relied on.
    ///
    /// # Errors
    /// If a rule may put something else in the place of the UPDATE.
    pub(super) fn reliable(self) -> Result<Self, Refusal> {
        match &self.rule {
            Some(rule) => Err(Refusal::new(&self.address, rewritten(rule))),
            None => Ok(self),
        }
    }

    /// The default of a new column while its rows are filled.
    pub(super) fn begin(address: &Address, desired: &Column) -> Action {
        let default = marked(desired.default.as_deref(), &desired.ty);
        let summary = match &desired.default {
            Some(default) => format!("let {} default to {default}", address.short()),
            None => format!("let {} be null in new rows", address.short()),
        };
        let summary = format!("{summary}, and say so that the other rows are still to be filled");
        set_default(address, Some(&default), summary)
    }

    fn action(&self, summary: String) -> Action {
        let update = Action::new(&self.address, summary, Sql::Statement(self.sql.clone()));
        let mut update = update.locking(self.table.clone(), LockLevel::RowExclusive);
        for heir in &self.heirs {
            update = update.locking(heir.clone(), LockLevel::RowExclusive);
        }
        if !self.is_of_new() {
            update.irreversible = Some("which rows had no value is not kept".to_owned());
        }
        update
    }

    fn firing(&self) -> String {
        format!(
            "triggers of {} fire for each row that is filled: {}",
            self.table,
            self.triggers.join(", ")
        )
    }

    /// Fills the rows that are there, in pieces where there are many.
    fn first(&self) -> Stage {
        let name = self.address.short();
        let mut update = self.action(format!("give {name} a value where it is null"));
        update.formulas.clone_from(&self.formulas);
        update.preflights.clone_from(&self.remains);
        if !self.is_unseen() {
            update.warnings.push(self.firing());
        }
        if self.nullable {
            update.warnings.push(format!(
                "a null that somebody writes into {name} before its rows are filled counts as no value"
            ));
        }
        if !self.heirs.is_empty() {
            update.warnings.push(format!(
                "one statement fills the rows of {} and of its children, and has them until it ends",
                self.table
            ));
        }
        if !self.in_pieces {
            if self.large {
                update.warnings.push(format!(
                    "rows of {} are written in one transaction: whoever writes one of them meanwhile waits until it is done",
                    self.table
                ));
            }
            let work = if self.is_of_new() { Work::Rewrite } else { Work::Scan };
            return Stage::transaction(vec![update.working(work(self.table.clone()))]);
        }
        let note = self.address.name().to_owned();
        let pieces = Some(Pieces {
            relation: self.table.clone(),
            note,
            replica: self.replica,
            alone: false,
            full_identity: self.full_identity,
            fires: Vec::new(),
        });
        let update = update.working(Work::Pieces(self.table.clone()));
        Stage::outside(Action { pieces, ..update })
    }

    /// Fills the rows that came, or went elsewhere in the table, while the others were filled.
    fn rest(&self) -> Stage {
        let summary = format!("do the same where {} was null meanwhile", self.address.short());
        let mut update = self.action(summary).working(Work::Scan(self.table.clone()));
        if self.replica {
            update.warnings.push(format!("{}, if it was written meanwhile", self.firing()));
        }
        Stage::transaction(vec![update])
    }

    /// Puts the filling around stages that forbid nulls, or that do nothing: so that nobody who writes a row
    /// without a value fails for it, and no row stays without one.
    pub(super) fn around(&self, mut stages: Vec<Stage>) -> Vec<Stage> {
        let proves = |stage: &Stage| {
            matches!(stage.place, crate::Place::With(_))
                || stage.actions.iter().any(|a| matches!(a.work, Work::Scan(_)))
        };
        let proven = stages.iter().position(proves);
        if self.is_of_new() || proven.is_some() {
            let at = proven.unwrap_or(stages.len());
            let finish = Stage::transaction(self.finish.iter().cloned().collect());
            stages.splice(at..at, [self.rest(), finish]);
        }
        stages.insert(0, self.first());
        stages.retain(|stage| !stage.actions.is_empty());
        stages
    }
}

fn set_default(address: &Address, default: Option<&str>, summary: String) -> Action {
    let (table, column) = (relation(address), quote_ident(address.name()));
    let what = match default {
        Some(default) => format!("SET DEFAULT {default}"),
        None => "DROP DEFAULT".to_owned(),
    };
    let sql = Sql::alter_table(&table, format!("ALTER COLUMN {column} {what}"));
    Action::new(address, summary, sql).locking(table, LockLevel::AccessExclusive)
}

/// The tables that have a table among their parents, or among those of their parents.
fn below(table: &QName, cx: &Cx<'_>) -> Vec<QName> {
    let mut out: Vec<QName> = Vec::new();
    let mut queue = vec![table.clone()];
    while let Some(parent) = queue.pop() {
        let child = |o: &reconcile_catalog::Object| {
            o.get::<Inheritance>().is_some_and(|i| i.parents.contains(&parent))
        };
        for name in cx.live.in_place().filter(|o| child(o)).map(name_of) {
            if !out.contains(&name) {
                out.push(name.clone());
                queue.push(name);
            }
        }
    }
    out.sort();
    out
}
