//! The JSON Schema of a model file, for editors and other tools.

use std::collections::BTreeSet;

use reconcile_kinds::model::{FILE, Field, Form, Shape, fields_of};
use serde_json::{Map, Value, json};

/// The JSON Schema (draft 2020-12) of a model file, with a newline at its end.
pub fn json_schema() -> String {
    let mut definitions = Map::new();
    let mut wanted: Vec<&'static Form> = forms(&FILE);
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    while let Some(form) = wanted.pop() {
        if seen.insert(form.name) {
            definitions.insert(form.name.to_owned(), object(form));
            wanted.extend(forms(form));
        }
    }
    let mut schema = object(&FILE);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("reconcile model");
    schema["$defs"] = Value::Object(definitions);
    format!("{schema:#}\n")
}

fn object(form: &'static Form) -> Value {
    let fields: Vec<&'static Field> = fields_of(form).map(|(_, field)| field).collect();
    let properties: Map<String, Value> = fields
        .iter()
        .map(|field| {
            let mut schema = value(&field.shape);
            schema["description"] = json!(field.doc);
            (field.name.to_owned(), schema)
        })
        .collect();
    let required: Vec<&str> = fields.iter().filter(|f| f.required).map(|f| f.name).collect();
    let mut schema = json!({
        "type": "object",
        "description": form.called,
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        // What frees from a required key: each makes a case of its own.
        let excuses: BTreeSet<&str> = fields.iter().flat_map(|f| f.unless).copied().collect();
        let mut cases = vec![json!({"required": required})];
        for excuse in excuses {
            let left = fields.iter().filter(|f| f.required && !f.unless.contains(&excuse));
            let mut names: Vec<&str> = left.map(|f| f.name).collect();
            names.push(excuse);
            cases.push(json!({"required": names}));
        }
        if fields.iter().any(|field| field.name == "absent") {
            cases.push(json!({"properties": {"absent": {"const": true}}, "required": ["absent"]}));
        }
        if cases.len() > 1 {
            schema["anyOf"] = json!(cases);
        } else {
            schema["required"] = json!(required);
        }
    }
    schema
}

fn value(shape: &Shape) -> Value {
    match shape {
        Shape::Null => json!({"type": "null"}),
        Shape::Text => json!({"type": "string"}),
        Shape::Name => json!({"type": "string", "minLength": 1, "maxLength": 63}),
        Shape::Flag => json!({"type": "boolean"}),
        Shape::Word(words) => json!({"enum": words}),
        Shape::Scalar => json!({"type": ["string", "number", "boolean", "null"]}),
        Shape::Names => json!({"type": "array", "items": value(&Shape::Name), "uniqueItems": true}),
        Shape::Settings => json!({"type": "object", "additionalProperties": value(&Shape::Scalar)}),
        Shape::List(of) => json!({"type": "array", "items": value(of)}),
        Shape::Object(form) => json!({"$ref": format!("#/$defs/{}", form.name)}),
        Shape::Map(of) => json!({"type": ["object", "null"], "additionalProperties": value(of)}),
        Shape::Named(of) => json!({
            "anyOf": [
                {"type": ["object", "null"], "additionalProperties": value(of)},
                {"type": "array", "items": value(of)},
            ]
        }),
        Shape::OneOf(shapes) => json!({"anyOf": shapes.iter().map(value).collect::<Vec<_>>()}),
    }
}

/// The forms that stand directly in a form.
fn forms(form: &'static Form) -> Vec<&'static Form> {
    fn collect(shape: &'static Shape, out: &mut Vec<&'static Form>) {
        match shape {
            Shape::Object(form) => out.push(form),
            Shape::List(of) | Shape::Map(of) | Shape::Named(of) => collect(of, out),
            Shape::OneOf(shapes) => shapes.iter().for_each(|shape| collect(shape, out)),
            Shape::Null
            | Shape::Text
            | Shape::Name
            | Shape::Flag
            | Shape::Word(_)
            | Shape::Scalar
            | Shape::Names
            | Shape::Settings => {}
        }
    }
    let mut out = Vec::new();
    fields_of(form).for_each(|(_, field)| collect(&field.shape, &mut out));
    out
}
