//! `comment:` on whatever can have one.

use std::sync::Arc;

use reconcile_catalog::{Address, Object};
use reconcile_yaml::{Entry, Out, Style};

use super::Comment;
use crate::column::{self, model::COLUMN};
use crate::composite::model::COMPOSITE;
use crate::constraint::model::{CHECK, EXCLUSION, FOREIGN_KEY, PRIMARY_KEY, UNIQUE};
use crate::domain::model::DOMAIN;
use crate::domain_check::model::DOMAIN_CHECK;
use crate::enum_type::model::ENUM;
use crate::extension::model::EXTENSION;
use crate::index::model::INDEX;
use crate::materialized_view::model::MATERIALIZED_VIEW;
use crate::model::{At, Field, ModelPart, ModelReader, Shape, WriteCx, Written};
use crate::namespace::model::NAMESPACE;
use crate::policy::model::POLICY;
use crate::range::model::RANGE;
use crate::sequence::model::SEQUENCE;
use crate::statistics::model::STATISTICS;
use crate::table::model::TABLE;
use crate::trigger::model::TRIGGER;
use crate::view::model::VIEW;

/// Comments in a model.
pub struct CommentModel;

static FIELDS: [Field; 2] = [
    Field::section(
        &[
            &TABLE,
            &COLUMN,
            &PRIMARY_KEY,
            &UNIQUE,
            &CHECK,
            &FOREIGN_KEY,
            &EXCLUSION,
            &INDEX,
            &STATISTICS,
            &ENUM,
            &DOMAIN,
            &DOMAIN_CHECK,
            &COMPOSITE,
            &RANGE,
            &EXTENSION,
            &SEQUENCE,
            &NAMESPACE,
            &VIEW,
            &MATERIALIZED_VIEW,
            &POLICY,
            &TRIGGER,
        ],
        "comment",
        Shape::OneOf(&[Shape::Null, Shape::Text]),
        "The comment on it; an empty one means that there is none.",
    ),
    Field::section(
        &[&VIEW, &MATERIALIZED_VIEW, &COMPOSITE],
        "column_comments",
        Shape::Map(&Shape::OneOf(&[Shape::Null, Shape::Text])),
        "The comments on output columns or attributes, by their names.",
    ),
];

impl ModelPart for CommentModel {
    fn fields(&self) -> &'static [Field] {
        &FIELDS
    }

    fn read<'a>(
        &self,
        field: &'static Field,
        entry: &'a Entry,
        at: &At<'a>,
        reader: &mut ModelReader<'a>,
    ) {
        let Some(target) = &at.address else { return };
        if field.name == "comment" {
            comment(target, target, entry, reader);
        } else {
            for entry in entry.value.entries() {
                let Some(name) = reader.name(&entry.key) else { continue };
                comment(&target.child(column::NAME, name), target, entry, reader);
            }
        }
    }

    fn write(&self, object: &Object, _: &WriteCx<'_>) -> Option<Written> {
        let text = Out::text(&object.get::<Comment>()?.text);
        let of_part = object.parent != object.address.target();
        let written = if of_part {
            Written::child("column_comments", object)
        } else {
            Written { key: None, ..Written::child("comment", object) }
        };
        Some(written.with("comment", text).short("comment"))
    }
}

/// The comment on `target`, which goes with `parent`.
fn comment(target: &Address, parent: &Address, entry: &Entry, reader: &mut ModelReader<'_>) {
    let address = Comment::address(target);
    let text = entry.value.text();
    // The line end that closes a block is not part of the comment.
    let block = entry.value.scalar().is_some_and(|s| s.style == Style::Block);
    match text.map(|text| if block { text.trim_end_matches('\n') } else { text }) {
        None if !entry.value.is_null() => {}
        // PostgreSQL takes an empty comment for none.
        None | Some("") => reader.forbid(address, entry.key.span),
        Some(text) => {
            let comment = Arc::new(Comment { text: text.to_owned() });
            let mut object = Object::new(address, Some(parent.clone()), comment);
            object.depends_on.insert(parent.clone());
            reader.declare(object, entry.key.span);
        }
    }
}
