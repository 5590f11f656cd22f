//! `owned_by:` of a sequence.

use reconcile_catalog::Object;
use reconcile_sql::{QName, quote_ident};
use reconcile_yaml::{Entry, Out, Problem};

use super::{OwnedBy, read};
use crate::constraint::model::reference;
use crate::model::{At, Field, ModelPart, ModelReader, Shape, WriteCx, Written};
use crate::sequence::model::SEQUENCE;
use crate::table::{Table, relation};

/// Ownership of sequences in a model.
pub(super) struct OwnedByModel;

static FIELDS: [Field; 1] = [Field::section(
    &[&SEQUENCE],
    "owned_by",
    Shape::OneOf(&[Shape::Null, Shape::Text]),
    "The column that it goes with: table(column), or nothing.",
)
.late()];

impl ModelPart for OwnedByModel {
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
        let Some(sequence) = &at.address else { return };
        if entry.value.is_null() {
            reader.forbid(OwnedBy::address(sequence), entry.key.span);
            return;
        }
        let Some((table, columns)) = reference(&entry.value, reader) else { return };
        let Some(table) = reader.qualified(&table, entry.value.span) else { return };
        let [column] = columns.as_deref().unwrap_or_default() else {
            let problem = Problem::new("owned_by", "a sequence goes with one column");
            let help = "write table(column)";
            reader.problem(problem.at(entry.value.span, "not one column").help(help));
            return;
        };
        if !reader.has_column(&Table::address(&table), column, entry.value.span) {
            return;
        }
        let QName { namespace, name } = table;
        let owned = OwnedBy { column: vec![namespace, name, column.clone()] };
        reader.declare(read::object(sequence, owned), entry.key.span);
    }

    fn write(&self, object: &Object, cx: &WriteCx<'_>) -> Option<Written> {
        let column = object.get::<OwnedBy>()?.column();
        let text = format!("{}({})", cx.name(&relation(&column)), quote_ident(column.name()));
        let written = Written { key: None, ..Written::child("owned_by", object) };
        Some(written.with("owned_by", Out::text(text)).short("owned_by"))
    }
}
