//! The JSON Schema is fresh, and accepts what the reader accepts.

use serde_json::Value;

use crate::{files, golden, root};

#[test]
fn the_schema_in_the_repository_is_fresh() {
    golden(&root().join("schema/reconcile.schema.json"), &reconcile_model::json_schema());
}

#[test]
fn the_schema_accepts_the_fixtures_and_no_misspelt_key() {
    let schema: Value = serde_json::from_str(&reconcile_model::json_schema()).expect("JSON");
    let checker = Checker { schema: &schema };
    for path in files() {
        let text = std::fs::read_to_string(&path).expect("a fixture");
        let value: Value = yaml_serde::from_str(&text).expect("YAML");
        assert_eq!(checker.check(&value, &schema, "$"), Ok(()), "{}", path.display());
    }
    for (text, why) in [
        ("tabels: {}", "$.tabels"),
        ("tables: {t: {}}", "$.tables.t"),
        ("tables: {t: {columns: {a: {type: text, nulable: true}}}}", "$.tables.t.columns.a"),
        ("tables: {t: {columns: {a: {nullable: true}}}}", "$.tables.t.columns.a"),
        ("tables: {t: {columns: {a: {type: text, identity: never}}}}", "$.tables.t.columns.a"),
        ("tables: {t: {columns: {}, primary_key: id}}", "$.tables.t.primary_key"),
    ] {
        let value: Value = yaml_serde::from_str(text).expect("YAML");
        assert_eq!(checker.check(&value, &schema, "$"), Err(why.to_owned()), "{text}");
    }
}

/// As much of JSON Schema as ours uses; a keyword that it does not know fails the test.
struct Checker<'a> {
    schema: &'a Value,
}

impl Checker<'_> {
    fn check(&self, value: &Value, schema: &Value, at: &str) -> Result<(), String> {
        let fail = || Err(at.to_owned());
        for (keyword, rule) in schema.as_object().expect("a schema is an object") {
            let right = match keyword.as_str() {
                "$schema" | "title" | "description" | "$defs" => true,
                "$ref" => {
                    let path =
                        rule.as_str().and_then(|r| r.strip_prefix('#')).expect("a local reference");
                    self.check(value, self.schema.pointer(path).expect("a definition"), at)?;
                    true
                }
                "type" => {
                    let types = rule.as_array().cloned().unwrap_or_else(|| vec![rule.clone()]);
                    types.iter().any(|t| Some(type_of(value)) == t.as_str())
                }
                "enum" => rule.as_array().expect("a list").contains(value),
                "const" => rule == value,
                "minLength" => value
                    .as_str()
                    .is_none_or(|s| s.chars().count() as u64 >= rule.as_u64().expect("a number")),
                "maxLength" => value
                    .as_str()
                    .is_none_or(|s| s.chars().count() as u64 <= rule.as_u64().expect("a number")),
                "uniqueItems" => {
                    value.as_array().is_none_or(|a| (1..a.len()).all(|i| !a[..i].contains(&a[i])))
                }
                "items" => {
                    for (n, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.check(item, rule, &format!("{at}[{n}]"))?;
                    }
                    true
                }
                "properties" => {
                    for (name, item) in value.as_object().into_iter().flatten() {
                        if let Some(schema) = rule.get(name) {
                            self.check(item, schema, &format!("{at}.{name}"))?;
                        }
                    }
                    true
                }
                "additionalProperties" => {
                    for (name, item) in value.as_object().into_iter().flatten() {
                        let known = schema.get("properties").is_some_and(|p| p.get(name).is_some());
                        let here = format!("{at}.{name}");
                        match rule {
                            _ if known => {}
                            Value::Bool(false) => return Err(here),
                            other => self.check(item, other, &here)?,
                        }
                    }
                    true
                }
                "required" => rule
                    .as_array()
                    .expect("a list")
                    .iter()
                    .all(|n| value.get(n.as_str().expect("a name")).is_some()),
                "anyOf" => rule
                    .as_array()
                    .expect("a list")
                    .iter()
                    .any(|s| self.check(value, s, at).is_ok()),
                other => panic!("{other} is not known"),
            };
            if !right {
                return fail();
            }
        }
        Ok(())
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
