//! `views:` at the top of a file, and what every relation with a query has in a model.

use std::sync::Arc;

use reconcile_catalog::{Address, Object};
use reconcile_sql::QName;
use reconcile_yaml::{Entry, Node, Out};

use super::{View, says_all};
use crate::materialized_view::model::MATERIALIZED_VIEW;
use crate::model::{
    At, FILE, Field, Form, ModelPart, ModelReader, Shape, WriteCx, Written, settings,
};

/// A view in a model.
pub static VIEW: Form = Form::new("view", "a view");

/// Views in a model.
pub struct ViewModel;

static FIELDS: [Field; 6] = [
    Field::section(
        &[&FILE],
        "views",
        Shape::Map(&Shape::OneOf(&[Shape::Text, Shape::Object(&VIEW)])),
        "Views by name: a query, or a mapping.",
    )
    .late(),
    Field::new(
        &[&VIEW, &MATERIALIZED_VIEW],
        "query",
        Shape::Text,
        "Its query: SELECT … or VALUES …, without a semicolon.",
    )
    .required(),
    Field::new(
        &[&VIEW, &MATERIALIZED_VIEW],
        "with",
        Shape::Settings,
        "Options: {security_invoker: true}; storage parameters of a materialized view.",
    ),
    Field::new(
        &[&VIEW],
        "defaults",
        Shape::Settings,
        "Defaults of output columns as SQL, for INSERT into the view.",
    ),
    Field::renamed_from(&[&VIEW, &MATERIALIZED_VIEW]),
    Field::absent(&[&VIEW, &MATERIALIZED_VIEW]),
];

impl ModelPart for ViewModel {
    fn fields(&self) -> &'static [Field] {
        &FIELDS
    }

    fn read<'a>(
        &self,
        _: &'static Field,
        entry: &'a Entry,
        _: &At<'a>,
        reader: &mut ModelReader<'a>,
    ) {
        for Entry { key, value } in entry.value.entries() {
            let Some(name) = reader.qualified(&key.text, key.span) else { continue };
            let address = View::address(&name);
            if reader.absent(value, &address, key.span) {
                continue;
            }
            let Some(query) = query(value, reader) else { continue };
            let defaults = value.get("defaults").map(Node::entries).unwrap_or_default();
            let default = |entry: &Entry| {
                entry.value.scalar().map(|s| (entry.key.text.clone(), s.text.trim().to_owned()))
            };
            let view = View {
                says_all: says_all(&query),
                query,
                options: value.get("with").map(settings::settings).unwrap_or_default(),
                columns: Vec::new(),
                defaults: defaults.iter().filter_map(default).collect(),
            };
            let texts: Vec<String> = view.defaults.iter().map(|(_, d)| d.clone()).collect();
            let texts = texts.into_iter().chain([view.query.clone()]).collect();
            let object = Object::new(address, None, Arc::new(view));
            declare(object, &name, &VIEW, texts, (value, key.span), reader);
        }
    }

    fn types(&self, _: &'static Field, name: &QName, _: &Node) -> Vec<(QName, Address)> {
        vec![(name.clone(), View::address(name))]
    }

    fn write(&self, object: &Object, cx: &WriteCx<'_>) -> Option<Written> {
        let view: &View = object.get()?;
        let defaults: Vec<(String, Out)> =
            view.defaults.iter().map(|(name, sql)| (name.clone(), Out::text(sql))).collect();
        Some(
            Written::root("views", object, cx)
                .with("query", Out::text(&view.query))
                .with_some("with", settings::written(&view.options))
                .with_some("defaults", (!defaults.is_empty()).then_some(Out::Record(defaults)))
                .short("query"),
        )
    }
}

/// The query of a relation, which may be all that is said of it.
pub(crate) fn query(node: &Node, reader: &mut ModelReader<'_>) -> Option<String> {
    let text = reader.expression(node.get("query").unwrap_or(node))?;
    Some(text.trim_end().trim_end_matches(';').trim_end().to_owned())
}

/// Declares a relation that has a query, and what stands in its mapping.
pub(crate) fn declare<'a>(
    mut object: Object,
    name: &QName,
    form: &'static Form,
    texts: Vec<String>,
    (node, span): (&'a Node, reconcile_yaml::Span),
    reader: &mut ModelReader<'a>,
) {
    let address: Address = object.address.clone();
    object.depends_on.insert(reader.in_namespace(&name.namespace, span));
    object.renamed_from = reader.renamed_from(node);
    if !reader.declare(object, span) {
        return;
    }
    reader.claim_relation(name.clone(), span);
    texts.iter().for_each(|text| reader.mention(&address, text));
    reader.sections(form, &address, node);
}
