//! Which statements of an application do not survive a change of type, as far as their text tells.
//!
//! Invariant: it is a hint for people, made from tokens. A statement that is named may survive, and one that
//! fails may not be seen (what binds a parameter of the old type without saying so); nothing is decided by it.

use std::collections::BTreeSet;

use reconcile_catalog::{Address, Catalog, Retypes};
use reconcile_sql::QName;
use reconcile_sql::lex::{Token, TokenKind, significant};
use serde::Serialize;

use crate::column::Column;

/// What is looked for.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    /// The relations that have a column whose type changes.
    relations: BTreeSet<QName>,
    /// Those of which the column stands last afterwards.
    reordered: BTreeSet<QName>,
    /// The old types that are somebody's own, and have no bridge.
    types: BTreeSet<QName>,
}

/// What was found among the statements that a server has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Workload {
    /// Why nobody has looked, if so.
    pub not_looked: Option<String>,
    /// What will not survive, most called first.
    pub found: Vec<Doomed>,
    /// How many more there are.
    pub more: usize,
    /// How many statements the role may not see.
    pub hidden: u64,
}

/// A statement that will not survive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Doomed {
    /// How often it was called.
    pub calls: u64,
    /// By whom.
    pub role: String,
    /// Its beginning, in one line.
    pub statement: String,
    /// Why.
    pub reasons: Vec<String>,
}

impl Watch {
    /// What changes of type make statements fail. `online` are the columns that are changed online; with `bridge`
    /// casts to the old enum type go on working.
    pub fn of(retypes: &Retypes, online: &BTreeSet<Address>, bridge: bool, live: &Catalog) -> Self {
        let mut out = Self::default();
        for change in &retypes.changes {
            let [namespace, name, ..] = change.address.path() else { continue };
            let relation = QName::new(namespace, name);
            let is_column = live.definition::<Column>(&change.address).is_some();
            let is_online = online.contains(&change.address);
            if is_column && is_online {
                out.reordered.insert(relation.clone());
            }
            out.relations.insert(relation);
            let bridged = bridge && is_online && change.to.is_textual() && !change.from.array;
            if let Some(namespace) =
                change.from.namespace.as_deref().filter(|_| is_column && !bridged)
            {
                out.types.insert(QName::new(namespace, &change.from.name));
            }
        }
        if out.types.is_empty() && out.reordered.is_empty() {
            return Self::default();
        }
        out
    }

    /// Whether no statement can fail.
    pub fn is_empty(&self) -> bool {
        self.relations.is_empty()
    }

    /// The names of the relations, one of which each statement has.
    pub fn names(&self) -> BTreeSet<&str> {
        self.relations.iter().map(|relation| relation.name.as_str()).collect()
    }

    /// Why a statement will not survive; nothing if it may.
    pub fn reasons(&self, statement: &str) -> Vec<String> {
        let tokens = significant(statement);
        let mentions = |wanted: &BTreeSet<QName>| {
            (0..tokens.len()).any(|at| wanted.iter().any(|name| is_relation(&tokens, at, name)))
        };
        let mut out = Vec::new();
        if !mentions(&self.relations) {
            return out;
        }
        let casts = self.types.iter().filter(|ty| casts_to(&tokens, ty));
        out.extend(casts.map(|ty| format!("it casts to the old type {}", ty.name)));
        if mentions(&self.reordered) {
            if takes_all(&tokens) {
                out.push("it takes all columns, and the new one stands last".to_owned());
            }
            if self.reordered.iter().any(|table| fills_unnamed(&tokens, table)) {
                out.push("it names no columns, and the new one stands last".to_owned());
            }
        }
        out
    }
}

/// Where a name that may be qualified ends, if it begins here.
fn end_of(tokens: &[Token<'_>], at: usize, name: &QName) -> Option<usize> {
    let ident = |at: usize| tokens.get(at).and_then(Token::ident);
    if ident(at).as_ref() == Some(&name.namespace)
        && tokens.get(at + 1).is_some_and(|t| t.is("."))
        && ident(at + 2).as_ref() == Some(&name.name)
    {
        return Some(at + 3);
    }
    (ident(at).as_ref() == Some(&name.name)).then_some(at + 1)
}

/// Whether a relation is named here; what stands behind the dot of something else is not it.
fn is_relation(tokens: &[Token<'_>], at: usize, name: &QName) -> bool {
    let behind_dot = at > 0 && tokens[at - 1].is(".");
    !behind_dot && end_of(tokens, at, name).is_some()
}

/// `x::mood`, `CAST(x AS mood)`, `mood 'ok'`.
fn casts_to(tokens: &[Token<'_>], ty: &QName) -> bool {
    (0..tokens.len()).any(|at| {
        if tokens[at].is("::") {
            return end_of(tokens, at + 1, ty).is_some();
        }
        if tokens[at].is("cast") {
            return target_of_cast(tokens, at).is_some_and(|at| end_of(tokens, at, ty).is_some());
        }
        let literal = |end: usize| {
            let kind = tokens.get(end).map(|t| t.kind);
            matches!(kind, Some(TokenKind::Text | TokenKind::Parameter))
        };
        is_relation(tokens, at, ty) && end_of(tokens, at, ty).is_some_and(literal)
    })
}

/// Where the type of `CAST (x AS type)` begins.
fn target_of_cast(tokens: &[Token<'_>], cast: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(cast + 1) {
        if token.is("(") {
            depth += 1;
        } else if token.is(")") {
            depth -= 1;
        } else if token.is("as") && depth == 1 {
            return Some(at + 1);
        }
        if depth == 0 {
            return None;
        }
    }
    None
}

/// `SELECT *`, `SELECT a, t.*`, `RETURNING *`; not `count(*)` and `a * b`.
fn takes_all(tokens: &[Token<'_>]) -> bool {
    let before = ["select", "distinct", "all", "returning", ",", "."];
    tokens.windows(2).any(|pair| pair[1].is("*") && before.iter().any(|word| pair[0].is(word)))
}

/// `INSERT INTO t VALUES`, `INSERT INTO t SELECT`, `COPY t FROM`.
fn fills_unnamed(tokens: &[Token<'_>], table: &QName) -> bool {
    let word = |at: usize, word: &str| tokens.get(at).is_some_and(|t| t.is(word));
    (0..tokens.len()).any(|at| {
        let name = match () {
            () if word(at, "insert") && word(at + 1, "into") => at + 2,
            () if word(at, "copy") => at + 1,
            () => return false,
        };
        let Some(mut end) = end_of(tokens, name, table) else { return false };
        if word(end, "as") {
            end += 2;
        }
        // The parenthesis of a query is none of a list of columns.
        let query = ["select", "with", "values", "table", "("];
        let is_query = word(end, "(") && query.iter().any(|first| word(end + 1, first));
        !word(end, "default") && (is_query || !word(end, "("))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons(statement: &str) -> usize {
        let names = |name: &str| BTreeSet::from([QName::new("public", name)]);
        let watch =
            Watch { relations: names("talk"), reordered: names("talk"), types: names("mood") };
        watch.reasons(statement).len()
    }

    #[test]
    fn what_will_not_survive_is_seen() {
        for statement in [
            "SELECT id FROM talk WHERE mood = $1::mood",
            "SELECT id FROM public.talk WHERE mood = $1 :: public.mood",
            "SELECT id FROM talk WHERE mood = ANY ($1::\"mood\"[])",
            "UPDATE talk SET mood = CAST(lower($1) AS mood)",
            "UPDATE talk SET mood = mood $1",
            "SELECT * FROM talk",
            "select DISTINCT * from Talk",
            "SELECT t.* FROM talk t",
            "INSERT INTO talk VALUES ($1, $2)",
            "INSERT INTO public.talk AS t (SELECT 1, $1)",
            "INSERT INTO talk (id) VALUES ($1) RETURNING *",
            "COPY talk FROM STDIN",
        ] {
            assert_eq!(reasons(statement), 1, "{statement}");
        }
        assert_eq!(reasons("SELECT * FROM talk WHERE mood = $1::mood"), 2);
    }

    #[test]
    fn what_may_survive_is_passed_over() {
        for statement in [
            "SELECT id FROM walk WHERE mood = $1::mood",
            "SELECT * FROM other.talk",
            "SELECT * FROM walk",
            "SELECT count(*), n * 2 FROM talk WHERE mood = $1",
            "SELECT mood AS mood FROM talk",
            "SELECT cast(n AS text) AS mood FROM talk",
            "SELECT id FROM talk WHERE mood = 'a::mood' /* ::mood */",
            "INSERT INTO talk (id, mood) VALUES ($1, $2)",
            "INSERT INTO talk DEFAULT VALUES",
            "COPY talk (id, mood) TO STDOUT",
            "SELECT cast(",
        ] {
            assert_eq!(reasons(statement), 0, "{statement}");
        }
    }
}
