//! Attaching and detaching, INHERIT and NO INHERIT.

use std::sync::Arc;

use reconcile_catalog::{Address, Definition, Object};
use reconcile_sql::{LockLevel, QName, ServerVersion};

use super::bound::{self, Bound};
use super::elsewhere;
use super::{Inheritance, NAME, of, read};
use crate::gate::{Gap, GateCx};
use crate::model::ModelPart;
use crate::read::{ReadError, Reader, Row};
use crate::step::{Action, Refusal, Sql, Stage, Work};
use crate::table::{Table, relation};
use crate::{Alteration, Cx, Disturbance, How, Kind, Reaction, Replacement};

/// The kind.
pub struct InheritanceKind;

fn table_of(address: &Address) -> Address {
    address.target().unwrap_or_else(|| address.clone())
}

/// The default partition of a partitioned table, which has to be looked through for rows that
/// belong to a new one.
pub(super) fn default_partition(parent: &QName, cx: &Cx<'_>) -> Option<QName> {
    cx.live.dependents(&Table::address(parent)).find_map(|o| {
        let inheritance: &Inheritance = o.get()?;
        let text = inheritance.bound.as_ref().filter(|_| inheritance.parents.contains(parent))?;
        (bound::parse(text)? == Bound::Default).then(|| relation(&o.address))
    })
}

fn attach(address: &Address, parent: &QName, text: &str, cx: &Cx<'_>) -> Action {
    let child = relation(address);
    let bound = match bound::parse(text) {
        Some(Bound::Default) | None => text.to_owned(),
        Some(_) if text.trim_start().to_lowercase().starts_with("for") => text.to_owned(),
        Some(_) => format!("FOR VALUES {text}"),
    };
    let sql = Sql::Statement(format!("ALTER TABLE {parent} ATTACH PARTITION {child} {bound}"));
    let table = table_of(address);
    let summary = format!("make {} a partition of {parent}", table.short());
    let mut action = Action::new(address, summary, sql)
        .locking(parent.clone(), LockLevel::ShareUpdateExclusive)
        .locking(child.clone(), LockLevel::AccessExclusive);
    if !cx.is_new(&table) {
        action = action.working(Work::Scan(child.clone()));
    }
    if let Some(other) = default_partition(parent, cx).filter(|other| *other != child) {
        action = action
            .locking(other.clone(), LockLevel::AccessExclusive)
            .working(Work::Scan(if cx.is_new(&table) { other } else { child }));
    }
    action
}

/// The plain form: CONCURRENTLY would wait for every older transaction, cannot be used beside a
/// default partition, and leaves a CHECK behind. This only touches the catalog.
fn detach(address: &Address, parent: &QName, cx: &Cx<'_>) -> Action {
    let child = relation(address);
    let sql = Sql::Statement(format!("ALTER TABLE {parent} DETACH PARTITION {child}"));
    let summary = format!("let {} be no partition of {parent}", table_of(address).short());
    let mut action = Action::new(address, summary, sql)
        .locking(parent.clone(), LockLevel::AccessExclusive)
        .locking(child.clone(), LockLevel::AccessExclusive);
    if let Some(other) = default_partition(parent, cx).filter(|other| *other != child) {
        action = action.locking(other, LockLevel::AccessExclusive);
    }
    action
}

/// The two statements between which a partition that stays one is none, on behalf of one of its
/// parts.
pub(crate) fn apart(part: &Address, table: &Address, cx: &Cx<'_>) -> Option<(Action, Action)> {
    let inheritance = of(table, cx.live)?;
    let (parent, bound) = inheritance.parents.first().zip(inheritance.bound.as_deref())?;
    let address = Inheritance::address(table);
    let on_behalf = |action: Action| Action { address: part.clone(), ..action };
    Some((on_behalf(detach(&address, parent, cx)), on_behalf(attach(&address, parent, bound, cx))))
}

fn inherit(address: &Address, parent: &QName) -> Action {
    let child = relation(address);
    let summary = format!("let {} inherit from {parent}", table_of(address).short());
    Action::new(address, summary, Sql::alter_table(&child, format!("INHERIT {parent}")))
        .locking(child, LockLevel::AccessExclusive)
        .locking(parent.clone(), LockLevel::ShareUpdateExclusive)
}

fn no_inherit(address: &Address, parent: &QName) -> Action {
    let child = relation(address);
    let summary = format!("let {} inherit no more from {parent}", table_of(address).short());
    Action::new(address, summary, Sql::alter_table(&child, format!("NO INHERIT {parent}")))
        .locking(child, LockLevel::AccessExclusive)
        .locking(parent.clone(), LockLevel::AccessShare)
}

fn inheritance_of(object: &Object) -> Result<&Inheritance, Refusal> {
    object.get().ok_or_else(|| Refusal::new(&object.address, "is no inheritance"))
}

impl Kind for InheritanceKind {
    fn name(&self) -> &'static str {
        NAME
    }

    fn plural(&self) -> &'static str {
        "inheritances"
    }

    fn model(&self) -> Option<&'static dyn ModelPart> {
        Some(&super::model::InheritanceModel)
    }

    fn queries(&self, _version: ServerVersion) -> Vec<String> {
        vec![read::query()]
    }

    fn read(&self, row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
        read::read(row, reader)
    }

    fn decode(&self, json: serde_json::Value) -> Result<Arc<dyn Definition>, serde_json::Error> {
        Ok(Arc::new(serde_json::from_value::<Inheritance>(json)?))
    }

    fn designation(&self, address: &Address) -> String {
        format!("TABLE {}", address.dotted())
    }

    fn describe(&self, object: &Object) -> String {
        let Some(Inheritance { parents, bound }) = object.get() else { return String::new() };
        let parents = parents.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match bound {
            Some(bound) => format!("partition of {parents} {bound}"),
            None => format!("inherits {parents}"),
        }
    }

    fn create(&self, object: &Object, _how: How, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let Inheritance { parents, bound } = inheritance_of(object)?;
        let address = &object.address;
        let actions: Vec<Action> = match (bound, parents.first()) {
            (Some(bound), Some(parent)) => {
                let mut actions: Vec<Action> =
                    elsewhere::from_default(address, parent, bound, cx).into_iter().collect();
                actions.push(attach(address, parent, bound, cx));
                actions
            }
            _ if cx.is_new(&table_of(address)) => Vec::new(), // CREATE TABLE … INHERITS says it.
            _ => parents.iter().map(|parent| inherit(address, parent)).collect(),
        };
        Ok(vec![Stage::transaction(actions)])
    }

    fn drop(&self, object: &Object, _how: How, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let Inheritance { parents, bound } = inheritance_of(object)?;
        let address = &object.address;
        let actions: Vec<Action> = parents
            .iter()
            .map(|parent| match bound {
                Some(_) => detach(address, parent, cx),
                None => no_inherit(address, parent),
            })
            .collect();
        Ok(vec![Stage::transaction(actions)])
    }

    /// A partition that moves is detached and attached in one transaction, with all others that
    /// move: their bounds must not overlap in between.
    fn replacement(&self, change: &Alteration<'_>, _cx: &Cx<'_>) -> Replacement {
        let either = [change.live, change.desired];
        let partition =
            either.iter().any(|o| o.get::<Inheritance>().is_some_and(Inheritance::is_partition));
        if partition { Replacement::Rebuilt } else { Replacement::None }
    }

    /// From the first parent that differs on, so that they are in their order afterwards.
    fn alter(&self, change: &Alteration<'_>, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let (live, desired) = (inheritance_of(change.live)?, inheritance_of(change.desired)?);
        let address = &change.desired.address;
        let same =
            live.parents.iter().zip(&desired.parents).take_while(|(now, then)| now == then).count();
        let gone = live.parents[same..].iter().map(|parent| no_inherit(address, parent));
        let new = desired.parents[same..].iter().map(|parent| inherit(address, parent));
        Ok(vec![Stage::transaction(gone.chain(new).collect())])
    }

    fn waits_for(&self, object: &Object, gone: &Object, cx: &Cx<'_>) -> bool {
        let Some(wanted) = object.get::<Inheritance>().filter(|i| i.is_partition()) else {
            return false;
        };
        let left = match gone.get::<Inheritance>() {
            Some(left) => Some(left),
            None => of(&gone.address, cx.live),
        };
        left.is_some_and(|left| left.is_partition() && left.parents == wanted.parents)
    }

    fn refilled(&self, change: &Alteration<'_>, cx: &Cx<'_>) -> Vec<Address> {
        let parts = change.live.get::<Inheritance>().zip(change.desired.get::<Inheritance>());
        let Some((live, desired)) = parts.filter(|(live, desired)| live.parents == desired.parents)
        else {
            return Vec::new();
        };
        let bounds = live.bound.as_deref().zip(desired.bound.as_deref());
        let moved = bounds.is_some_and(|(from, to)| elsewhere::moves(change.live, from, to, cx));
        let parents = live.parents.iter().filter(|_| moved);
        parents.map(Table::address).collect()
    }

    fn comes_before_rows(&self) -> bool {
        true
    }

    fn gate(&self, gap: Gap<'_>, _cx: &GateCx<'_>) -> Option<String> {
        match gap {
            Gap::Missing(object) | Gap::Different { desired: object, .. } => {
                let partition = object.get::<Inheritance>().is_some_and(Inheritance::is_partition);
                partition.then(|| "rows that belong into this partition may be refused".to_owned())
            }
            Gap::Extra(_) => None,
        }
    }

    fn react(
        &self,
        object: &Object,
        disturbed: &Object,
        by: &Disturbance,
        cx: &Cx<'_>,
    ) -> Reaction {
        let Some(inheritance) = object.get::<Inheritance>() else { return Reaction::Keep };
        let is_parent = disturbed.get::<Table>().is_some()
            && table_of(&object.address) != disturbed.address
            && inheritance.parents.iter().any(|p| Table::address(p) == disturbed.address);
        let wanted = cx.desired.definition::<Inheritance>(&object.address);
        let leaves = wanted.is_some_and(|wanted| {
            wanted.parents.iter().all(|p| Table::address(p) != disturbed.address)
        });
        match by {
            Disturbance::Dropped if is_parent && !leaves => Reaction::Refuse(format!(
                "{} inherits from {}; say what it shall inherit from instead",
                table_of(&object.address),
                disturbed.address
            )),
            Disturbance::Dropped | Disturbance::Retyped(_) | Disturbance::Rebuilt => Reaction::Keep,
        }
    }
}
