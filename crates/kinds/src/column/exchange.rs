//! A column goes over to the type that takes the place of its own.
//!
//! Invariant: a value keeps its text, or what PostgreSQL makes of it stops the transaction.

use reconcile_catalog::{Address, Object, Retype};
use reconcile_sql::{LockLevel, SqlType, quote_ident, quote_literal};

use super::alter::Steps;
use super::{Column, casts, data};
use crate::composite::{Composite, lost};
use crate::domain::Domain;
use crate::enum_type::{EnumType, former_labels};
use crate::exchange::Types;
use crate::step::{Action, Guard, Preflight, Proof, Refusal, Work};
use crate::table::relation;
use crate::{Alteration, Cx, Reaction, user_type};

/// How a column reacts to an exchange of a type that it depends on.
pub(super) fn react(object: &Object, column: &Column, cx: &Cx<'_>) -> Reaction {
    if cx.retypes.of(&object.address).is_some() {
        return Reaction::Keep; // It leaves the type in the same plan.
    }
    if column.generated.is_some() {
        return Reaction::Rebuild { warnings: Vec::new() };
    }
    Reaction::Follow(Box::new(Retype {
        address: object.address.clone(),
        through: object.address.clone(),
        from: column.ty.clone(),
        to: column.ty.clone(),
    }))
}

/// The clauses that bring a column over. `desired` is the column as the model wants it, if it
/// speaks of it.
pub(crate) fn exchange(
    live: &Object,
    desired: Option<&Object>,
    types: &Types<'_>,
    cx: &Cx<'_>,
) -> Result<Vec<Action>, Refusal> {
    let Some(column) = live.get::<Column>() else { return Ok(Vec::new()) };
    if column.inherited {
        return Ok(Vec::new()); // It goes over with the parent's.
    }
    // Under the name and with everything that it has now, but for the default.
    let default = desired.and_then(Object::get::<Column>).map_or(&column.default, |d| &d.default);
    let wanted = Column { default: default.clone(), ..column.clone() };
    let wanted = Object { definition: std::sync::Arc::new(wanted), ..live.clone() };
    let change = Alteration { live, desired: &wanted, properties: &[] };
    let steps = Steps::new(&change, cx)?;
    let pair = types.pair(&column.ty);
    // Its default alone may name the type; so may a multirange type be part of it.
    let of_type =
        pair.is_some() || types.pairs.iter().any(|(there, _)| user_type::makes(there, &column.ty));
    if !of_type {
        return Ok(steps.renew_default());
    }
    let using = using(live.address.name(), column, types);
    let mut actions =
        steps.exchange(&using, preflight(&live.address, column, pair), proof(live, pair))?;
    for action in &mut actions {
        lose(action, live, column, pair);
    }
    Ok(actions)
}

/// The value in the new type.
fn using(name: &str, column: &Column, types: &Types<'_>) -> String {
    let (name, ty) = (quote_ident(name), &column.ty);
    if let Some((there, wanted)) = types.pair(ty).filter(|_| !ty.array) {
        // What PostgreSQL converts by itself, as between numbers, it converts here too.
        if let Some((there, wanted)) = there.get::<Domain>().zip(wanted.get::<Domain>())
            && casts::using("", &there.ty, &wanted.ty).is_none()
        {
            return format!("{name}::{}::{ty}", wanted.ty);
        }
    }
    types.convert(&name, ty)
}

/// Values that the new type does not have, as far as a query can tell.
fn preflight(
    address: &Address,
    column: &Column,
    pair: Option<&(&Object, &Object)>,
) -> Option<Preflight> {
    let (there, wanted) = pair?;
    let (live, desired) = there.get::<EnumType>().zip(wanted.get::<EnumType>())?;
    let labels: Vec<String> =
        former_labels(live, desired).iter().map(|l| quote_literal(l)).collect();
    if live.labels.iter().all(|l| labels.contains(&quote_literal(l))) {
        return None;
    }
    let (table, name) = (relation(address), quote_ident(address.name()));
    let labels = labels.join(", ");
    let (from, value) = if column.ty.array {
        (format!("{table} CROSS JOIN LATERAL unnest({name}) AS element"), "element".to_owned())
    } else {
        (table.to_string(), name.clone())
    };
    let sql = format!(
        "SELECT ({value})::text, count(*) FROM {from} WHERE ({value})::text <> ALL (ARRAY[{labels}]::text[]) \
         GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 20"
    );
    let complaint = format!("{table}.{name} is no label of {} any more", column.ty.element());
    Some(Preflight { relation: table, complaint, sql })
}

/// Values of attributes that the new type has no more are gone.
fn lose(
    action: &mut Action,
    column: &Object,
    definition: &Column,
    pair: Option<&(&Object, &Object)>,
) {
    if !matches!(action.work, Work::Rewrite(_)) {
        return;
    }
    let composites =
        pair.map(|(live, wanted)| (live.get::<Composite>(), wanted.get::<Composite>()));
    let Some((Some(live), Some(desired))) = composites else { return };
    let gone = lost(live, desired);
    if gone.is_empty() {
        return;
    }
    let (table, name) = (relation(&column.address), quote_ident(column.address.name()));
    action.loses = Some(format!("all values of {} in {}", gone.join(", "), column.address.short()));
    action.irreversible = Some("these values are gone".to_owned());
    let (from, value) = if definition.ty.array {
        (format!("{table}, unnest({name}) AS element"), "element".to_owned())
    } else {
        (table.to_string(), name)
    };
    for attribute in gone {
        action.guards.push(Guard {
            sql: format!("SELECT count(({value}).{}) FROM {from}", quote_ident(attribute)),
            complaint: format!("values of {attribute} in {} would be lost", column.address.short()),
            lifted_by: Some("--allow-data-loss"),
            by_index: false,
        });
    }
}

/// The same values before and after, where their text stays what it was.
fn proof(column: &Object, pair: Option<&(&Object, &Object)>) -> Option<Proof> {
    let (there, wanted) = pair?;
    let same_text = match (there.get::<EnumType>(), wanted.get::<EnumType>()) {
        (Some(live), Some(desired)) => former_labels(live, desired) == desired.labels,
        _ => false,
    };
    same_text.then(|| data::text_histogram(&column.address))
}

impl Steps<'_> {
    /// Takes the default away and sets it again, because what it names is another thing by then.
    fn renew_default(&self) -> Vec<Action> {
        let mut actions = vec![self.take_default()];
        actions.extend(self.set_default(self.desired.default.as_deref(), &self.address.short()));
        actions
    }

    fn take_default(&self) -> Action {
        self.clause("DROP DEFAULT", format!("take the default of {} away", self.address.short()))
    }

    fn exchange(
        &self,
        using: &str,
        preflight: Option<Preflight>,
        proof: Option<Proof>,
    ) -> Result<Vec<Action>, Refusal> {
        self.refuse_partition_key()?;
        self.refuse_two_parents()?;
        let ty: &SqlType = &self.live.ty;
        let collation = self.live.collation.value.as_ref();
        let collation = collation.map_or_else(String::new, |c| format!(" COLLATE {c}"));
        let clause = format!("TYPE {ty}{collation} USING {using}");
        let summary = format!("bring {} over to the new {ty}", self.address.short());
        let mut retype = self.clause(&clause, summary).working(Work::Rewrite(self.table.clone()));
        for (child, _) in super::steps::heirs(self.address, self.cx) {
            retype = retype.locking(super::steps::name_of(child), LockLevel::AccessExclusive);
        }
        retype.preflights.extend(preflight);
        let size = self.cx.size(&self.table).map_or(0, |size| size.bytes);
        retype.proofs.extend(proof.filter(|_| size <= data::COMPARED));
        let mut actions = Vec::new();
        let defaults = self.any_default();
        actions.extend(defaults.then(|| self.take_default()));
        actions.push(retype);
        match &self.desired.default {
            Some(default) => {
                actions.extend(self.set_default(Some(default), &self.address.short()));
            }
            None if defaults => actions.extend(self.heirs_defaults(None)),
            None => {}
        }
        Ok(actions)
    }
}
