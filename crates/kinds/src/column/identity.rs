//! Identity: added, removed and changed without losing the place of the counter.

use reconcile_catalog::Address;
use reconcile_sql::ident::fit;
use reconcile_sql::{LockLevel, QName, quote_ident, quote_literal};

use super::declare::{counting, identity_clause};
use super::{Column, Identity};
use crate::Cx;
use crate::constraint::table_of;
use crate::owned_by;
use crate::sequence::recount::{Manner, recount};
use crate::sequence::{self, Sequence};
use crate::step::{Action, Sql, Stage, Work};
use crate::table::relation;

/// What is added to the name of a sequence while its successor takes over.
pub(crate) const PREDECESSOR: &str = "_rc_old";

/// The identity of one column.
pub(super) struct Counter<'a> {
    pub(super) address: &'a Address,
    pub(super) live: &'a Column,
    pub(super) desired: &'a Column,
    pub(super) cx: &'a Cx<'a>,
}

impl Counter<'_> {
    fn table(&self) -> QName {
        relation(self.address)
    }

    fn clause(&self, clause: &str, summary: String) -> Action {
        let table = self.table();
        let column = quote_ident(self.address.name());
        let sql = Sql::alter_table(&table, format!("ALTER COLUMN {column} {clause}"));
        Action::new(self.address, summary, sql).locking(table, LockLevel::AccessExclusive)
    }

    /// The sequence that a serial column counts with and that goes with this plan.
    fn predecessor(&self) -> Option<QName> {
        let of_its_own = owned_by::sequence_of(self.address, self.cx.live)?;
        let gone = sequence::goes(&of_its_own, self.cx);
        let used = self.cx.live.get(self.address)?.depends_on.contains(&of_its_own);
        (gone && used).then(|| relation(&of_its_own))
    }

    /// Whether another sequence's place is taken over.
    pub(super) fn has_predecessor(&self) -> bool {
        self.predecessor().is_some()
    }

    /// The column gets a counter.
    pub(super) fn add(&self, identity: Identity) -> Stage {
        let name = self.address.short();
        let add = self.clause(
            &format!("ADD {}", identity_clause(self.address, self.desired, identity)),
            format!("make {name} an identity column"),
        );
        let Some(old) = self.predecessor() else {
            return Stage::transaction(vec![add, self.after_largest()]);
        };
        let statement = |summary: String, sql: String| {
            Action::new(self.address, summary, Sql::Statement(sql))
                .locking(old.clone(), LockLevel::AccessExclusive)
        };
        let aside = QName::new(&old.namespace, fit(&old.name, PREDECESSOR));
        let set = self.setval(&format!("s.last_value, s.is_called) FROM {aside} AS s"));
        Stage::with(
            &table_of(self.address),
            vec![
                self.clause("DROP DEFAULT", format!("take the default of {name} away")),
                statement(
                    format!("make way for the identity's sequence: rename {old} to {}", aside.name),
                    format!("ALTER SEQUENCE {old} RENAME TO {}", quote_ident(&aside.name)),
                ),
                add,
                Action::new(
                    self.address,
                    format!("let {name} go on where {old} stands"),
                    Sql::Statement(set),
                )
                .locking(self.table(), LockLevel::AccessExclusive),
                statement(
                    format!("drop sequence {old}, whose place the identity has taken"),
                    format!("DROP SEQUENCE {aside}"),
                ),
            ],
        )
    }

    /// The new sequence starts at 1, whatever the rows hold.
    pub(super) fn after_largest(&self) -> Action {
        let column = quote_ident(self.address.name());
        let table = self.table();
        let options = counting(self.desired);
        let (start, step) = (options.start, options.increment);
        let best = if step < 0 {
            format!("least(coalesce(min({column}) + {step}, {start}), {start})")
        } else if options == sequence::Counting::usual(&self.desired.ty, 1) {
            format!("coalesce(max({column}), 0) + 1")
        } else {
            format!("greatest(coalesce(max({column}) + {step}, {start}), {start})")
        };
        let sql = self.setval(&format!("{best}, false) FROM {table}"));
        let summary = format!("let {} go on after its largest value", self.address.short());
        Action::new(self.address, summary, Sql::Statement(sql))
            .locking(table.clone(), LockLevel::AccessExclusive)
            .working(Work::Scan(table))
    }

    /// A serial column has an older sequence of its own: pg_get_serial_sequence names that.
    fn setval(&self, rest: &str) -> String {
        format!(
            "SELECT setval((SELECT d.objid::regclass FROM pg_depend d JOIN pg_attribute a \
             ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid \
             WHERE d.classid = 'pg_class'::regclass AND d.deptype = 'i' \
             AND d.refobjid = {}::regclass AND a.attname = {}), \
             {rest}",
            quote_literal(&self.table().to_string()),
            quote_literal(self.address.name()),
        )
    }

    /// The column loses its counter; a sequence that takes over has its place already.
    pub(super) fn remove(&self) -> Stage {
        let summary = format!("make {} a plain column", self.address.short());
        let actions = vec![self.clause("DROP IDENTITY", summary)];
        let heir = owned_by::sequence_of(self.address, self.cx.desired);
        match heir.filter(|heir| self.cx.is_new(heir)) {
            Some(_) => Stage::with(&table_of(self.address), actions),
            None => Stage::transaction(actions),
        }
    }

    /// ALWAYS or BY DEFAULT.
    pub(super) fn change(&self, identity: Identity) -> Stage {
        let words = identity.sql().trim_end_matches(" AS IDENTITY");
        let summary = format!("let {} be {}", self.address.short(), words.to_lowercase());
        Stage::transaction(vec![self.clause(&format!("SET {words}"), summary)])
    }

    /// The sequence behind it, in place: another name, another manner of counting.
    pub(super) fn adjust(&self, renamed: bool, recounted: bool) -> Vec<Stage> {
        let Some(there) = self.live.sequence.as_ref().map(|s| &s.value) else { return Vec::new() };
        let mut out = Vec::new();
        if recounted {
            // Changing the type of the column has carried the bounds along.
            let from = counting(self.live).carried(&self.live.ty, &self.desired.ty);
            let manner = |counting| Manner { ty: &self.desired.ty, counting };
            out.push(recount(self.address, there, manner(from), manner(counting(self.desired))));
        }
        let name = self.desired.sequence.as_ref().map(|s| &s.value).filter(|_| renamed);
        if let Some(name) = name {
            let sql = format!("ALTER SEQUENCE {there} RENAME TO {}", quote_ident(&name.name));
            let summary = format!("rename the sequence of {} to {name}", self.address.short());
            let rename = Action::new(self.address, summary, Sql::Statement(sql))
                .locking(there.clone(), LockLevel::AccessExclusive);
            out.push(Stage::transaction(vec![rename]));
        }
        out
    }
}

/// For a sequence that takes over from an identity: the column and the sequence behind it.
pub(crate) fn succeeded<'a>(sequence: &Address, cx: &Cx<'a>) -> Option<(Address, &'a QName)> {
    let column = owned_by::column_of(sequence, cx.desired)?;
    let live = cx.live.definition::<Column>(&column)?;
    let stays = cx.desired.definition::<Column>(&column).is_some_and(|c| c.identity.is_some());
    let counter = live.sequence.as_ref().filter(|_| live.identity.is_some() && !stays)?;
    cx.desired.definition::<Sequence>(sequence)?;
    Some((column, &counter.value))
}
