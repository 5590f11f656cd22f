//! Materialized views from pg_class and pg_rewrite.

use std::sync::Arc;

use reconcile_catalog::Object;
use reconcile_sql::QName;

use super::MaterializedView;
use crate::read::{ReadError, Reader, Row, flag, required, words};
use crate::view;

pub(super) fn query() -> String {
    view::relation_query(super::NAME, 'm')
}

pub(super) fn read(row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
    let definition = MaterializedView {
        query: required(row, "query")?.trim().to_owned(),
        options: words(row, "options")?,
        columns: view::output_columns(row)?,
        settings: view::pairs(row, "settings")?,
        says_all: false,
        populated: flag(row, "relispopulated"),
        access_method: row.get("access_method").map(str::to_owned),
        tablespace: row.get("tablespace").map(str::to_owned),
    };
    let name = QName::new(required(row, "nspname")?, required(row, "relname")?);
    view::add(
        row,
        reader,
        Object::new(MaterializedView::address(&name), None, Arc::new(definition)),
    )
}
