//! What the keys mean.

use std::collections::BTreeSet;

use reconcile_catalog::{Address, Catalog};
use reconcile_model::Model;
use reconcile_sql::QName;

use crate::fixtures::listing;
use crate::{golden, rendered, root};

fn catalog(text: &str) -> Catalog {
    let types =
        [QName::new("public", "citext"), QName::new("app", "mood"), QName::new("other", "mood")];
    let model = Model::parse("model.yaml", text).unwrap_or_else(|e| panic!("{}", rendered(&e)));
    model.catalog(&BTreeSet::from(types)).unwrap_or_else(|e| panic!("{}", rendered(&e)))
}

#[test]
fn everything_that_a_model_can_say() {
    let text = std::fs::read_to_string(root().join("crates/model/tests/model/everything.yaml"))
        .expect("the file");
    let catalog = catalog(&text);
    let mut shown = listing(&catalog);
    shown.push_str("\nabsent:\n");
    for address in catalog.absent() {
        shown.push_str(&format!("{address}\n"));
    }
    golden(&root().join("crates/model/tests/model/everything.txt"), &shown);
}

#[test]
fn no_key_of_ours_is_a_boolean_to_yaml_1_1() {
    let schema: serde_json::Value =
        serde_json::from_str(&reconcile_model::json_schema()).expect("JSON");
    let mut keys = BTreeSet::new();
    collect(&schema, &mut keys);
    assert!(keys.contains("on_delete") && keys.contains("tables"), "{keys:?}");
    for word in ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "~"] {
        assert!(!keys.contains(word), "{word}");
    }
}

fn collect(schema: &serde_json::Value, keys: &mut BTreeSet<String>) {
    if let Some(properties) = schema.get("properties").and_then(serde_json::Value::as_object) {
        keys.extend(properties.keys().map(|key| key.to_lowercase()));
    }
    match schema {
        serde_json::Value::Object(map) => map.values().for_each(|value| collect(value, keys)),
        serde_json::Value::Array(items) => items.iter().for_each(|value| collect(value, keys)),
        _ => {}
    }
}

#[test]
fn an_empty_section_is_managed_and_a_missing_one_is_not() {
    let catalog = catalog(
        "tables:\n  t:\n    columns: {id: bigint}\n    checks:\n    indexes: {}\n    unique: []\n    primary_key: []\n",
    );
    let table = Address::new("table", ["public", "t"]);
    for section in ["columns", "checks", "indexes", "unique", "primary_key"] {
        assert!(catalog.manages(&table, section), "{section}");
    }
    assert!(!catalog.manages(&table, "foreign_keys"));
    assert_eq!(catalog.children(&table).count(), 1);
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    let text = "\u{feff}tables: {t: {columns: {id: bigint}}}\n";
    assert_eq!(catalog(text).len(), 3);
    let place = Model::parse("m", text)
        .expect("good")
        .locate(&Address::new("table", ["public", "t"]))
        .expect("a place");
    assert_eq!((place.line, place.column), (1, 10));
}

#[test]
fn aliases_and_merge_keys_may_share_columns() {
    let catalog = catalog(
        "tables:\n  a:\n    columns: &common\n      id: bigint\n      at: timestamptz\n  b:\n    columns:\n      <<: *common\n      id: integer\n",
    );
    let column = |table: &str, name: &str| {
        let address = Address::new("column", ["public", table, name]);
        catalog.get(&address).expect("a column").definition.to_json()["type"]["name"].clone()
    };
    assert_eq!(column("a", "id"), "bigint");
    assert_eq!(column("b", "id"), "integer");
    assert_eq!(column("b", "at"), "timestamptz");
}
