//! Adding a column: in the catalog only where that is possible, and with values for the rows that
//! are there where it is not.

use reconcile_catalog::Object;
use reconcile_sql::{LockLevel, quote_ident};

use super::declare::{declaration, settings, without_values};
use super::not_null::Nulls;
use super::{Column, data, generated, inherited};
use crate::constraint::table_of;
use crate::grant;
use crate::inheritance;
use crate::step::{Action, Refusal, Sql, Stage, Work};
use crate::table::relation;
use crate::trigger::Trigger;
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
    if how == How::Online
        && !constant
        && !cx.is_rewritten(&table)
        && !is_empty(object, cx)
        && !has_update_triggers(object, cx)
    {
        return Ok(filled(object, column, add, after, cx));
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

/// Whether an UPDATE would do more than fill the column.
fn has_update_triggers(object: &Object, cx: &Cx<'_>) -> bool {
    let table = table_of(&object.address);
    cx.live.children(&table).any(|o| o.get::<Trigger>().is_some())
}

/// A default that is another one for each row: new rows get it first, then those that are there,
/// without a lock that keeps readers or writers of other rows waiting.
fn filled(
    object: &Object,
    column: &Column,
    add: impl Fn(String) -> Action,
    after: Vec<Action>,
    cx: &Cx<'_>,
) -> Vec<Stage> {
    let address = &object.address;
    let (name, quoted) = (relation(address), quote_ident(address.name()));
    let default = column.default.as_deref().unwrap_or("NULL");
    let short = address.short();
    let set = Action::new(
        address,
        format!("let {short} default to {default}"),
        Sql::alter_table(&name, format!("ALTER COLUMN {quoted} SET DEFAULT {default}")),
    )
    .locking(name.clone(), LockLevel::AccessExclusive);
    let mut first = vec![add(format!("ADD COLUMN {}", without_values(address, column))), set];
    first.extend(after);
    let sql = format!("UPDATE {name} SET {quoted} = DEFAULT WHERE {quoted} IS NULL");
    let mut fill = Action::new(
        address,
        format!("give {short} its default in the rows that are there"),
        Sql::Statement(sql),
    )
    .locking(name.clone(), LockLevel::RowExclusive)
    .working(Work::Rewrite(name.clone()));
    fill.warnings.push(format!(
        "every row of {name} is updated in one transaction: whoever updates one of them meanwhile waits until it is done"
    ));
    let mut stages = vec![Stage::transaction(first), Stage::transaction(vec![fill])];
    if !column.nullable && column.not_null.as_ref().is_none_or(|c| c.validated) {
        stages.extend(Nulls::of(address, cx).filled().forbid(column));
    }
    stages
}
