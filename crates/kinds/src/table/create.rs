//! CREATE TABLE.

use reconcile_catalog::Object;
use reconcile_sql::quote_ident;

use super::steps::{is_inline, is_second};
use super::{Table, relation};
use crate::Cx;
use crate::column::{self, Column};
use crate::constraint::{self, Constraint};
use crate::inheritance::Inheritance;
use crate::step::{Action, Refusal, Sql, Stage};
use crate::storage;

/// A table with its columns and with every constraint that locks no other table.
///
/// A partition is made by itself, with all columns, and attached afterwards: that is a weaker lock
/// on its parent than CREATE TABLE … PARTITION OF takes. What it has from its parent comes with
/// the attachment, checks aside, which have to be there.
pub(super) fn create(object: &Object, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
    let address = &object.address;
    let inheritance = cx.desired.definition::<Inheritance>(&Inheritance::address(address));
    let partition = inheritance.is_some_and(Inheritance::is_partition);
    let mut columns: Vec<(&Object, &Column)> =
        cx.desired.children(address).filter_map(|o| o.get::<Column>().map(|c| (o, c))).collect();
    columns.sort_by_key(|(_, c)| c.position);
    let own = |column: &Column| partition || inheritance.is_none() || column.is_own();
    let columns = columns
        .into_iter()
        .filter(|(_, c)| own(c))
        .map(|(o, c)| column::declaration(&o.address, c, cx.version));
    let constraints = cx
        .desired
        .children(address)
        .filter_map(|o| o.get::<Constraint>().map(|c| (o, c)))
        .filter(|(_, c)| is_inline(c) && (!c.inherited || (partition && c.is_check())))
        .filter(|(o, c)| !is_second(&o.address, c, cx.desired))
        .map(|(o, c)| {
            format!("CONSTRAINT {} {}", quote_ident(o.address.name()), constraint::definition(c))
        });
    let body: Vec<String> = columns.chain(constraints).map(|line| format!("    {line}")).collect();
    let body =
        if body.is_empty() { "()".to_owned() } else { format!("(\n{}\n)", body.join(",\n")) };
    let table = object.get::<Table>();
    let unlogged = table.and_then(|t| t.unlogged).filter(|on| *on).map_or("", |_| "UNLOGGED ");
    let mut sql = format!("CREATE {unlogged}TABLE {} {body}", relation(address));
    if let Some(inheritance) = inheritance.filter(|i| !i.is_partition()) {
        let parents: Vec<String> = inheritance.parents.iter().map(ToString::to_string).collect();
        sql.push_str(&format!(" INHERITS ({})", parents.join(", ")));
    }
    let Table { partition_key, access_method, with, tablespace, .. } =
        table.cloned().unwrap_or_default();
    if let Some(key) = partition_key {
        sql.push_str(&format!(" PARTITION BY {key}"));
    }
    if let Some(method) = access_method {
        sql.push_str(&format!(" USING {}", quote_ident(&method)));
    }
    sql.push_str(&with.as_ref().map(storage::with).unwrap_or_default());
    if let Some(space) = tablespace {
        sql.push_str(&format!(" TABLESPACE {}", quote_ident(&space)));
    }
    let make = Action::new(address, format!("make table {}", address.short()), Sql::Statement(sql));
    let mut actions = vec![make];
    if !partition && inheritance.is_some() {
        let columns = cx.desired.children(address).filter_map(|o| Some((o, o.get::<Column>()?)));
        let inherited = columns.filter(|(_, column)| !column.is_own());
        actions.extend(inherited.flat_map(|(o, c)| column::overrides(o, c, cx)));
    }
    if let Some(table) = table {
        let on = |flag: Option<bool>| flag == Some(true);
        let clauses = [
            on(table.row_security).then_some("ENABLE ROW LEVEL SECURITY"),
            on(table.force_row_security).then_some("FORCE ROW LEVEL SECURITY"),
        ];
        actions.extend(clauses.into_iter().flatten().map(|clause| {
            let summary = format!("{} on {}", clause.to_lowercase(), address.short());
            Action::new(address, summary, Sql::alter_table(&relation(address), clause))
        }));
    }
    Ok(vec![Stage::transaction(actions)])
}
