//! The steps of an exchange of types, all in one transaction.

use std::collections::BTreeSet;

use reconcile_catalog::{Address, Object};
use reconcile_sql::ident::fit;
use reconcile_sql::{QName, SqlType};

use crate::composite::{Composite, converted, is_another_row};
use crate::registry;
use crate::step::{Action, Refusal, Sql, Stage};
use crate::user_type::{ASIDE, type_at};
use crate::{Cx, How, column};

/// One live object that goes over to something new, and the object as it shall be under the same
/// address; none where the model does not speak of it.
pub type Exchanged<'a> = (&'a Object, Option<&'a Object>);

/// The types of an exchange: each as it is, and as it shall be under the same address.
pub(crate) struct Types<'a> {
    pub(crate) pairs: &'a [(&'a Object, &'a Object)],
    /// Composite types whose values have another text afterwards, here or in what they are made of.
    rows: BTreeSet<Address>,
}

impl<'a> Types<'a> {
    fn new(pairs: &'a [(&'a Object, &'a Object)]) -> Self {
        let mut types = Self { pairs, rows: BTreeSet::new() };
        // What a type is made of comes before it.
        for (live, wanted) in pairs {
            if let Some((there, desired)) = live.get::<Composite>().zip(wanted.get::<Composite>())
                && (is_another_row(there, desired)
                    || desired.attributes.iter().any(|a| types.function(&a.ty).is_some()))
            {
                types.rows.insert(live.address.clone());
            }
        }
        types
    }

    /// The pair that a type, or an array of it, is of.
    pub(crate) fn pair(&self, ty: &SqlType) -> Option<&'a (&'a Object, &'a Object)> {
        self.pairs.iter().find(|(live, _)| type_at(&live.address) == ty.element())
    }

    /// The function that makes values of a type from those of its predecessor, where their text
    /// does not do.
    pub(crate) fn function(&self, ty: &SqlType) -> Option<QName> {
        let (live, _) = self.pair(ty)?;
        let address = Some(&live.address).filter(|a| self.rows.contains(*a))?;
        Some(QName::new(address.namespace(), fit(address.name(), ASIDE)))
    }

    /// A value of the predecessor of a type as a value of the type.
    pub(crate) fn convert(&self, value: &str, ty: &SqlType) -> String {
        match self.function(ty) {
            Some(function) => format!("{function}({value})"),
            None => format!("{value}::text::{ty}"),
        }
    }

    /// Makes the functions; a row and an array of rows are of one name.
    fn functions(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        for (live, wanted) in self.pairs {
            let ty = type_at(&live.address);
            let (Some(name), Some((there, desired))) =
                (self.function(&ty), live.get::<Composite>().zip(wanted.get::<Composite>()))
            else {
                continue;
            };
            let row = converted("$1", there, desired, |value, ty| self.convert(value, ty));
            let one = format!("SELECT CASE WHEN $1 IS DISTINCT FROM NULL THEN {row}::{ty} END");
            let many = format!(
                "SELECT CASE WHEN array_ndims($1) > 1 THEN ($1::text || ' has several dimensions')::{ty}[] \
                 WHEN $1 IS NOT NULL THEN coalesce((SELECT array_agg({name}($1[i]) ORDER BY i) \
                 FROM generate_subscripts($1, 1) AS i), '{{}}') END"
            );
            for (brackets, body) in [("", one), ("[]", many)] {
                let sql = format!(
                    "CREATE FUNCTION {name}({name}{brackets}) RETURNS {ty}{brackets} LANGUAGE sql AS $rc${body}$rc$"
                );
                let summary = format!("make what brings values of {ty}{brackets} over");
                actions.push(Action::new(&live.address, summary, Sql::Statement(sql)));
            }
        }
        actions
    }

    fn drop_functions(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        for (live, _) in self.pairs {
            let ty = type_at(&live.address);
            let Some(name) = self.function(&ty) else { continue };
            for brackets in ["[]", ""] {
                let sql = Sql::Statement(format!("DROP FUNCTION {name}({name}{brackets})"));
                let summary = format!("drop what brought values of {ty}{brackets} over");
                actions.push(Action::new(&live.address, summary, sql));
            }
        }
        actions
    }
}

/// The steps that put types in the place of others of the same names. `types` come after those
/// that they are made of; `users` are the columns that are of them or whose defaults name them.
///
/// # Errors
/// If something cannot go over.
pub fn exchange(
    types: &[(&Object, &Object)],
    users: &[Exchanged<'_>],
    cx: &Cx<'_>,
) -> Result<Vec<Stage>, Refusal> {
    let mut actions: Vec<Action> = Vec::new();
    // Before what it is made of has another name.
    for (live, _) in types.iter().rev() {
        let kind = registry::kind(live.address.kind());
        actions.extend(kind.into_iter().flat_map(|kind| kind.set_aside(live, cx)));
    }
    for (_, desired) in types {
        let Some(kind) = registry::kind(desired.address.kind()) else { continue };
        let made = kind.create(desired, How::Within, cx)?;
        actions.extend(made.into_iter().flat_map(|stage| stage.actions));
    }
    let types = Types::new(types);
    if !users.is_empty() {
        actions.extend(types.functions());
    }
    for (live, desired) in users {
        actions.extend(column::exchange(live, *desired, &types, cx)?);
    }
    if !users.is_empty() {
        actions.extend(types.drop_functions());
    }
    for (live, _) in types.pairs.iter().rev() {
        let Some(kind) = registry::kind(live.address.kind()) else { continue };
        let aside = live.address.renamed(&fit(live.address.name(), ASIDE));
        let old = Object { address: aside.clone(), ..(*live).clone() };
        let dropped = kind.drop(&old, How::Within, cx)?;
        actions.extend(dropped.into_iter().flat_map(|stage| stage.actions).map(|mut action| {
            action.address = live.address.clone();
            action.summary = format!("drop type {}, which nothing uses any more", aside.short());
            action
        }));
    }
    Ok(vec![Stage::transaction(actions)])
}
