//! A column as a model states it.

use reconcile_catalog::{Address, Definition, Object};
use reconcile_yaml::{Meaning, Out, Scalar, Style};

use super::super::{Column, Identity, NotNull};
use crate::constraint::{Constraint, Rule};
use crate::inheritance::{self, implied};
use crate::model::{WriteCx, Written};
use crate::sequence::model::entries as counting_entries;

pub(super) fn write(object: &Object, cx: &WriteCx<'_>) -> Option<Written> {
    let column: &Column = object.get()?;
    let table = object.parent.as_ref()?;
    let partition =
        inheritance::of(table, cx.catalog).is_some_and(inheritance::Inheritance::is_partition);
    if !column.is_own() && follows(object, column, table, cx) {
        return None;
    }
    let implied = column.identity.is_some() || in_primary_key(object, cx);
    let written = Written { place: column.position, ..Written::child("columns", object) };
    let collation = column.collation.value.as_ref();
    let storage = column.storage.value.map(|s| Out::text(s.word()));
    let options = column.options.value.iter().map(|(k, v)| (k.as_str(), setting(v)));
    let options = (!column.options.value.is_empty()).then(|| Out::record(options));
    Some(
        written
            .with("type", Out::Text(cx.ty(&column.ty)))
            .with_some("nullable", (!column.nullable && !implied).then_some(Out::Flag(false)))
            .with_some("not_null", not_null(object, column))
            .with_some("default", column.default.as_deref().map(default))
            .with_some(
                "identity",
                column.identity.filter(|_| !partition).map(|i| identity(object, column, i)),
            )
            .with_some("generated", column.generated.as_ref().map(Out::text))
            .with_flag("virtual", column.is_virtual)
            .with_flag("inherited", !column.is_own() && !partition)
            .with_some("collation", collation.map(|c| Out::text(c.to_string())))
            .with_some("statistics", column.statistics.value.map(Out::number))
            .with_some("storage", storage)
            .with_some("compression", column.compression.value.as_ref().map(Out::text))
            .with_some("options", options)
            .short("type"),
    )
}

/// The constraint behind NOT NULL, where it is not the usual one.
fn not_null(object: &Object, column: &Column) -> Option<Out> {
    let NotNull { name, no_inherit, validated } =
        column.not_null.as_ref().filter(|_| !column.nullable)?;
    let named = name.value != NotNull::usual_name(&object.address);
    let entries = [
        named.then(|| ("name", Out::text(&name.value))),
        no_inherit.then_some(("no_inherit", Out::Flag(true))),
        (!validated).then_some(("valid", Out::Flag(false))),
    ];
    let entries: Vec<_> = entries.into_iter().flatten().collect();
    (!entries.is_empty()).then(|| Out::record(entries))
}

/// `always`, or a mapping where its sequence is not the usual one.
fn identity(object: &Object, column: &Column, identity: Identity) -> Out {
    let word = match identity {
        Identity::Always => Out::text("always"),
        Identity::ByDefault => Out::text("by default"),
    };
    let usual = Column::usual_sequence(&object.address);
    let name = column.sequence.as_ref().map(|s| &s.value).filter(|name| **name != usual);
    let mut entries: Vec<_> =
        name.map(|name| ("sequence", Out::text(&name.name))).into_iter().collect();
    if let Some(counting) = &column.counting {
        entries.extend(counting_entries(&counting.value, &column.ty));
    }
    if entries.is_empty() {
        return word;
    }
    Out::record([("generated", word)].into_iter().chain(entries))
}

fn setting(value: &str) -> Out {
    let scalar = Scalar { text: value.to_owned(), style: Style::Plain };
    match scalar.meaning() {
        Meaning::Number => Out::Number(value.to_owned()),
        Meaning::Text | Meaning::Flag(_) | Meaning::Null => Out::text(value),
    }
}

/// Whether a column is as its parents' and nothing is said of it.
fn follows(object: &Object, column: &Column, table: &Address, cx: &WriteCx<'_>) -> bool {
    // No child has these from its parent (`MergeAttributes`, `src/backend/commands/tablecmds.c`).
    let own = !column.statistics.is_default() || !column.options.is_default();
    let theirs = implied::column(table, object.address.name(), cx.catalog);
    let like_theirs = theirs.is_none_or(|theirs| theirs.properties() == column.properties());
    !own && like_theirs && cx.catalog.children(&object.address).all(|o| !is_stated(o))
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
        // A partition does not state its parent's.
        Rule::PrimaryKey { columns, .. } => {
            !constraint.inherited && columns.iter().any(|c| c == column.address.name())
        }
        _ => false,
    })
}
