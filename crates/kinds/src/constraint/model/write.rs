//! A constraint as a model states it.

use reconcile_catalog::Object;
use reconcile_sql::quote_ident;
use reconcile_yaml::Out;

use super::super::{Constraint, Deferred, ReferentialAction, Rule, exclusion};
use crate::model::{WriteCx, Written, names, readable, unwrapped};
use crate::storage;

pub(super) fn write(object: &Object, cx: &WriteCx<'_>) -> Option<Written> {
    let constraint: &Constraint = object.get()?;
    if constraint.inherited && !constraint.local {
        return None;
    }
    let written = match &constraint.rule {
        Rule::PrimaryKey { columns, include, without_overlaps } => {
            let name = object.address.name();
            let usual = names::object_name(object.parent.as_ref()?.name(), None, "pkey");
            let named = (name != usual).then(|| Out::text(name));
            let written = Written { key: None, ..Written::child("primary_key", object) };
            written
                .with("columns", Out::words(columns))
                .with_words("include", include)
                .with_flag("without_overlaps", *without_overlaps)
                .with_some("name", named)
                .short("columns")
        }
        Rule::Unique { columns, include, nulls_not_distinct, without_overlaps } => {
            Written::child("unique", object)
                .with("columns", Out::words(columns))
                .with_words("include", include)
                .with_flag("nulls_not_distinct", *nulls_not_distinct)
                .with_flag("without_overlaps", *without_overlaps)
                .short("columns")
        }
        Rule::Check { expression, no_inherit } => Written::child("checks", object)
            .with(
                "expression",
                Out::text(readable(unwrapped(expression), object.parent.as_ref()?, cx.catalog)),
            )
            .with_flag("no_inherit", *no_inherit)
            .short("expression"),
        Rule::ForeignKey {
            columns,
            references,
            referenced,
            on_update,
            on_delete,
            set_columns,
            match_full,
            period,
        } => {
            let listed: Vec<String> = referenced.iter().map(|c| quote_ident(c)).collect();
            let target = format!("{}({})", cx.name(references), listed.join(", "));
            Written::child("foreign_keys", object)
                .with("columns", Out::words(columns))
                .with("references", Out::Text(target))
                .with_some("on_update", action(*on_update))
                .with_some("on_delete", action(*on_delete))
                .with_words("set_columns", set_columns)
                .with_some("match", match_full.then(|| Out::text("full")))
                .with_flag("period", *period)
        }
        Rule::Other { definition } => {
            let exclusion::Exclusion { method, elements, include, predicate } =
                exclusion::parse(definition)?;
            let elements =
                elements.iter().map(|(text, operator)| format!("{text} WITH {operator}"));
            let predicate = predicate.as_deref().map(|text| Out::text(unwrapped(text)));
            Written::child("exclusions", object)
                .with_some("using", (method != "btree").then(|| Out::text(method)))
                .with("elements", Out::words(elements))
                .with_words("include", &include)
                .with_some("where", predicate)
        }
    };
    let tablespace = constraint.tablespace.as_ref().filter(|space| !space.is_empty());
    let deferrable = constraint.deferrable.map(|when| match when {
        Deferred::InitiallyImmediate => Out::text("initially immediate"),
        Deferred::InitiallyDeferred => Out::text("initially deferred"),
    });
    let not_valid = !constraint.validated && !constraint.not_enforced;
    Some(
        written
            .with_some("deferrable", deferrable)
            .with_flag("not_enforced", constraint.not_enforced)
            .with_flag("not_valid", not_valid)
            .with_some("with", constraint.with.as_ref().and_then(storage::to_out))
            .with_some("tablespace", tablespace.map(Out::text)),
    )
}

fn action(action: ReferentialAction) -> Option<Out> {
    (action != ReferentialAction::NoAction).then(|| Out::Text(action.sql().to_lowercase()))
}
