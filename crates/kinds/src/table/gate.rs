//! The statements of an application on a table, prepared but never executed.

use reconcile_catalog::Object;
use reconcile_sql::{quote_ident, quote_literal};

use super::relation;
use crate::column::{Column, Identity};
use crate::constraint::{Constraint, Rule};
use crate::gate::{Binding, GateCx, Probe, Test};

/// INSERT of all columns, UPDATE by key, SELECT; and whether the role may.
pub(super) fn probes(table: &Object, cx: &GateCx<'_>) -> Vec<Probe> {
    let name = relation(&table.address);
    if !cx.live.contains(&table.address) {
        return Vec::new(); // That it is missing is said already.
    }
    let mut columns: Vec<(&str, &Column)> = cx
        .desired
        .children(&table.address)
        .filter_map(|o| o.get().map(|c| (o.address.name(), c)))
        .collect();
    columns.sort_by_key(|(_, c)| c.position);
    let key: Vec<String> = cx
        .desired
        .children(&table.address)
        .filter_map(Object::get::<Constraint>)
        .find_map(|c| match &c.rule {
            Rule::PrimaryKey { columns, .. } => Some(columns.clone()),
            _ => None,
        })
        .unwrap_or_default();
    let written: Vec<(&str, &Column)> = columns
        .iter()
        .copied()
        .filter(|(_, c)| c.generated.is_none() && c.identity != Some(Identity::Always))
        .collect();
    let short = table.address.short();
    let mut out = Vec::new();
    if !columns.is_empty() {
        let list: Vec<String> = columns.iter().map(|(n, _)| quote_ident(n)).collect();
        let test = Test::Prepare {
            parameters: String::new(),
            sql: format!("SELECT {} FROM {name}", list.join(", ")),
        };
        out.push(Probe { what: format!("select from {short}"), test });
    }
    if !written.is_empty() {
        let names: Vec<String> = written.iter().map(|(n, _)| quote_ident(n)).collect();
        let values: Vec<String> = (1..=written.len()).map(|n| format!("${n}")).collect();
        let sql =
            format!("INSERT INTO {name} ({}) VALUES ({})", names.join(", "), values.join(", "));
        let test = Test::Prepare { parameters: parameters(&written, cx.binding), sql };
        out.push(Probe { what: format!("insert into {short}"), test });
    }
    let (keys, others): (Vec<_>, Vec<_>) =
        columns.iter().copied().partition(|(n, _)| key.iter().any(|k| k == n));
    let set: Vec<(&str, &Column)> =
        others.into_iter().filter(|(n, _)| written.iter().any(|(w, _)| w == n)).collect();
    if !keys.is_empty() && !set.is_empty() {
        let assign =
            |(at, (n, _)): (usize, &(&str, &Column))| format!("{} = ${}", quote_ident(n), at + 1);
        let sets: Vec<String> = set.iter().enumerate().map(assign).collect();
        let wheres: Vec<String> =
            keys.iter().enumerate().map(|(at, pair)| assign((at + set.len(), pair))).collect();
        let sql = format!("UPDATE {name} SET {} WHERE {}", sets.join(", "), wheres.join(" AND "));
        let all: Vec<(&str, &Column)> = set.into_iter().chain(keys).collect();
        let test = Test::Prepare { parameters: parameters(&all, cx.binding), sql };
        out.push(Probe { what: format!("update {short} by its key"), test });
    }
    out.extend(privileges(table, cx));
    out
}

fn parameters(columns: &[(&str, &Column)], binding: Binding) -> String {
    match binding {
        // The type without its length: a driver binds a varchar, not a varchar(20).
        Binding::Typed => {
            let bare = |c: &Column| {
                let mut ty = c.ty.clone();
                ty.modifiers = None;
                ty.fields = None;
                if ty.name == "char" && ty.namespace.is_none() {
                    "bpchar".to_owned()
                } else {
                    ty.to_string()
                }
            };
            format!("({})", columns.iter().map(|(_, c)| bare(c)).collect::<Vec<_>>().join(", "))
        }
        Binding::Untyped => String::new(),
    }
}

fn privileges(table: &Object, cx: &GateCx<'_>) -> Vec<Probe> {
    let name = quote_literal(&relation(&table.address).to_string());
    let role = quote_literal(cx.app_role);
    let namespace = quote_literal(table.address.namespace());
    let short = table.address.short();
    let mut out = vec![Probe {
        what: format!("{} may use namespace {}", cx.app_role, table.address.namespace()),
        test: Test::Holds(format!("has_schema_privilege({role}, {namespace}, 'USAGE')")),
    }];
    for privilege in ["SELECT", "INSERT", "UPDATE"] {
        let columns = cx.desired.children(&table.address).filter(|o| {
            o.get::<Column>().is_some_and(|c| privilege == "SELECT" || c.generated.is_none())
                && cx.live.contains(&o.address)
        });
        // A grant on the table covers its columns; grants on all columns do as well.
        let each: Vec<String> = columns
            .map(|o| {
                format!(
                    "has_column_privilege({role}, {name}, {}, '{privilege}')",
                    quote_literal(o.address.name())
                )
            })
            .collect();
        if !each.is_empty() {
            out.push(Probe {
                what: format!("{} may {} {short}", cx.app_role, privilege.to_lowercase()),
                test: Test::Holds(each.join(" AND ")),
            });
        }
    }
    out
}
