//! Generated columns: what is changed in place, and what takes a new column.

use reconcile_sql::quote_ident;

use super::Column;
use super::alter::Steps;
use crate::constraint::{Constraint, Rule, table_of};
use crate::step::{Action, Refusal, Sql, Stage, Work};
use crate::table::relation;
use crate::{Alteration, Cx, Replacement};

/// What an alteration does to a column that is or becomes a generated one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Nothing of it concerns generation.
    Other,
    /// DROP EXPRESSION: the values stay.
    Plain,
    /// SET EXPRESSION (17)
    Expression,
    /// A new column under the same name, whose values are computed.
    Anew,
}

fn way(change: &Alteration<'_>, cx: &Cx<'_>) -> Way {
    let columns = change.live.get::<Column>().zip(change.desired.get::<Column>());
    let Some((live, desired)) = columns else { return Way::Other };
    let retyped = change.of("type").is_some() || change.of("collation").is_some();
    match (&live.generated, &desired.generated) {
        (None, None) => Way::Other,
        (None, Some(_)) => Way::Anew,
        (Some(_), None) if live.is_virtual => Way::Anew,
        (Some(_), None) => Way::Plain,
        (Some(_), Some(_)) if live.is_virtual != desired.is_virtual || retyped => Way::Anew,
        (Some(_), Some(_)) if change.of("generated").is_none() => Way::Other,
        (Some(_), Some(_)) if can_set_expression(change, live, cx) => Way::Expression,
        (Some(_), Some(_)) => Way::Anew,
    }
}

/// SET EXPRESSION: for stored columns from 17 on, for virtual ones from 18 on, there not in a
/// table with a CHECK (`ATExecSetExpression`, `src/backend/commands/tablecmds.c`).
fn can_set_expression(change: &Alteration<'_>, live: &Column, cx: &Cx<'_>) -> bool {
    if !cx.version.at_least(17) {
        return false;
    }
    let table = table_of(&change.live.address);
    let is_check = |c: &Constraint| matches!(c.rule, Rule::Check { .. });
    let checked = |catalog: &reconcile_catalog::Catalog| {
        catalog.children(&table).filter_map(reconcile_catalog::Object::get).any(is_check)
    };
    !live.is_virtual || !(checked(cx.live) || checked(cx.desired))
}

/// Whether the column is dropped and made again.
pub(super) fn replacement(change: &Alteration<'_>, cx: &Cx<'_>) -> Replacement {
    let inherited = change.live.get::<Column>().is_some_and(|c| c.inherited);
    match way(change, cx) {
        Way::Anew if !inherited => Replacement::Rebuilt,
        Way::Anew | Way::Other | Way::Plain | Way::Expression => Replacement::None,
    }
}

/// Whether all values are computed anew.
pub(super) fn rewrites(change: &Alteration<'_>, cx: &Cx<'_>) -> bool {
    let stored = change.desired.get::<Column>().is_some_and(|c| !c.is_virtual);
    stored && matches!(way(change, cx), Way::Expression)
}

/// What is changed in place.
pub(super) fn change(steps: &Steps<'_>) -> Result<Stage, Refusal> {
    let name = steps.address.short();
    match (way(steps.change, steps.cx), &steps.desired.generated) {
        (Way::Plain, _) => {
            let summary = format!("let {name} keep its values and be computed no more");
            Ok(Stage::transaction(vec![steps.clause("DROP EXPRESSION", summary)]))
        }
        (Way::Expression, Some(expression)) => {
            let clause = format!("SET EXPRESSION AS ({expression})");
            let action = steps.clause(&clause, format!("compute {name} as {expression}"));
            Ok(if steps.desired.is_virtual {
                Stage::transaction(vec![action])
            } else {
                let work = Work::Rewrite(steps.table.clone());
                Stage::with(&table_of(steps.address), vec![action.working(work)])
            })
        }
        _ => Err(steps.refuse("it comes from a parent table; change how it is generated there")),
    }
}

/// A virtual column has no values to keep: they are computed once more, for the plain one.
pub(super) fn keep_values(address: &reconcile_catalog::Address, cx: &Cx<'_>) -> Option<Action> {
    let live = cx.live.definition::<Column>(address).filter(|c| c.is_virtual)?;
    let expression = live.generated.as_ref()?;
    let (table, column) = (relation(address), quote_ident(address.name()));
    let sql = format!("UPDATE {table} SET {column} = {expression}");
    let summary = format!("write the values that {} had by computing", address.short());
    Some(Action::new(address, summary, Sql::Statement(sql)).working(Work::Rewrite(table)))
}
