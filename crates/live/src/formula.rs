//! Asks the server whether it understands the expressions by which values are converted.
//!
//! Invariant: nothing is executed but what the planner folds: immutable functions of constants. An
//! expression is analysed against a row source with the relation's name, its columns' types and no rows,
//! as [`ask`](crate::ask) does. What names something that the plan itself makes cannot be judged before
//! that is made, and is judged in the transaction that does.

use std::collections::BTreeSet;
use std::time::Duration;

use reconcile_kinds::Formula;
use reconcile_sql::lex::{Token, TokenKind, significant};
use reconcile_sql::{QName, SqlType, quote_ident, quote_literal, search_path};

use crate::ask::contained;
use crate::connect::Session;
use crate::error::Error;
use crate::reading::{self, Limits};

/// An expression that cannot be used, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The expression.
    pub formula: Formula,
    /// What is wrong with it.
    pub reason: String,
}

/// What the plan makes, by name, and the types that are there.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The names of what is still to be made.
    pub made: &'a BTreeSet<String>,
    /// The types that are there beside PostgreSQL's own.
    pub types: &'a BTreeSet<QName>,
}

/// The name under which the value of an expression stands in a plan.
const VALUE: &str = "_rc_value";

/// Judges all of them, each in a message of its own: there are few.
///
/// # Errors
/// If the server cannot be asked at all.
pub async fn judge(
    session: &mut Session,
    formulas: &BTreeSet<Formula>,
    known: Known<'_>,
) -> Result<Vec<Fault>, Error> {
    let mut faults = Vec::new();
    for formula in formulas {
        if let Some(reason) = reason(session, formula, known).await? {
            faults.push(Fault { formula: formula.clone(), reason });
        }
    }
    Ok(faults)
}

async fn reason(
    session: &mut Session,
    formula: &Formula,
    known: Known<'_>,
) -> Result<Option<String>, Error> {
    let Some(text) = contained(&formula.text) else {
        return Ok(Some("it is no single expression".to_owned()));
    };
    let tokens = significant(&text);
    if has_query(&tokens) {
        let reason = "it has a query in it, and a value has to follow from its row alone";
        return Ok(Some(reason.to_owned()));
    }
    let is_new = |token: &Token<'_>| token.ident().is_some_and(|name| known.made.contains(&name));
    let judged_later = tokens.iter().any(is_new);
    let message = Message::new(session, formula, &text, &tokens, known);
    match session.send_sets(&message.sql).await {
        Ok(sets) => {
            let cell = |at: usize| sets.get(at).and_then(|s| s.rows.first()).and_then(|r| r.at(0));
            if cell(message.plan_at).is_some_and(is_volatile) {
                return Ok(Some(
                    "it is volatile: it may give another value each time, so that nothing could be proven; mark the \
                     functions that it calls STABLE or IMMUTABLE if they are"
                        .to_owned(),
                ));
            }
            let misfit = cell(message.plan_at + 1);
            Ok(misfit.map(|ty| {
                let to = formula.scope.assigned_to.as_ref();
                let to = to.map(ToString::to_string).unwrap_or_default();
                format!(
                    "it gives {ty}, which is not assigned to {to}; cast it: ({})::{to}",
                    formula.text
                )
            }))
        }
        Err(Error::Server(error)) if !error.is_cancelled() => {
            session.rollback().await?;
            Ok((!judged_later).then(|| error.message.clone()))
        }
        Err(error) => Err(error),
    }
}

/// Whether there is a query in parentheses.
fn has_query(tokens: &[Token<'_>]) -> bool {
    let begins = |t: &Token<'_>| ["SELECT", "VALUES", "TABLE", "WITH"].iter().any(|w| t.is(w));
    tokens.windows(2).any(|pair| pair[0].is("(") && begins(&pair[1]))
}

/// Whether the value is computed apart: the planner does not pull up a query whose list has something
/// volatile (`is_simple_subquery`, `src/backend/optimizer/prep/prepjointree.c`).
fn is_volatile(plan: &str) -> bool {
    plan.contains(&format!("\"Alias\": \"{VALUE}\""))
}

/// What is sent for one expression.
struct Message {
    sql: String,
    /// Which statement explains the plan; the one behind it tells what does not fit.
    plan_at: usize,
}

impl Message {
    fn new(
        session: &Session,
        formula: &Formula,
        text: &str,
        tokens: &[Token<'_>],
        known: Known<'_>,
    ) -> Self {
        let limits = Limits { lock: Duration::from_secs(2), statement: Duration::from_secs(30) };
        let source = source(formula, tokens, known);
        let begin = reading::begin(session, limits);
        let path = search_path(&formula.scope.namespace);
        let plan = format!(
            "EXPLAIN (VERBOSE, COSTS OFF, FORMAT JSON) SELECT {VALUE}.v FROM (SELECT ({text}) AS v FROM {source} \
             WHERE ({text}) IS NOT NULL OR true) AS {VALUE} WHERE {VALUE}.v IS NOT NULL"
        );
        let target = formula.scope.assigned_to.as_ref();
        let target = target.filter(|ty| is_there(ty, known) && !is_literal(tokens));
        let misfit =
            target.map_or_else(|| "SELECT NULL".to_owned(), |to| misfit(text, &source, to));
        let sql = format!("{begin}SET LOCAL search_path = {path}; {plan}; {misfit}; COMMIT");
        Self { sql, plan_at: reading::begin_len(session) + 1 }
    }
}

/// A single literal or NULL takes the type that it is assigned to.
fn is_literal(tokens: &[Token<'_>]) -> bool {
    matches!(tokens, [one] if one.kind == TokenKind::Text || one.is("null"))
}

fn is_there(ty: &SqlType, known: Known<'_>) -> bool {
    let namespace = ty.namespace.as_ref().filter(|ns| *ns != "pg_catalog");
    namespace.is_none_or(|ns| known.types.contains(&QName::new(ns, &ty.name)))
}

/// The row source; a column of a type that is still to be made stands there as text.
fn source(formula: &Formula, tokens: &[Token<'_>], known: Known<'_>) -> String {
    let scope = &formula.scope;
    let named = |name: &String| {
        let lower = name.to_lowercase();
        tokens.iter().filter_map(Token::ident).any(|n| n.to_lowercase() == lower)
    };
    let columns = scope.columns.iter().filter(|(name, _)| named(name)).map(|(name, ty)| {
        let ty = if is_there(ty, known) { ty.to_string() } else { "text".to_owned() };
        format!("NULL::{ty} AS {}", quote_ident(name))
    });
    let columns: Vec<String> = columns.chain(["false AS _rc_never".to_owned()]).collect();
    // OFFSET 0 keeps the planner from putting the NULLs in the place of the columns.
    format!("(SELECT {} OFFSET 0) AS {}", columns.join(", "), quote_ident(&scope.relation))
}

/// A query for the type of a value, if that is not assigned to another one by itself. The value is not
/// computed: its condition is false in the only row.
fn misfit(text: &str, source: &str, to: &SqlType) -> String {
    let to = quote_literal(&to.to_string());
    format!(
        "SELECT format_type(g.given, NULL) FROM (SELECT pg_typeof(CASE WHEN _rc_never THEN ({text}) END)::oid AS given \
         FROM {source}) AS g, \
         LATERAL (SELECT {to}::regtype::oid AS wanted) AS w, \
         LATERAL (SELECT coalesce(nullif(s.typbasetype, 0), s.oid) AS source, s.typcategory AS cs, \
                  coalesce(nullif(t.typbasetype, 0), t.oid) AS target, t.typcategory AS ct, s.typelem AS se, t.typelem AS te \
                  FROM pg_type s, pg_type t WHERE s.oid = g.given AND t.oid = w.wanted) AS y \
         WHERE source <> target AND ct <> 'S' AND NOT EXISTS (SELECT FROM pg_cast c \
           WHERE (c.castsource, c.casttarget) IN ((source, target), (given, wanted)) AND c.castcontext <> 'e') \
           AND NOT (cs = 'A' AND ct = 'A' AND (se = te OR EXISTS (SELECT FROM pg_cast c \
           WHERE c.castsource = se AND c.casttarget = te AND c.castcontext <> 'e') OR \
           (SELECT e.typcategory FROM pg_type e WHERE e.oid = te) = 'S'))"
    )
}
