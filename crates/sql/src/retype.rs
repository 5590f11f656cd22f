//! Makes the text of a dependent object follow a column's change of type.
//!
//! The server deparses `role = 'user'` over an enum as `role = 'user'::public.message_role`; once
//! the column is a varchar, that cast has no operator any more. A cast is rewritten exactly where
//! it is compared with, or stands in one group with, a column whose type changes; a cast that
//! belongs to another column of the old type stays. What the rewriting cannot know, whether the
//! server accepts the result, is decided by the server inside the transaction.

use std::ops::Range;

use crate::ident::QName;
use crate::keywords;
use crate::lex::{Token, TokenKind, significant};
use crate::types::SqlType;

/// A column of a relation whose type changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnRetype {
    /// The relation.
    pub relation: QName,
    /// The column.
    pub column: String,
    /// Its old type.
    pub from: SqlType,
    /// Its new type.
    pub to: SqlType,
}

/// What a text became.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retyped {
    /// The text that fits the new types.
    pub text: String,
    /// Values are compared by `<`, `min` and the like: the order of the new type decides.
    pub compares_order: bool,
    /// Rows are sorted by a column: the order of the new type decides.
    pub sorts: bool,
    /// A column is compared with another one that keeps its type: there is no operator for the two
    /// any more if the old type was somebody's own.
    pub meets_other: bool,
}

/// Rewrites the casts of a text.
///
/// `own` is the relation to which bare column names belong (a table's CHECK); a query names its
/// relations itself.
pub fn retype(source: &str, own: Option<&QName>, changes: &[ColumnRetype]) -> Retyped {
    let text = Text::read(source, own, changes);
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    for at in 0..text.tokens.len() {
        let Some((name, change)) = text.cast_at(at) else { continue };
        let Some(column) = text.belongs_to(at, name.clone(), change) else { continue };
        edits.push(text.edit(at, name, &column.to.element()));
    }
    let mut out = source.to_owned();
    for (range, to) in edits.into_iter().rev() {
        out.replace_range(range, &to);
    }
    Retyped {
        text: out,
        compares_order: text.compares_order(),
        sorts: text.sorts(),
        meets_other: text.meets_other(),
    }
}

/// The output columns of a query that are one of the changing columns, with that change.
pub fn passed_on(query: &str, changes: &[ColumnRetype]) -> Vec<(String, ColumnRetype)> {
    let text = Text::read(query, None, changes);
    let Some(first) = text.tokens.iter().position(|t| t.is("select")) else { return Vec::new() };
    let mut out = Vec::new();
    let mut depth = 0_i32;
    let mut start = first + 1;
    for at in first + 1..=text.tokens.len() {
        let token = text.tokens.get(at);
        match token.map(|t| t.text) {
            Some("(" | "[") => depth += 1,
            Some(")" | "]") => depth -= 1,
            _ => {}
        }
        let ends = token.is_none_or(|t| t.is(",") || t.is("from") || t.is(";"));
        if ends && depth == 0 {
            if let Some((change, end)) = text.reference(start).filter(|(_, end)| *end <= at) {
                let name = if end == at { Some(change.column.clone()) } else { text.tokens[at - 1].ident() };
                let plain = end == at || (text.tokens[end].is("as") && end + 2 == at);
                if let (true, Some(name)) = (plain, name) {
                    out.push((name, change.clone()));
                }
            }
            start = at + 1;
            if token.is_none_or(|t| !t.is(",")) {
                break;
            }
        }
    }
    out
}

struct Text<'a> {
    tokens: Vec<Token<'a>>,
    changes: &'a [ColumnRetype],
    /// How a relation with changing columns is called here: alias and relation.
    aliases: Vec<(String, &'a QName)>,
    /// Whether bare column names can be one of the changing columns, by change.
    bare: Vec<bool>,
}

impl<'a> Text<'a> {
    fn read(source: &'a str, own: Option<&QName>, changes: &'a [ColumnRetype]) -> Self {
        let tokens = significant(source);
        let mut aliases = Vec::new();
        let mut bare = Vec::new();
        for change in changes {
            let relation = &change.relation;
            let mut seen = own == Some(relation);
            if seen {
                aliases.push((relation.name.clone(), relation));
            }
            for at in 0..tokens.len().saturating_sub(2) {
                let here = tokens[at].ident().as_ref() == Some(&relation.namespace)
                    && tokens[at + 1].is(".")
                    && tokens[at + 2].ident().as_ref() == Some(&relation.name);
                if !here {
                    continue;
                }
                seen = true;
                let next = tokens.get(at + 3).filter(|t| match t.kind {
                    TokenKind::Word => !keywords::must_quote(&t.text.to_lowercase()),
                    TokenKind::Quoted => true,
                    _ => false,
                });
                aliases.push((next.and_then(Token::ident).unwrap_or_else(|| relation.name.clone()), relation));
            }
            bare.push(seen);
        }
        Self { tokens, changes, aliases, bare }
    }

    /// The changing column that a reference starting at `at` means, and where it ends.
    fn reference(&self, at: usize) -> Option<(&'a ColumnRetype, usize)> {
        let first = self.tokens.get(at)?.ident()?;
        let after_dot = at > 0 && self.tokens[at - 1].is(".");
        if self.tokens.get(at + 1).is_some_and(|t| t.is(".")) {
            let name = self.tokens.get(at + 2)?.ident()?;
            let change = self.changes.iter().find(|c| {
                c.column == name && self.aliases.iter().any(|(alias, r)| *alias == first && **r == c.relation)
            })?;
            return Some((change, at + 3));
        }
        if after_dot || self.tokens.get(at + 1).is_some_and(|t| t.is("(")) {
            return None;
        }
        let found = self.changes.iter().zip(&self.bare).find(|(c, bare)| **bare && c.column == first);
        found.map(|(change, _)| (change, at + 1))
    }

    /// The reference that ends right before `end`: the changing column, or `Some(None)` for
    /// another column.
    fn reference_before(&self, end: usize) -> Option<Option<&'a ColumnRetype>> {
        let last = end.checked_sub(1)?;
        if self.tokens[last].is(")") {
            let inner = self.matching_open(last)?;
            // `(role)`, but not `f(role)` and not `(role)::text`, which ends before the cast.
            return (inner + 1 < last && !self.is_call(inner)).then(|| self.reference_before(last)).flatten();
        }
        self.tokens[last].ident()?;
        if last > 0 && self.tokens[last - 1].is("::") {
            return None;
        }
        let start = if last >= 2 && self.tokens[last - 1].is(".") { last - 2 } else { last };
        Some(self.reference(start).map(|(change, _)| change))
    }

    fn reference_after(&self, mut at: usize) -> Option<Option<&'a ColumnRetype>> {
        while self.tokens.get(at).is_some_and(|t| t.is("(")) {
            at += 1;
        }
        self.tokens.get(at)?.ident()?;
        Some(self.reference(at).map(|(change, _)| change))
    }

    /// A cast to one of the old types that starts at `at`: the tokens of the type's name.
    fn cast_at(&self, at: usize) -> Option<(Range<usize>, &'a SqlType)> {
        if !self.tokens[at].is("::") {
            return None;
        }
        self.changes.iter().find_map(|change| {
            let namespace = change.from.namespace.as_ref()?;
            let qualified = self.tokens.get(at + 3)?.ident()? == change.from.name
                && self.tokens[at + 2].is(".")
                && self.tokens[at + 1].ident().as_ref() == Some(namespace);
            qualified.then_some((at + 1..at + 4, &change.from))
        })
    }

    /// The bytes of the cast at `at`, and what stands there instead.
    ///
    /// The choice gives exactly what the server deparses for a text that a person writes over the
    /// new type: a literal loses its cast and takes the type of its partner, an element of an
    /// array takes the type without modifiers (tried on 14 to 18).
    fn edit(&self, at: usize, name: Range<usize>, to: &SqlType) -> (Range<usize>, String) {
        let literal = at > 0 && self.tokens[at - 1].kind == TokenKind::Text;
        let element = self.enclosing(at).is_some_and(|o| o > 0 && self.tokens[o].is("[") && self.tokens[o - 1].is("array"));
        let bare = SqlType { modifiers: None, ..to.clone() };
        let (end, text) = match (literal, element) {
            (true, false) => {
                let brackets = self.tokens[name.end..].iter().take_while(|t| t.is("[") || t.is("]")).count();
                (name.end + brackets, String::new())
            }
            (true, true) => (name.end, format!("::{bare}")),
            (false, _) if to.is_textual() => (name.end, "::text".to_owned()),
            (false, _) => (name.end, format!("::{to}")),
        };
        let last = self.tokens[end - 1];
        (self.tokens[at].start..last.start + last.text.len(), text)
    }

    /// The changing column that the cast at `at` serves; `None` if it serves another one.
    fn belongs_to(&self, at: usize, name: Range<usize>, _from: &SqlType) -> Option<&'a ColumnRetype> {
        if let Some(found) = self.compared_with(at, name.end) {
            return found;
        }
        let (open, close) = self.group(at);
        (open..close).find_map(|i| self.reference(i)).map(|(change, _)| change)
    }

    /// The column on the other side of a comparison, if there is one on the other side.
    fn compared_with(&self, cast: usize, mut after: usize) -> Option<Option<&'a ColumnRetype>> {
        while self.tokens.get(after).is_some_and(|t| t.is("[") || t.is("]")) {
            after += 1;
        }
        let mut before = cast.checked_sub(2);
        // ANY (ARRAY['a'::t, 'b'::t])
        if let Some(open) = self.enclosing(cast).filter(|&o| self.tokens[o].is("[")) {
            let any = open.checked_sub(3).filter(|&i| self.tokens[i].is("any") || self.tokens[i].is("all"));
            before = Some(any?.checked_sub(1)?);
            after = self.tokens.len();
        } else if before.is_some_and(|b| self.tokens[b].is("(") && b > 0) {
            // ANY ('{a,b}'::t[])
            let b = before.unwrap_or_default();
            if self.tokens[b - 1].is("any") || self.tokens[b - 1].is("all") {
                before = b.checked_sub(2);
            }
        }
        if let Some(operator) = before.filter(|&b| self.is_comparison(b)) {
            return self.reference_before(self.comparison_start(operator));
        }
        if self.is_comparison(after) {
            return self.reference_after(after + 1);
        }
        None
    }

    fn is_comparison(&self, at: usize) -> bool {
        self.tokens.get(at).is_some_and(|t| {
            (t.kind == TokenKind::Operator && t.text != "::") || (t.is("from") && self.comparison_start(at) < at)
        })
    }

    /// `IS NOT DISTINCT FROM` starts at IS.
    fn comparison_start(&self, at: usize) -> usize {
        if self.tokens[at].is("from") && at >= 2 && self.tokens[at - 1].is("distinct") {
            let not = usize::from(self.tokens[at - 2].is("not"));
            return at.saturating_sub(2 + not);
        }
        at
    }

    /// The innermost open parenthesis or bracket around a token.
    fn enclosing(&self, at: usize) -> Option<usize> {
        let mut depth = 0_i32;
        (0..at).rev().find(|&i| {
            match self.tokens[i].text {
                ")" | "]" => depth += 1,
                "(" | "[" if depth > 0 => depth -= 1,
                "(" | "[" => return true,
                _ => {}
            }
            false
        })
    }

    /// The innermost group around a token: between its parentheses, or the item of a list.
    fn group(&self, at: usize) -> (usize, usize) {
        let open = self.enclosing(at).map_or(0, |o| o + 1);
        let mut depth = 0_i32;
        let close = (at..self.tokens.len()).find(|&i| {
            match self.tokens[i].text {
                "(" | "[" => depth += 1,
                ")" | "]" if depth == 0 => return true,
                ")" | "]" => depth -= 1,
                _ => {}
            }
            false
        });
        let close = close.unwrap_or(self.tokens.len());
        if open > 0 {
            return (open, close);
        }
        // Outside any parenthesis: the item between two commas or clauses of the query.
        let breaks = |i: &usize| {
            let t = &self.tokens[*i];
            [",", "select", "from", "where", "group", "order", "having", "union", ";"].iter().any(|w| t.is(w))
        };
        let start = (open..at).rev().find(breaks).map_or(open, |i| i + 1);
        let end = (at..close).find(breaks).unwrap_or(close);
        (start, end)
    }

    fn matching_open(&self, close: usize) -> Option<usize> {
        self.enclosing(close)
    }

    /// Whether the parenthesis belongs to a function's name.
    fn is_call(&self, open: usize) -> bool {
        open > 0
            && match self.tokens[open - 1].kind {
                TokenKind::Word => !["and", "or", "not", "when", "then", "else", "case", "where", "on", "any", "all"]
                    .iter()
                    .any(|w| self.tokens[open - 1].is(w)),
                TokenKind::Quoted => true,
                _ => false,
            }
    }

    /// Whether the reference that ends at `end` is cast away: `(role)::text`.
    fn is_cast_away(&self, start: usize, end: usize) -> bool {
        let wrapped = start > 0 && self.tokens[start - 1].is("(") && self.tokens.get(end).is_some_and(|t| t.is(")"));
        self.tokens.get(end).is_some_and(|t| t.is("::"))
            || (wrapped && self.tokens.get(end + 1).is_some_and(|t| t.is("::")))
    }

    fn references(&self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.tokens.len()).filter_map(|at| self.reference(at).map(|(_, end)| (at, end)))
            .filter(|&(start, end)| !self.is_cast_away(start, end))
    }

    fn compares_order(&self) -> bool {
        let ordering = |t: Option<&Token<'_>>| t.is_some_and(|t| ["<", ">", "<=", ">=", "between"].iter().any(|o| t.is(o)));
        self.references().any(|(start, end)| {
            let call = self.enclosing(start).and_then(|o| o.checked_sub(1)).and_then(|i| self.tokens[i].ident());
            ordering(self.tokens.get(end))
                || ordering(start.checked_sub(1).and_then(|i| self.tokens.get(i)))
                || call.is_some_and(|name| ["min", "max", "greatest", "least"].contains(&name.as_str()))
        })
    }

    /// Whether a changing column is compared with a plain column that is none.
    fn meets_other(&self) -> bool {
        self.references().filter(|&(start, _)| self.reference(start).is_some_and(|(c, _)| c.from.namespace.is_some())).any(
            |(start, end)| {
                let after = self.is_comparison(end) && self.is_other_column(end + 1);
                let before = start.checked_sub(1).filter(|&at| self.is_comparison(at)).map(|at| self.comparison_start(at));
                after || before.is_some_and(|at| matches!(self.reference_before(at), Some(None)))
            },
        )
    }

    /// Whether a plain column stands at `at` that is none of the changing ones.
    fn is_other_column(&self, at: usize) -> bool {
        if self.reference(at).is_some() || self.tokens.get(at).and_then(Token::ident).is_none() {
            return false;
        }
        let end = if self.tokens.get(at + 1).is_some_and(|t| t.is(".")) { at + 3 } else { at + 1 };
        let word = &self.tokens[at];
        let keyword = word.kind == TokenKind::Word && keywords::must_quote(&word.text.to_lowercase());
        !keyword && !self.tokens.get(end).is_some_and(|t| t.is("(") || t.is("::"))
    }

    fn sorts(&self) -> bool {
        let mut sorting: Option<Option<usize>> = None;
        for at in 0..self.tokens.len() {
            if at > 0 && self.tokens[at].is("by") && self.tokens[at - 1].is("order") {
                sorting = Some(self.enclosing(at));
            } else if sorting.is_some() && ["limit", "offset", "fetch", "union", "window"].iter().any(|w| self.tokens[at].is(w)) {
                sorting = None;
            }
            let Some(group) = sorting else { continue };
            if self.tokens[at].is(")") && self.matching_open(at) == group {
                sorting = None;
            } else if self.reference(at).is_some_and(|(_, end)| !self.is_cast_away(at, end)) {
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(relation: &str, column: &str) -> ColumnRetype {
        ColumnRetype {
            relation: QName::new("public", relation),
            column: column.to_owned(),
            from: SqlType::named(Some("public".into()), "message_role"),
            to: SqlType::parse("varchar(20)").expect("a type"),
        }
    }

    fn own(source: &str) -> Retyped {
        retype(source, Some(&QName::new("public", "messages")), &[change("messages", "role")])
    }

    fn query(source: &str) -> Retyped {
        retype(source, None, &[change("messages", "role")])
    }

    #[test]
    fn casts_follow_their_column() {
        assert_eq!(own("(role = 'user'::public.message_role)").text, "(role = 'user')");
        assert_eq!(
            own("((role = ANY (ARRAY['user'::public.message_role, 'tool'::public.message_role])) OR (content <> ''::text))").text,
            "((role = ANY (ARRAY['user'::varchar, 'tool'::varchar])) OR (content <> ''::text))"
        );
        assert_eq!(own("(role <> ALL ('{user,tool}'::public.message_role[]))").text, "(role <> ALL ('{user,tool}'))");
        assert_eq!(own("('user'::public.message_role = role)").text, "('user' = role)");
        assert_eq!(own("(role IS DISTINCT FROM 'user'::public.message_role)").text, "(role IS DISTINCT FROM 'user')");
        assert_eq!(own("COALESCE(role, 'user'::public.message_role)").text, "COALESCE(role, 'user')");
        assert_eq!(own("((old.role)::text = 'user'::text)").text, "((old.role)::text = 'user'::text)");
    }

    #[test]
    fn casts_of_other_columns_stay() {
        let source = "SELECT m.id FROM (public.messages m JOIN public.audit o ON ((o.id = m.id))) \
                      WHERE ((m.role = 'user'::public.message_role) AND (o.role = 'tool'::public.message_role) \
                      AND (COALESCE(o.role, 'x'::public.message_role) = 'tool'::public.message_role))";
        let got = query(source).text;
        assert!(got.contains("(m.role = 'user')"), "{got}");
        assert!(got.contains("o.role = 'tool'::public.message_role"), "{got}");
        assert!(got.contains("COALESCE(o.role, 'x'::public.message_role)"), "{got}");
    }

    #[test]
    fn order_is_noticed() {
        assert!(own("(role < 'system'::public.message_role)").compares_order);
        assert!(!own("((role)::text < 'system'::text)").compares_order);
        assert!(query("SELECT max(messages.role) FROM public.messages").compares_order);
        assert!(query("SELECT messages.id FROM public.messages ORDER BY messages.role, messages.id").sorts);
        assert!(!query("SELECT messages.role FROM public.messages ORDER BY messages.id").sorts);
        assert!(!query("SELECT row_number() OVER (ORDER BY m.id) AS n, m.role FROM public.messages m").sorts);
    }

    #[test]
    fn columns_that_keep_the_type_are_noticed() {
        assert!(query("SELECT 1 FROM (public.messages m JOIN public.t t ON ((t.role = m.role)))").meets_other);
        assert!(query("SELECT 1 FROM (public.messages m JOIN public.t t ON ((m.role = t.role)))").meets_other);
        assert!(!own("(role = 'user'::public.message_role)").meets_other);
        assert!(!own("(role = ANY (ARRAY['user'::public.message_role]))").meets_other);
        assert!(!own("((role)::text = content)").meets_other);
        assert!(!query("SELECT 1 FROM (public.messages m JOIN public.messages n ON ((n.role = m.role)))").meets_other);
    }

    #[test]
    fn outputs_that_are_the_column() {
        let got = passed_on(
            "SELECT m.id, m.role AS who, m.role, lower((m.role)::text) AS low FROM public.messages m WHERE (m.role = 'x')",
            &[change("messages", "role")],
        );
        let names: Vec<&str> = got.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["who", "role"]);
    }
}
