//! `owner:` on whatever has one, and `manage:` at the top of a file.

use std::sync::Arc;

use reconcile_catalog::Object;
use reconcile_yaml::{Entry, Out, Problem};

use super::{NAME, Owner};
use crate::composite::model::COMPOSITE;
use crate::domain::model::DOMAIN;
use crate::enum_type::model::ENUM;
use crate::materialized_view::model::MATERIALIZED_VIEW;
use crate::model::{At, FILE, Field, MANAGE_KEY, ModelPart, ModelReader, Shape, WriteCx, Written};
use crate::namespace::model::NAMESPACE;
use crate::range::model::RANGE;
use crate::statistics::model::STATISTICS;
use crate::table::model::TABLE;
use crate::view::model::VIEW;

/// Owners in a model.
pub struct OwnerModel;

/// The word of `manage:` for owners.
pub(crate) const OWNERS: &str = "owners";

static FIELDS: [Field; 2] = [
    Field::new(
        &[&FILE],
        MANAGE_KEY,
        Shape::List(&Shape::Word(&[OWNERS, crate::grant::model::GRANTS])),
        "What of all objects is managed besides: owners, grants. Left alone if left out.",
    ),
    Field::section(
        &[
            &TABLE,
            &VIEW,
            &MATERIALIZED_VIEW,
            &ENUM,
            &DOMAIN,
            &COMPOSITE,
            &RANGE,
            &NAMESPACE,
            &STATISTICS,
        ],
        NAME,
        Shape::Name,
        "The role that owns it; needs `manage: [owners]`.",
    ),
];

impl ModelPart for OwnerModel {
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
        if !reader.manages(OWNERS) {
            return unmanaged(field, entry, OWNERS, reader);
        }
        let Some(role) = reader.name_of(&entry.value) else { return };
        let mut object =
            Object::new(Owner::address(target), Some(target.clone()), Arc::new(Owner { role }));
        object.depends_on.insert(target.clone());
        reader.declare(object, entry.key.span);
    }

    fn write(&self, object: &Object, cx: &WriteCx<'_>) -> Option<Written> {
        let owner: &Owner = object.get().filter(|_| cx.manages(OWNERS))?;
        let written = Written { key: None, ..Written::child(NAME, object) };
        Some(written.with(NAME, Out::text(&owner.role)).short(NAME))
    }
}

/// What is said of a section that the model does not manage would be passed over.
pub(crate) fn unmanaged(field: &Field, entry: &Entry, section: &str, reader: &mut ModelReader<'_>) {
    let message = format!("`{}` is stated, but the model does not manage {section}", field.name);
    reader.problem(
        Problem::new("unmanaged", message)
            .at(entry.key.span, "without effect")
            .help(format!("write `{MANAGE_KEY}: [{section}]` at the top of a file, or remove it")),
    );
}
