//! The statements that a question becomes, and what comes back.

use std::ops::Range;

use reconcile_catalog::{Question, Scope};
use reconcile_sql::{SqlType, quote_ident};
use serde_json::Value;

use super::text::Text;

/// A question that can be sent.
#[derive(Debug)]
pub(super) struct Pair<'a> {
    pub(super) question: &'a Question,
    pub(super) left: Text,
    pub(super) right: Text,
}

impl<'a> Pair<'a> {
    pub(super) fn new(question: &'a Question) -> Option<Self> {
        let (left, right) = (Text::new(&question.left)?, Text::new(&question.right)?);
        Some(Self { question, left, right })
    }

    pub(super) fn has_query(&self) -> bool {
        self.left.has_query() || self.right.has_query()
    }

    /// The row source, by which pairs are gathered into one statement.
    pub(super) fn source(&self) -> String {
        let scope = &self.question.scope;
        let whole = [&self.left, &self.right].iter().any(|t| is_whole_row(t, scope));
        let columns: Vec<String> = scope
            .columns
            .iter()
            .filter(|(name, _)| whole || self.left.mentions(name) || self.right.mentions(name))
            .map(|(name, ty)| format!("NULL::{ty} AS {}", quote_ident(name)))
            .collect();
        if scope.relation.is_empty() && columns.is_empty() {
            return String::new();
        }
        let relation = if scope.relation.is_empty() { "row_source" } else { &scope.relation };
        // OFFSET 0 keeps the planner from putting the NULLs in the place of the columns.
        let system = "NULL::oid AS tableoid, NULL::tid AS ctid, NULL::xid AS xmin";
        let all: Vec<String> = columns.into_iter().chain([system.to_owned()]).collect();
        format!(" FROM (SELECT {} OFFSET 0) AS {}", all.join(", "), quote_ident(relation))
    }

    fn expression(&self, text: &Text) -> String {
        match &self.question.scope.assigned_to {
            Some(ty) => format!("({})::{}", text.sql, uncut(ty)),
            None => format!("({})", text.sql),
        }
    }
}

/// The type to cast to, so that nothing is cut off: a cast shortens to varchar(3) what an assignment
/// refuses.
fn uncut(ty: &SqlType) -> String {
    let name = match (&ty.namespace, ty.name.as_str()) {
        (None, name @ ("varchar" | "varbit")) => name,
        // Without a length `char` and `bit` have the length 1.
        (None, "char" | "bpchar") => "bpchar",
        (None, "bit") => "\"bit\"",
        _ => return ty.to_string(),
    };
    format!("{name}{}", if ty.array { "[]" } else { "" })
}

/// Whether the relation itself is a value: then all its columns count.
fn is_whole_row(text: &Text, scope: &Scope) -> bool {
    !scope.relation.is_empty()
        && text.mentions(&scope.relation)
        && !text.qualified.values().any(|before| before.contains(&scope.relation))
        || text.sql.contains(". *")
}

const EXPLAIN: &str = "EXPLAIN (VERBOSE, COSTS OFF, FORMAT JSON) SELECT ";

/// A statement, and where in it each pair stands.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) sql: String,
    pub(super) ranges: Vec<Range<usize>>,
}

/// All pairs of one row source in one statement, left and right of each in turn.
pub(super) fn together(pairs: &[&Pair<'_>]) -> Statement {
    let mut sql = String::from(EXPLAIN);
    let mut ranges = Vec::with_capacity(pairs.len());
    for (at, pair) in pairs.iter().enumerate() {
        if at > 0 {
            sql.push_str(", ");
        }
        let start = sql.len();
        sql.push_str(&pair.expression(&pair.left));
        sql.push_str(", ");
        sql.push_str(&pair.expression(&pair.right));
        ranges.push(start..sql.len());
    }
    if let Some(first) = pairs.first() {
        sql.push_str(&first.source());
    }
    Statement { sql, ranges }
}

/// One side of a pair by itself.
pub(super) fn alone(pair: &Pair<'_>, text: &Text) -> String {
    format!("{EXPLAIN}{}{}", pair.expression(text), pair.source())
}

/// The plan of an answer, without what belongs to the statement and not to its meaning.
pub(super) fn plan(answer: &str) -> Option<Value> {
    let mut answer: Value = serde_json::from_str(answer).ok()?;
    Some(answer.get_mut(0)?.get_mut("Plan")?.take())
}

/// The analysed expressions of a plan.
pub(super) fn output(plan: &Value) -> Option<Vec<&str>> {
    plan.get("Output")?.as_array()?.iter().map(Value::as_str).collect()
}

/// Whether a plan runs queries inside of expressions, which then print as numbers.
pub(super) fn has_sub_plan(plan: &Value) -> bool {
    plan.get("Subplan Name").is_some()
        || plan
            .get("Plans")
            .and_then(Value::as_array)
            .is_some_and(|plans| plans.iter().any(has_sub_plan))
}
