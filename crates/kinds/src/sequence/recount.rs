//! A sequence counts in another way and stays where it is.

use reconcile_catalog::Address;
use reconcile_sql::{LockLevel, QName, SqlType};

use super::Counting;
use crate::step::{Action, Preflight, Sql, Stage};

/// The type and the manner in which a sequence counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner<'a> {
    pub(crate) ty: &'a SqlType,
    pub(crate) counting: Counting,
}

/// The steps from one manner to the other. The place is kept; one that the new bounds do not have
/// is kept by nobody, so a sequence that has given out a value there stops the plan, and one that
/// has not begins at its new start.
pub(crate) fn recount(address: &Address, name: &QName, from: Manner<'_>, to: Manner<'_>) -> Stage {
    let action = |summary: String, sql: String| {
        Action::new(address, summary, Sql::Statement(sql))
            .locking(name.clone(), LockLevel::ShareRowExclusive)
    };
    let retyped = (from.ty != to.ty).then(|| format!("AS {}", to.ty));
    let carried = match &retyped {
        Some(_) => from.counting.carried(from.ty, to.ty),
        None => from.counting,
    };
    let clauses: Vec<String> =
        retyped.into_iter().chain(to.counting.clauses_beside(&carried)).collect();
    if clauses.is_empty() {
        return Stage::transaction(Vec::new());
    }
    let summary = format!("let {name} count with {}", clauses.join(", ").to_lowercase());
    let mut alter = action(summary, format!("ALTER SEQUENCE {name} {}", clauses.join(" ")));
    let (min, max) = (to.counting.min, to.counting.max);
    if to.counting.spans(&from.counting) {
        return Stage::transaction(vec![alter]);
    }
    alter.preflights.push(Preflight {
        relation: name.clone(),
        complaint: format!("{name} stands outside of {min} to {max}"),
        sql: format!(
            "SELECT last_value::text, 1 FROM {name} WHERE is_called AND last_value NOT BETWEEN {min} AND {max}"
        ),
    });
    // Both bounds at once, so that the new start is within while the old place still is.
    let (low, high) = (from.counting.min.min(min), from.counting.max.max(max));
    let bounds = match from.ty == to.ty {
        true => String::new(),
        // The wider type has both ranges.
        false => "AS bigint ".to_owned(),
    };
    let widen = action(
        format!("let {name} count from {low} to {high}"),
        format!("ALTER SEQUENCE {name} {bounds}MINVALUE {low} MAXVALUE {high}"),
    );
    let restart = action(
        format!("let {name} begin at {} if it has not begun", to.counting.start),
        format!(
            "SELECT setval('{}', {}, false) FROM {name} WHERE NOT is_called AND last_value NOT BETWEEN {min} AND {max}",
            name.to_string().replace('\'', "''"),
            to.counting.start
        ),
    );
    let widened = Counting { min: low, max: high, ..from.counting };
    let clauses: Vec<String> = (from.ty != to.ty)
        .then(|| format!("AS {}", to.ty))
        .into_iter()
        .chain(to.counting.clauses_beside(&widened))
        .collect();
    alter.sql = Sql::Statement(format!("ALTER SEQUENCE {name} {}", clauses.join(" ")));
    Stage::transaction(vec![widen, restart, alter])
}
