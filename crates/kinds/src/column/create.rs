//! Adding a column: in the catalog only where that is possible, and with values for the rows that
//! are there where it is not.

use reconcile_catalog::{Address, Object};
use reconcile_sql::{LockLevel, quote_ident};

use super::declare::{declaration, settings, without_values};
use super::fill::Fill;
use super::not_null::Nulls;
use super::{Column, data, formula, generated, inherited};
use crate::constraint::table_of;
use crate::grant;
use crate::inheritance;
use crate::step::{Action, Refusal, Sql, Stage, Work};
use crate::table::relation;
use crate::{Cx, How};

/// Whether ADD COLUMN with this default writes no row: the value is computed once.
pub(super) fn is_constant(default: &str) -> bool {
    let tokens = reconcile_sql::lex::significant(default);
    let calls = tokens.windows(2).filter(|w| w[1].is("(")).filter_map(|w| w[0].ident());
    let stable = [
        "now",
        "current_timestamp",
        "localtimestamp",
        "current_time",
        "localtime",
        "transaction_timestamp",
        "statement_timestamp",
        "current_setting",
        "numeric",
        "varchar",
        "char",
        "bpchar",
        "varying",
        "timestamp",
        "time",
        "bit",
        "interval",
    ];
    calls.into_iter().all(|name| stable.contains(&name.as_str()))
}

pub(super) fn stages(object: &Object, how: How, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
    let address = &object.address;
    let Some(column) = object.get::<Column>() else { return Ok(Vec::new()) };
    if column.is_virtual && !cx.version.at_least(18) {
        return Err(Refusal::new(address, "a virtual generated column needs PostgreSQL 18"));
    }
    let table = table_of(address);
    let name = relation(address);
    let unproven = Nulls::of(address, cx).add_unproven(column);
    let after: Vec<Action> = settings(address, &name, column).into_iter().chain(unproven).collect();
    if column.inherited && inheritance::stays(&table, cx.live, cx.desired) {
        let overrides = inherited::overrides(object, column, cx);
        return Ok(vec![Stage::transaction(overrides)]);
    }
    if cx.is_new(&table) {
        // CREATE TABLE declares it.
        return Ok(vec![Stage::transaction(after)]);
    }
    let add = |clause: String| {
        Action::new(
            address,
            format!("add column {}", address.short()),
            Sql::alter_table(&name, clause),
        )
        .locking(name.clone(), LockLevel::AccessExclusive)
    };
    let constant = column.default.as_deref().is_none_or(is_constant);
    let computed = column.identity.is_some() || (column.generated.is_some() && !column.is_virtual);
    let plain = column.generated.is_none() && column.identity.is_none();
    let each_its_own = column.using.is_some() || !constant && !cx.is_rewritten(&table);
    if how == How::Online && plain && each_its_own && !is_empty(object, cx) {
        if let Some(reason) = formula::fault(address, column, cx) {
            return Err(Refusal::new(address, reason));
        }
        // No trigger sees that a table is rewritten, but only a default can be given in that way.
        let fill = Fill::added(address, column, cx);
        if let Some(fill) = fill.filter(|fill| column.using.is_some() || fill.is_unseen()) {
            return Ok(filled(address, column, fill.reliable()?, add, cx));
        }
    }
    let work = if computed || !constant {
        Work::Rewrite(name.clone())
    } else if column.is_virtual && !column.nullable {
        Work::Scan(name.clone())
    } else {
        Work::Catalog
    };
    let kept = generated::keep_values(address, cx).filter(|_| column.generated.is_none());
    let mut whole =
        add(format!("ADD COLUMN {}", declaration(address, column, cx.version))).working(work);
    let mut actions = Vec::new();
    if let Some(kept) = kept {
        // NOT NULL can only be said once the values are there.
        let nullable = Column { nullable: true, ..column.clone() };
        whole = add(format!("ADD COLUMN {}", declaration(address, &nullable, cx.version)));
        actions.extend([whole, kept]);
        if !column.nullable {
            let clause = format!("ALTER COLUMN {} SET NOT NULL", quote_ident(address.name()));
            let summary = format!("forbid nulls in {}", address.short());
            let set = Action::new(address, summary, Sql::alter_table(&name, clause));
            actions.push(set.locking(name.clone(), LockLevel::AccessExclusive));
        }
    } else {
        let valueless = column.default.is_none() && column.identity.is_none();
        if !column.nullable && valueless && column.generated.is_none() {
            let complaint =
                format!("rows of {name} would have no value in the new column {}", address.name());
            whole.preflights.push(data::values_where(&name, "'any row'", "true", complaint));
        }
        actions.push(whole);
    }
    actions.extend(after);
    if how == How::Within {
        actions.extend(grant::on_column(address, cx));
    }
    // What is only the catalog's business is done apart, before and at once.
    let heavy = actions.iter().any(|a| matches!(a.work, Work::Rewrite(_)));
    Ok(vec![if heavy && cx.is_rewritten(&table) {
        Stage::with(&table, actions)
    } else {
        Stage::transaction(actions)
    }])
}

/// Whether the table has no rows, as far as its size tells.
fn is_empty(object: &Object, cx: &Cx<'_>) -> bool {
    cx.size(&relation(&object.address)).is_some_and(|size| size.bytes == 0)
}

/// Values that are others for each row: new rows get theirs first, then those that are there, without a
/// lock that keeps readers or writers of other rows waiting.
fn filled(
    address: &Address,
    column: &Column,
    fill: Fill,
    add: impl Fn(String) -> Action,
    cx: &Cx<'_>,
) -> Vec<Stage> {
    let mut first = vec![
        add(format!("ADD COLUMN {}", without_values(address, column))),
        Fill::begin(address, column),
    ];
    first.extend(settings(address, &relation(address), column));
    let rest = match column.nullable {
        true => fill.around(Vec::new()),
        false => Nulls::of(address, cx).filling(fill).forbid(column),
    };
    [Stage::transaction(first)].into_iter().chain(rest).collect()
}
