//! Expressions, what their names mean, and what the server said about pairs of them.

use std::collections::BTreeSet;

use reconcile_sql::{SqlType, lex, spelling};

/// An expression as somebody or the server spelt it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    /// The text, as SQL.
    pub text: String,
}

impl Expression {
    /// An expression with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into() }
    }

    /// The string literal that the expression consists of, a cast aside; nothing if it is more.
    pub fn literal(&self) -> Option<&str> {
        let tokens = lex::significant(&self.text);
        let (first, rest) = tokens.split_first()?;
        let cast = |t: &lex::Token<'_>| t.ident().is_some() || t.is(".") || t.is("[") || t.is("]");
        let plain = match rest.split_first() {
            None => true,
            Some((colons, name)) => colons.is("::") && !name.is_empty() && name.iter().all(cast),
        };
        (first.kind == lex::TokenKind::Text && plain).then_some(first.text)
    }

    /// Whether the two are spelt alike, which needs no server to know.
    pub fn spelt_like(&self, other: &Self) -> bool {
        spelling::same(&self.text, &other.text)
    }
}

/// The row source against which an expression is analysed.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope {
    /// The namespace in which names without one are looked up, after PostgreSQL's own.
    pub namespace: String,
    /// The name by which the expression may qualify columns.
    pub relation: String,
    /// Columns and their types.
    pub columns: Vec<(String, SqlType)>,
    /// The type that the result is assigned to: the column of a default.
    pub assigned_to: Option<SqlType>,
}

/// Two spellings that are equal if the server analyses them to the same expression.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Question {
    /// One spelling.
    pub left: String,
    /// The other.
    pub right: String,
    /// What the names mean. It comes last: most questions are told apart without it.
    pub scope: Scope,
}

/// The pairs of spellings that the server analysed, and its verdicts.
///
/// A pair that is in neither set was not asked, or could not be analysed: that is "not proven",
/// which is neither equal nor different.
#[derive(Clone, Debug, Default)]
pub struct Equivalences {
    equal: BTreeSet<Question>,
    different: BTreeSet<Question>,
}

impl Equivalences {
    /// Records a verdict.
    pub fn record(&mut self, question: Question, equal: bool) {
        if equal {
            self.equal.insert(question);
        } else {
            self.different.insert(question);
        }
    }

    /// Takes over further verdicts.
    pub fn extend(&mut self, more: Self) {
        self.equal.extend(more.equal);
        self.different.extend(more.different);
    }

    /// The verdict on a pair: equal, different, or unknown.
    pub fn verdict(&self, question: &Question) -> Option<bool> {
        if self.equal.contains(question) {
            Some(true)
        } else if self.different.contains(question) {
            Some(false)
        } else {
            None
        }
    }
}
