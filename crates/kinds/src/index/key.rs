//! One key of an index, and the words that may follow what is indexed: the same in SQL, in what
//! the server deparses, and in a model.

use reconcile_catalog::{Expression, Value};
use reconcile_sql::lex::{Token, TokenKind, significant};
use reconcile_sql::{quote_ident, quote_literal};
use serde::{Deserialize, Serialize};

use crate::model::settings;

/// A key of an index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// A column, or an expression.
    #[serde(flatten)]
    pub what: KeyPart,
    /// The collation, if it is stated: on the live side, if it is not the column's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collation: Option<String>,
    /// The operator class, if it is stated: on the live side, if it is not the type's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator_class: Option<String>,
    /// The options of the operator class, `name=value`: compared as a set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub class_options: Vec<String>,
    /// DESC
    #[serde(default)]
    pub descending: bool,
    /// NULLS FIRST; the default follows the direction.
    #[serde(default)]
    pub nulls_first: bool,
    /// Live side: the collation that it has without being stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_collation: Option<String>,
    /// Live side: the operator class that it has without being stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_class: Option<String>,
}

/// What a key is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyPart {
    /// A column, by its name verbatim.
    Column(String),
    /// An expression, without parentheses around it.
    Expression(String),
}

impl Key {
    /// What is compared of it.
    pub(super) fn value(&self) -> Value {
        let Self {
            what,
            collation,
            operator_class,
            class_options,
            descending,
            nulls_first,
            own_collation,
            own_class,
        } = self;
        let named = |stated: &Option<String>, own: &Option<String>| match (stated, own) {
            (Some(stated), _) => Value::name(stated, false),
            (None, Some(own)) => Value::name(own, true),
            (None, None) => Value::None,
        };
        Value::List(vec![
            match what {
                KeyPart::Column(name) => Value::Text(name.clone()),
                KeyPart::Expression(text) => Value::Expression(Expression::new(text)),
            },
            named(collation, own_collation),
            named(operator_class, own_class),
            Value::words(settings::sorted(class_options)),
            Value::Flag(*descending),
            Value::Flag(*nulls_first),
        ])
    }

    /// What follows the column or the expression, in the order that the grammar wants.
    pub(super) fn modifiers(&self) -> String {
        let mut sql = String::new();
        if let Some(collation) = &self.collation {
            sql.push_str(&format!(" COLLATE {collation}"));
        }
        if let Some(class) = &self.operator_class {
            sql.push_str(&format!(" {class}"));
            if !self.class_options.is_empty() {
                sql.push_str(&format!(" ({})", listed(&self.class_options)));
            }
        }
        if self.descending {
            sql.push_str(" DESC");
        }
        // NULLS FIRST is the default of DESC, NULLS LAST that of ASC.
        match (self.descending, self.nulls_first) {
            (false, true) => sql.push_str(" NULLS FIRST"),
            (true, false) => sql.push_str(" NULLS LAST"),
            _ => {}
        }
        sql
    }
}

/// `name=value` as a list in SQL: a value that is no bare word or number is a literal.
pub(super) fn listed(options: &[String]) -> String {
    let one = |option: &String| {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let plain = !value.is_empty() && value.bytes().all(|b| b.is_ascii_alphanumeric());
        let value = if plain { value.to_owned() } else { quote_literal(value) };
        let name: Vec<String> = name.split('.').map(quote_ident).collect();
        format!("{}={value}", name.join("."))
    };
    options.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// What may follow a column or an expression.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Modifiers {
    collation: Option<String>,
    operator_class: Option<String>,
    class_options: Vec<String>,
    descending: Option<bool>,
    nulls_first: Option<bool>,
}

impl Modifiers {
    /// A key with these.
    pub(super) fn of(self, what: KeyPart) -> Key {
        let descending = self.descending.unwrap_or(false);
        Key {
            what,
            collation: self.collation,
            operator_class: self.operator_class,
            class_options: self.class_options,
            descending,
            nulls_first: self.nulls_first.unwrap_or(descending),
            own_collation: None,
            own_class: None,
        }
    }
}

/// Reads what follows the column, in any order.
///
/// # Errors
/// The range of the text that is not understood.
pub(super) fn modifiers(text: &str) -> Result<Modifiers, (usize, usize)> {
    let tokens = significant(text);
    let mut out = Modifiers::default();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let range = (token.start, token.start + token.text.len());
        let next = tokens.get(at + 1);
        let direction = token.is("desc") || token.is("asc");
        if direction && out.descending.is_none() {
            out.descending = Some(token.is("desc"));
            at += 1;
        } else if token.is("nulls") && out.nulls_first.is_none() {
            let word = next.filter(|t| t.is("first") || t.is("last")).ok_or(range)?;
            out.nulls_first = Some(word.is("first"));
            at += 2;
        } else if token.is("collate") && out.collation.is_none() {
            let (name, used) = name(&tokens[at + 1..]).ok_or(range)?;
            out.collation = Some(name);
            at += 1 + used;
        } else if !direction && out.operator_class.is_none() {
            let (name, used) = name(&tokens[at..]).ok_or(range)?;
            out.operator_class = Some(name);
            at += used;
            if tokens.get(at).is_some_and(|t| t.is("(")) {
                let close = tokens[at..].iter().position(|t| t.is(")")).ok_or(range)? + at;
                out.class_options = options(&tokens[at + 1..close]).ok_or(range)?;
                at = close + 1;
            }
        } else {
            return Err(range);
        }
    }
    Ok(out)
}

/// A name as SQL, with its namespace unless that is PostgreSQL's own, and how many tokens it took.
fn name(tokens: &[Token<'_>]) -> Option<(String, usize)> {
    let first = tokens.first()?.ident()?;
    match tokens {
        [_, dot, second, ..] if dot.is(".") => {
            let second = quote_ident(&second.ident()?);
            if first == "pg_catalog" {
                return Some((second, 3));
            }
            Some((format!("{}.{second}", quote_ident(&first)), 3))
        }
        _ => Some((quote_ident(&first), 1)),
    }
}

/// `siglen='64', x = 1` as `name=value`.
fn options(tokens: &[Token<'_>]) -> Option<Vec<String>> {
    let mut out = Vec::new();
    for one in tokens.split(|t| t.is(",")) {
        let [name, equals, value] = one else { return None };
        let value = match value.kind {
            TokenKind::Text => value.text.trim_matches('\'').replace("''", "'"),
            _ => value.text.to_owned(),
        };
        out.push(format!("{}={value}", name.ident().filter(|_| equals.is("="))?));
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for text in [
            "",
            " COLLATE \"C\"",
            " COLLATE app.german text_pattern_ops DESC",
            " public.gist_trgm_ops (siglen=32)",
            " DESC NULLS LAST",
            " NULLS FIRST",
        ] {
            let key = modifiers(text).map(|m| m.of(KeyPart::Column("a".to_owned())));
            assert_eq!(key.as_ref().map(Key::modifiers), Ok(text.to_owned()));
        }
        let spelt = modifiers("ASC NULLS LAST pg_catalog.tsvector_ops ( siglen = '64' )");
        assert_eq!(spelt, modifiers("tsvector_ops (siglen=64) asc nulls last"));
        assert_eq!(modifiers(" DESC ASC"), Err((6, 9)));
    }
}
