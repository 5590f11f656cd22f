//! The rows that were there before the trigger, whose second column an UPDATE in pieces writes.

use reconcile_sql::{LockLevel, quote_ident};

use super::super::alter::Steps;
use super::super::formula;
use super::Carry;
use super::triggers::{Firing, Occasion};
use crate::constraint::table_of;
use crate::online::Shadow;
use crate::replica_identity::ReplicaIdentity;
use crate::step::{Action, Fires, Pieces, Sql, Stage, Work};
use crate::trigger::Trigger;

impl Steps<'_> {
    /// Writes the second column of the rows that were there before the trigger.
    pub(super) fn carry_over(&self, shadow: &Shadow, forth: &Carry) -> Stage {
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
        let table = table_of(self.address);
        let firing = Firing::of(&table, self.cx);
        let undone = self.undone(&firing);
        let pieces = Pieces {
            relation: self.table.clone(),
            note: shadow.address.name().to_owned(),
            replica: firing.replica,
            // Nobody else changes the row that is written, so the trigger need not undo it.
            alone: firing.replica && firing.undone.is_empty(),
            full_identity: ReplicaIdentity::is_full(&table, self.cx),
            fires: self.fires(firing),
        };
        Stage::outside(Action {
            formulas: formula::formulas(self.address, self.live, self.desired, self.cx),
            preflights: self.unfit(),
            warnings: self.remarks().into_iter().chain(undone).collect(),
            pieces: Some(pieces),
            ..action
        })
    }

    /// What is said of the triggers whose changes to a row are undone.
    fn undone(&self, firing: &Firing<'_>) -> Option<String> {
        let triggers: Vec<String> =
            firing.undone.iter().map(|trigger| trigger.address.to_string()).collect();
        (!triggers.is_empty()).then(|| {
            format!(
                "{} would see a write of each row that is carried over ({}): what is done to the row there is \
                 undone, what is done elsewhere is not",
                triggers.join(", "),
                self.how_many_rows()
            )
        })
    }

    /// The triggers that fire for what nobody undoes, with how often.
    fn fires(&self, firing: Firing<'_>) -> Vec<Fires> {
        let fires = firing.beyond.into_iter().map(|trigger| Fires {
            trigger: trigger.address.clone(),
            when: match trigger.get::<Trigger>().map(Occasion::of) {
                Some(occasion) if occasion.statement => {
                    "once for every piece of the rows that are carried over".to_owned()
                }
                _ => format!("for every row that is carried over ({})", self.how_many_rows()),
            },
        });
        fires.collect()
    }

    fn how_many_rows(&self) -> String {
        let rows = self.cx.size(&self.table).map_or(-1.0, |size| size.rows);
        if rows < 0.0 { "all".to_owned() } else { format!("about {rows:.0}") }
    }
}
