//! The successors of materialized views that read a column which is changed online.
//!
//! To compute a materialized view takes as long as it takes, and its query cannot be altered: so another one is
//! made on the shadow beforehand, with the views through which it reads, and in the transaction in which the
//! columns change names the old ones are dropped and the new ones take their names. The old ones are not kept
//! for the way back: nobody would refresh them, so they would have to be computed again just as well, and a
//! successor that is made on the old column by then is the same thing.
//!
//! Invariant: the words of a query are the server's to understand. The successors are made in one short
//! transaction in which the columns, and these views, have the names that they will have; PostgreSQL
//! binds what it reads to columns and not to names, so giving all of them their names back leaves a successor
//! on the shadow. No text is rewritten for that.

use std::collections::BTreeSet;
use std::sync::Arc;

use reconcile_catalog::{Address, Object, Renames};
use reconcile_sql::lex::{Token, significant};
use reconcile_sql::{LockLevel, QName, quote_ident};

use super::twins::wanted;
use super::{Doubling, Shadow, Twin};
use crate::column::Column;
use crate::constraint::Constraint;
use crate::materialized_view::MaterializedView;
use crate::step::{Action, Refusal, Sql, Stage, Work};
use crate::table::relation;
use crate::view::{self, View};
use crate::{Cx, How, comment, grant, index, kind, materialized_view, owner, statistics};

/// The twins of the relations whose successors are made beforehand, and of what is made with them. The first
/// does the work of all, since they share a transaction.
pub(super) fn twins(doubling: &Doubling<'_>, cx: &Cx<'_>) -> Result<Vec<(Address, Twin)>, Refusal> {
    let shadow = doubling.shadow;
    let chain = chain(&shadow.column, cx);
    let left = Stage::transaction(left_over(shadow, cx));
    let Some(first) = chain.first() else {
        // What had a successor is gone meanwhile, so that it belongs to the second column alone.
        let work = Twin { late: vec![left], ..Twin::default() };
        return Ok(vec![(shadow.address.clone(), work)]);
    };
    let parts: Vec<(&Object, Vec<&Object>)> = chain.iter().map(|o| (*o, parts(o, cx))).collect();
    let successors = Successors { shadow, cx, parts: &parts };
    let mut work = Twin { replaces: true, ..Twin::default() };
    work.late.push(left);
    work.late.push(Stage::transaction(successors.make()?));
    work.late.push(Stage::transaction(successors.complete()?));
    work.late.extend(successors.fill()?);
    for object in chain.iter().rev() {
        work.before.extend(actions(object, |kind| kind.drop(object, How::Within, cx))?);
    }
    work.after = successors.take_names()?;
    let mut out = Vec::new();
    for (object, parts) in &parts {
        out.extend(parts.iter().map(|part| (part.address.clone(), Twin::default())));
        if object.address != first.address {
            let twin = Twin { replaces: true, ..Twin::default() };
            out.push((object.address.clone(), twin));
        }
    }
    out.push((first.address.clone(), work));
    Ok(out)
}

/// Refuses a query of the model that stands for every column of the table: there are two for one until the old
/// one is dropped, and afterwards they come in another order.
pub(super) fn name_columns(column: &Address, cx: &Cx<'_>) -> Result<(), Refusal> {
    let table = crate::constraint::table_of(column);
    let says_all = |object: &Object| {
        let desired = cx.fates.desired.get(&object.address).and_then(|d| cx.desired.get(d));
        let view = desired.and_then(Object::get::<View>).map(|v| (v.says_all, &v.query));
        let stored = desired.and_then(Object::get::<MaterializedView>);
        let stated = view.or_else(|| stored.map(|v| (v.says_all, &v.query)));
        let named = |t: &Token<'_>| t.ident().as_deref() == Some(table.name());
        stated.is_some_and(|(all, query)| all && significant(query).iter().any(named))
    };
    let Some(found) = readers(column, cx).into_iter().find(|o| says_all(o)) else { return Ok(()) };
    let reason = format!(
        "it cannot be changed online: the query of {} says `*`, and the columns come in another order then; name \
         them in the model",
        found.address
    );
    Err(Refusal::new(column, reason))
}

/// Whether an object is a relation that reads others through a query.
pub(crate) fn has_query(object: &Object) -> bool {
    [view::NAME, materialized_view::NAME].contains(&object.address.kind())
}

/// The relations that read a column, directly or through each other.
fn readers<'c>(column: &Address, cx: &Cx<'c>) -> Vec<&'c Object> {
    let (mut found, mut queue) = (Vec::<&Object>::new(), vec![column.clone()]);
    while let Some(read) = queue.pop() {
        for object in cx.live.dependents(&read).filter(|o| has_query(o)) {
            let known = found.iter().any(|o| o.address == object.address);
            if !known && !cx.fates.gone.contains(&object.address) {
                queue.push(object.address.clone());
                found.push(object);
            }
        }
    }
    found
}

/// The materialized views that read a column and the views through which they do, in an order in which they
/// can be made; none if the successors could not be made beforehand.
fn chain<'c>(column: &Address, cx: &Cx<'c>) -> Vec<&'c Object> {
    let readers = readers(column, cx);
    let mut needed: BTreeSet<&Address> = BTreeSet::new();
    loop {
        let before = needed.len();
        for object in &readers {
            let stores = object.get::<MaterializedView>().is_some();
            let read = cx.live.dependents(&object.address).any(|o| needed.contains(&o.address));
            if stores || read {
                needed.insert(&object.address);
            }
        }
        if needed.len() == before {
            break;
        }
    }
    let mut left: Vec<&Object> =
        readers.into_iter().filter(|o| needed.contains(&o.address)).collect();
    let hinders = |o: &&Object| {
        needs_more(o, column, cx)
            || is_shared(&o.address, column, cx)
            || may_read_no_other(o, column, cx)
    };
    if left.iter().any(hinders) {
        return Vec::new();
    }
    left.sort_by(|a, b| a.address.cmp(&b.address));
    let mut out: Vec<&Object> = Vec::new();
    while let Some(at) =
        left.iter().position(|o| left.iter().all(|other| !o.depends_on.contains(&other.address)))
    {
        out.push(left.remove(at));
    }
    out
}

/// Whether a query needs what the shadow has only once the columns have changed names: a key that decides
/// other columns (`GROUP BY id`), a column that is computed from it.
fn needs_more(object: &Object, column: &Address, cx: &Cx<'_>) -> bool {
    object.depends_on.iter().filter_map(|on| cx.live.get(on)).any(|on| {
        let hangs_on_it = on.get::<Constraint>().is_some() || on.get::<Column>().is_some();
        hangs_on_it && on.depends_on.contains(column)
    })
}

/// Whether a view reads with the privileges of somebody who may have them on the column alone: the shadow gets
/// these when it has the name.
fn may_read_no_other(object: &Object, column: &Address, cx: &Cx<'_>) -> bool {
    let table = crate::constraint::table_of(column);
    let granted = cx.live.definition::<grant::Grants>(&grant::Grants::address(&table));
    let alone = granted.is_some_and(|grants| {
        grants.items.iter().any(|item| item.column.as_deref() == Some(column.name()))
    });
    let owner = |of| cx.live.definition::<owner::Owner>(&owner::Owner::address(of));
    alone && object.get::<View>().is_some() && owner(&object.address) != owner(&table)
}

/// Whether a relation reads another column that is changed online in the same plan as well.
fn is_shared(address: &Address, column: &Address, cx: &Cx<'_>) -> bool {
    let mut others = cx.online.keys().filter(|other| *other != column);
    others.any(|other| readers(other, cx).iter().any(|o| o.address == *address))
}

/// What is made together with a successor, in order; the rest comes back once it has its name. A view reads with
/// its owner's privileges, and whoever reads it needs some. A materialized view is computed by the role that
/// applies, as when it is made at once: its owner may not be allowed to read what it has been given.
fn parts<'c>(object: &Object, cx: &Cx<'c>) -> Vec<&'c Object> {
    let is_made = |part: &Object| match part.address.kind() {
        comment::NAME | index::NAME | statistics::NAME => true,
        owner::NAME | grant::NAME => object.get::<View>().is_some(),
        _ => false,
    };
    let (mut out, mut queue) = (Vec::new(), vec![object.address.clone()]);
    while let Some(parent) = queue.pop() {
        let children = cx.live.children(&parent).filter(|o| is_made(o));
        for child in children.filter(|o| !cx.fates.gone.contains(&o.address)) {
            queue.push(child.address.clone());
            out.push(child);
        }
    }
    out
}

/// Takes away what an earlier attempt has left. Its rows would be of then, and what it was made from may be
/// another by now, so it is made anew.
fn left_over(shadow: &Shadow, cx: &Cx<'_>) -> Vec<Action> {
    let mut left: Vec<&Object> =
        cx.afoot.objects().filter(|o| has_query(o) && shadow.made(&o.address)).collect();
    let mut out = Vec::new();
    while let Some(at) = left.iter().position(|o| {
        let address = &o.address;
        left.iter().all(|other| !other.depends_on.contains(address))
    }) {
        let object = left.remove(at);
        let what = if object.get::<View>().is_some() { "VIEW" } else { "MATERIALIZED VIEW" };
        let sql = format!("DROP {what} {}", relation(&object.address));
        let summary = format!("drop {} of an earlier attempt", object.address.name());
        out.push(Action::new(&object.address, summary, Sql::Statement(sql)));
    }
    out
}

/// What a kind makes of an object, as actions of one transaction.
fn actions(
    object: &Object,
    of: impl FnOnce(&'static dyn crate::Kind) -> Result<Vec<Stage>, Refusal>,
) -> Result<Vec<Action>, Refusal> {
    let stages = kind(object.address.kind()).map_or_else(|| Ok(Vec::new()), of)?;
    Ok(stages.into_iter().flat_map(|stage| stage.actions).collect())
}

/// The same about a relation that nobody knows yet: nobody waits for it, and it is empty.
fn unknown(actions: Vec<Action>, about: &Address) -> impl Iterator<Item = Action> {
    let about = about.clone();
    actions.into_iter().map(move |action| Action {
        address: about.clone(),
        locks: Vec::new(),
        work: Work::Catalog,
        ..action
    })
}

/// Relations in the order in which they are made, with what is made together with each.
struct Successors<'a> {
    shadow: &'a Shadow,
    cx: &'a Cx<'a>,
    parts: &'a [(&'a Object, Vec<&'a Object>)],
}

impl Successors<'_> {
    /// The transaction in which everything has the name that it will have.
    fn make(&self) -> Result<Vec<Action>, Refusal> {
        let column = &self.shadow.column;
        let (table, name) = (relation(column), column.name());
        let (second, spare) = (self.shadow.address.name(), self.spare(name));
        let rename = |from: &str, to: &str| {
            let (from, to) = (quote_ident(from), quote_ident(to));
            let sql = format!("ALTER TABLE {table} RENAME COLUMN {from} TO {to}");
            let summary = format!("call column {from} of {} {to} for a moment", table.name);
            Action::new(&self.shadow.address, summary, Sql::Statement(sql))
                .locking(table.clone(), LockLevel::AccessExclusive)
        };
        let mut out = vec![rename(name, &spare), rename(second, name)];
        let mut back = vec![rename(&spare, name), rename(name, second)];
        for (object, parts) in self.parts {
            let name = object.address.name();
            out.extend(self.rename(object, name, &self.spare(name))?);
            back.extend(self.rename(object, &self.spare(name), name)?);
            let mut made = self.wanted(object)?;
            if let Some(stored) = made.get::<MaterializedView>() {
                made.definition = Arc::new(MaterializedView { populated: false, ..stored.clone() });
            }
            let create = actions(&made, |kind| kind.create(&made, How::Within, self.cx))?;
            let address = object.address.renamed(&self.shadow.twin(name));
            out.extend(unknown(create, &object.address).map(|action| Action {
                summary: format!("make {} on the second column", address.name()),
                ..action
            }));
            if made.get::<MaterializedView>().is_some() {
                out.extend(unknown(grant::closed(&object.address, self.cx), &object.address));
            }
            // Whose they are decides what of their privileges needs no saying.
            for which in [owner::NAME, grant::NAME] {
                for part in parts.iter().filter(|o| o.address.kind() == which) {
                    let part = self.wanted(part)?;
                    let create = actions(&part, |kind| kind.create(&part, How::Within, self.cx))?;
                    out.extend(unknown(create, &part.address));
                }
            }
            back.extend(self.rename(object, name, &self.shadow.twin(name))?);
        }
        out.extend(back.into_iter().rev());
        Ok(out)
    }

    /// What else belongs to them: comments, and indexes, which cost nothing as long as there are no rows.
    fn complete(&self) -> Result<Vec<Action>, Refusal> {
        let renames = self.renames();
        let mut out = Vec::new();
        for part in self.parts.iter().flat_map(|(_, parts)| parts) {
            if [owner::NAME, grant::NAME].contains(&part.address.kind()) {
                continue;
            }
            let wanted = self.wanted(part)?;
            let definition = self.shadow.definition(&wanted, &renames);
            let address = renames.address(&wanted.address);
            let twin = Object { address, definition, ..wanted };
            let create = actions(&twin, |kind| kind.create(&twin, How::Within, self.cx))?;
            out.extend(unknown(create, &part.address));
        }
        Ok(out)
    }

    /// Computes the rows, each in a transaction of its own, beside whoever reads and writes what they come from.
    fn fill(&self) -> Result<Vec<Stage>, Refusal> {
        let mut out = Vec::new();
        for (object, _) in self.parts {
            let wanted = self.wanted(object)?;
            if !wanted.get::<MaterializedView>().is_some_and(|stored| stored.populated) {
                continue;
            }
            if let Some(empty) = self.empty_below(object) {
                let reason = format!("it reads {empty}, which holds no rows; refresh that first");
                return Err(Refusal::new(&object.address, reason));
            }
            let (old, address) = (relation(&object.address), &object.address);
            let new = QName::new(&old.namespace, self.shadow.twin(&old.name));
            let sql = Sql::Statement(format!("REFRESH MATERIALIZED VIEW {new}"));
            let summary = format!("compute the successor of {}", address.short());
            let mut fill = Action::new(address, summary, sql).working(Work::Refresh(old));
            fill.warnings.push(
                "its successor has the rows of the moment in which this plan computes it: a refresh between that \
                 and the change of names has to be done again"
                    .to_owned(),
            );
            let summary = format!("sample the successor of {}", address.short());
            let analyze = Sql::Statement(format!("ANALYZE {new}"));
            out.push(Stage::transaction(vec![fill, Action::new(address, summary, analyze)]));
        }
        Ok(out)
    }

    /// A materialized view without rows that one with rows reads, directly or through views.
    fn empty_below(&self, object: &Object) -> Option<Address> {
        let mut queue = vec![object];
        while let Some(reader) = queue.pop() {
            for read in reader.depends_on.iter().filter_map(|on| self.cx.live.get(on)) {
                match self.wanted(read).ok()?.get::<MaterializedView>() {
                    Some(stored) if stored.populated => {}
                    Some(_) => return Some(read.address.clone()),
                    None if has_query(read) => queue.push(read),
                    None => {}
                }
            }
        }
        None
    }

    /// The successors take the names of the old ones, which are gone.
    fn take_names(&self) -> Result<Vec<Action>, Refusal> {
        let renames = self.renames();
        let mut out = Vec::new();
        for (object, parts) in self.parts {
            let name = object.address.name();
            let take = self.rename(object, &self.shadow.twin(name), name)?;
            out.extend(unknown(take, &object.address));
            for part in parts.iter().filter(|o| self.is_named(o)) {
                let address = renames.address(&part.address);
                // Its relation has its name again.
                let address = part.address.renamed(address.name());
                let twin = Object { address, ..(*part).clone() };
                let take = actions(&twin, |kind| kind.rename(&twin, part.address.name(), self.cx))?;
                out.extend(unknown(take, &part.address));
            }
        }
        Ok(out)
    }

    /// The names beforehand: of the relations, and of what has a name of its own in their namespaces.
    fn renames(&self) -> Renames {
        let all = self.parts.iter().flat_map(|(object, parts)| parts.iter().chain([object]));
        let named = all.filter(|o| self.is_named(o));
        let to: Vec<(Address, String)> =
            named.map(|o| (o.address.clone(), self.shadow.twin(o.address.name()))).collect();
        Renames::new(self.cx.live, &to, Vec::new())
    }

    fn is_named(&self, object: &Object) -> bool {
        has_query(object) || [index::NAME, statistics::NAME].contains(&object.address.kind())
    }

    fn spare(&self, name: &str) -> String {
        self.shadow.twin(&format!("{name}_spare"))
    }

    fn rename(&self, object: &Object, from: &str, to: &str) -> Result<Vec<Action>, Refusal> {
        let called = Object { address: object.address.renamed(from), ..object.clone() };
        let rename = actions(&called, |kind| kind.rename(&called, to, self.cx))?;
        let level = LockLevel::AccessExclusive;
        // Only what everybody knows is locked against anybody.
        Ok(unknown(rename, &object.address)
            .map(|action| action.locking(relation(&object.address), level))
            .collect())
    }

    /// What an object shall be, under the name that it has.
    fn wanted(&self, live: &Object) -> Result<Object, Refusal> {
        let wanted = wanted(live, self.cx);
        if wanted.address != live.address {
            return Err(Refusal::new(
                &live.address,
                "it shall have another name and reads a column that is changed online: do one after the other",
            ));
        }
        Ok(wanted)
    }
}
