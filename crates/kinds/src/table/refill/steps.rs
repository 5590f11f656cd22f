//! Rows put aside, and rows put back.

use reconcile_catalog::Address;
use reconcile_sql::ident::fit;
use reconcile_sql::{LockLevel, QName, quote_ident};

use super::{Refilling, partitions};
use crate::Cx;
use crate::column::refill as values;
use crate::inheritance;
use crate::step::{Action, Guard, Proof, Refusal, RelationLock, Sql, Work};
use crate::table::{Table, partition_key, relation};

/// What is added to the name of a table for the rows that wait for its successor.
const ROWS: &str = "_rc_rows";

/// The same for those of partitions that go.
const LEFT: &str = "_rc_left";

/// The same for a partition that takes what no other one does.
const REST: &str = "_rc_rest";

impl Refilling {
    fn aside(&self, added: &str) -> QName {
        let name = relation(&self.live);
        QName::new(&name.namespace, fit(&name.name, added))
    }

    /// Puts the rows aside and drops the table with its partitions.
    ///
    /// # Errors
    /// If a value cannot go over.
    pub fn save(&self, cx: &Cx<'_>) -> Result<Vec<Action>, Refusal> {
        let name = relation(&self.live);
        let kept = values::kept(&self.live, &self.desired, cx)?;
        let list: Vec<String> = kept.iter().map(values::Kept::saved).collect();
        let list = list.join(", ");
        let statement =
            |summary: String, sql: String| Action::new(&self.live, summary, Sql::Statement(sql));
        let short = self.live.short();
        let parts = [(ROWS, &self.sources), (LEFT, &self.shed)];
        let mut actions = Vec::new();
        for table in &self.gone {
            let forced = cx.live.definition::<Table>(table).and_then(|t| t.force_row_security);
            if forced == Some(true) {
                let sql = format!("ALTER TABLE {} NO FORCE ROW LEVEL SECURITY", relation(table));
                actions.push(statement(format!("see all rows of {}", table.short()), sql));
            }
        }
        for (added, sources) in parts.into_iter().filter(|(_, s)| !s.is_empty()) {
            let rows = self.aside(added);
            actions.push(statement(
                format!("make room for the rows of {short}, which is made anew"),
                format!("CREATE UNLOGGED TABLE {rows} AS SELECT {list} FROM {name} WITH NO DATA"),
            ));
            for source in sources {
                let from = relation(source);
                let sql = format!("INSERT INTO {rows} SELECT {list} FROM ONLY {from}");
                let put = statement(format!("put the rows of {} aside", source.short()), sql);
                actions.push(put.working(Work::Rewrite(from)));
            }
        }
        if let Some(first) = actions.first_mut() {
            let locks = self.gone.iter().map(|table| RelationLock {
                relation: relation(table),
                level: LockLevel::AccessExclusive,
            });
            first.locks.extend(locks);
            first.preflights.extend(values::preflights(&self.live, &self.desired, cx));
        }
        actions.extend(values::counters(&self.live, &self.gone, cx));
        actions.push(self.drop(cx));
        Ok(actions)
    }

    /// Nothing is lost with the old table but what the model does not want.
    fn drop(&self, cx: &Cx<'_>) -> Action {
        let name = relation(&self.live);
        let summary = format!("drop table {}, whose rows are put aside", self.live.short());
        let sql = Sql::Statement(format!("DROP TABLE {name}"));
        let mut drop = Action::new(&self.live, summary, sql);
        let mut losses = Vec::new();
        for column in values::lost(&self.live, cx) {
            losses.push(format!("all values of {}", column.short()));
            let quoted = quote_ident(column.name());
            drop.guards.push(Guard {
                sql: format!("SELECT count({quoted}) FROM {name}"),
                complaint: format!("values of {} would be lost", column.short()),
                lifted_by: Some("--allow-data-loss"),
                by_index: false,
            });
        }
        for table in &self.shed {
            let name = relation(table);
            losses.push(format!("the rows of {name} that no other partition takes"));
            drop.guards.push(Guard {
                sql: format!("SELECT count(*) FROM {name}"),
                complaint: format!("rows of {name} would be lost"),
                lifted_by: Some("--allow-data-loss"),
                by_index: false,
            });
        }
        if !losses.is_empty() {
            drop.loses = Some(losses.join(", "));
            drop.irreversible = Some("they are gone".to_owned());
        }
        drop
    }

    /// Puts the rows back into the new table.
    ///
    /// # Errors
    /// If a value cannot go over.
    pub fn restore(&self, cx: &Cx<'_>) -> Result<Vec<Action>, Refusal> {
        let name = relation(&self.desired);
        let kept = values::kept(&self.live, &self.desired, cx)?;
        let statement = |summary: String, sql: String| {
            Action::new(&self.desired, summary, Sql::Statement(sql))
                .locking(relation(&self.live), LockLevel::AccessExclusive)
        };
        let forced: Vec<&Address> = self
            .made
            .iter()
            .filter(|table| {
                let table = cx.desired.definition::<Table>(table);
                table.and_then(|t| t.force_row_security) == Some(true)
            })
            .collect();
        let force = |word: &str| {
            let sql = |table: &&Address| {
                let sql = format!("ALTER TABLE {} {word}FORCE ROW LEVEL SECURITY", relation(table));
                let what = format!("{word}FORCE ROW LEVEL SECURITY").to_lowercase();
                statement(format!("{what} on {}", table.short()), sql)
            };
            forced.iter().map(sql).collect::<Vec<Action>>()
        };
        let mut actions = force("NO ");
        let fill = |rows: &QName| fill(&name, rows, &kept);
        let largest = self
            .sources
            .iter()
            .map(relation)
            .max_by_key(|source| cx.size(source).map_or(0, |size| size.bytes));
        let rows = self.aside(ROWS);
        let summary = format!("give {} its rows back", self.desired.short());
        let mut back = statement(summary, fill(&rows));
        if let Some(largest) = largest {
            back = back.working(Work::Rewrite(largest));
        }
        let count = |tables: Vec<String>| {
            let counts: Vec<String> =
                tables.iter().map(|t| format!("(SELECT count(*) FROM {t})")).collect();
            format!(
                "SELECT {}",
                if counts.is_empty() { "0".to_owned() } else { counts.join(" + ") }
            )
        };
        let before = self.sources.iter().map(|s| format!("ONLY {}", relation(s))).collect();
        // What joins with rows of its own is not counted.
        let made = self.made.iter().filter(|table| {
            cx.desired.definition::<Table>(table).is_none_or(|t| t.partition_key.is_none())
        });
        let after = made.map(|table| format!("ONLY {}", relation(table))).collect();
        let joins = cx
            .desired
            .definition::<Table>(&self.desired)
            .is_some_and(|t| t.partition_key.is_some())
            && self.joined(cx);
        if !joins && self.shed.is_empty() {
            back.proofs.push(Proof {
                what: format!("the number of rows of {name}"),
                relation: relation(&self.live),
                before: count(before),
                after: count(after),
            });
            if self.whole && self.live == self.desired {
                back.proofs.extend(values::proofs(&self.live, &self.sources, &kept, cx));
            }
        }
        let drop = |rows: &QName| {
            let summary = format!("drop what the rows of {} waited in", name.name);
            statement(summary, format!("DROP TABLE {rows}"))
        };
        if !self.sources.is_empty() {
            actions.push(back);
            actions.push(drop(&rows));
        }
        if !self.shed.is_empty() {
            let rest: Vec<(QName, QName)> =
                self.made.iter().filter_map(|table| rest(table, cx)).collect();
            for (table, rest) in &rest {
                let sql = format!("CREATE TABLE {rest} PARTITION OF {table} DEFAULT");
                let summary = format!("make room in {} for what no partition takes", table.name);
                actions.push(statement(summary, sql));
            }
            let left = self.aside(LEFT);
            let summary = format!("let {} keep the rows of partitions that go", name.name);
            actions.push(statement(summary, fill(&left)));
            actions.push(drop(&left));
            for (table, rest) in &rest {
                let summary = format!("drop what no partition of {} takes", table.name);
                actions.push(statement(summary, format!("DROP TABLE {rest}")));
            }
        }
        actions.extend(force(""));
        actions.extend(
            values::go_on(&self.live, &self.desired, cx)
                .into_iter()
                .map(|action| action.locking(relation(&self.live), LockLevel::AccessExclusive)),
        );
        Ok(actions)
    }

    /// Whether a table joins with rows of its own, so that some rows may have gone there.
    fn joined(&self, cx: &Cx<'_>) -> bool {
        self.made.iter().any(|table| {
            partitions(table, cx.desired).iter().any(|partition| !self.made.contains(partition))
        })
    }
}

/// The statement that puts rows back.
fn fill(name: &QName, rows: &QName, kept: &[values::Kept]) -> String {
    let columns: Vec<String> = kept.iter().map(|kept| quote_ident(&kept.desired)).collect();
    let list: Vec<String> = kept.iter().map(values::Kept::restored).collect();
    if columns.is_empty() {
        return format!("INSERT INTO {name} SELECT FROM {rows}");
    }
    let overriding = if kept.iter().any(|k| k.identity) { " OVERRIDING SYSTEM VALUE" } else { "" };
    let (columns, list) = (columns.join(", "), list.join(", "));
    format!("INSERT INTO {name} ({columns}){overriding} SELECT {list} FROM {rows}")
}

/// A partitioned table in which rows may find no partition, and the name of one for these.
fn rest(table: &Address, cx: &Cx<'_>) -> Option<(QName, QName)> {
    let key = cx.desired.definition::<Table>(table)?.partition_key.as_deref()?;
    let hash = partition_key::parse(key).is_none_or(|key| key.strategy == "hash");
    let has_default = partitions(table, cx.desired).iter().any(|partition| {
        let theirs = inheritance::of(partition, cx.desired).and_then(|i| i.bound.as_deref());
        theirs.is_some_and(|bound| bound.trim().eq_ignore_ascii_case("default"))
    });
    let name = relation(table);
    let rest = QName::new(&name.namespace, fit(&name.name, REST));
    (!hash && !has_default).then_some((name, rest))
}
