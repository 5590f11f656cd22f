//! What PostgreSQL does not alter about a table: by what it is partitioned, and the types of that.
//!
//! The rows are put aside, the table goes with its partitions, is made as it shall be, and gets its
//! rows back, all in one transaction in which nobody else sees the table.
//!
//! Invariant: as many rows come back as were there, with the values that they had; what does not
//! fit stops the transaction.

use reconcile_catalog::{Address, Catalog, Object, PropertyChange};
use reconcile_sql::ident::fit;
use reconcile_sql::lex::significant;
use reconcile_sql::{LockLevel, QName, SqlType, quote_ident};

use super::{Table, relation};
use crate::column::Column;
use crate::column::refill as values;
use crate::constraint::table_of;
use crate::inheritance::{self, Inheritance};
use crate::step::{Action, Guard, Proof, Refusal, RelationLock, Sql, Work};
use crate::{Alteration, Cx, Replacement, registry, user_type};

/// What is added to the name of a table for the rows that wait for its successor.
const ROWS: &str = "_rc_rows";

/// The same for those of partitions that go.
const LEFT: &str = "_rc_left";

/// The same for a partition that takes what no other one does.
const REST: &str = "_rc_rest";

/// The partition key that reads a live column.
pub(crate) fn key_with<'a>(column: &Address, cx: &Cx<'a>) -> Option<&'a str> {
    let key = cx.live.definition::<Table>(&table_of(column))?.partition_key.as_deref()?;
    let reads = significant(key).iter().any(|t| t.ident().as_deref() == Some(column.name()));
    reads.then_some(key)
}

/// Whether a partition key reads a live column, here or in a partition.
pub(crate) fn is_key(column: &Address, cx: &Cx<'_>) -> bool {
    let mut tables = vec![table_of(column)];
    while let Some(table) = tables.pop() {
        if key_with(&Column::address(&table, column.name()), cx).is_some() {
            return true;
        }
        tables.extend(partitions(&table, cx.live));
    }
    false
}

/// The live tables whose partition keys read a column of a type.
pub(crate) fn keyed_by(ty: &Object, cx: &Cx<'_>) -> Vec<Address> {
    let columns = cx.live.dependents(&ty.address).filter(|o| {
        o.get::<Column>().is_some_and(|c| user_type::makes(ty, &c.ty)) && is_key(&o.address, cx)
    });
    columns.map(|o| table_of(&o.address)).collect()
}

fn partitions(table: &Address, catalog: &Catalog) -> Vec<Address> {
    let name = relation(table);
    let of = |o: &Object| {
        let theirs = o.get::<Inheritance>()?;
        (theirs.is_partition() && theirs.parents.contains(&name)).then(|| o.address.target())?
    };
    let mut found: Vec<Address> = catalog.dependents(table).filter_map(of).collect();
    found.sort();
    found.dedup();
    found
}

/// A table that is made anew, with its partitions.
#[derive(Clone, Debug)]
pub struct Refilling {
    /// The live table.
    pub live: Address,
    /// The table as it shall be.
    pub desired: Address,
    /// The live tables that go: itself and its partitions, but for those that leave it.
    pub gone: Vec<Address>,
    /// The tables that are made: itself and its partitions, but for those that join it with rows
    /// of their own.
    pub made: Vec<Address>,
    /// The live tables whose rows are kept.
    sources: Vec<Address>,
    /// The live tables that the model does not want any more: their rows go where others take them.
    shed: Vec<Address>,
    /// Whether these are all that it has.
    whole: bool,
}

/// What has to be made anew for a live table; nothing if it does not stay.
pub fn refilling(table: &Address, cx: &Cx<'_>) -> Option<Refilling> {
    let wanted = |live: &Address| cx.fates.desired.get(live).cloned();
    let mut live = table.clone();
    while let Some(inheritance) = inheritance::of(&live, cx.live).filter(|i| i.is_partition()) {
        let above = inheritance.parents.first().map(Table::address)?;
        let parent =
            wanted(&live).and_then(|d| inheritance::parents(&d, cx.desired).first().cloned());
        let stays = parent.is_some() && parent.map(|p| Table::address(&p)) == wanted(&above);
        if !stays {
            break;
        }
        live = above;
    }
    let desired = wanted(&live)?;
    let key = |table: &Address, catalog: &Catalog| {
        catalog.definition::<Table>(table).and_then(|t| t.partition_key.clone())
    };
    let after = key(&desired, cx.desired);
    // Of a partition that goes, the rows stay that another one takes.
    let sheds = after.is_some();
    let (mut gone, mut sources, mut shed) = <(Vec<Address>, Vec<Address>, Vec<Address>)>::default();
    let mut whole = true;
    let mut queue = vec![(live.clone(), true)];
    while let Some((next, kept)) = queue.pop() {
        if key(&next, cx.live).is_none() {
            if kept { &mut sources } else { &mut shed }.push(next.clone());
        }
        for partition in partitions(&next, cx.live) {
            match wanted(&partition) {
                Some(d) if is_within(&d, &desired, cx.desired) => queue.push((partition, kept)),
                Some(_) => whole = false,
                None if cx.fates.gone.contains(&partition) => {
                    whole &= kept && !sheds;
                    queue.push((partition, kept && !sheds));
                }
                None => return None, // Nobody says what becomes of it.
            }
        }
        gone.push(next);
    }
    let mut made = Vec::new();
    let mut queue = vec![desired.clone()];
    while let Some(next) = queue.pop() {
        let joins = cx.fates.live.get(&next).is_some_and(|there| !gone.contains(there));
        if !joins {
            queue.extend(partitions(&next, cx.desired));
            made.push(next);
        }
    }
    for tables in [&mut gone, &mut made, &mut sources, &mut shed] {
        tables.sort();
    }
    Some(Refilling { live, desired, gone, made, sources, shed, whole })
}

/// Whether a table is a partition of another one, or of one of its partitions.
fn is_within(table: &Address, root: &Address, catalog: &Catalog) -> bool {
    let mut at = table.clone();
    for _ in 0..catalog.len() {
        if at == *root {
            return true;
        }
        let above = inheritance::of(&at, catalog).filter(|i| i.is_partition());
        match above.and_then(|i| i.parents.first()) {
            Some(parent) => at = Table::address(parent),
            None => return false,
        }
    }
    false
}

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
            });
        }
        for table in &self.shed {
            let name = relation(table);
            losses.push(format!("the rows of {name} that no other partition takes"));
            drop.guards.push(Guard {
                sql: format!("SELECT count(*) FROM {name}"),
                complaint: format!("rows of {name} would be lost"),
                lifted_by: Some("--allow-data-loss"),
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
    let hash = super::partition_key::parse(key).is_none_or(|key| key.strategy == "hash");
    let has_default = partitions(table, cx.desired).iter().any(|partition| {
        let theirs = inheritance::of(partition, cx.desired).and_then(|i| i.bound.as_deref());
        theirs.is_some_and(|bound| bound.trim().eq_ignore_ascii_case("default"))
    });
    let name = relation(table);
    let rest = QName::new(&name.namespace, fit(&name.name, REST));
    (!hash && !has_default).then_some((name, rest))
}

/// Whether values of a type go over as text: the plan puts another type in its place.
pub(crate) fn as_text(ty: &SqlType, cx: &Cx<'_>) -> Option<Address> {
    ty.namespace.as_ref()?;
    let live = cx.live.objects().find(|o| o.definition.is_type() && user_type::makes(o, ty))?;
    let address = &live.address;
    let exchanged = || {
        let desired = cx.desired.get(cx.fates.desired.get(address)?)?;
        let there = live.definition.properties();
        let differ = desired.definition.properties().into_iter().zip(there).filter_map(|(d, l)| {
            let (name, desired, live) = (d.name, d.value, l.value);
            (desired != live).then_some(PropertyChange { name, live, desired, proven: true })
        });
        let properties: Vec<PropertyChange> = differ.collect();
        let change = Alteration { live, desired, properties: &properties };
        let kind = registry::kind(address.kind())?;
        (kind.replacement(&change, cx) == Replacement::Exchanged).then_some(())
    };
    let goes = cx.fates.gone.contains(address);
    let changes = cx.fates.altered.contains_key(address) && exchanged().is_some();
    (goes || changes).then(|| address.clone())
}
