//! An index as a model states it.

use reconcile_catalog::Object;
use reconcile_sql::ident::is_plain;
use reconcile_yaml::Out;

use super::super::{Index, Key, KeyPart};
use crate::model::{WriteCx, Written};

pub(super) fn write(object: &Object, _: &WriteCx<'_>) -> Option<Written> {
    let index: &Index = object.get()?;
    if index.inherited {
        return None;
    }
    let method = (index.method != "btree").then(|| Out::text(&index.method));
    let options = index.options.iter().flatten().filter_map(|option| option.split_once('='));
    let options: Vec<(String, Out)> =
        options.map(|(name, value)| (name.to_owned(), Out::text(value))).collect();
    Some(
        Written::child("indexes", object)
            .with("columns", Out::words(index.keys.iter().map(key)))
            .with_flag("unique", index.unique)
            .with_some("using", method)
            .with_words("include", &index.include)
            .with_some("where", index.predicate.as_ref().map(Out::text))
            .with_flag("nulls_not_distinct", index.nulls_not_distinct)
            .with_some("with", (!options.is_empty()).then_some(Out::Record(options)))
            .short("columns"),
    )
}

/// A key in the grammar of `super::key`.
fn key(key: &Key) -> String {
    let mut out = match &key.what {
        // A plain name is verbatim; anything that the grammar could split stands in quotes.
        KeyPart::Column(name) if is_plain(name) => name.clone(),
        KeyPart::Column(name) => format!("\"{}\"", name.replace('"', "\"\"")),
        KeyPart::Expression(text) => format!("({text})"),
    };
    if let Some(collation) = &key.collation {
        out.push_str(&format!(" COLLATE {collation}"));
    }
    if let Some(class) = &key.operator_class {
        out.push_str(&format!(" {class}"));
    }
    if key.descending {
        out.push_str(" DESC");
    }
    match (key.descending, key.nulls_first) {
        (true, false) => out.push_str(" NULLS LAST"),
        (false, true) => out.push_str(" NULLS FIRST"),
        _ => {}
    }
    out
}
