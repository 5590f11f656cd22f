//! A schema a while later, and what both must agree on for rows to go from one to the other.

use super::Generated;
use super::rng::Rng;
use super::schema::{
    Parting, Rule, Schema, Source, Table, add_column, add_constraint, add_index, comment, table,
    view,
};
use super::types::{FAMILIES, KEY};

pub(crate) fn mutated(before: &Schema, rng: &mut Rng, major: u32) -> Schema {
    let mut schema = before.clone();
    for _ in 0..1 + rng.below(9) {
        match rng.below(20) {
            0 => types(rng, &mut schema),
            1 => {
                let new = table(rng, &schema, major);
                if schema.tables.iter().all(|other| other.path() != new.path()) {
                    schema.tables.push(new);
                }
            }
            2 if schema.tables.len() > 1 => {
                let at = rng.below(schema.tables.len());
                schema.tables.remove(at);
            }
            3 => {
                let new = view(rng, &schema);
                match new {
                    Some(view) if rng.chance(60) => schema.views.push(view),
                    _ if schema.views.is_empty() => {}
                    _ => drop(schema.views.remove(0)),
                }
            }
            4 => {
                let sequence = (
                    1 + i32::from(rng.chance(50)),
                    1 + 4 * u32::from(rng.chance(50)),
                    rng.chance(30),
                );
                schema.sequence = schema.sequence.map(|_| sequence);
            }
            _ => {
                let at = rng.below(schema.tables.len());
                let mut changed = schema.tables[at].clone();
                of_table(rng, &mut changed, &schema, major);
                schema.tables[at] = changed;
            }
        }
    }
    schema
}

fn types(rng: &mut Rng, schema: &mut Schema) {
    match rng.below(6) {
        0..=1 => {
            let label = format!("label {}", rng.below(1000));
            let at = rng.below(schema.labels.len() + 1);
            if !schema.labels.contains(&label) {
                schema.labels.insert(at, label);
            }
        }
        2 => schema.labels.retain(|label| label != "unused"),
        3 => schema.labels.rotate_left(1),
        4 => schema.number = (500 + u32::try_from(rng.below(3)).unwrap_or(0) * 500, rng.chance(20)),
        _ => schema.word = 40 + rng.below(3) * 20,
    }
}

fn of_table(rng: &mut Rng, table: &mut Table, schema: &Schema, major: u32) {
    let at = rng.below(table.columns.len());
    match rng.below(24) {
        0..=2 => add_column(rng, table, schema, major),
        3..=4 if at > 0 => drop(table.columns.remove(at)),
        5..=8 => {
            let column = &mut table.columns[at];
            column.member = if column.family == KEY { rng.below(2) } else { rng.below(10) };
        }
        9 => {
            let is_free = at > 0 && !table.columns[at].counts();
            let column = &mut table.columns[at];
            column.nullable = column.nullable != is_free;
        }
        10..=11 => {
            let column = &mut table.columns[at];
            column.source = match column.source {
                Source::Nothing => Source::Default,
                Source::Default | Source::Sequence => Source::Nothing,
                ref other => other.clone(),
            };
        }
        12 if table.parting == Parting::Not => {
            let sources = [Source::Nothing, Source::Always, Source::ByDefault, Source::Serial];
            table.columns[0].source = rng.pick(&sources).clone();
        }
        13..=14 => add_constraint(rng, table, schema, major),
        15 if !table.constraints.is_empty() => {
            let at = rng.below(table.constraints.len());
            if rng.chance(50) {
                table.constraints.remove(at);
            } else {
                match &mut table.constraints[at].rule {
                    Rule::Check(number, _) => *number += 1,
                    Rule::Unique { deferrable, .. } => *deferrable = !*deferrable,
                    Rule::Foreign { action, .. } => *action += 1,
                    Rule::Primary | Rule::Exclude => {}
                }
            }
        }
        16..=17 => add_index(rng, table),
        18 if !table.indexes.is_empty() => {
            let at = rng.below(table.indexes.len());
            if rng.chance(50) {
                table.indexes.remove(at);
            } else {
                let index = &mut table.indexes[at];
                index.order += 1;
                index.predicate = if rng.chance(50) { Some(rng.below(6)) } else { None };
            }
        }
        19 => {
            table.comment = comment(rng);
            table.columns[at].comment = comment(rng);
        }
        20 if table.parting == Parting::Not => {
            table.is_unlogged = rng.chance(20);
            table.fillfactor = if rng.chance(50) { Some(60) } else { None };
        }
        21 => {
            table.columns[at].statistics = if rng.chance(50) { Some(300) } else { None };
            table.columns[at].collation = rng.chance(30);
        }
        22 => table.columns[1..].rotate_left(1),
        _ => {
            table.parting = match table.parting {
                Parting::Range(..) => Parting::Range(1 + rng.below(3), true),
                Parting::List(..) => Parting::List(1 + rng.below(3), true),
                other => other,
            };
            if rng.chance(60) {
                table.parting = match rng.below(4) {
                    0 => Parting::Range(1 + rng.below(3), true),
                    1 => Parting::List(1 + rng.below(3), true),
                    2 => Parting::Hash(1 + rng.below(3)),
                    _ => Parting::Not,
                };
            }
        }
    }
}

/// Takes away what would be refused for the rows of the other side, or by PostgreSQL itself.
pub(crate) fn reconcile_rows(pair: &mut Generated, major: u32) {
    let then = pair.before.clone();
    for now in &mut pair.after.tables {
        let Some(old) = then.tables.iter().find(|old| old.path() == now.path()) else { continue };
        now.has_rows = old.has_rows;
    }
    one_side(&mut pair.after, &then);
    let now = pair.after.clone();
    one_side(&mut pair.before, &now);
    for _ in 0..3 {
        tidy(&mut pair.before, major);
        tidy(&mut pair.after, major);
        let now = pair.after.clone();
        keep_targets(&mut pair.before, &now);
        let then = pair.before.clone();
        keep_targets(&mut pair.after, &then);
    }
}

/// What a table must be like because rows of the other schema come into it.
fn one_side(schema: &mut Schema, other: &Schema) {
    for table in &mut schema.tables {
        let Some(old) = other.tables.iter().find(|old| old.path() == table.path()) else {
            continue;
        };
        let mut alone = Vec::new();
        for column in &mut table.columns {
            match old.column(&column.name) {
                Some(old) => {
                    let is_made = |source: &Source| matches!(source, Source::Generated(..));
                    let is_other = old.family != column.family
                        || is_made(&old.source) != is_made(&column.source);
                    if is_other {
                        *column = old.clone();
                    }
                    column.has_null &= column.nullable && old.nullable && old.has_null;
                }
                None => {
                    if column.source == Source::Sequence {
                        column.source = Source::Default;
                    }
                    column.nullable |= column.source == Source::Nothing;
                    if !column.counts() {
                        alone.push(column.name.clone());
                    }
                }
            }
        }
        let is_alone = |columns: &[String]| columns.iter().any(|name| alone.contains(name));
        table.constraints.retain(|constraint| match constraint.rule {
            Rule::Unique { .. } | Rule::Exclude => !is_alone(&constraint.columns),
            Rule::Primary | Rule::Check(..) | Rule::Foreign { .. } => true,
        });
        for index in &mut table.indexes {
            index.is_unique &= !is_alone(&index.columns);
        }
    }
}

/// What PostgreSQL itself would not take.
fn tidy(schema: &mut Schema, major: u32) {
    for table in &mut schema.tables {
        if table.parting != Parting::Not {
            of_partitions(table, major);
        }
    }
    let tables = schema.tables.clone();
    for table in &mut schema.tables {
        let copy = table.clone();
        table.columns.retain(|column| match &column.source {
            Source::Generated(from, _) => {
                copy.column(from).is_some_and(|from| !matches!(from.source, Source::Generated(..)))
            }
            _ => true,
        });
        for column in &mut table.columns {
            // serial and identity are for numbers that are not null, and for integers only.
            if column.counts() {
                column.nullable = false;
                column.has_null = false;
            }
            if column.source == Source::Sequence && schema.sequence.is_none() {
                column.source = Source::Nothing;
            }
            column.member %= FAMILIES[column.family].types.len();
            column.has_null &= column.nullable;
        }
        let copy = table.clone();
        let is_unlogged = table.is_unlogged;
        let stands = |columns: &[String]| columns.iter().all(|name| copy.column(name).is_some());
        table.constraints.retain(|constraint| {
            stands(&constraint.columns)
                && match &constraint.rule {
                    Rule::Foreign { table, key, .. } => tables.iter().any(|target| {
                        target.path() == *table
                            && target.has_rows
                            && target.parting == Parting::Not
                            && (!target.is_unlogged || is_unlogged)
                            && target.key().is_some_and(|found| found.name == *key)
                    }),
                    Rule::Primary | Rule::Unique { .. } | Rule::Check(..) | Rule::Exclude => true,
                }
        });
        table.indexes.retain(|index| stands(&index.columns));
        for index in &mut table.indexes {
            index.include.retain(|name| copy.column(name).is_some());
        }
        // An index over a key of partitions would be another subject.
        if table.columns.iter().any(|column| column.family == KEY && column.has_null) {
            for constraint in &mut table.constraints {
                if let Rule::Foreign { action, .. } = &mut constraint.rule {
                    *action %= 8;
                }
            }
        }
    }
}

/// Foreign keys whose target has rows on both sides.
fn keep_targets(schema: &mut Schema, other: &Schema) {
    for table in &mut schema.tables {
        if other.tables.iter().all(|old| old.path() != table.path()) {
            continue;
        }
        table.constraints.retain(|constraint| match &constraint.rule {
            Rule::Foreign { table, .. } => {
                other.tables.iter().any(|t| t.path() == *table && t.has_rows)
            }
            Rule::Primary | Rule::Unique { .. } | Rule::Check(..) | Rule::Exclude => true,
        });
    }
}

/// What a table of partitions cannot have in every version, or would need its key for.
fn of_partitions(table: &mut Table, major: u32) {
    (table.is_unlogged, table.fillfactor) = (false, None);
    for column in &mut table.columns {
        if matches!(column.source, Source::Always | Source::ByDefault) {
            column.source = Source::Nothing;
        }
    }
    let is_made = |source: &Source| matches!(source, Source::Generated(..));
    table.columns.retain(|column| major >= 15 || !is_made(&column.source));
    table.constraints.retain(|c| !matches!(c.rule, Rule::Unique { .. } | Rule::Exclude));
    for constraint in &mut table.constraints {
        if let Rule::Check(_, no_inherit) = &mut constraint.rule {
            *no_inherit = false;
        }
    }
    for index in &mut table.indexes {
        index.is_unique = false;
    }
}
