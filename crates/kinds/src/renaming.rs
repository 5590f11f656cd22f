//! What definitions have in common when they follow the new names of what they mention.

use std::sync::Arc;

use reconcile_catalog::{Address, Definition, Renames};
use reconcile_sql::QName;

/// A definition under the new names, if it is another one.
pub(crate) fn changed<D: Definition + PartialEq>(now: &D, then: D) -> Option<Arc<dyn Definition>> {
    (*now != then).then(|| Arc::new(then) as Arc<dyn Definition>)
}

/// Something that is found by its namespace and is never renamed itself: a collation, a function.
pub(crate) fn elsewhere(name: &QName, renames: &Renames) -> QName {
    QName::new(renames.names().in_namespace(&name.namespace), &name.name)
}

/// Texts under the new names, bare names being columns of `own`.
pub(crate) fn texts<'a, C: FromIterator<String>>(
    texts: impl IntoIterator<Item = &'a String>,
    own: Option<&QName>,
    renames: &Renames,
) -> C {
    texts.into_iter().map(|text| renames.text(text, own)).collect()
}

/// A text that there may be, under the new names.
pub(crate) fn text(
    text: Option<&String>,
    own: Option<&QName>,
    renames: &Renames,
) -> Option<String> {
    text.map(|text| renames.text(text, own))
}

/// The last name of an object under the new names.
pub(crate) fn name_of(address: &Address, renames: &Renames) -> String {
    renames.address(address).name().to_owned()
}
