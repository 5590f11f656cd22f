//! Identifiers and qualified names, quoted only where PostgreSQL needs it.
//!
//! Plans are read by people, so `public.messages` is written without quotes; whatever PostgreSQL
//! would fold, split or take for a keyword is quoted.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::keywords;

/// The longest identifier that PostgreSQL keeps, in bytes (NAMEDATALEN - 1); longer ones are
/// truncated by the server with a notice only.
pub const MAX_IDENT_BYTES: usize = 63;

/// Writes an identifier as SQL, quoted if it has to be.
pub fn quote_ident(name: &str) -> String {
    if is_plain(name) { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// Whether an identifier may stand unquoted: lower case, and no keyword that is ever reserved.
pub fn is_plain(name: &str) -> bool {
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_lowercase() || b == b'_');
    first
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && !keywords::must_quote(name)
}

/// A generated name that fits into an identifier: `stem` is cut at a character boundary so that
/// `stem + suffix` has at most [`MAX_IDENT_BYTES`] bytes.
pub fn fit(stem: &str, suffix: &str) -> String {
    let room = MAX_IDENT_BYTES.saturating_sub(suffix.len());
    let mut end = stem.len().min(room);
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{suffix}", &stem[..end])
}

/// A name in a namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct QName {
    /// The namespace, verbatim.
    pub namespace: String,
    /// The name, verbatim.
    pub name: String,
}

impl QName {
    /// Joins a namespace and a name, both verbatim (unquoted).
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for QName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", quote_ident(&self.namespace), quote_ident(&self.name))
    }
}

/// Splits a name as it is written in a model: `name` or `namespace.name`, where a dot inside
/// double quotes belongs to the name. Case is kept either way.
pub fn split_qualified(text: &str) -> (Option<String>, String) {
    let mut parts: Vec<String> = vec![String::new()];
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                if let Some(part) = parts.last_mut() {
                    part.push('"');
                }
            }
            '"' => quoted = !quoted,
            '.' if !quoted && parts.len() == 1 && !parts[0].is_empty() => parts.push(String::new()),
            other => {
                if let Some(part) = parts.last_mut() {
                    part.push(other);
                }
            }
        }
    }
    let name = parts.pop().unwrap_or_default();
    (parts.pop(), name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_only_what_needs_it() {
        assert_eq!(quote_ident("messages"), "messages");
        assert_eq!(quote_ident("userId"), "\"userId\"");
        assert_eq!(quote_ident("user"), "\"user\"");
        assert_eq!(quote_ident("a\"b"), "\"a\"\"b\"");
        assert_eq!(quote_ident("1st"), "\"1st\"");
        assert_eq!(quote_ident("größe"), "\"größe\"");
        assert_eq!(quote_ident(""), "\"\"");
    }

    #[test]
    fn splits_at_the_dot_outside_quotes() {
        assert_eq!(split_qualified("a"), (None, "a".into()));
        assert_eq!(split_qualified("app.a"), (Some("app".into()), "a".into()));
        assert_eq!(split_qualified("\"my.app\".a"), (Some("my.app".into()), "a".into()));
        assert_eq!(split_qualified("\"a\"\"b\""), (None, "a\"b".into()));
    }

    #[test]
    fn fits_at_a_character_boundary() {
        let fitted = fit(&"ä".repeat(40), "_x");
        assert!(fitted.len() <= MAX_IDENT_BYTES);
        assert!(fitted.ends_with("ä_x"));
    }
}
