//! Where the changing columns come from in a text: relations under their aliases, and the outputs
//! of sub-selects and WITH queries that pass them on.

use crate::ident::QName;
use crate::keywords;
use crate::lex::{Token, TokenKind, significant};

use super::ColumnRetype;
use super::text::Text;

/// The changing columns that a text can mean.
#[derive(Default)]
pub(super) struct Sources {
    /// Those of relations, and those of sub-selects under a relation without a namespace.
    changes: Vec<ColumnRetype>,
    /// How a relation is called here.
    aliases: Vec<(String, QName)>,
    /// The relations whose columns may be named without the relation.
    open: Vec<QName>,
}

impl Sources {
    /// All changing columns.
    pub(super) fn changes(&self) -> impl Iterator<Item = &ColumnRetype> {
        self.changes.iter()
    }

    /// The column that `alias.name` means.
    pub(super) fn qualified(&self, alias: &str, name: &str) -> Option<&ColumnRetype> {
        self.changes.iter().find(|c| {
            c.column == name && self.aliases.iter().any(|(a, r)| a == alias && *r == c.relation)
        })
    }

    /// The column that a bare name means.
    pub(super) fn bare(&self, name: &str) -> Option<&ColumnRetype> {
        self.changes.iter().find(|c| c.column == name && self.open.contains(&c.relation))
    }

    fn call(&mut self, alias: String, relation: &QName) {
        self.aliases.push((alias, relation.clone()));
        if !self.open.contains(relation) {
            self.open.push(relation.clone());
        }
    }
}

/// Sub-selects inside sub-selects: each round looks one level further out.
const LEVELS: usize = 8;

impl<'a> Text<'a> {
    /// Reads a text. Bare names belong to `own`, if there is one; a query names its relations.
    pub(super) fn read(source: &'a str, own: Option<&QName>, changes: &[ColumnRetype]) -> Self {
        let mut sources = Sources { changes: changes.to_vec(), ..Sources::default() };
        let tokens = significant(source);
        for change in changes {
            let relation = &change.relation;
            if own == Some(relation) {
                sources.call(relation.name.clone(), relation);
            }
            for at in 0..tokens.len().saturating_sub(2) {
                let here = tokens[at].ident().as_ref() == Some(&relation.namespace)
                    && tokens[at + 1].is(".")
                    && tokens[at + 2].ident().as_ref() == Some(&relation.name);
                if here {
                    let alias = alias(tokens.get(at + 3)).unwrap_or_else(|| relation.name.clone());
                    sources.call(alias, relation);
                }
            }
        }
        let mut text = Self { tokens, sources };
        for _ in 0..LEVELS {
            if !text.add_sub_selects() {
                break;
            }
        }
        text
    }

    /// Adds the outputs of sub-selects that pass a changing column on; says whether there are new
    /// ones.
    fn add_sub_selects(&mut self) -> bool {
        let mut found: Vec<(Vec<String>, String, ColumnRetype)> = Vec::new();
        for open in 0..self.tokens.len() {
            let starts = |w: &str| self.tokens.get(open + 1).is_some_and(|t| t.is(w));
            if !self.tokens[open].is("(") || !(starts("select") || starts("with") || starts("(")) {
                continue;
            }
            let Some(close) = self.closing(open) else { continue };
            let Some((name, calls)) = self.name_of_group(open, close) else { continue };
            for (column, change) in self.outputs(open + 1, close) {
                let pseudo = QName::new("", name.clone());
                if !self.sources.changes.iter().any(|c| c.relation == pseudo && c.column == column)
                {
                    found.push((
                        calls.clone(),
                        name.clone(),
                        ColumnRetype { relation: pseudo, column, ..change },
                    ));
                }
            }
        }
        let news = !found.is_empty();
        for (calls, name, change) in found {
            let relation = QName::new("", name);
            calls.into_iter().for_each(|alias| self.sources.call(alias, &relation));
            self.sources.changes.push(change);
        }
        news
    }

    /// The name of a sub-select in FROM or of a WITH query, and how it is called in the text.
    fn name_of_group(&self, open: usize, close: usize) -> Option<(String, Vec<String>)> {
        let mut before = open.checked_sub(1)?;
        if self.tokens[before].is("materialized") {
            before = before.checked_sub(if self.tokens[before - 1].is("not") { 2 } else { 1 })?;
        }
        if self.tokens[before].is("as") {
            let name = self.tokens[before.checked_sub(1)?].ident()?;
            let from = ["from", "join", ",", "("];
            let called = |at: usize| {
                self.tokens[at].ident().as_deref() == Some(&name)
                    && at > 0
                    && from.iter().any(|w| self.tokens[at - 1].is(w))
            };
            let mut calls = vec![name.clone()];
            calls.extend(
                (0..self.tokens.len())
                    .filter(|&at| called(at))
                    .filter_map(|at| alias(self.tokens.get(at + 1))),
            );
            return Some((name, calls));
        }
        let mut after = close + 1;
        if self.tokens.get(after).is_some_and(|t| t.is("as")) {
            after += 1;
        }
        let name = alias(self.tokens.get(after))?;
        Some((name.clone(), vec![name]))
    }

    /// The output columns of the query between two tokens that are a changing column.
    pub(super) fn outputs(&self, from: usize, to: usize) -> Vec<(String, ColumnRetype)> {
        let mut depth = 0_i32;
        let mut start = None;
        let mut out = Vec::new();
        for at in from..=to {
            let token = self.tokens.get(at).filter(|_| at < to);
            match token.map(|t| t.text) {
                Some("(" | "[") => depth += 1,
                Some(")" | "]") => depth -= 1,
                _ => {}
            }
            let Some(item) = start else {
                if depth == 0 && token.is_some_and(|t| t.is("select")) {
                    let distinct = self.tokens.get(at + 1).is_some_and(|t| t.is("distinct"));
                    start = Some(at + 1 + usize::from(distinct));
                }
                continue;
            };
            let ends =
                token.is_none_or(|t| t.is(",") || t.is("from") || t.is(";") || t.is("union"));
            if !ends || depth != 0 {
                continue;
            }
            if let Some((change, end)) = self.reference(item).filter(|(_, end)| *end <= at) {
                let plain = end == at || (self.tokens[end].is("as") && end + 2 == at);
                let name = if end == at {
                    Some(change.column.clone())
                } else {
                    self.tokens[at - 1].ident()
                };
                if let Some(name) = name.filter(|_| plain) {
                    out.push((name, change.clone()));
                }
            }
            start = Some(at + 1);
            if token.is_none_or(|t| !t.is(",")) {
                break;
            }
        }
        out
    }
}

/// The alias that a token is, if it is one: keywords end a relation's name.
fn alias(token: Option<&Token<'_>>) -> Option<String> {
    let token = token?;
    let named = match token.kind {
        TokenKind::Word => !keywords::must_quote(&token.text.to_lowercase()),
        TokenKind::Quoted => true,
        _ => false,
    };
    named.then(|| token.ident()).flatten()
}
