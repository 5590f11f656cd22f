//! The two texts of a question, as they are sent.
//!
//! Invariant: a text that comes out of [`Text::new`] is one parenthesised expression to the server
//! whatever its author wrote: it cannot end the statement that it is put into. Its tokens are sent
//! one by one with a space between, so that the server splits it where we did, without comments.

use std::collections::{BTreeMap, BTreeSet};

use reconcile_sql::keywords::must_quote;
use reconcile_sql::lex::{Token, TokenKind, significant};

/// A text and what is known of it without a server.
#[derive(Debug, Clone)]
pub(super) struct Text {
    /// The tokens, separated by spaces.
    pub(super) sql: String,
    /// All identifiers that are no name of a type, and all operators.
    pub(super) names: BTreeSet<String>,
    /// The names in `names` that stand behind a dot, with what stands before it.
    pub(super) qualified: BTreeMap<String, BTreeSet<String>>,
    /// What stands before each sub-select: `exists`, `in`, or nothing.
    pub(super) sub_selects: Vec<String>,
    /// All collations that are named, in order; plans do not print them, because the planner makes
    /// a relabelling of each (`eval_const_expressions`, `T_CollateExpr`).
    pub(super) collations: Vec<String>,
    /// All literals, in the order of their text.
    literals: Vec<String>,
    /// Words that a plan does not show the meaning of.
    clauses: Vec<String>,
    /// What is named: relations, columns, functions, without what qualifies them.
    meant: BTreeSet<String>,
    /// Whether it says `*`, which the server spells out.
    has_star: bool,
}

/// Words of a query whose details a plan does not print, or not on every version. (`Unique` does
/// not say how many of the sorted columns it is about.)
const OPAQUE: &[&str] =
    &["over", "offset", "tablesample", "for", "ties", "recursive", "within", DISTINCT_ON];

const DISTINCT_ON: &str = "distinct on";

/// Words of a query that may make no difference to a plan for as long as the tables are as they
/// are: a join that nothing is taken from, a test for null of a column that has none (17), ONLY
/// without children. They have to be the same.
const KEPT: &[&str] = &[
    "limit",
    "fetch",
    "only",
    "null",
    "distinct",
    "join",
    "union",
    "intersect",
    "except",
    "group",
    "having",
    "order",
];

impl Text {
    /// Nothing if the text is no single expression, or cannot be told to be one.
    pub(super) fn new(source: &str) -> Option<Self> {
        let sql = contained(source)?;
        let tokens = significant(&sql);
        let mut text = Self {
            names: BTreeSet::new(),
            qualified: BTreeMap::new(),
            sub_selects: Vec::new(),
            collations: Vec::new(),
            literals: Vec::new(),
            clauses: Vec::new(),
            meant: BTreeSet::new(),
            has_star: false,
            sql: String::new(),
        };
        text.look(&tokens);
        text.sql = sql;
        Some(text)
    }

    fn look(&mut self, tokens: &[Token<'_>]) {
        let mut at = 0;
        while at < tokens.len() {
            let token = &tokens[at];
            match token.kind {
                TokenKind::Operator if token.text == "::" => at = after_type(tokens, at + 1) - 1,
                TokenKind::Word if token.is("as") => at = after_type(tokens, at + 1) - 1,
                TokenKind::Word if token.is("collate") => {
                    let end = after_type(tokens, at + 1);
                    self.collations.extend(tokens[end - 1].ident());
                    at = end - 1;
                }
                TokenKind::Operator => {
                    let behind = at.checked_sub(1).map(|at| &tokens[at]);
                    self.has_star |= token.text == "*"
                        && behind.is_some_and(|t| t.is("select") || t.is(",") || t.is("."));
                    self.names.insert(token.text.to_owned());
                }
                TokenKind::Word | TokenKind::Quoted => self.word(tokens, at),
                TokenKind::Text => self.literals.push(unquoted(token.text)),
                TokenKind::Number => self.literals.push(token.text.to_owned()),
                _ => {}
            }
            at += 1;
        }
        self.collations.sort();
        self.literals.sort();
        self.clauses.sort();
    }

    fn word(&mut self, tokens: &[Token<'_>], at: usize) {
        let token = &tokens[at];
        let Some(name) = token.ident() else { return };
        let before = (at >= 2 && tokens[at - 1].is(".")).then(|| tokens[at - 2].ident()).flatten();
        if let Some(before) = before {
            self.qualified.entry(name.clone()).or_default().insert(before);
        }
        if token.kind == TokenKind::Word {
            if starts_query(token) && at > 0 && tokens[at - 1].is("(") {
                let before =
                    at.checked_sub(2).map(|i| tokens[i].text.to_lowercase()).unwrap_or_default();
                // `IN (SELECT …)` is `= ANY (SELECT …)`, and either may be deparsed as the other.
                self.sub_selects.push(match before.as_str() {
                    "in" | "some" => "any".to_owned(),
                    "exists" | "any" | "all" | "array" => before,
                    _ => String::new(),
                });
            }
            let next = tokens.get(at + 1);
            // The server writes the ELSE NULL that nobody has written.
            let is_else = name == "null" && at > 0 && tokens[at - 1].is("else");
            if name == "distinct" && next.is_some_and(|t| t.is("on")) {
                self.clauses.push(DISTINCT_ON.to_owned());
            } else if OPAQUE.contains(&name.as_str()) || KEPT.contains(&name.as_str()) && !is_else {
                self.clauses.push(name.clone());
            }
        }
        // A qualifier, and the type of a literal, may be spelt or not.
        let next = tokens.get(at + 1);
        let is_spare = next.is_some_and(|t| t.is(".") || t.kind == TokenKind::Text);
        let is_word = |t: &Token<'_>| {
            t.kind == TokenKind::Word && must_quote(&t.text.to_ascii_lowercase()) || t.is("by")
        };
        // So is the AS before another name that somebody has given.
        let is_given = at
            .checked_sub(1)
            .map(|at| &tokens[at])
            .is_some_and(|before| before.is(")") || before.ident().is_some() && !is_word(before));
        let is_part = at > 0 && tokens[at - 1].is(".");
        if !is_spare && (is_part || !is_given && !is_word(token)) {
            self.meant.insert(name.clone());
        }
        self.names.insert(name);
    }

    /// Whether it holds a query of its own, which the output list of a plan does not show.
    pub(super) fn has_query(&self) -> bool {
        !self.sub_selects.is_empty()
    }

    /// Whether two texts with queries, whose plans are equal, are proven to be equal: a plan does
    /// not print everything.
    pub(super) fn is_told_by_plan(&self, other: &Self, shows_operators: bool) -> bool {
        let hidden = |before: &String| matches!(before.as_str(), "any" | "all");
        self.sub_selects == other.sub_selects
            && (shows_operators || !self.sub_selects.iter().any(hidden))
            && self.literals == other.literals
            && self.clauses == other.clauses
            && self.means_the_same(other)
            && !self.clauses.iter().any(|c| OPAQUE.contains(&c.as_str()))
    }

    /// Whether both name the same things. The planner leaves out what makes no difference now, and
    /// takes a view for what it is made of.
    fn means_the_same(&self, other: &Self) -> bool {
        match (self.has_star, other.has_star) {
            (true, false) => self.meant.is_subset(&other.meant),
            (false, true) => self.meant.is_superset(&other.meant),
            _ => self.meant == other.meant,
        }
    }

    /// Whether a column may be meant, letter case aside.
    pub(super) fn mentions(&self, name: &str) -> bool {
        self.names.contains(name) || {
            let lower = name.to_lowercase();
            self.names.iter().any(|n| n.to_lowercase() == lower)
        }
    }
}

/// The tokens of a text with a space between, if they are one piece: no semicolon, every literal
/// closed, every parenthesis paired.
pub(crate) fn contained(source: &str) -> Option<String> {
    let sql = significant(source).iter().map(|t| t.text).collect::<Vec<_>>().join(" ");
    // Read again as it will stand, with the end of what surrounds it: a literal that is not
    // closed would take the end into itself.
    let wrapped = format!("{sql} ;");
    let tokens = significant(&wrapped);
    let (end, tokens) = tokens.split_last()?;
    (end.is(";") && !tokens.is_empty() && is_balanced(tokens)).then_some(sql)
}

fn starts_query(token: &Token<'_>) -> bool {
    ["SELECT", "VALUES", "TABLE", "WITH"].iter().any(|word| token.is(word))
}

fn is_balanced(tokens: &[Token<'_>]) -> bool {
    let mut depth = 0_i32;
    for token in tokens {
        match token.text {
            "(" => depth += 1,
            ")" => depth -= 1,
            ";" => return false,
            _ => {}
        }
        if depth < 0 {
            return false;
        }
    }
    depth == 0
}

/// Where the name of a type that begins at `at` ends, its modifiers aside.
fn after_type(tokens: &[Token<'_>], mut at: usize) -> usize {
    while tokens.get(at).is_some_and(|t| matches!(t.kind, TokenKind::Word | TokenKind::Quoted)) {
        at += 1;
        match tokens.get(at) {
            Some(dot) if dot.is(".") => at += 1,
            _ => break,
        }
    }
    at
}

/// A string's content, near enough to compare it with another spelling of the same literal.
fn unquoted(literal: &str) -> String {
    let inner = literal.trim_start_matches(|c: char| c != '\'' && c != '$');
    inner.trim_matches('\'').to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_text_cannot_leave_its_parentheses() {
        for source in [
            "1); DROP TABLE t; --",
            "1) FROM (SELECT 1",
            "(1",
            "'open",
            "\"open",
            "$x$ open",
            "E'it\\'",
            "1; SELECT 2",
            "",
            "-- nothing",
            "/* nothing",
            ")(",
            // Adjacent literals are one with escapes to the server if a line break is between.
            "E'a'\n'\\' ; DROP TABLE x; -- '",
            // A carriage return ends a comment.
            "a = ';' -- ); \r; x",
        ] {
            assert!(Text::new(source).is_none(), "{source}");
        }
        // What only looks like an end stays inside.
        assert_eq!(Text::new("a = ';' -- ); x").unwrap().sql, "a = ';'");
        assert_eq!(Text::new("f(')', \")\", $q$)$q$)").unwrap().sql, "f ( ')' , \")\" , $q$)$q$ )");
    }

    #[test]
    fn names_without_types() {
        let text = Text::new("app.f(x)::public.citext = CAST(y AS numeric(10, 2)) AND \"Z\" === 1")
            .unwrap();
        let names: Vec<&str> = text.names.iter().map(String::as_str).collect();
        assert_eq!(names, ["=", "===", "Z", "and", "app", "cast", "f", "x", "y"]);
        assert!(text.qualified["f"].contains("app"));
        assert!(text.mentions("z"));
        assert!(!text.mentions("citext"));
    }

    #[test]
    fn what_is_meant() {
        let same = |a: &str, b: &str| Text::new(a).unwrap().means_the_same(&Text::new(b).unwrap());
        let deparsed = "(EXISTS ( SELECT 1 FROM public.members m WHERE ((m.who = t.owner) AND (m.day > '2020-01-01'::date))))";
        assert!(same(
            "exists (select 1 from members as m where who = owner and day > date '2020-01-01')",
            deparsed
        ));
        assert!(same(
            "exists (select * from members m where m.who = owner and m.day > '2020-01-01')",
            deparsed
        ));
        assert!(!same(
            "exists (select 1 from friends m where m.who = owner and m.day > '2020-01-01')",
            deparsed
        ));
        assert!(!same(
            "exists (select 1 from members m where m.who = owner and m.day > '2020-01-01' and m.on)",
            deparsed
        ));
    }

    #[test]
    fn sub_selects() {
        let text =
            Text::new("EXISTS (SELECT 1 FROM t) AND x IN (VALUES (1)) AND (select 2) > 1").unwrap();
        assert_eq!(text.sub_selects, ["exists", "any", ""]);
        assert!(!Text::new("x > '1'::time with time zone").unwrap().has_query());
        assert!(!text.is_told_by_plan(&text, false) && text.is_told_by_plan(&text, true));
    }
}
