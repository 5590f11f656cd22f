//! Which columns children have from their parents, as far as the files say: known before a key or
//! a check of a child names one of them.

use std::collections::BTreeMap;

use reconcile_catalog::Address;
use reconcile_sql::QName;
use reconcile_sql::ident::split_qualified;
use reconcile_yaml::Node;

use crate::table::Table;

/// What the files say of one table.
struct Stated {
    parents: Vec<QName>,
    columns: Option<Vec<String>>,
}

/// All columns of each child; nothing where not all of its parents are known.
pub(crate) fn columns(
    files: &[Node],
    namespaces: &[String],
) -> BTreeMap<Address, Option<Vec<String>>> {
    let mut tables: BTreeMap<QName, Stated> = BTreeMap::new();
    for (root, namespace) in files.iter().zip(namespaces) {
        let qualified = |text: &str| {
            let (stated, name) = split_qualified(text);
            QName::new(stated.unwrap_or_else(|| namespace.clone()), name)
        };
        for entry in root.get("tables").map_or(&[][..], Node::entries) {
            let node = &entry.value;
            let inherits = node.get("inherits").map_or(&[][..], Node::items);
            let above = inherits.iter().chain(node.get("partition_of"));
            let parents = above.filter_map(Node::text).map(qualified).collect();
            let columns = node.get("columns").map(|columns| {
                let is_absent = |node: &Node| node.get("absent").and_then(Node::flag) == Some(true);
                let entries = columns.entries().iter().filter(|e| !is_absent(&e.value));
                entries.map(|e| e.key.text.clone()).collect()
            });
            tables.insert(qualified(&entry.key.text), Stated { parents, columns });
        }
    }
    let children = tables.iter().filter(|(_, stated)| !stated.parents.is_empty());
    let all = children.map(|(name, _)| (Table::address(name), all(name, &tables, tables.len())));
    all.collect()
}

/// The columns of a table, its parents' first. No way up is longer than there are tables, but in a
/// circle.
fn all(name: &QName, tables: &BTreeMap<QName, Stated>, far: usize) -> Option<Vec<String>> {
    let stated = tables.get(name)?;
    if stated.parents.is_empty() {
        return stated.columns.clone();
    }
    let far = far.checked_sub(1)?;
    let mut out: Vec<String> = Vec::new();
    let above: Option<Vec<Vec<String>>> =
        stated.parents.iter().map(|parent| all(parent, tables, far)).collect();
    for column in above?.into_iter().flatten().chain(stated.columns.iter().flatten().cloned()) {
        if !out.contains(&column) {
            out.push(column);
        }
    }
    Some(out)
}
