//! An index as a model states it.

use reconcile_catalog::Object;
use reconcile_sql::ident::is_plain;
use reconcile_yaml::Out;

use super::super::names::{first_choice, is_sure};
use super::super::{Index, Key, KeyPart, bare};
use crate::model::{WriteCx, Written, readable, settings};

pub(super) fn write(object: &Object, cx: &WriteCx<'_>) -> Option<Written> {
    let index: &Index = object.get()?;
    if follows_entirely(object, index, cx) {
        return None;
    }
    let relation = super::super::table_of(&object.address);
    let shown = |text: &str| readable(bare(text), &relation, cx.catalog);
    let method = (index.method != "btree").then(|| Out::text(&index.method));
    let options = index.options.iter().filter_map(|option| option.split_once('='));
    let options: Vec<(String, Out)> =
        options.map(|(name, value)| (name.to_owned(), settings::literal(value))).collect();
    let targets = index.statistics.iter().map(|(key, target)| (key.to_string(), number(*target)));
    let targets: Vec<(String, Out)> = targets.collect();
    let attached = index.attached_to.as_ref().map(|parent| Out::text(&parent.index));
    Some(
        Written::child("indexes", object)
            .with("columns", Out::words(index.keys.iter().map(|k| key(k, &shown))))
            .with_flag("unique", index.unique)
            .with_some("using", method)
            .with_words("include", &index.include)
            .with_some("where", index.predicate.as_ref().map(|p| Out::text(shown(p))))
            .with_flag("nulls_not_distinct", index.nulls_not_distinct)
            .with_some("with", (!options.is_empty()).then_some(Out::Record(options)))
            .with_some("tablespace", index.tablespace.as_ref().map(Out::text))
            .with_some("statistics", (!targets.is_empty()).then_some(Out::Record(targets)))
            .with_some("attached_to", attached)
            .short("columns"),
    )
}

/// Whether the parent's index says everything, the name included: then so does the model.
fn follows_entirely(object: &Object, index: &Index, cx: &WriteCx<'_>) -> bool {
    let parent = index.attached_to.as_ref().map(super::super::Attached::address);
    let Some(parent) = parent.and_then(|address| cx.catalog.definition::<Index>(&address)) else {
        return false;
    };
    let table = object.address.path().get(1).map_or("", String::as_str);
    index.follows(parent)
        && object.address.name() == first_choice(table, index)
        && cx.catalog.children(&object.address).next().is_none()
        && (is_sure(index) || !index.keys.is_empty())
}

fn number(number: i32) -> Out {
    Out::number(i64::from(number))
}

/// A key in the grammar of `super::key`.
fn key(key: &Key, shown: &dyn Fn(&str) -> String) -> String {
    let what = match &key.what {
        // A plain name is verbatim; anything that the grammar could split stands in quotes.
        KeyPart::Column(name) if is_plain(name) => name.clone(),
        KeyPart::Column(name) => format!("\"{}\"", name.replace('"', "\"\"")),
        KeyPart::Expression(text) => format!("({})", shown(text)),
    };
    format!("{what}{}", key.modifiers())
}
