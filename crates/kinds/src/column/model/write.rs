//! A column as a model states it.

use reconcile_catalog::{Address, Definition, Object};
use reconcile_yaml::{Meaning, Out, Scalar, Style};

use super::super::{Column, Identity};
use crate::constraint::{Constraint, Rule};
use crate::inheritance::{self, implied};
use crate::model::{WriteCx, Written};

pub(super) fn write(object: &Object, cx: &WriteCx<'_>) -> Option<Written> {
    let column: &Column = object.get()?;
    let table = object.parent.as_ref()?;
    let partition =
        inheritance::of(table, cx.catalog).is_some_and(inheritance::Inheritance::is_partition);
    if !column.is_own() && follows(object, column, table, cx) {
        return None;
    }
    let implied = column.identity.is_some() || in_primary_key(object, cx);
    let identity = column.identity.map(|identity| match identity {
        Identity::Always => Out::text("always"),
        Identity::ByDefault => Out::text("by default"),
    });
    let written = Written { place: column.position, ..Written::child("columns", object) };
    Some(
        written
            .with("type", Out::Text(cx.ty(&column.ty)))
            .with_some("nullable", (!column.nullable && !implied).then_some(Out::Flag(false)))
            .with_some("default", column.default.as_deref().map(default))
            .with_some("identity", identity.filter(|_| !partition))
            .with_some("generated", column.generated.as_ref().map(Out::text))
            .with_flag("inherited", !column.is_own() && !partition)
            .with_some("collation", column.collation.as_ref().map(|c| Out::text(c.to_string())))
            .short("type"),
    )
}

/// Whether a column is as its parents' and nothing is said of it.
fn follows(object: &Object, column: &Column, table: &Address, cx: &WriteCx<'_>) -> bool {
    let theirs = implied::column(table, object.address.name(), cx.catalog);
    let like_theirs = theirs.is_none_or(|theirs| theirs.properties() == column.properties());
    like_theirs && cx.catalog.children(&object.address).all(|o| !is_stated(o))
}

/// Whether a model can state what belongs to a column.
fn is_stated(object: &Object) -> bool {
    crate::kind(object.address.kind()).is_some_and(|kind| kind.model().is_some())
}

/// Numbers and flags as such, everything else as SQL.
pub(crate) fn default(sql: &str) -> Out {
    let scalar = Scalar { text: sql.to_owned(), style: Style::Plain };
    match scalar.meaning() {
        Meaning::Number if !sql.starts_with(['0', '.']) || sql == "0" => {
            Out::Number(sql.to_owned())
        }
        Meaning::Flag(flag) => Out::Flag(flag),
        _ => Out::text(sql),
    }
}

fn in_primary_key(column: &Object, cx: &WriteCx<'_>) -> bool {
    let siblings = column.parent.iter().flat_map(|table| cx.catalog.children(table));
    siblings.filter_map(Object::get::<Constraint>).any(|constraint| match &constraint.rule {
        Rule::PrimaryKey { columns, .. } => columns.iter().any(|c| c == column.address.name()),
        _ => false,
    })
}
