//! `tables:` at the top of a file.

use std::sync::Arc;

use reconcile_catalog::{Address, Object};
use reconcile_sql::QName;
use reconcile_yaml::{Entry, Node, Out};

use super::Table;
use crate::column::Column;
use crate::model::{At, FILE, Field, Form, ModelPart, ModelReader, Shape, WriteCx, Written};

/// A table in a model.
pub static TABLE: Form = Form::new("table", "a table");

/// Tables in a model.
pub struct TableModel;

static FIELDS: [Field; 3] = [
    Field::section(
        &[&FILE],
        "tables",
        Shape::Map(&Shape::Object(&TABLE)),
        "Tables by name; `namespace.name` for one outside the file's namespace.",
    ),
    Field::renamed_from(&[&TABLE]),
    Field::absent(&[&TABLE]),
];

impl ModelPart for TableModel {
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
            let address = Table::address(&name);
            if reader.absent(value, &address, key.span) {
                continue;
            }
            let mut object = Object::new(address.clone(), None, Arc::new(Table::default()));
            object.depends_on.insert(reader.in_namespace(&name.namespace, key.span));
            object.renamed_from = reader.renamed_from(value);
            if !reader.declare(object, key.span) {
                continue;
            }
            reader.claim_relation(QName::new(&name.namespace, &name.name), key.span);
            reader.sections(&TABLE, &address, value);
        }
    }

    fn types(&self, _: &'static Field, name: &QName, _: &Node) -> Vec<(QName, Address)> {
        vec![(name.clone(), Table::address(name))]
    }

    fn write(&self, object: &Object, cx: &WriteCx<'_>) -> Option<Written> {
        let has_columns = cx.catalog.children(&object.address).any(|o| o.get::<Column>().is_some());
        let none = (!has_columns).then(|| Out::Map(Vec::new()));
        Some(Written::root("tables", object, cx).with_some("columns", none))
    }

    fn has_own_file(&self) -> bool {
        true
    }
}
