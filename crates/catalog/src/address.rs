//! Addresses: the names of objects in plans, flags, reports and the journal.
//!
//! Invariant: equal addresses are one value in memory, shared by everything that holds one. So a
//! copy is a pointer, and equality is one comparison; both catalogs of a comparison name the same
//! ten thousand tables once. What was named stays for as long as the process does.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use reconcile_sql::ident::quote_ident;
use serde::{Serialize, Serializer};

/// Names one object: `column:public.messages.role`.
///
/// The path goes from the namespace inwards. An object that belongs to another object of any kind
/// (a comment, an owner, grants) carries the kind of what it belongs to:
/// `comment:column:public.messages.role`.
#[derive(Clone)]
pub struct Address(Arc<Parts>);

struct Parts {
    kind: &'static str,
    of: Option<&'static str>,
    path: Box<[String]>,
    hash: u64,
}

/// Something by address. What it holds comes in no order.
pub type AddressMap<V> = HashMap<Address, V, BuildHasherDefault<Ready>>;

/// Takes over the hash that an address already has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ready(u64);

impl Hasher for Ready {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.0);
        hasher.write(bytes);
        self.0 = hasher.finish();
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// Every address that was named so far.
static KNOWN: LazyLock<Mutex<HashSet<Arc<Parts>, BuildHasherDefault<Ready>>>> =
    LazyLock::new(Mutex::default);

impl Parts {
    fn names(&self) -> (&'static str, Option<&'static str>, &[String]) {
        (self.kind, self.of, &self.path)
    }
}

impl PartialEq for Parts {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.names() == other.names()
    }
}

impl Eq for Parts {}

impl Hash for Parts {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Address {}

impl Hash for Address {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl PartialOrd for Address {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Address {
    fn cmp(&self, other: &Self) -> Ordering {
        if self == other { Ordering::Equal } else { self.0.names().cmp(&other.0.names()) }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Address {
    fn known(kind: &'static str, of: Option<&'static str>, path: Box<[String]>) -> Self {
        let mut hasher = DefaultHasher::new();
        (kind, of, &path).hash(&mut hasher);
        let parts = Parts { kind, of, path, hash: hasher.finish() };
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(same) = known.get(&parts) {
            return Self(Arc::clone(same));
        }
        let parts = Arc::new(parts);
        known.insert(Arc::clone(&parts));
        Self(parts)
    }

    /// The address of an object of `kind` at `path`, namespace first, all names verbatim.
    pub fn new<S: Into<String>>(kind: &'static str, path: impl IntoIterator<Item = S>) -> Self {
        Self::known(kind, None, path.into_iter().map(Into::into).collect())
    }

    /// The address of something of `kind` that belongs to `target`, such as its comment.
    pub fn belonging_to(kind: &'static str, target: &Self) -> Self {
        Self::known(kind, Some(target.kind()), target.path().into())
    }

    /// The address of an object inside this one: a column in its table.
    pub fn child(&self, kind: &'static str, name: impl Into<String>) -> Self {
        let mut path = Vec::with_capacity(self.path().len() + 1);
        path.extend_from_slice(self.path());
        path.push(name.into());
        Self::known(kind, None, path.into())
    }

    /// The same place in the hierarchy under another last name.
    pub fn renamed(&self, name: &str) -> Self {
        let mut path: Box<[String]> = self.path().into();
        if let Some(last) = path.last_mut() {
            name.clone_into(last);
        }
        Self::known(self.0.kind, self.0.of, path)
    }

    /// The same object at another path.
    #[must_use]
    pub fn moved(&self, path: Vec<String>) -> Self {
        Self::known(self.0.kind, self.0.of, path.into())
    }

    /// The kind of the object.
    pub fn kind(&self) -> &'static str {
        self.0.kind
    }

    /// The address that this one belongs to (`column:…` of `comment:column:…`).
    pub fn target(&self) -> Option<Self> {
        self.0.of.map(|kind| Self::known(kind, None, self.path().into()))
    }

    /// Whether it belongs to another one ([`Address::target`]).
    pub fn has_target(&self) -> bool {
        self.0.of.is_some()
    }

    /// The names, namespace first.
    pub fn path(&self) -> &[String] {
        &self.0.path
    }

    /// The namespace.
    pub fn namespace(&self) -> &str {
        self.path().first().map_or("", String::as_str)
    }

    /// The last name.
    pub fn name(&self) -> &str {
        self.path().last().map_or("", String::as_str)
    }

    /// The path as SQL: `public.messages.role`.
    pub fn dotted(&self) -> String {
        self.path().iter().map(|p| quote_ident(p)).collect::<Vec<_>>().join(".")
    }

    /// The path without its namespace where that is `public`: how people call it.
    pub fn short(&self) -> String {
        let skip = usize::from(self.path().len() > 1 && self.namespace() == "public");
        self.path()[skip..].iter().map(|p| quote_ident(p)).collect::<Vec<_>>().join(".")
    }

    /// Whether a pattern of a flag means this object: the address itself, or a glob in which `*`
    /// stands for any run of characters and `?` for one. `all` is every object.
    pub fn matches(&self, pattern: &str) -> bool {
        pattern == "all" || glob(pattern, &self.to_string())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.kind())?;
        if let Some(of) = self.0.of {
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
