//! How a model says that values are converted: `using:` and `back:` of a column.
//!
//! Invariant: an expression is one over the old row. Within it the column's name means the value that
//! it has before the change, whichever of the two directions the change has.

use reconcile_catalog::{Address, Object, Scope};
use reconcile_sql::lex::{TokenKind, significant};
use reconcile_sql::{QName, SqlType, quote_ident};

use super::{Column, data};
use crate::Cx;
use crate::constraint::table_of;
use crate::function::Function;
use crate::model::columns_in;
use crate::step::{Formula, Preflight};
use crate::table::{self, relation};

/// The key of the expression that gives the new value.
pub(super) const USING: &str = "using";
/// The key of the expression that gives the old one.
const BACK: &str = "back";

/// The row that a conversion reads: the table as it is, but for the column itself.
fn scope(address: &Address, from: &SqlType, to: &SqlType, cx: &Cx<'_>) -> Scope {
    let mut scope = table::scope(&table_of(address), &[cx.live]);
    for (name, ty) in &mut scope.columns {
        if name == address.name() {
            ty.clone_from(from);
        }
    }
    scope.assigned_to = Some(to.clone());
    scope
}

/// The expressions of a change of type, for the server to look at.
pub(super) fn formulas(
    address: &Address,
    live: &Column,
    desired: &Column,
    cx: &Cx<'_>,
) -> Vec<Formula> {
    let formula = |key, text: &Option<String>, from: &SqlType, to: &SqlType| {
        let text = text.clone()?;
        Some(Formula { address: address.clone(), key, text, scope: scope(address, from, to, cx) })
    };
    let forth = formula(USING, &desired.using, &live.ty, &desired.ty);
    let back = formula(BACK, &desired.back, &desired.ty, &live.ty);
    forth.into_iter().chain(back).collect()
}

/// Whether an expression is a literal or a null, which has no type before it is given one.
pub(super) fn is_untyped(text: &str) -> bool {
    matches!(significant(text).as_slice(), [one] if one.kind == TokenKind::Text || one.is("null"))
}

/// The columns that an expression reads, with their types.
pub(super) fn inputs(
    address: &Address,
    text: &str,
    own: &SqlType,
    cx: &Cx<'_>,
) -> Vec<(String, SqlType)> {
    let columns = scope(address, own, own, cx).columns;
    let names: Vec<String> = columns.iter().map(|(name, _)| name.clone()).collect();
    let read = columns_in(text, table_of(address).name(), &names);
    columns.iter().filter(|(name, _)| read.contains(&name)).cloned().collect()
}

/// Whether an expression of the model reads a column of the same table, or calls a function.
pub(super) fn reads(address: &Address, desired: &Column, other: &Object, cx: &Cx<'_>) -> bool {
    let Some(text) = desired.using.as_ref().filter(|_| other.address != *address) else {
        return false;
    };
    if other.get::<Column>().is_some() {
        let read = inputs(address, text, &desired.ty, cx);
        return other.parent == Some(table_of(address))
            && read.iter().any(|(name, _)| name == other.address.name());
    }
    let name = other.address.name().split('(').next();
    let mut named = significant(text).into_iter().filter_map(|token| token.ident());
    other.get::<Function>().is_some() && named.any(|word| Some(word.as_str()) == name)
}

/// Why a conversion cannot be made as it is written, whatever the way; nothing if it can.
pub(super) fn fault(address: &Address, desired: &Column, cx: &Cx<'_>) -> Option<String> {
    let texts = [(USING, &desired.using), (BACK, &desired.back)];
    texts.into_iter().find_map(|(key, text)| {
        let text = text.as_ref()?;
        let others = inputs(address, text, &desired.ty, cx);
        let other = others.iter().map(|(name, _)| address.renamed(name)).find(|other| {
            other != address && cx.retypes.of(other).is_some()
        })?;
        Some(format!(
            "its `{key}:` reads {}, whose type changes in the same plan; change one after the other",
            other.short()
        ))
    })
}

/// Why a conversion cannot be made for each row that is written meanwhile.
pub(super) fn unfit_online(address: &Address, desired: &Column, cx: &Cx<'_>) -> Option<String> {
    let texts = [(USING, &desired.using), (BACK, &desired.back)];
    let unfit = texts.into_iter().find_map(|(key, text)| {
        let text = text.as_ref()?;
        let read = inputs(address, text, &desired.ty, cx);
        let computed = read.iter().map(|(name, _)| address.renamed(name)).find(|other| {
            cx.live.definition::<Column>(other).is_some_and(|c| c.generated.is_some())
        });
        if let Some(other) = computed {
            // Triggers BEFORE see no value in it (`ExecComputeStoredGenerated` comes after them).
            return Some(format!("its `{key}:` reads {}, which is generated", other.short()));
        }
        let gone = |(name, _): &&(String, SqlType)| cx.fates.gone.contains(&address.renamed(name));
        if let Some((name, _)) = read.iter().find(gone) {
            let other = address.renamed(name);
            return Some(format!(
                "its `{key}:` reads {}, which the same plan drops; drop it when the change has ended",
                other.short()
            ));
        }
        let table = table_of(address);
        let names = scope(address, &desired.ty, &desired.ty, cx).columns;
        let whole = reads_row(text, table.name()) && names.iter().all(|(n, _)| n != table.name());
        whole.then(|| format!("its `{key}:` reads the whole row; name the columns"))
    });
    unfit.or_else(|| fault(address, desired, cx))
}

/// Whether an expression takes the row as one value.
fn reads_row(text: &str, table: &str) -> bool {
    let tokens = significant(text);
    tokens.iter().enumerate().any(|(at, token)| {
        let next = tokens.get(at + 1);
        let part = at > 0 && (tokens[at - 1].is(".") || tokens[at - 1].is("::"));
        let named = !part && token.ident().as_deref() == Some(table);
        let called = next.is_some_and(|t| t.is("("));
        let star = token.is(".") && next.is_some_and(|t| t.is("*"));
        star || named && !called && next.is_none_or(|t| !t.is("."))
    })
}

/// Rows that a conversion has no value for, or one that does not fit; `value` is what is shown of them, and `among` says which rows are looked at if not all. The first question is also put to
/// have the server compute the value of every row before anything starts.
pub(super) fn preflights(
    address: &Address,
    (value, among): (&str, Option<&str>),
    text: &str,
    desired: &Column,
    cx: &Cx<'_>,
) -> Vec<Preflight> {
    let (table, name) = (relation(address), quote_ident(address.name()));
    let to = &desired.ty;
    if !is_known(to, cx) || mentions_new(text, cx) {
        return Vec::new(); // The plan makes what would have to be asked about.
    }
    let ask = |condition: String, complaint: &str| {
        let complaint = format!("{table}.{name} {complaint}");
        let condition = among.map_or(condition.clone(), |rows| format!("{rows} AND {condition}"));
        data::values_where(&table, value, &condition, complaint)
    };
    let mut out = Vec::new();
    if !desired.nullable {
        out.push(ask(format!("({text}) IS NULL"), &format!("is null as {to}")));
    } else if !to.is_textual() || to.length().is_none() {
        out.push(ask(format!("num_nulls(({text})::{to}) < 0"), "cannot be converted"));
    }
    if let Some(length) = to.length().filter(|_| to.is_textual()) {
        let condition = format!("length(rtrim(({text})::text, ' ')) > {length}");
        out.push(ask(condition, &format!("becomes longer than {to} allows")));
    }
    out
}

/// Whether the server has a type already.
pub(super) fn is_known(ty: &SqlType, cx: &Cx<'_>) -> bool {
    let namespace = ty.namespace.as_ref();
    namespace.is_none_or(|ns| cx.facts.types.contains(&QName::new(ns, &ty.name)))
}

/// Whether a text may name something that the plan makes.
pub(super) fn mentions_new(text: &str, cx: &Cx<'_>) -> bool {
    let tokens = significant(text);
    let new = |name: &str| {
        cx.desired.in_place().any(|o| {
            o.parent.is_none()
                && o.address.name().split('(').next() == Some(name)
                && !cx.fates.live.contains_key(&o.address)
        })
    };
    tokens.iter().filter_map(reconcile_sql::lex::Token::ident).any(|name| new(&name))
}
