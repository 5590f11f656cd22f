//! Questions to the rows before a constraint is made.

use reconcile_catalog::Address;
use reconcile_sql::lex::significant;
use reconcile_sql::{QName, SqlType, quote_ident};

use super::{Constraint, Rule, table_of};
use crate::Cx;
use crate::column::{Column, data::values_where};
use crate::enum_type::EnumType;
use crate::step::Preflight;
use crate::table::{self, relation};

/// Rows that a constraint would refuse, grouped by the values that it looks at. Nothing for a
/// table that is not there yet.
pub(super) fn violations(
    address: &Address,
    constraint: &Constraint,
    cx: &Cx<'_>,
) -> Vec<Preflight> {
    let table = table_of(address);
    let temporal = matches!(
        constraint.rule,
        Rule::PrimaryKey { without_overlaps: true, .. }
            | Rule::Unique { without_overlaps: true, .. }
            | Rule::ForeignKey { period: true, .. }
    );
    // Ranges are the server's own to compare; what is not enforced asks nothing of the rows.
    if cx.is_new(&table) || temporal || constraint.not_enforced {
        return Vec::new();
    }
    let name = relation(address);
    let missing =
        |columns: &[String]| columns.iter().any(|c| !cx.live.contains(&Column::address(&table, c)));
    match &constraint.rule {
        Rule::Check { expression, .. } => check(address, expression, cx).into_iter().collect(),
        Rule::PrimaryKey { columns, .. } if !missing(columns) => {
            vec![duplicates(&name, columns, true)]
        }
        Rule::Unique { columns, nulls_not_distinct, .. } if !missing(columns) => {
            vec![duplicates(&name, columns, *nulls_not_distinct)]
        }
        Rule::ForeignKey { columns, references, referenced, .. }
            if !missing(columns) && cx.live.contains(&table::Table::address(references)) =>
        {
            vec![orphans(&name, columns, references, referenced)]
        }
        _ => Vec::new(),
    }
}

/// The check over the rows as they will be: with the columns that change their type cast, and the
/// columns that are new as null.
fn check(address: &Address, expression: &str, cx: &Cx<'_>) -> Option<Preflight> {
    let table = table_of(address);
    let name = relation(address);
    let words: Vec<String> =
        significant(expression).iter().filter_map(reconcile_sql::lex::Token::ident).collect();
    let mut outputs = Vec::new();
    let mut shown = Vec::new();
    for object in cx.desired.children(&table).chain(cx.live.children(&table)) {
        let Some(column) = object.get::<Column>() else { continue };
        let plain = object.address.name();
        if !words.iter().any(|w| w == plain) || shown.iter().any(|s| s == plain) {
            continue;
        }
        let quoted = quote_ident(plain);
        let there = cx.live.definition::<Column>(&object.address);
        // A child's column follows its parent's.
        let followed = cx.retypes.of(&object.address).map(|change| Column::new(change.to.clone()));
        let column = followed.as_ref().unwrap_or(column);
        if is_unknown(&column.ty, there, cx) {
            return None; // The statement itself will tell: nobody can ask about it before.
        }
        let asked = column.using.as_ref();
        outputs.push(match there {
            Some(live) if live.ty == column.ty => quoted,
            Some(_) if column.ty.is_textual() && asked.is_none() => {
                format!("{quoted}::text AS {quoted}")
            }
            // As the change itself converts: a number's text is not always one of another type.
            Some(live) => {
                let converted = crate::column::using(plain, &live.ty, &column.ty);
                let converted = asked.map(|text| format!("({text})")).or(converted);
                let converted = converted.unwrap_or_else(|| format!("{quoted}::{}", column.ty));
                format!("{converted} AS {quoted}")
            }
            None => format!(
                "{}::{} AS {quoted}",
                column.default.as_deref().unwrap_or("NULL"),
                column.ty
            ),
        });
        shown.push(plain.to_owned());
    }
    let value = match shown.as_slice() {
        [] => "'any row'".to_owned(),
        [one] => quote_ident(one),
        more => {
            format!("row({})", more.iter().map(|c| quote_ident(c)).collect::<Vec<_>>().join(", "))
        }
    };
    let outputs = if outputs.is_empty() { "1".to_owned() } else { outputs.join(", ") };
    let source = format!("(SELECT {outputs} FROM {name}) AS {}", quote_ident(&name.name));
    let sql = format!(
        "SELECT ({value})::text, count(*) FROM {source} WHERE ({expression}) IS FALSE GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 20"
    );
    let what = shown.iter().map(|c| quote_ident(c)).collect::<Vec<_>>().join(", ");
    let what = if what.is_empty() { name.to_string() } else { format!("{name}.{what}") };
    Some(Preflight {
        relation: name,
        complaint: format!("{what} does not satisfy {} ({expression})", address.name()),
        sql,
    })
}

/// Whether the plan makes the type of a column, or gives it labels that an expression may name.
fn is_unknown(ty: &SqlType, there: Option<&Column>, cx: &Cx<'_>) -> bool {
    let Some(namespace) = &ty.namespace else { return false };
    let name = QName::new(namespace, &ty.name);
    let address = EnumType::address(&name);
    let labels =
        cx.live.definition::<EnumType>(&address).zip(cx.desired.definition::<EnumType>(&address));
    let grows = labels.is_some_and(|(live, desired)| live != desired);
    let changes = there.is_some_and(|live| live.ty != *ty);
    grows || (changes && !cx.facts.types.contains(&name))
}

fn duplicates(table: &QName, columns: &[String], nulls_too: bool) -> Preflight {
    let list = columns.iter().map(|c| quote_ident(c)).collect::<Vec<_>>();
    let nulls = if nulls_too {
        "true".to_owned()
    } else {
        list.iter().map(|c| format!("{c} IS NOT NULL")).collect::<Vec<_>>().join(" AND ")
    };
    let joined = list.join(", ");
    Preflight {
        relation: table.clone(),
        complaint: format!("{table} ({joined}) is not unique"),
        sql: format!(
            "SELECT (row({joined}))::text, count(*) FROM {table} WHERE {nulls} GROUP BY {joined} HAVING count(*) > 1 \
             ORDER BY 2 DESC, 1 LIMIT 20"
        ),
    }
}

fn orphans(
    table: &QName,
    columns: &[String],
    references: &QName,
    referenced: &[String],
) -> Preflight {
    let quoted = |names: &[String], alias: &str| {
        names.iter().map(|c| format!("{alias}.{}", quote_ident(c))).collect::<Vec<_>>()
    };
    let (mine, theirs) = (quoted(columns, "r"), quoted(referenced, "k"));
    let join = mine
        .iter()
        .zip(&theirs)
        .map(|(m, t)| format!("{m} = {t}"))
        .collect::<Vec<_>>()
        .join(" AND ");
    let filled = mine.iter().map(|m| format!("{m} IS NOT NULL")).collect::<Vec<_>>().join(" AND ");
    let value =
        if let [one] = mine.as_slice() { one.clone() } else { format!("row({})", mine.join(", ")) };
    let mut preflight = values_where(table, &value, "true", String::new());
    preflight.complaint = format!(
        "{table} ({}) is not in {references} ({})",
        columns.join(", "),
        referenced.join(", ")
    );
    preflight.sql = format!(
        "SELECT ({value})::text, count(*) FROM {table} AS r WHERE {filled} AND NOT EXISTS \
         (SELECT FROM {references} AS k WHERE {join}) GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 20"
    );
    preflight
}
