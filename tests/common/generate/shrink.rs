//! Pairs that are a little smaller than one that fails.

use super::Generated;
use super::mutate::reconcile_rows;
use super::schema::{Parting, Schema, Source, Table};

type Change = Box<dyn Fn(&mut Schema)>;

/// The pairs that are one thing smaller, the largest things first.
pub(crate) fn simpler(pair: &Generated) -> Vec<Generated> {
    let mut found = Vec::new();
    let mut add = |change: &dyn Fn(&mut Schema), sides: [bool; 2]| {
        let mut smaller = pair.clone();
        if sides[0] {
            change(&mut smaller.before);
        }
        if sides[1] {
            change(&mut smaller.after);
        }
        reconcile_rows(&mut smaller, 18);
        if smaller.before != pair.before || smaller.after != pair.after {
            found.push(smaller);
        }
    };
    let (mut both, mut paths) = (vec![&pair.before, &pair.after], Vec::new());
    for schema in both.drain(..) {
        paths.extend(schema.tables.iter().map(Table::path));
    }
    paths.sort();
    paths.dedup();
    for path in &paths {
        add(&|schema| schema.tables.retain(|table| table.path() != *path), [true, true]);
    }
    let whole: [Change; 4] = [
        Box::new(|schema| schema.views.clear()),
        Box::new(|schema| schema.sequence = None),
        Box::new(|schema| schema.tables.iter_mut().for_each(|t| t.has_rows = false)),
        Box::new(|schema| schema.tables.iter_mut().for_each(plain)),
    ];
    for change in &whole {
        add(change, [true, true]);
    }
    // The two become alike, table by table.
    for table in &pair.before.tables {
        let table = table.clone();
        add(
            &|schema| {
                let same = schema.tables.iter_mut().filter(|t| t.path() == table.path());
                same.for_each(|t| *t = table.clone());
            },
            [false, true],
        );
    }
    let before = pair.before.clone();
    add(&|schema| schema.views.clone_from(&before.views), [false, true]);
    add(
        &|schema| {
            schema.labels.clone_from(&before.labels);
            (schema.number, schema.word) = (before.number, before.word);
            schema.sequence = before.sequence;
        },
        [false, true],
    );
    for path in &paths {
        let of = |schema: &Schema| schema.tables.iter().find(|t| t.path() == *path).cloned();
        let (then, now) = (of(&pair.before), of(&pair.after));
        let tables = || then.iter().chain(&now);
        let mut names: Vec<String> = Vec::new();
        let at = |schema: &mut Schema, change: &dyn Fn(&mut Table)| {
            schema.tables.iter_mut().filter(|t| t.path() == *path).for_each(change);
        };
        for table in tables() {
            names.extend(table.constraints.iter().map(|constraint| constraint.name.clone()));
            names.extend(table.indexes.iter().map(|index| index.name.clone()));
        }
        names.sort();
        names.dedup();
        for name in &names {
            let drop = |table: &mut Table| {
                table.constraints.retain(|constraint| constraint.name != *name);
                table.indexes.retain(|index| index.name != *name);
            };
            add(&|schema| at(schema, &drop), [true, true]);
            add(&|schema| at(schema, &drop), [true, false]);
            add(&|schema| at(schema, &drop), [false, true]);
        }
        let mut columns: Vec<String> = Vec::new();
        for table in tables() {
            columns.extend(table.columns.iter().skip(1).map(|column| column.name.clone()));
        }
        columns.sort();
        columns.dedup();
        for name in &columns {
            let drop = |table: &mut Table| table.columns.retain(|column| column.name != *name);
            add(&|schema| at(schema, &drop), [true, true]);
            let plain = |table: &mut Table| {
                for column in table.columns.iter_mut().filter(|column| column.name == *name) {
                    column.comment = None;
                    column.statistics = None;
                    column.collation = false;
                    if column.source == Source::Default {
                        column.source = Source::Nothing;
                    }
                }
            };
            add(&|schema| at(schema, &plain), [true, true]);
            let old = then.as_ref().and_then(|table| table.column(name)).cloned();
            let revert = |table: &mut Table| {
                if let Some(old) = &old {
                    let same = table.columns.iter_mut().filter(|column| column.name == *name);
                    same.for_each(|column| *column = old.clone());
                }
            };
            add(&|schema| at(schema, &revert), [false, true]);
        }
        add(&|schema| at(schema, &|table| table.parting = Parting::Not), [true, true]);
        add(&|schema| at(schema, &|table| table.columns[0].source = Source::Nothing), [true, true]);
    }
    found
}

/// Without what is only written beside.
fn plain(table: &mut Table) {
    table.comment = None;
    table.fillfactor = None;
    table.is_unlogged = false;
    for column in &mut table.columns {
        column.comment = None;
        column.statistics = None;
        column.collation = false;
    }
    table.constraints.iter_mut().for_each(|constraint| constraint.comment = None);
    for index in &mut table.indexes {
        index.comment = None;
        index.include.clear();
    }
}
