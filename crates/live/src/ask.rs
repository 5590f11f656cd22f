//! Asks the server whether two spellings are one expression.
//!
//! The output list of `EXPLAIN (VERBOSE)` holds expressions as the server analysed them. Both sides
//! are analysed in one statement against a row source with the relation's name, its columns' types
//! and no rows, so it works in a read-only transaction, on a standby, and without privileges on the
//! relation.
//!
//! Invariant: a verdict is given only for what was analysed. What cannot be, or prints without its
//! meaning, stays unanswered: "not proven" is neither equal nor different. Nothing is executed but
//! what the planner folds: immutable functions of constants.
//!
//! Names are looked up under [`search_path`](crate::reading::search_path).

mod statement;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use reconcile_catalog::{Equivalences, Question};
use reconcile_sql::quote_literal;

use crate::connect::Session;
use crate::error::{Error, ServerError};
use crate::reading::{self, Limits};
use crate::rows::ResultSet;
pub(crate) use text::contained;

use statement::{Pair, Statement, alone, has_sub_plan, output, plan, together};

/// A statement's list of outputs has 1664 places at most (`MaxTupleAttributeNumber`).
const MOST_PAIRS: usize = 400;

/// What is sent as one statement, or two if the pair's whole plans are compared.
enum Work<'a, 'q> {
    Together(Vec<&'a Pair<'q>>),
    Whole(&'a Pair<'q>),
}

/// Asks for all pairs at once. A pair that the server cannot analyse costs one more message and
/// stays unanswered.
///
/// # Errors
/// If the server cannot be asked at all; not if it does not understand an expression.
pub async fn ask(
    session: &mut Session,
    questions: &BTreeSet<Question>,
) -> Result<Equivalences, Error> {
    let mut known = Equivalences::default();
    let mut pairs = Vec::new();
    for pair in questions.iter().filter_map(Pair::new) {
        if pair.left.sql == pair.right.sql {
            known.record(pair.question.clone(), true);
        } else {
            pairs.push(pair);
        }
    }
    let mut work = plan_work(&pairs);
    while !work.is_empty() {
        let message = Message::new(session, &work);
        match session.send_sets(&message.sql).await {
            Ok(sets) => {
                answer(session, &message, &work, &sets, &mut known);
                break;
            }
            Err(Error::Server(error)) if !error.is_cancelled() => {
                session.rollback().await?;
                if !give_up_on(&mut work, &message, &error) {
                    return Err(Error::Server(error));
                }
            }
            Err(Error::Server(error)) => {
                session.rollback().await?;
                return Err(Error::Server(error));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(known)
}

fn plan_work<'a, 'q>(pairs: &'a [Pair<'q>]) -> Vec<Work<'a, 'q>> {
    let mut by_source: BTreeMap<(&str, String), Vec<&Pair<'_>>> = BTreeMap::new();
    let mut work = Vec::new();
    for pair in pairs {
        if pair.has_query() {
            work.push(Work::Whole(pair));
        } else {
            by_source
                .entry((&pair.question.scope.namespace, pair.source()))
                .or_default()
                .push(pair);
        }
    }
    for group in by_source.into_values() {
        work.extend(group.chunks(MOST_PAIRS).map(|chunk| Work::Together(chunk.to_vec())));
    }
    work
}

/// What is sent, and where in it each piece of work stands.
struct Message {
    sql: String,
    /// The index of the first statement of each piece of work, behind its `SET LOCAL`.
    starts: Vec<usize>,
    statements: Vec<Option<Statement>>,
    names_at: usize,
}

impl Message {
    fn new(session: &Session, work: &[Work<'_, '_>]) -> Self {
        let limits = Limits { lock: Duration::from_secs(2), statement: Duration::from_secs(30) };
        let mut parts = vec![own_functions(work)];
        let names_at = reading::begin_len(session);
        let (mut starts, mut statements) = (Vec::new(), Vec::new());
        for piece in work {
            let first = match piece {
                Work::Together(pairs) => pairs.first().copied(),
                Work::Whole(pair) => Some(*pair),
            };
            let namespace = first.map_or("", |p| &p.question.scope.namespace);
            parts.push(format!("SET LOCAL search_path = {}", reading::search_path(namespace)));
            starts.push(names_at + parts.len());
            match piece {
                Work::Together(pairs) => {
                    let statement = together(pairs);
                    parts.push(statement.sql.clone());
                    statements.push(Some(statement));
                }
                Work::Whole(pair) => {
                    parts.push(alone(pair, &pair.left));
                    parts.push(alone(pair, &pair.right));
                    statements.push(None);
                }
            }
        }
        let sql = format!("{}{}; COMMIT", reading::begin(session, limits), parts.join("; "));
        Self { sql, starts, statements, names_at }
    }
}

/// Functions and operators of the user's own that the planner can make disappear: it inlines SQL
/// functions and folds immutable ones. (Operators count only if they are inlined: `IN` and `LIKE`
/// are operators that a person does not spell as one.)
fn own_functions(work: &[Work<'_, '_>]) -> String {
    let mut names: BTreeSet<&str> = BTreeSet::new();
    for piece in work {
        let pairs = match piece {
            Work::Together(pairs) => pairs.as_slice(),
            Work::Whole(pair) => std::slice::from_ref(pair),
        };
        for pair in pairs {
            names.extend(pair.left.names.iter().chain(&pair.right.names).map(String::as_str));
        }
    }
    let names: Vec<String> = names.into_iter().map(quote_literal).collect();
    let names = format!("ARRAY[{}]::text[]", names.join(", "));
    let inlined = "p.prolang = (SELECT oid FROM pg_language WHERE lanname = 'sql')";
    format!(
        "SELECT p.proname::text AS name, n.nspname::text AS namespace FROM pg_proc p \
         JOIN pg_namespace n ON n.oid = p.pronamespace \
         WHERE p.pronamespace <> 'pg_catalog'::regnamespace AND p.proname = ANY ({names}) AND ({inlined} OR p.provolatile = 'i') \
         UNION SELECT o.oprname, n.nspname FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace \
         JOIN pg_proc p ON p.oid = o.oprcode \
         WHERE o.oprnamespace <> 'pg_catalog'::regnamespace AND o.oprname = ANY ({names}) AND {inlined}"
    )
}

/// Takes out the pair on which the server failed, or halves the work in which it is. False if the
/// failure is none of theirs.
fn give_up_on(work: &mut Vec<Work<'_, '_>>, message: &Message, error: &ServerError) -> bool {
    let Some(at) = message.starts.iter().rposition(|start| *start <= error.statement_index) else {
        return false;
    };
    let failed = match work.remove(at) {
        Work::Whole(_) => return true,
        Work::Together(pairs) => pairs,
    };
    let position = error.position.map(|p| p.offset);
    let ranges = message.statements[at].iter().flat_map(|s| &s.ranges);
    let culprit = position.and_then(|p| ranges.clone().position(|range| range.contains(&p)));
    let rest = match culprit {
        Some(culprit) => {
            let mut rest = failed;
            rest.remove(culprit);
            vec![rest]
        }
        None => {
            let half = failed.len() / 2;
            vec![failed[..half].to_vec(), failed[half..].to_vec()]
        }
    };
    // A single pair that failed is given up: no half of it is asked again.
    let ask_again = rest.into_iter().filter(|r| !r.is_empty());
    let ask_again: Vec<_> =
        if culprit.is_none() && ranges.count() == 1 { Vec::new() } else { ask_again.collect() };
    work.extend(ask_again.into_iter().map(Work::Together));
    true
}

fn answer(
    session: &Session,
    message: &Message,
    work: &[Work<'_, '_>],
    sets: &[ResultSet],
    known: &mut Equivalences,
) {
    let own = Own::new(sets.get(message.names_at));
    let plan_of = |index: usize| sets.get(index)?.rows.first()?.at(0).and_then(plan);
    for (piece, start) in work.iter().zip(&message.starts) {
        match piece {
            Work::Together(pairs) => {
                let Some(plan) = plan_of(*start).filter(|plan| !has_sub_plan(plan)) else {
                    continue;
                };
                let Some(output) = output(&plan).filter(|output| output.len() == 2 * pairs.len())
                else {
                    continue;
                };
                for (pair, sides) in pairs.iter().zip(output.chunks_exact(2)) {
                    if sides[0] != sides[1] {
                        known.record(pair.question.clone(), false);
                    } else if own.hides_nothing_in(pair) {
                        known.record(pair.question.clone(), true);
                    }
                }
            }
            // Plans that differ prove nothing.
            Work::Whole(pair) => {
                let shows_operators = session.version >= 170_000;
                let told = pair.left.is_told_by_plan(&pair.right, shows_operators)
                    && own.hides_nothing_in(pair);
                let (left, right) = (plan_of(*start), plan_of(start + 1));
                if told && left.is_some() && left == right {
                    known.record(pair.question.clone(), true);
                }
            }
        }
    }
}

/// The user's own functions and operators that can disappear, by name, with their namespaces.
struct Own(BTreeMap<String, BTreeSet<String>>);

impl Own {
    fn new(set: Option<&ResultSet>) -> Self {
        let mut own: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for row in set.iter().flat_map(|set| &set.rows) {
            if let (Some(name), Some(namespace)) = (row.get("name"), row.get("namespace")) {
                own.entry(name.to_owned()).or_default().insert(namespace.to_owned());
            }
        }
        Self(own)
    }

    /// Whether what a plan does not show is the same on both sides: collations and these.
    ///
    /// They have to name the same ones. Where a name is in several namespaces, both have to
    /// mean the same.
    fn hides_nothing_in(&self, pair: &Pair<'_>) -> bool {
        let namespace = pair.question.scope.namespace.as_str();
        let collations = pair.left.collations == pair.right.collations;
        collations
            && self.0.iter().all(|(name, namespaces)| {
                let (left, right) =
                    (pair.left.names.contains(name), pair.right.names.contains(name));
                let meant = |text: &text::Text| match text.qualified.get(name) {
                    Some(said) => said.clone(),
                    None => [namespace, "public"]
                        .into_iter()
                        .find(|n| namespaces.contains(*n))
                        .map(str::to_owned)
                        .into_iter()
                        .collect(),
                };
                left == right
                    && (namespaces.len() == 1 || !left || meant(&pair.left) == meant(&pair.right))
            })
    }
}
