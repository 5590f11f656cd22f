//! The values of a table that is made anew: how they are put aside and how they come back.

use reconcile_catalog::{Address, Catalog, Object};
use reconcile_sql::{QName, SqlType, quote_ident, quote_literal};

use super::identity::Counter;
use super::{Column, data, using};
use crate::composite::Composite;
use crate::step::{Action, Preflight, Proof, Refusal, Sql};
use crate::table::{as_text, relation};
use crate::{Cx, owned_by, sequence};

/// A column whose values are kept.
pub(crate) struct Kept {
    live: String,
    pub(crate) desired: String,
    from: SqlType,
    to: SqlType,
    /// Whether its values wait as text.
    text: bool,
    pub(crate) identity: bool,
}

impl Kept {
    /// The value as it is put aside.
    pub(crate) fn saved(&self) -> String {
        let name = quote_ident(&self.live);
        if self.text { format!("{name}::text AS {name}") } else { name }
    }

    /// The value as it comes back.
    pub(crate) fn restored(&self) -> String {
        let name = quote_ident(&self.live);
        if self.text {
            return if self.to.is_textual() { name } else { format!("{name}::{}", self.to) };
        }
        let converted = (self.from != self.to).then(|| using(&self.live, &self.from, &self.to));
        converted.flatten().unwrap_or(name)
    }
}

fn columns<'a>(table: &Address, catalog: &'a Catalog) -> Vec<(&'a Object, &'a Column)> {
    let mut columns: Vec<(&Object, &Column)> =
        catalog.children(table).filter_map(|o| Some((o, o.get::<Column>()?))).collect();
    columns.sort_by_key(|(_, column)| column.position);
    columns
}

/// The live column of a desired one.
fn former<'a>(desired: &Address, cx: &Cx<'a>) -> Option<(&'a Object, &'a Column)> {
    let live = cx.live.get(cx.fates.live.get(desired)?)?;
    Some((live, live.get()?))
}

/// The columns whose values are kept, in the order of the new table.
///
/// # Errors
/// If values of a type that changes have another text by then.
pub(crate) fn kept(live: &Address, desired: &Address, cx: &Cx<'_>) -> Result<Vec<Kept>, Refusal> {
    let mut out = Vec::new();
    for (object, column) in columns(desired, cx.desired) {
        if column.generated.is_some() {
            continue;
        }
        let Some((there, old)) = former(&object.address, cx) else { continue };
        let through = as_text(&old.ty, cx);
        if let Some(ty) =
            through.as_ref().filter(|ty| cx.live.definition::<Composite>(ty).is_some())
        {
            return Err(Refusal::new(
                live,
                format!(
                    "it has to be made anew, and {ty} changes in the same plan; change one after the other"
                ),
            ));
        }
        if old.ty != column.ty && column.using.is_some() {
            return Err(Refusal::new(
                &object.address,
                "its table has to be made anew, and its `using:` is not taken there; change its type before",
            ));
        }
        out.push(Kept {
            live: there.address.name().to_owned(),
            desired: object.address.name().to_owned(),
            from: old.ty.clone(),
            to: column.ty.clone(),
            text: through.is_some(),
            identity: column.identity.is_some(),
        });
    }
    Ok(out)
}

/// The columns whose values are gone with the old table; what is computed is computed again.
pub(crate) fn lost(live: &Address, cx: &Cx<'_>) -> Vec<Address> {
    let gone = |(o, column): &(&Object, &Column)| {
        column.generated.is_none() && !cx.fates.desired.contains_key(&o.address)
    };
    columns(live, cx.live).into_iter().filter(gone).map(|(o, _)| o.address.clone()).collect()
}

/// What rows may have against the new columns.
pub(crate) fn preflights(live: &Address, desired: &Address, cx: &Cx<'_>) -> Vec<Preflight> {
    let table = relation(live);
    let mut out = Vec::new();
    for (object, column) in columns(desired, cx.desired) {
        let valueless = column.default.is_none() && column.identity.is_none();
        match former(&object.address, cx) {
            None if !column.nullable && valueless && column.generated.is_none() => {
                let name = object.address.name();
                let complaint =
                    format!("rows of {table} would have no value in the new column {name}");
                out.push(data::values_where(&table, "'any row'", "true", complaint));
            }
            None => {}
            Some((there, old)) => {
                if old.nullable && !column.nullable && column.generated.is_none() {
                    out.push(data::nulls(&table, there.address.name()));
                }
                if old.ty != column.ty && column.generated.is_none() {
                    out.extend(data::unfit(&there.address, &old.ty, &column.ty, cx));
                }
            }
        }
    }
    out
}

/// The number of rows of each value, before and after, of what keeps its name; `sources` are all
/// that the table has.
pub(crate) fn proofs(
    table: &Address,
    sources: &[Address],
    kept: &[Kept],
    cx: &Cx<'_>,
) -> Vec<Proof> {
    let bytes: u64 = sources.iter().filter_map(|s| cx.size(&relation(s))).map(|s| s.bytes).sum();
    let same = kept.iter().filter(|k| k.live == k.desired && !k.text && bytes <= data::COMPARED);
    same.filter_map(|k| data::histogram(&Column::address(table, &k.live), &k.from, &k.to)).collect()
}

fn setting(number: usize) -> String {
    format!("reconcile.counter_{number}")
}

/// The sequence that a live column counts with.
fn counter_of(column: &Object, cx: &Cx<'_>) -> Option<QName> {
    let definition = column.get::<Column>()?;
    match definition.identity {
        Some(_) => definition.sequence.as_ref().map(|s| s.value.clone()),
        None => owned_by::sequence_of(&column.address, cx.live).map(|s| relation(&s)),
    }
}

/// Remembers where the old counters stand, and takes the sequences away that do not go with the
/// table.
pub(crate) fn counters(live: &Address, gone: &[Address], cx: &Cx<'_>) -> Vec<Action> {
    let mut actions = Vec::new();
    let statement = |summary: String, sql: String| Action::new(live, summary, Sql::Statement(sql));
    for (number, (object, _)) in columns(live, cx.live).into_iter().enumerate() {
        let Some(counter) = counter_of(object, cx) else { continue };
        let sql = format!(
            "SELECT set_config({}, last_value || ' ' || is_called, true) FROM {counter}",
            quote_literal(&setting(number))
        );
        actions.push(statement(format!("remember where {counter} stands"), sql));
    }
    let parts = gone.iter().flat_map(|table| cx.live.children(table));
    let owned = parts.flat_map(|part| {
        let dependents = cx.live.dependents(&part.address);
        dependents.filter_map(|o| o.get::<owned_by::OwnedBy>().and(o.parent.clone()))
    });
    for own in owned {
        if !sequence::goes_along(&own, cx) {
            let name = relation(&own);
            let sql = format!("ALTER SEQUENCE {name} OWNED BY NONE");
            actions.push(statement(format!("let sequence {} stand alone", own.short()), sql));
        }
    }
    actions
}

/// New counters go on where the old ones stood, or after the largest value.
pub(crate) fn go_on(live: &Address, desired: &Address, cx: &Cx<'_>) -> Vec<Action> {
    let old = columns(live, cx.live);
    let mut actions = Vec::new();
    for (object, column) in columns(desired, cx.desired) {
        let owned = owned_by::sequence_of(&object.address, cx.desired);
        let name = match column.identity {
            Some(_) => format!(
                "pg_get_serial_sequence({}, {})",
                quote_literal(&relation(desired).to_string()),
                quote_literal(object.address.name())
            ),
            // One that was there stands where it stood.
            None => match owned.filter(|s| !cx.fates.live.contains_key(s)) {
                Some(sequence) => quote_literal(&relation(&sequence).to_string()),
                None => continue,
            },
        };
        let Some((there, former)) = former(&object.address, cx) else { continue };
        let number = old.iter().position(|(o, _)| o.address == there.address);
        match number.filter(|_| counter_of(there, cx).is_some()) {
            Some(number) => {
                let value = format!("current_setting({})", quote_literal(&setting(number)));
                let sql = format!(
                    "SELECT setval({name}, split_part({value}, ' ', 1)::bigint, split_part({value}, ' ', 2)::boolean)"
                );
                let summary = format!("let {} go on where it stood", object.address.short());
                actions.push(Action::new(&object.address, summary, Sql::Statement(sql)));
            }
            None if column.identity.is_some() => {
                let address = &object.address;
                let counter = Counter { address, live: former, desired: column, cx };
                actions.push(counter.after_largest());
            }
            None => {}
        }
    }
    actions
}
