//! The references in a text, and their edits.

use std::collections::BTreeMap;
use std::ops::Range;

use super::Names;
use crate::ident::{QName, quote_ident};
use crate::keywords;
use crate::lex::{Token, TokenKind, significant};

/// A text and what its names mean.
struct Text<'a> {
    names: &'a Names,
    tokens: Vec<Token<'a>>,
    /// How relations are called in it, and what a renamed one is called then.
    aliases: BTreeMap<String, (QName, String)>,
    /// The relations whose columns may be named without the relation.
    open: Vec<QName>,
}

/// The text under the new names.
pub(super) fn renamed(names: &Names, source: &str, own: Option<&QName>) -> String {
    let mut text = Text {
        names,
        tokens: significant(source),
        aliases: BTreeMap::new(),
        open: own.into_iter().cloned().collect(),
    };
    text.find_relations(own);
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    let mut lists = SelectLists::default();
    let mut at = 0;
    while at < text.tokens.len() {
        lists.enter(&text.tokens, at);
        let next = text.edit(at, &lists, &mut edits);
        for skipped in at + 1..next {
            lists.enter(&text.tokens, skipped);
        }
        at = next;
    }
    let mut out = source.to_owned();
    for (range, to) in edits.into_iter().rev() {
        out.replace_range(range, &to);
    }
    out
}

impl Text<'_> {
    fn ident(&self, at: usize) -> Option<String> {
        self.tokens.get(at)?.ident()
    }

    fn is(&self, at: usize, text: &str) -> bool {
        self.tokens.get(at).is_some_and(|t| t.is(text))
    }

    fn range(&self, from: usize, last: usize) -> Range<usize> {
        let end = &self.tokens[last];
        self.tokens[from].start..end.start + end.text.len()
    }

    /// Two names with a dot between them that start here.
    fn pair(&self, at: usize) -> Option<(String, String)> {
        let whole = self.is(at + 1, ".") && !(at > 0 && self.is(at - 1, "."));
        self.ident(at).zip(self.ident(at + 2)).filter(|_| whole)
    }

    fn find_relations(&mut self, own: Option<&QName>) {
        if let Some(own) = own {
            let then = self.names.of(own).name;
            self.aliases.insert(own.name.clone(), (own.clone(), then));
            // The row variables of a trigger, and the rows of a rule.
            for row in ["old", "new"] {
                self.aliases.insert(row.to_owned(), (own.clone(), row.to_owned()));
            }
        }
        for at in 0..self.tokens.len() {
            let Some((namespace, name)) = self.pair(at) else { continue };
            let from = ["from", "join", ",", "(", "only", "into", "update", "on"];
            let is_source = at > 0 && from.iter().any(|word| self.is(at - 1, word));
            if !is_source || self.is(at + 3, "(") || self.is(at + 3, ".") {
                continue;
            }
            let relation = QName::new(namespace, name);
            let then = self.names.of(&relation);
            let touched = then != relation || self.names.columns.contains_key(&relation);
            if !touched {
                continue;
            }
            let alias = self.alias(at + 3).unwrap_or_else(|| relation.name.clone());
            let then = alias_then(&alias, &relation.name, &then.name);
            if !self.open.contains(&relation) {
                self.open.push(relation.clone());
            }
            self.aliases.insert(alias, (relation, then));
        }
    }

    /// The alias that a token is, if it is one: keywords end a relation's name.
    fn alias(&self, at: usize) -> Option<String> {
        let token = self.tokens.get(at)?;
        let named = match token.kind {
            TokenKind::Word => !keywords::must_quote(&token.text.to_lowercase()),
            TokenKind::Quoted => true,
            _ => false,
        };
        named.then(|| token.ident()).flatten()
    }

    /// Adds the edits for what starts at a token; gives the next token to look at.
    fn edit(
        &self,
        at: usize,
        lists: &SelectLists,
        edits: &mut Vec<(Range<usize>, String)>,
    ) -> usize {
        let token = &self.tokens[at];
        if token.kind == TokenKind::Text {
            if let Some(name) = self.named_in_literal(at) {
                edits.push((self.range(at, at), name));
            }
            return at + 1;
        }
        let Some(first) = token.ident() else { return at + 1 };
        let spell = quote_ident;
        if let Some((first, second)) = self.pair(at) {
            let called = self.aliases.get(&first);
            let top = QName::new(&first, &second);
            let is_call = self.is(at + 3, "(") && !self.names.functions.contains(&top);
            if called.is_none() && self.names.tops.contains_key(&top) && !is_call {
                edits.push((self.range(at, at + 2), self.names.of(&top).to_string()));
                if let Some(column) = self.ident(at + 4).filter(|_| self.is(at + 3, ".")) {
                    let column = self.names.of_column(&top, &column);
                    edits.push((self.range(at + 4, at + 4), spell(&column)));
                    return at + 5;
                }
            } else if let Some((relation, then)) = called.filter(|_| !is_call) {
                let column = self.names.of_column(relation, &second);
                let to = format!("{}.{}", spell(then), spell(&column));
                self.reference(at..at + 3, (&second, &column), to, lists, edits);
            } else if self.names.namespaces.contains_key(&first) {
                edits.push((self.range(at, at), spell(&self.names.in_namespace(&first))));
            }
            return at + 3;
        }
        if self.is(at + 1, ".") {
            // `alias.*`
            if let Some((_, then)) = self.aliases.get(&first).filter(|(_, then)| *then != first) {
                edits.push((self.range(at, at), spell(then)));
            }
            return at + 2;
        }
        if !self.is_column(at) {
            // The alias of a relation behind its name.
            let generated = self.aliases.get(&first).filter(|(relation, then)| {
                *then != first
                    && at >= 3
                    && self.pair(at - 3)
                        == Some((relation.namespace.clone(), relation.name.clone()))
            });
            if let Some((_, then)) = generated {
                edits.push((self.range(at, at), spell(then)));
            }
            return at + 1;
        }
        let renamed = self.open.iter().find_map(|relation| {
            let column = self.names.of_column(relation, &first);
            (column != first).then_some(column)
        });
        if let Some(column) = renamed {
            let to = spell(&column);
            self.reference(at..at + 1, (&first, &column), to, lists, edits);
        }
        at + 1
    }

    /// Whether a bare name can be a column's.
    fn is_column(&self, at: usize) -> bool {
        if self.is(at + 1, "(") {
            return false;
        }
        let Some(before) = at.checked_sub(1) else { return true };
        let follows = |words: &[&str]| words.iter().any(|word| self.is(before, word));
        if follows(&[".", "::", "as", "collate", "trigger"]) {
            return false;
        }
        // The field of EXTRACT, and the words of types and of AT TIME ZONE.
        let field = before > 0 && self.is(before - 1, "extract") && self.is(at + 1, "from");
        let zone = self.is(at, "zone") && follows(&["time"]);
        let time = self.is(at, "time") && follows(&["at", "with", "without"]);
        let more =
            follows(&["character", "double", "bit"]) && before > 0 && self.is(before - 1, "::");
        let alias = before >= 3 && {
            let source = self.pair(at - 3).map(|(namespace, name)| QName::new(namespace, name));
            source.is_some_and(|source| self.open.contains(&source))
        };
        !field && !zone && !time && !more && !alias && !self.is_joined_by(at)
    }

    /// Whether a name stands in the USING of a join. PostgreSQL goes on joining by the names that
    /// were written, and gives the relations aliases for their columns instead (tried on 14 and
    /// 18): such a text is another one than what anybody would write for the new names.
    fn is_joined_by(&self, at: usize) -> bool {
        let list = |at: &usize| self.ident(*at).is_some() || self.is(*at, ",");
        let open = (0..at).rev().find(|at| !list(at));
        open.is_some_and(|open| self.is(open, "(") && open > 0 && self.is(open - 1, "using"))
    }

    /// Replaces a reference to a column. As an output of a query it keeps its name.
    fn reference(
        &self,
        tokens: Range<usize>,
        (column, then): (&str, &str),
        to: String,
        lists: &SelectLists,
        edits: &mut Vec<(Range<usize>, String)>,
    ) {
        let (last, next) = (tokens.end - 1, tokens.end);
        let range = self.range(tokens.start, last);
        let ends = |at: usize| {
            self.tokens.get(at).is_none_or(|t| {
                [",", "from", ")", ";", "union", "intersect", "except", "where"]
                    .iter()
                    .any(|word| t.is(word))
            })
        };
        let output = lists.at_item() && column != then;
        if output && ends(next) {
            edits.push((range, format!("{to} AS {}", quote_ident(column))));
        } else if output
            && self.is(next, "as")
            && ends(next + 2)
            && self.ident(next + 1).as_deref() == Some(then)
        {
            // The edit covers the alias, which is left out once it says nothing.
            edits.push((self.range(tokens.start, next + 1), to));
        } else {
            edits.push((range, to));
        }
    }

    /// A literal that names a relation or type, `'public.q'::regclass`, or is a value of a type,
    /// `'sad'::public.mood`.
    fn named_in_literal(&self, at: usize) -> Option<String> {
        let known = ["regclass", "regtype", "regnamespace"];
        let cast = self.is(at + 1, "::") && known.iter().any(|ty| self.is(at + 2, ty));
        let inside = self.tokens[at].text.strip_prefix('\'')?.strip_suffix('\'')?;
        let name = inside.replace("''", "'");
        if self.is(at + 1, "::")
            && let Some((namespace, ty)) = self.pair(at + 2)
            && let Some(value) = self.names.values.get(&QName::new(namespace, ty))
        {
            return value.get(&name).map(|value| format!("'{}'", value.replace('\'', "''")));
        }
        let then = match self.is(at + 2, "regnamespace") {
            true => quote_ident(&self.names.in_namespace(&name)),
            false => self.names.of_spelt(&name),
        };
        (cast && then != name).then(|| format!("'{}'", then.replace('\'', "''")))
    }
}

/// What an alias is called once its relation has another name. PostgreSQL tells relations of one
/// name apart by numbers (`set_rtable_names`, ruleutils.c); a person's alias stays.
fn alias_then(alias: &str, from: &str, to: &str) -> String {
    let number = alias.strip_prefix(from).map(|rest| rest.strip_prefix('_').unwrap_or(rest));
    match number {
        Some("") => to.to_owned(),
        Some(n) if n.bytes().all(|b| b.is_ascii_digit()) && alias != format!("{from}{n}") => {
            format!("{to}_{n}")
        }
        Some(_) | None => alias.to_owned(),
    }
}

/// Where the lists of outputs are, while the tokens go by.
#[derive(Default)]
struct SelectLists {
    /// For each open parenthesis, whether a list of outputs is open in it, and its next item
    /// begins here.
    open: Vec<(bool, bool)>,
    top: (bool, bool),
}

impl SelectLists {
    fn here(&mut self) -> &mut (bool, bool) {
        self.open.last_mut().unwrap_or(&mut self.top)
    }

    /// Takes notice of a token.
    fn enter(&mut self, tokens: &[Token<'_>], at: usize) {
        let token = &tokens[at];
        let is = |words: &[&str]| words.iter().any(|word| token.is(word));
        let before = at.checked_sub(1).map(|before| &tokens[before]);
        let follows = |words: &[&str]| before.is_some_and(|t| words.iter().any(|w| t.is(w)));
        if is(&["(", "["]) {
            self.here().1 = false;
            self.open.push((false, false));
        } else if is(&[")", "]"]) {
            self.open.pop();
            self.here().1 = false;
        } else if is(&["select"]) {
            *self.here() = (true, false);
        } else if is(&[
            "from",
            "where",
            "group",
            "having",
            "order",
            "union",
            "intersect",
            "except",
            "limit",
            "window",
        ]) && !follows(&["distinct"])
        {
            *self.here() = (false, false);
        } else {
            let lists = self.here().0;
            self.here().1 = lists && follows(&["select", ",", "distinct"]);
        }
    }

    /// Whether an output starts at the token that was entered last.
    fn at_item(&self) -> bool {
        self.open.last().unwrap_or(&self.top).1
    }
}
