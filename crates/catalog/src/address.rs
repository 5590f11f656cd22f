//! Addresses: the names of objects in plans, flags, reports and the journal.

use std::fmt;

use reconcile_sql::ident::quote_ident;
use serde::{Serialize, Serializer};

/// Names one object: `column:public.messages.role`.
///
/// The path goes from the namespace inwards. An object that belongs to another object of any kind
/// (a comment, an owner, grants) carries the kind of what it belongs to:
/// `comment:column:public.messages.role`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    kind: &'static str,
    of: Option<&'static str>,
    path: Box<[String]>,
}

impl Address {
    /// The address of an object of `kind` at `path`, namespace first, all names verbatim.
    pub fn new<S: Into<String>>(kind: &'static str, path: impl IntoIterator<Item = S>) -> Self {
        Self { kind, of: None, path: path.into_iter().map(Into::into).collect() }
    }

    /// The address of something of `kind` that belongs to `target`, such as its comment.
    pub fn belonging_to(kind: &'static str, target: &Self) -> Self {
        Self { kind, of: Some(target.kind), path: target.path.clone() }
    }

    /// The address of an object inside this one: a column in its table.
    pub fn child(&self, kind: &'static str, name: impl Into<String>) -> Self {
        let path = self.path.iter().cloned().chain([name.into()]).collect();
        Self { kind, of: None, path }
    }

    /// The same place in the hierarchy under another last name.
    pub fn renamed(&self, name: &str) -> Self {
        let mut renamed = self.clone();
        if let Some(last) = renamed.path.last_mut() {
            name.clone_into(last);
        }
        renamed
    }

    /// The kind of the object.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// The address that this one belongs to (`column:…` of `comment:column:…`).
    pub fn target(&self) -> Option<Self> {
        self.of.map(|kind| Self { kind, of: None, path: self.path.clone() })
    }

    /// The names, namespace first.
    pub fn path(&self) -> &[String] {
        &self.path
    }

    /// The namespace.
    pub fn namespace(&self) -> &str {
        self.path.first().map_or("", String::as_str)
    }

    /// The last name.
    pub fn name(&self) -> &str {
        self.path.last().map_or("", String::as_str)
    }

    /// The path as SQL: `public.messages.role`.
    pub fn dotted(&self) -> String {
        self.path.iter().map(|p| quote_ident(p)).collect::<Vec<_>>().join(".")
    }

    /// The path without its namespace where that is `public`: how people call it.
    pub fn short(&self) -> String {
        let skip = usize::from(self.path.len() > 1 && self.namespace() == "public");
        self.path[skip..].iter().map(|p| quote_ident(p)).collect::<Vec<_>>().join(".")
    }

    /// Whether a pattern of a flag means this object: the address itself, or a glob in which `*`
    /// stands for any run of characters and `?` for one. `all` is every object.
    pub fn matches(&self, pattern: &str) -> bool {
        pattern == "all" || glob(pattern, &self.to_string())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.kind)?;
        if let Some(of) = self.of {
            write!(f, "{of}:")?;
        }
        f.write_str(&self.dotted())
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while t < text.len() {
        if p < pattern.len() && (pattern[p] == '?' || (pattern[p] == text[t] && pattern[p] != '*'))
        {
            p += 1;
            t += 1;
        } else if p < pattern.len() && pattern[p] == '*' {
            back = Some((p, t));
            p += 1;
        } else if let Some((star, from)) = back {
            p = star + 1;
            t = from + 1;
            back = Some((star, t));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_and_matches() {
        let column = Address::new("column", ["public", "messages", "userId"]);
        assert_eq!(column.to_string(), "column:public.messages.\"userId\"");
        assert_eq!(
            Address::belonging_to("comment", &column).to_string(),
            "comment:column:public.messages.\"userId\""
        );
        assert_eq!(column.short(), "messages.\"userId\"");
        assert!(column.matches("column:public.*"));
        assert!(column.matches("all"));
        assert!(!column.matches("column:public.messages"));
        assert!(column.matches("*:public.mess?ges.*Id\""));
    }
}
