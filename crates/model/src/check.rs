//! The shape of a file: unknown keys, missing ones, values of the wrong sort.
//!
//! What is right comes from the fields that the kinds declare, as does the JSON Schema.

use reconcile_kinds::model::{FILE, Field, Form, Shape, fields_of};
use reconcile_yaml::{Entry, Meaning, Node, Problem, Span, Value, nearest};

/// Checks a whole file.
pub(crate) fn file(root: &Node, problems: &mut Vec<Problem>) {
    if root.entries().is_empty() {
        problems.push(
            Problem::new(
                "wrong_value",
                format!("a model file is a mapping, and this is {}", root.what()),
            )
            .at(root.span, "no keys here")
            .help("a model starts with `tables:`"),
        );
        return;
    }
    Check { problems }.object(root, &FILE, root.span);
}

struct Check<'p> {
    problems: &'p mut Vec<Problem>,
}

impl Check<'_> {
    /// Checks the value of `key`, which stands at `key_span`.
    fn value(&mut self, node: &Node, shape: &'static Shape, key: &str, key_span: Span) {
        match (shape, &node.value) {
            (Shape::OneOf(shapes), _) => match shapes.iter().find(|shape| fits(node, shape)) {
                Some(shape) => self.value(node, shape, key, key_span),
                None => self.wrong(node, shape, key),
            },
            (Shape::Object(form), Value::Mapping(_)) => self.object(node, form, key_span),
            (Shape::Map(of) | Shape::Named(of), Value::Mapping(entries)) => {
                for Entry { key, value } in entries {
                    self.value(value, of, &key.text, key.span);
                }
            }
            (Shape::Settings, Value::Mapping(entries)) => {
                for Entry { key, value } in entries {
                    self.value(value, &Shape::Scalar, &key.text, key.span);
                }
            }
            (Shape::List(of) | Shape::Named(of), Value::Sequence(items)) => {
                for item in items {
                    self.value(item, of, key, item.span);
                }
            }
            (Shape::Names, Value::Sequence(items)) => {
                for item in items {
                    self.value(item, &Shape::Name, key, item.span);
                }
            }
            (Shape::Word(words), Value::Scalar(scalar)) if node.text().is_some() => {
                if !words.contains(&scalar.text.as_str()) {
                    let help = match nearest(&scalar.text, words.iter().copied()) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!("write {}", one_of(words)),
                    };
                    self.problems.push(
                        Problem::new("wrong_value", format!("`{key}` takes {}", one_of(words)))
                            .at(node.span, format!("not `{}`", scalar.text))
                            .help(help),
                    );
                }
            }
            _ if fits(node, shape) => {}
            _ => self.wrong(node, shape, key),
        }
    }

    fn object(&mut self, node: &Node, form: &'static Form, key_span: Span) {
        let fields: Vec<_> = fields_of(form).map(|(_, field)| field).collect();
        for Entry { key, value } in node.entries() {
            match fields.iter().find(|field| field.name == key.text) {
                Some(field) => self.value(value, &field.shape, field.name, key.span),
                None => {
                    let known = || fields.iter().map(|field| field.name);
                    let help = match nearest(&key.text, known()) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!(
                            "{} takes {}",
                            form.called,
                            known().collect::<Vec<_>>().join(", ")
                        ),
                    };
                    self.problems.push(
                        Problem::new("unknown_key", format!("unknown key `{}`", key.text))
                            .at(key.span, format!("no key of {}", form.called))
                            .help(help),
                    );
                }
            }
        }
        if node.get("absent").and_then(Node::flag) == Some(true) {
            return;
        }
        let missing = |field: &&&Field| {
            field.required
                && node.entry(field.name).is_none()
                && field.unless.iter().all(|key| node.entry(key).is_none())
        };
        for field in fields.iter().filter(missing) {
            self.problems.push(
                Problem::new("missing_key", format!("{} needs `{}`", form.called, field.name))
                    .at(key_span, format!("`{}` is missing here", field.name))
                    .help(format!("`{}`: {}", field.name, field.doc)),
            );
        }
    }

    fn wrong(&mut self, node: &Node, shape: &Shape, key: &str) {
        let problem = Problem::new("wrong_value", format!("`{key}` takes {}", wanted(shape)));
        let problem = problem.at(node.span, format!("this is {}", node.what()));
        let help = match (shape, node.scalar()) {
            (Shape::Flag, Some(scalar)) => match scalar.text.to_lowercase().as_str() {
                "yes" | "on" | "y" | "true" => "write `true`".to_owned(),
                "no" | "off" | "n" | "false" => "write `false`".to_owned(),
                _ => "write `true` or `false`".to_owned(),
            },
            (_, Some(scalar)) if takes_text(shape) && scalar.meaning() != Meaning::Null => {
                format!("put it in quotes: \"{}\"", scalar.text)
            }
            (Shape::Names, Some(scalar)) => format!("write [{}]", scalar.text),
            _ => format!("write {}", wanted(shape)),
        };
        self.problems.push(problem.help(help));
    }
}

/// Whether a value is of the sort that a shape wants, at its outermost.
fn fits(node: &Node, shape: &Shape) -> bool {
    match (shape, &node.value) {
        (Shape::Null, _) => node.is_null(),
        (Shape::Text | Shape::Name | Shape::Word(_), _) => node.text().is_some(),
        (Shape::Flag, _) => node.flag().is_some(),
        (Shape::Scalar, value) => matches!(value, Value::Scalar(_)),
        (Shape::Names | Shape::List(_), value) => matches!(value, Value::Sequence(_)),
        (Shape::Object(_) | Shape::Settings, value) => matches!(value, Value::Mapping(_)),
        (Shape::Map(_), value) => matches!(value, Value::Mapping(_)) || node.is_null(),
        (Shape::Named(_), value) => !matches!(value, Value::Scalar(_)) || node.is_null(),
        (Shape::OneOf(shapes), _) => shapes.iter().any(|shape| fits(node, shape)),
    }
}

fn takes_text(shape: &Shape) -> bool {
    match shape {
        Shape::Text | Shape::Name => true,
        Shape::OneOf(shapes) => shapes.iter().any(takes_text),
        _ => false,
    }
}

fn wanted(shape: &Shape) -> String {
    match shape {
        Shape::Null => "nothing".to_owned(),
        Shape::Text => "text".to_owned(),
        Shape::Name => "a name".to_owned(),
        Shape::Flag => "true or false".to_owned(),
        Shape::Word(words) => one_of(words),
        Shape::Scalar => "a single value".to_owned(),
        Shape::Names => "a list of names".to_owned(),
        Shape::List(_) => "a list".to_owned(),
        Shape::Object(form) => {
            let fields = fields_of(form)
                .filter(|(_, field)| field.required)
                .map(|(_, field)| format!("{}: …", field.name));
            format!("a mapping {{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        Shape::Settings => "a mapping from names to values".to_owned(),
        Shape::Map(_) => "a mapping from names to definitions".to_owned(),
        Shape::Named(_) => {
            "a mapping from names to definitions, or a list of definitions".to_owned()
        }
        Shape::OneOf(shapes) => {
            let shown: Vec<String> =
                shapes.iter().filter(|shape| !matches!(shape, Shape::Null)).map(wanted).collect();
            shown.join(" or ")
        }
    }
}

fn one_of(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or ")
}
