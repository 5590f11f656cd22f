//! `materialized_views:` at the top of a file.

use std::sync::Arc;

use reconcile_catalog::{Address, Object};
use reconcile_sql::QName;
use reconcile_yaml::{Entry, Node, Out};

use super::MaterializedView;
use crate::model::{
    At, FILE, Field, Form, ModelPart, ModelReader, Shape, WriteCx, Written, settings,
};
use crate::view::model::{declare, query};
use crate::view::says_all;

/// A materialized view in a model.
pub static MATERIALIZED_VIEW: Form = Form::new("materialized_view", "a materialized view");

/// Materialized views in a model.
pub struct MaterializedViewModel;

static FIELDS: [Field; 4] = [
    Field::section(
        &[&FILE],
        "materialized_views",
        Shape::Map(&Shape::OneOf(&[Shape::Text, Shape::Object(&MATERIALIZED_VIEW)])),
        "Materialized views by name: a query, or a mapping.",
    )
    .late(),
    Field::new(
        &[&MATERIALIZED_VIEW],
        "populated",
        Shape::Flag,
        "false: made without rows; true if left out.",
    ),
    Field::new(&[&MATERIALIZED_VIEW], "using", Shape::Name, "Its access method, if not heap."),
    Field::new(
        &[&MATERIALIZED_VIEW],
        "tablespace",
        Shape::Name,
        "Its tablespace, if not the database's.",
    ),
];

impl ModelPart for MaterializedViewModel {
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
            let address = MaterializedView::address(&name);
            if reader.absent(value, &address, key.span) {
                continue;
            }
            let Some(query) = query(value, reader) else { continue };
            let mut named = |key: &str| value.get(key).and_then(|node| reader.name_of(node));
            let view = MaterializedView {
                query: query.clone(),
                options: value.get("with").map(settings::settings).unwrap_or_default(),
                columns: Vec::new(),
                settings: Vec::new(),
                says_all: says_all(&query),
                populated: value.get("populated").and_then(Node::flag).unwrap_or(true),
                access_method: named("using"),
                tablespace: named("tablespace"),
            };
            let object = Object::new(address, None, Arc::new(view));
            declare(object, &name, &MATERIALIZED_VIEW, vec![query], (value, key.span), reader);
        }
    }

    fn types(&self, _: &'static Field, name: &QName, _: &Node) -> Vec<(QName, Address)> {
        vec![(name.clone(), MaterializedView::address(name))]
    }

    fn write(&self, object: &Object, cx: &WriteCx<'_>) -> Option<Written> {
        let view: &MaterializedView = object.get()?;
        Some(
            Written::root("materialized_views", object, cx)
                .with("query", Out::text(&view.query))
                .with_some("populated", (!view.populated).then_some(Out::Flag(false)))
                .with_some("with", settings::written(&view.options))
                .with_some("using", view.access_method.as_ref().map(Out::text))
                .with_some("tablespace", view.tablespace.as_ref().map(Out::text))
                .short("query"),
        )
    }
}
