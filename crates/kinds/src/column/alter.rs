//! Altering a column: the clauses, in the order in which PostgreSQL needs them.

use reconcile_catalog::Address;
use reconcile_sql::{LockLevel, QName, quote_ident};

use super::declare::changed_settings;
use super::identity::Counter;
use super::not_null::Nulls;
use super::{Column, fill, generated};
use crate::step::{Action, Refusal, Sql, Stage};
use crate::table::relation;
use crate::{Alteration, Cx};

/// What one alteration of a column takes.
pub(super) struct Steps<'a> {
    pub(super) change: &'a Alteration<'a>,
    pub(super) cx: &'a Cx<'a>,
    pub(super) live: &'a Column,
    pub(super) desired: &'a Column,
    pub(super) address: &'a Address,
    pub(super) table: QName,
    pub(super) column: String,
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
        let retyped = self.differs("type") || self.differs("collation");
        let identity = self.differs("identity");
        if retyped && self.follows_parent() {
            return Ok(Vec::new());
        }
        let unfilled = fill::is_marked(self.live);
        if retyped && unfilled {
            return Err(self.refuse(
                "it is new, and its rows do not all have their values yet: apply the model with its former type, and \
                 change that afterwards, or undo it with `reconcile rollback`",
            ));
        }
        if let Some(shadow) = self.cx.online.get(&self.change.live.address) {
            return self.online(shadow);
        }
        let mut stages = Vec::new();
        // An identity column has no default and no nulls: identity goes first and comes last.
        let counter = self.counter();
        if identity && self.desired.identity.is_none() {
            stages.push(counter.remove());
        }
        if self.differs("generated") {
            stages.push(generated::change(&self)?);
        }
        let takes_over = identity && counter.has_predecessor();
        if retyped {
            stages.push(self.retype()?);
        } else if self.differs("default")
            && !takes_over
            && !(unfilled && fill::is_said(self.desired))
        {
            stages.push(Stage::transaction(
                self.set_default(self.desired.default.as_deref(), &self.address.short()),
            ));
        }
        stages.extend(self.nulls()?);
        match (self.live.identity, self.desired.identity) {
            (None, Some(identity)) => stages.push(counter.add(identity)),
            (Some(live), Some(identity)) => {
                if live != identity {
                    stages.push(counter.change(identity));
                }
                stages.extend(counter.adjust(self.differs("sequence"), self.differs("counting")));
            }
            (_, None) => {}
        }
        stages.push(Stage::transaction(self.settings(retyped)));
        stages.retain(|stage| !stage.actions.is_empty());
        Ok(stages)
    }

    pub(super) fn differs(&self, property: &str) -> bool {
        self.change.of(property).is_some()
    }

    pub(super) fn counter(&self) -> Counter<'a> {
        let Self { live, desired, cx, address, .. } = self;
        Counter { address, live, desired, cx }
    }

    pub(super) fn refuse(&self, reason: impl Into<String>) -> Refusal {
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

    fn nulls(&self) -> Result<Vec<Stage>, Refusal> {
        let nulls = Nulls::of(self.address, self.cx).filled_by(self.live, self.desired)?;
        if self.differs("nullable") {
            return Ok(match self.desired.nullable {
                true => nulls.go_on(vec![nulls.allow()]),
                false => nulls.forbid(self.desired),
            });
        }
        let both = self.live.not_null.as_ref().zip(self.desired.not_null.as_ref());
        let words = ["not_null", "no_inherit", "not_null_validated"];
        Ok(match both.filter(|_| words.iter().any(|word| self.differs(word))) {
            Some((live, desired)) => nulls.change(live, desired, self.differs("not_null")),
            None => nulls.go_on(Vec::new()),
        })
    }

    /// How values are stored and sampled. ALTER TYPE resets storage and compression to those of
    /// the new type (`ATExecAlterColumnType`, `src/backend/commands/tablecmds.c`).
    fn settings(&self, retyped: bool) -> Vec<Action> {
        let mut wanted = self.live.clone();
        let desired = self.desired.clone();
        if self.differs("statistics") {
            wanted.statistics = desired.statistics;
        }
        if self.differs("storage") {
            wanted.storage = desired.storage;
        }
        if self.differs("compression") {
            wanted.compression = desired.compression;
        }
        if self.differs("options") {
            wanted.options = desired.options;
        }
        let mut from = self.live.clone();
        if retyped {
            from.storage.value = None;
            from.compression.value = None;
        }
        changed_settings(self.address, &self.table, &from, &wanted)
    }
}
