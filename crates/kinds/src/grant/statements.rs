//! GRANT and REVOKE.
//!
//! A new object starts with what its maker's default privileges give (ALTER DEFAULT PRIVILEGES):
//! that is taken back first, or a rebuilt view would be open to more roles than before. What was
//! given by somebody else than the owner is given and taken in that role's name.

use reconcile_catalog::{Address, Object};
use reconcile_sql::quote_ident;

use super::{Grants, Privilege};
use crate::owner::Owner;
use crate::step::{Action, Sql, Stage};
use crate::table::relation;
use crate::{Cx, registry};

/// The object as GRANT … ON names it.
fn on(target: &Address) -> String {
    match class(target) {
        "TABLE" => format!("TABLE {}", relation(target)),
        class => format!("{class} {}", target.dotted()),
    }
}

fn class(target: &Address) -> &'static str {
    registry::kind(target.kind()).map_or("TABLE", |kind| kind.grant_class())
}

/// What everybody has on a new object: USAGE on a type.
fn usual(target: &Address) -> Vec<Privilege> {
    let usage = Privilege {
        grantee: None,
        privilege: "USAGE".to_owned(),
        column: None,
        grantable: false,
        grantor: None,
    };
    if class(target) == "TYPE" { vec![usage] } else { Vec::new() }
}

/// Collects the statements on one object.
struct Statements<'a> {
    address: &'a Address,
    target: Address,
    owner: String,
    cx: &'a Cx<'a>,
    actions: Vec<Action>,
}

impl<'a> Statements<'a> {
    fn new(address: &'a Address, cx: &'a Cx<'a>) -> Option<Self> {
        let target = address.target()?;
        let owned = Owner::address(&target);
        let owner = cx
            .desired
            .definition::<Owner>(&owned)
            .or_else(|| cx.live.definition::<Owner>(&owned))
            .map_or_else(|| cx.facts.current_role.clone(), |o| o.role.clone());
        Some(Self { address, target, owner, cx, actions: Vec::new() })
    }

    fn act(&mut self, summary: String, sql: String) {
        self.actions.push(Action::new(self.address, summary, Sql::Statement(sql)));
    }

    /// A statement in the name of who gave the privilege, if that is not the owner.
    fn act_as(&mut self, grantor: Option<&str>, summary: String, sql: String) {
        match grantor {
            None => self.act(summary, sql),
            // One step: what is noted between two steps is noted as the role that applies.
            Some(grantor) => {
                let (theirs, ours) =
                    (quote_ident(grantor), quote_ident(&self.cx.facts.current_role));
                self.act(
                    format!("{summary}, as {grantor}, who granted it"),
                    format!("SET LOCAL ROLE {theirs};\n{sql};\nSET LOCAL ROLE {ours}"),
                );
            }
        }
    }

    /// Takes everything back that a new object has without being told.
    fn clear(&mut self, grants: &Grants) {
        let named = |g: &String| {
            if g == "public" { "PUBLIC".to_owned() } else { quote_ident(g) }
        };
        let others = self.cx.facts.default_grantees.iter().filter(|g| **g != self.owner);
        let mut from: Vec<String> = others.map(named).collect();
        let public = grants.items.iter().any(|i| i.grantee.is_none());
        if !usual(&self.target).is_empty() && !public {
            from = vec!["PUBLIC".to_owned()];
        }
        if !grants.owner_has_all {
            from.push(quote_ident(&self.owner));
        }
        from.dedup();
        if !from.is_empty() {
            let (on, from) = (on(&self.target), from.join(", "));
            self.act(
                format!("take back what default privileges give on {}", self.target.short()),
                format!("REVOKE ALL ON {on} FROM {from}"),
            );
        }
    }

    /// Grants in the order of the list, which is the order in which pg_dump will show them again.
    fn grant(&mut self, items: &[&Privilege]) {
        for (items, list) in groups(items) {
            let (on, whom) = (on(&self.target), items.to_whom());
            let option = if items.grantable { " WITH GRANT OPTION" } else { "" };
            self.act_as(
                items.grantor.as_deref(),
                format!("grant {list} on {} to {whom}", self.target.short()),
                format!("GRANT {list} ON {on} TO {whom}{option}"),
            );
        }
    }

    fn revoke(&mut self, items: &[&Privilege], option_only: bool) {
        // What others passed on goes before what they passed it on from.
        for (items, list) in groups(items).into_iter().rev() {
            let (on, whom) = (on(&self.target), items.to_whom());
            let option = if option_only { "GRANT OPTION FOR " } else { "" };
            self.act_as(
                items.grantor.as_deref(),
                format!(
                    "take {}{list} on {} from {whom}",
                    option.to_lowercase(),
                    self.target.short()
                ),
                format!("REVOKE {option}{list} ON {on} FROM {whom}"),
            );
        }
    }

    fn stages(self) -> Vec<Stage> {
        if self.actions.is_empty() { Vec::new() } else { vec![Stage::transaction(self.actions)] }
    }
}

/// What one statement can say: privileges that differ in nothing but their names. The owner's own
/// grants come first: others may have passed theirs on.
fn groups<'p>(items: &[&'p Privilege]) -> Vec<(&'p Privilege, String)> {
    let mut groups: Vec<(&Privilege, Vec<String>)> = Vec::new();
    for item in items {
        let same = |known: &Privilege| {
            known.grantor == item.grantor
                && known.column == item.column
                && known.grantable == item.grantable
                && known.grantee == item.grantee
        };
        match groups.iter_mut().find(|(known, _)| same(known)) {
            Some((_, list)) => list.push(item.what()),
            None => groups.push((item, vec![item.what()])),
        }
    }
    groups.sort_by_key(|(item, _)| item.grantor.is_some());
    groups.into_iter().map(|(item, list)| (item, list.join(", "))).collect()
}

/// From what a new object has by default to these privileges.
pub(super) fn restore(object: &Object, cx: &Cx<'_>) -> Vec<Stage> {
    let Some((grants, mut out)) = object.get::<Grants>().zip(Statements::new(&object.address, cx))
    else {
        return Vec::new();
    };
    out.clear(grants);
    let items: Vec<&Privilege> = grants.items.iter().collect();
    out.grant(&items);
    out.stages()
}

/// For a column that is made again: the privileges on it, which are in the list of its table.
pub(crate) fn on_column(column: &Address, cx: &Cx<'_>) -> Vec<Action> {
    let list = Grants::address(&crate::constraint::table_of(column));
    let there = cx.live.get(&list).filter(|_| cx.live.contains(column));
    there.map_or_else(Vec::new, |list| of_column(list, column.name(), cx))
}

/// For an object without a list of its own that is made again.
pub(crate) fn nothing(target: &Address, cx: &Cx<'_>) -> Vec<Action> {
    let address = Grants::address(target);
    let has_list = cx.live.contains(&address) && !cx.fates.gone.contains(&address);
    if !cx.live.contains(target) || has_list { Vec::new() } else { closed(target, cx) }
}

/// For an object that was just made: only its owner has anything on it.
pub(crate) fn closed(target: &Address, cx: &Cx<'_>) -> Vec<Action> {
    let address = Grants::address(target);
    let Some(mut out) = Statements::new(&address, cx) else { return Vec::new() };
    out.owner.clone_from(&cx.facts.current_role);
    out.clear(&Grants { items: Vec::new(), owner_has_all: true });
    // There was no list before, and nobody shall look for one.
    out.actions.into_iter().map(|action| Action { address: target.clone(), ..action }).collect()
}

/// The privileges on one column, for another one that takes its name.
pub(super) fn of_column(object: &Object, column: &str, cx: &Cx<'_>) -> Vec<Action> {
    let Some((grants, mut out)) = object.get::<Grants>().zip(Statements::new(&object.address, cx))
    else {
        return Vec::new();
    };
    let own = |item: &&Privilege| item.column.as_deref() == Some(column);
    let items: Vec<&Privilege> = grants.items.iter().filter(own).collect();
    out.grant(&items);
    out.actions
}

/// From the privileges on an object that stays to others; none are the usual ones.
pub(super) fn change(
    address: &Address,
    from: Option<&Grants>,
    to: Option<&Grants>,
    cx: &Cx<'_>,
) -> Vec<Stage> {
    let Some(mut out) = Statements::new(address, cx) else { return Vec::new() };
    let usual = Grants { items: usual(&out.target), owner_has_all: true };
    let (from, to) = (from.unwrap_or(&usual), to.unwrap_or(&usual));
    let bare = |p: &Privilege| Privilege { grantable: false, ..p.clone() };
    let stays = |p: &Privilege, of: &Grants| of.items.iter().find(|o| bare(o) == bare(p)).cloned();
    let goes: Vec<&Privilege> = from.items.iter().filter(|p| stays(p, to).is_none()).collect();
    let no_option: Vec<&Privilege> = from
        .items
        .iter()
        .filter(|p| p.grantable && stays(p, to).is_some_and(|o| !o.grantable))
        .collect();
    let comes: Vec<&Privilege> = to
        .items
        .iter()
        .filter(|p| stays(p, from).is_none_or(|o| p.grantable && !o.grantable))
        .collect();
    out.revoke(&goes, false);
    out.revoke(&no_option, true);
    let (on, owner) = (on(&out.target), quote_ident(&out.owner));
    match (from.owner_has_all, to.owner_has_all) {
        (true, false) => out.act(
            format!("take from {owner} what an owner has on {}", out.target.short()),
            format!("REVOKE ALL ON {on} FROM {owner}"),
        ),
        (false, true) => out.act(
            format!("give {owner} what an owner has on {}", out.target.short()),
            format!("GRANT ALL ON {on} TO {owner}"),
        ),
        _ => {}
    }
    out.grant(&comes);
    out.stages()
}
