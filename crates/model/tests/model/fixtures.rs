//! The models of the repository are good, and mean what they say.

use std::collections::BTreeSet;

use reconcile_catalog::{Address, Catalog};
use reconcile_model::Model;

use crate::{models, rendered, root};

fn load(path: &std::path::Path) -> (Model, Catalog) {
    let model = Model::load(&[path.to_owned()]).unwrap_or_else(|e| panic!("{}", rendered(&e)));
    let catalog = model.catalog(&BTreeSet::new()).unwrap_or_else(|e| panic!("{}", rendered(&e)));
    (model, catalog)
}

#[test]
fn every_model_of_the_repository_is_good() {
    for path in models() {
        let (model, catalog) = load(&path);
        assert!(catalog.len() > 3, "{}", path.display());
        for object in catalog.objects() {
            assert!(model.locate(&object.address).is_some(), "{} has no place", object.address);
            for target in object.depends_on.iter().chain(&object.parent) {
                assert!(catalog.contains(target), "{} depends on {target}", object.address);
            }
        }
    }
}

/// Every object of a catalog in a line.
pub(crate) fn listing(catalog: &Catalog) -> String {
    let line = |object: &reconcile_catalog::Object| {
        let depends: Vec<String> = object.depends_on.iter().map(Address::to_string).collect();
        let unnamed = if object.unnamed { " (unnamed)" } else { "" };
        let renamed =
            object.renamed_from.as_ref().map_or(String::new(), |name| format!(" (was {name})"));
        format!(
            "{}{unnamed}{renamed} {} <- {}\n",
            object.address,
            object.definition.to_json(),
            depends.join(" ")
        )
    };
    catalog.objects().map(line).collect()
}

#[test]
fn the_example_means_what_it_says() {
    let (model, catalog) = load(&root().join("schema"));
    crate::golden(&root().join("crates/model/tests/model/example.txt"), &listing(&catalog));
    let table = Address::new("table", ["public", "messages"]);
    for section in ["columns", "primary_key", "checks", "foreign_keys", "indexes"] {
        assert!(catalog.manages(&table, section), "{section}");
    }
    assert!(!catalog.manages(&table, "unique"));
    let role =
        model.locate(&Address::new("column", ["public", "messages", "role"])).expect("a place");
    assert!(role.file.ends_with("messages.yaml"), "{role}");
    let text = std::fs::read_to_string(root().join("schema/messages.yaml")).expect("the file");
    let line = text.lines().nth(role.line - 1).expect("the line");
    assert!(line[role.column - 1..].starts_with("role:"), "{line}");
    assert_eq!(&text[role.span.0..role.span.1], "role");
}
