//! `comment:` on whatever can have one.

use std::sync::Arc;

use reconcile_catalog::Object;
use reconcile_yaml::{Entry, Out, Style};

use super::Comment;
use crate::column::model::COLUMN;
use crate::constraint::model::{CHECK, FOREIGN_KEY, PRIMARY_KEY, UNIQUE};
use crate::enum_type::model::ENUM;
use crate::index::model::INDEX;
use crate::model::{At, Field, ModelPart, ModelReader, Shape, WriteCx, Written};
use crate::namespace::model::NAMESPACE;
use crate::table::model::TABLE;

/// Comments in a model.
pub struct CommentModel;

static FIELDS: [Field; 1] = [Field::section(
    &[&TABLE, &COLUMN, &PRIMARY_KEY, &UNIQUE, &CHECK, &FOREIGN_KEY, &INDEX, &ENUM, &NAMESPACE],
    "comment",
    Shape::OneOf(&[Shape::Null, Shape::Text]),
    "The comment on it; an empty one means that there is none.",
)];

impl ModelPart for CommentModel {
    fn fields(&self) -> &'static [Field] {
        &FIELDS
    }

    fn read<'a>(
        &self,
        _: &'static Field,
        entry: &'a Entry,
        at: &At<'a>,
        reader: &mut ModelReader<'a>,
    ) {
        let Some(target) = &at.address else { return };
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
                let mut object = Object::new(address, Some(target.clone()), comment);
                object.depends_on.insert(target.clone());
                reader.declare(object, entry.key.span);
            }
        }
    }

    fn write(&self, object: &Object, _: &WriteCx<'_>) -> Option<Written> {
        let text = Out::text(&object.get::<Comment>()?.text);
        let written = Written { key: None, ..Written::child("comment", object) };
        Some(written.with("comment", text).short("comment"))
    }
}
