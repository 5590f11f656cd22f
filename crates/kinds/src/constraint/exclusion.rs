//! Exclusion constraints: `EXCLUDE USING gist (room WITH =, during WITH &&) WHERE (…)`.

use reconcile_catalog::{Expression, Property, Value};
use reconcile_sql::lex::{Token, significant};
use reconcile_sql::quote_ident;

use crate::storage::{self, Settings};
use crate::table::partition_key::{element, split};

/// An exclusion constraint taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Exclusion {
    pub(super) method: String,
    /// What is compared, a collation or an operator class behind it included, and with what.
    pub(super) elements: Vec<(String, String)>,
    pub(super) include: Vec<String>,
    pub(super) predicate: Option<String>,
}

/// Takes a definition apart; nothing if it is none. Storage parameters and what can be said of any
/// constraint are passed over.
pub(super) fn parse(definition: &str) -> Option<Exclusion> {
    let all = significant(definition);
    let mut rest = all.as_slice();
    take(&mut rest, "exclude")?;
    let mut out = Exclusion { method: "btree".to_owned(), ..Exclusion::default() };
    if take(&mut rest, "using").is_some() {
        out.method = rest.first()?.ident()?;
        rest = &rest[1..];
    }
    let (inner, end) = group(&mut rest)?;
    out.elements = split(definition, inner, end)
        .iter()
        .map(|text| with_operator(text))
        .collect::<Option<Vec<_>>>()?;
    if take(&mut rest, "include").is_some() {
        let (inner, end) = group(&mut rest)?;
        let names = split(definition, inner, end);
        let bare = |text: &String| significant(text).first().and_then(Token::ident);
        out.include = names.iter().filter_map(bare).collect();
    }
    while let Some((first, tail)) = rest.split_first() {
        if first.is("where") {
            rest = tail;
            let (inner, end) = group(&mut rest)?;
            out.predicate = inner.first().map(|t| definition[t.start..end].trim().to_owned());
        } else {
            rest = tail;
        }
    }
    Some(out)
}

fn take(rest: &mut &[Token<'_>], word: &str) -> Option<()> {
    let (first, tail) = rest.split_first()?;
    first.is(word).then(|| *rest = tail)
}

/// What stands in the parentheses that come next, and where they close.
fn group<'t, 's>(rest: &mut &'t [Token<'s>]) -> Option<(&'t [Token<'s>], usize)> {
    rest.first().filter(|t| t.is("("))?;
    let mut depth = 0_i32;
    let close = rest.iter().position(|token| {
        depth += i32::from(token.is("(")) - i32::from(token.is(")"));
        depth == 0
    })?;
    let (inner, end) = (&rest[1..close], rest[close].start);
    *rest = &rest[close + 1..];
    Some((inner, end))
}

/// `during WITH &&`; the operator may be qualified: `OPERATOR(public.=)`.
pub(super) fn with_operator(text: &str) -> Option<(String, String)> {
    let tokens = significant(text);
    let at = tokens.iter().rposition(|t| t.is("with"))?;
    let after = tokens.get(at + 1)?;
    let operator = text[after.start..].trim().to_owned();
    (at > 0).then(|| (text[..tokens[at].start].trim().to_owned(), operator))
}

/// What stands behind CONSTRAINT name, without what can be said of any constraint.
pub(super) fn sql(exclusion: &Exclusion, with: &Settings, tablespace: &str) -> String {
    let Exclusion { method, elements, include, predicate } = exclusion;
    let elements: Vec<String> = elements.iter().map(|(e, op)| format!("{e} WITH {op}")).collect();
    let mut sql = format!("EXCLUDE USING {} ({})", quote_ident(method), elements.join(", "));
    if !include.is_empty() {
        sql.push_str(&format!(" INCLUDE {}", super::sql::list(include)));
    }
    sql.push_str(&storage::with(with));
    if !tablespace.is_empty() {
        sql.push_str(&format!(" USING INDEX TABLESPACE {}", quote_ident(tablespace)));
    }
    if let Some(predicate) = predicate {
        sql.push_str(&format!(" WHERE ({predicate})"));
    }
    sql
}

pub(super) fn properties(definition: &str) -> Vec<Property> {
    let Some(Exclusion { method, elements, include, predicate }) = parse(definition) else {
        return vec![
            Property::new("rule", "exclusion"),
            Property::new("definition", reconcile_sql::spelling::key(definition)),
        ];
    };
    let operator = |text: &str| Value::Text(reconcile_sql::spelling::key(text));
    let elements =
        elements.iter().map(|(text, op)| Value::List(vec![element(text), operator(op)])).collect();
    vec![
        Property::new("rule", "exclusion"),
        Property::new("using", method),
        Property::new("elements", Value::List(elements)),
        Property::new("include", Value::words(include)),
        Property::new("where", Value::option(predicate.map(Expression::new))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_definitions_apart() {
        let text = "EXCLUDE USING gist (room WITH =, tstzrange(a, b) WITH &&) INCLUDE (\"X\") \
                    WITH (fillfactor='70') WHERE ((NOT done)) DEFERRABLE INITIALLY DEFERRED";
        let found = parse(text).expect("an exclusion");
        assert_eq!(found.method, "gist");
        assert_eq!(
            found.elements,
            [("room".to_owned(), "=".to_owned()), ("tstzrange(a, b)".to_owned(), "&&".to_owned())]
        );
        assert_eq!(found.include, ["X"]);
        assert_eq!(found.predicate.as_deref(), Some("(NOT done)"));
        assert_eq!(
            sql(&found, &Vec::new(), ""),
            "EXCLUDE USING gist (room WITH =, tstzrange(a, b) WITH &&) INCLUDE (\"X\") WHERE ((NOT done))"
        );
        assert!(parse("CHECK (a > 0)").is_none());
    }
}
