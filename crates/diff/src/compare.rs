//! Comparing objects, property by property.

use std::collections::BTreeSet;

use reconcile_catalog::{
    Address, AddressMap, Catalog, Complete, Definition, Equivalences, Expression, Object,
    PropertyChange, Pruned, Question, Renames, Retypes, Scope, Value,
};
use reconcile_sql::spelling;

use crate::matching::Matches;
use crate::renaming::renames;
use crate::retyping;

/// Everything that differs, and what was not looked at.
#[derive(Clone, Debug, Default)]
pub struct Difference {
    /// In the order of their addresses.
    pub changes: Vec<Change>,
    /// Live objects in sections that the model states in full, without being stated.
    pub extra: Vec<Address>,
    /// Live objects that the model does not speak of.
    pub unmanaged: Vec<Address>,
    /// The type changes, those included that follow from others.
    pub retypes: Retypes,
    /// What the server has to be asked before the comparison is final.
    pub questions: BTreeSet<Question>,
    /// Which live object is which desired one.
    pub matched: Matches,
    /// What gets another name before anything else is done.
    pub renames: Renames,
    /// What is there then: the live side of all of this.
    pub live: Catalog,
}

/// One object that differs.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// It is there under another name, which it gives up before anything else is done.
    Rename {
        /// Its address today.
        from: Address,
        /// Its address from then on, which is its live address for all other changes.
        to: Address,
    },
    /// It is not there.
    Create(Address),
    /// It is there, but not like this.
    Alter {
        /// Its desired address.
        desired: Address,
        /// Its live address; another one if it is renamed.
        live: Address,
        /// What differs.
        properties: Vec<PropertyChange>,
    },
    /// It is there and shall not be.
    Drop(Address),
}

impl Change {
    /// The address under which people know the object.
    pub fn address(&self) -> &Address {
        match self {
            Self::Create(address) | Self::Drop(address) => address,
            Self::Alter { desired, .. } => desired,
            Self::Rename { to, .. } => to,
        }
    }
}

/// Compares what shall be there with what is, once the renames are done that the desired side asks
/// for.
pub fn compare(desired: &Catalog, live: &Catalog, known: &Equivalences) -> Difference {
    let renames = renames(desired, live);
    let live = live.renamed(&renames);
    let mut out = compare_as_named(desired, &live, known);
    let renamed = renames.declared.iter().cloned();
    out.changes.splice(0..0, renamed.map(|(from, to)| Change::Rename { from, to }));
    (out.renames, out.live) = (renames, live);
    out
}

fn compare_as_named(desired: &Catalog, live: &Catalog, known: &Equivalences) -> Difference {
    let mut out = Difference::default();
    let by_address = Matches::by_address(desired, live);
    // A first look finds what is equal already, and the type changes, which the texts of other
    // objects have to follow.
    let (equal, carried) = (AddressMap::default(), retyping::Carried::default());
    let questions = BTreeSet::new();
    let mut look = Look { desired, live, equal, carried: &carried, known, questions };
    let mut differing = Vec::new();
    for object in desired.in_place() {
        let there = by_address.live_of(&object.address).and_then(|a| live.get(a));
        let Some(there) = there else { continue };
        if look.properties(object, there).is_empty() {
            look.equal.insert(object.address.clone(), there.address.clone());
        } else {
            differing.push((object, there));
        }
    }
    differing.sort_by(|(a, _), (b, _)| a.address.cmp(&b.address));
    out.retypes = retyping::closure(live, &differing);
    let carried = retyping::Carried::new(live, &out.retypes);

    let mut look = Look { carried: &carried, questions: BTreeSet::new(), ..look };
    let matches = by_address.by_definition(desired, live, |d, l| look.is_same_object(d, l));
    let mut changed: Vec<&Object> =
        desired.in_place().filter(|object| !look.is_equal(object, &matches)).collect();
    changed.sort_by(|a, b| a.address.cmp(&b.address));
    for object in changed {
        match matches.live_of(&object.address) {
            None => out.changes.push(Change::Create(object.address.clone())),
            Some(address) => {
                let Some(there) = live.get(address) else { continue };
                let properties = look.properties(object, there);
                let renamed = *address != object.address
                    && !object.unnamed
                    && !parent_renamed(object, there, &matches);
                if renamed || !properties.is_empty() {
                    out.changes.push(Change::Alter {
                        desired: if object.unnamed {
                            address.clone()
                        } else {
                            object.address.clone()
                        },
                        live: address.clone(),
                        properties,
                    });
                }
            }
        }
    }
    // A name that another object takes over is free only once its present bearer is gone.
    let gone: BTreeSet<Address> = desired
        .absent()
        .filter(|a| !matches.takes(a))
        .chain(matches.displaced())
        .filter(|a| live.contains(a))
        .cloned()
        .collect();
    out.changes.extend(gone.iter().cloned().map(Change::Drop));
    let mut rest: Vec<&Object> = live.in_place().filter(|o| !matches.takes(&o.address)).collect();
    rest.sort_by(|a, b| a.address.cmp(&b.address));
    for object in rest {
        let address = &object.address;
        let implied = || {
            object.definition.is_implied() && {
                let source = object.definition.implied_by(address);
                let source = source.as_ref().and_then(|source| live.get(source));
                source.is_none_or(|s| {
                    matches.takes(&s.address)
                        || !(gone.contains(&s.address) || superfluous(s, false, desired))
                })
            }
        };
        if gone.contains(address) || implied() {
            continue;
        }
        let section = object.definition.section();
        let parent = object.parent.as_ref().map(|p| matches.desired_of(p).unwrap_or(p));
        let managed = parent.is_some_and(|p| desired.manages(p, section));
        if superfluous(object, managed, desired) {
            // What is part of something that goes, goes with it.
            let with =
                object.parent.as_ref().is_some_and(|p| gone_with(p, live, &matches, desired));
            if !with {
                out.changes.push(Change::Drop(address.clone()));
            }
        } else if managed {
            out.extra.push(address.clone());
        } else {
            out.unmanaged.push(address.clone());
        }
    }
    out.questions = look.questions;
    out.matched = matches;
    out
}

/// Whether a live object that the desired side does not state shall go.
fn superfluous(object: &Object, managed: bool, desired: &Catalog) -> bool {
    match object.definition.pruned(&object.address) {
        Pruned::Never => managed && desired.complete() != Complete::Sections,
        reach => desired.completes(&reach),
    }
}

/// Whether what is not said of an object means PostgreSQL's own choice.
fn is_complete(object: &Object, desired: &Catalog) -> bool {
    match (desired.complete(), object.definition.pruned(&object.address)) {
        (Complete::Sections, _) | (Complete::Namespaces, Pruned::InDatabase | Pruned::Never) => {
            false
        }
        (Complete::Namespaces, Pruned::In(namespace)) => desired.names(&namespace),
        (Complete::Database, _) => true,
    }
}

/// Whether an object goes as a whole, so that its parts need no mention.
fn gone_with(address: &Address, live: &Catalog, matches: &Matches, desired: &Catalog) -> bool {
    let Some(object) = live.get(address).filter(|o| !matches.takes(&o.address)) else {
        return false;
    };
    superfluous(object, false, desired)
        || object.parent.as_ref().is_some_and(|p| gone_with(p, live, matches, desired))
}

/// An object whose path differs only because its parent is renamed has not moved itself.
fn parent_renamed(desired: &Object, live: &Object, matches: &Matches) -> bool {
    // What belongs to its parent (a comment) has no name of its own.
    let belongs = |o: &Object| o.parent.is_some() && o.address.target() == o.parent;
    (desired.address.name() == live.address.name() || (belongs(desired) && belongs(live)))
        && desired.parent.as_ref().and_then(|p| matches.live_of(p)) == live.parent.as_ref()
}

struct Look<'a> {
    desired: &'a Catalog,
    live: &'a Catalog,
    /// Desired objects with the live ones that they were found to equal, type changes aside.
    equal: AddressMap<Address>,
    carried: &'a retyping::Carried<'a>,
    known: &'a Equivalences,
    questions: BTreeSet<Question>,
}

impl Look<'_> {
    /// Whether an object is known to be there, under its name and as it shall be.
    fn is_equal(&self, desired: &Object, matches: &Matches) -> bool {
        let address = &desired.address;
        let there = matches.live_of(address).filter(|a| *a == address);
        there.is_some()
            && self.equal.get(address) == there
            && self.live.get(address).is_some_and(|live| !self.carried.has(live))
    }

    /// Whether nothing but a name, and a state that can be mended, tells the two apart.
    fn is_same_object(&mut self, desired: &Object, live: &Object) -> bool {
        let states: Vec<&str> =
            desired.definition.properties().iter().filter(|p| p.state).map(|p| p.name).collect();
        self.properties(desired, live).iter().all(|p| states.contains(&p.name))
    }

    /// The properties that differ, with the live ones as they read after the type changes.
    fn properties(&mut self, desired: &Object, live: &Object) -> Vec<PropertyChange> {
        if self.equal.get(&desired.address) == Some(&live.address) && !self.carried.has(live) {
            return Vec::new();
        }
        let carried = self.carried.definition(live);
        let mut wanted = desired.definition.properties();
        for property in &mut wanted {
            if let Value::Usual(value) = &property.value {
                let complete = is_complete(desired, self.desired);
                property.value = if complete { (**value).clone() } else { Value::Unstated };
            }
        }
        let mut there = carried.properties();
        let mut out = Vec::new();
        let catalogs = [self.desired, self.live];
        let scope = || desired.definition.scope(&live.address, &catalogs);
        for property in wanted {
            let at = there.iter().position(|p| p.name == property.name);
            let value = at.map_or(Value::None, |at| there.swap_remove(at).value);
            let verdict = self.same(&property.value, &value, &scope);
            if verdict != Verdict::Same {
                out.push(PropertyChange {
                    name: property.name,
                    live: value,
                    desired: property.value,
                    proven: verdict == Verdict::Different,
                });
            }
        }
        // Two definitions of one kind can have different properties: a check became a unique.
        for property in
            there.into_iter().filter(|p| !matches!(p.value, Value::None | Value::Unstated))
        {
            if is_stated_empty(&property.value) {
                continue;
            }
            out.push(PropertyChange {
                name: property.name,
                live: property.value,
                desired: Value::None,
                proven: true,
            });
        }
        out
    }

    fn same(
        &mut self,
        desired: &Value,
        live: &Value,
        scope: &dyn Fn() -> Option<Scope>,
    ) -> Verdict {
        match (desired, live) {
            (Value::Unstated, _) | (_, Value::Unstated) => Verdict::Same,
            (Value::Expression(d), Value::Expression(l)) => self.same_expression(d, l, scope),
            (Value::Statement(d), Value::Statement(l)) if spelling::same(d, l) => Verdict::Same,
            (Value::Statement(_), Value::Statement(_)) => Verdict::Unproven,
            (Value::List(d), Value::List(l)) if d.len() == l.len() => {
                let verdicts: Vec<Verdict> =
                    d.iter().zip(l).map(|(d, l)| self.same(d, l, scope)).collect();
                verdicts.into_iter().max().unwrap_or(Verdict::Same)
            }
            (desired, live) if desired == live || desired.is_same_name(live) => Verdict::Same,
            _ => Verdict::Different,
        }
    }

    fn same_expression(
        &mut self,
        desired: &Expression,
        live: &Expression,
        scope: &dyn Fn() -> Option<Scope>,
    ) -> Verdict {
        if desired.spelt_like(live) {
            return Verdict::Same;
        }
        let question = Question {
            scope: scope().unwrap_or_default(),
            left: desired.text.clone(),
            right: live.text.clone(),
        };
        match self.known.verdict(&question) {
            Some(true) => Verdict::Same,
            Some(false) => Verdict::Different,
            None => {
                // A literal that the live type does not know yet (a label that is still to be
                // added) is no value that the database could have.
                let literals = desired.literal().zip(live.literal());
                let other_value = literals.is_some_and(|(d, l)| d != l);
                self.questions.insert(question);
                if other_value { Verdict::Different } else { Verdict::Unproven }
            }
        }
    }
}

fn is_stated_empty(value: &Value) -> bool {
    matches!(value, Value::List(items) if items.is_empty()) || matches!(value, Value::Flag(false))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Same,
    Unproven,
    Different,
}

/// Used by matching: whether two definitions are of one section.
pub(crate) fn same_section(left: &dyn Definition, right: &dyn Definition) -> bool {
    left.section() == right.section()
}
