//! What applications send, as pg_stat_statements has it.
//!
//! Invariant: it is a hint. Whatever is in the way of looking is said in a line, and nothing fails for it.

use std::fmt::Write as _;
use std::time::Duration;

use reconcile_kinds::online::{Doomed, Watch, Workload};
use reconcile_sql::lex::{TokenKind, tokens};
use reconcile_sql::{quote_ident, quote_literal};

use crate::connect::Session;
use crate::derive::Derived;
use crate::error::Error;
use crate::reading::{self, Limits};
use crate::rows::TextRow;

/// So many statements are shown.
const SHOWN: usize = 10;
/// So much of each.
const LENGTH: usize = 120;
/// What stands for a statement that the role may not see.
const HIDDEN: &str = "<insufficient privilege>";

/// Looks for statements that will not survive a plan; nothing if it changes no type that a
/// statement could name, and no order of columns.
///
/// # Errors
/// If the connection ends.
pub async fn workload(session: &mut Session, derived: &Derived) -> Result<Option<Workload>, Error> {
    let plan = &derived.plan;
    let difference = &derived.difference;
    let watch = Watch::of(&difference.retypes, &plan.online, plan.bridge, &difference.live);
    if watch.is_empty() || plan.batches.is_empty() {
        return Ok(None);
    }
    match look(session, &watch).await {
        Ok(workload) => Ok(Some(workload)),
        Err(Error::Server(error)) => {
            session.rollback().await?;
            let not_looked = Some(error.message.clone());
            Ok(Some(Workload { not_looked, ..Workload::default() }))
        }
        Err(error) => Err(error),
    }
}

async fn look(session: &mut Session, watch: &Watch) -> Result<Workload, Error> {
    let limits = Limits { lock: Duration::from_millis(500), statement: Duration::from_secs(10) };
    let mut sql = reading::begin(session, limits);
    sql.push_str(
        "SELECT n.nspname AS namespace FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace \
         WHERE e.extname = 'pg_stat_statements'; COMMIT",
    );
    let rows = session.send(&sql).await?;
    let Some(namespace) = rows.first().and_then(|row| row.get("namespace")) else {
        let not_looked = Some("it is not installed in this database".to_owned());
        return Ok(Workload { not_looked, ..Workload::default() });
    };
    let mut sql = reading::begin(session, limits);
    let named = watch.names().into_iter().map(|name| {
        let name = quote_literal(&name.replace('"', "\"\""));
        format!("position(lower({name}) IN lower(s.query)) > 0")
    });
    let named: Vec<String> = named.collect();
    // One statement has several rows: called in a function or not, and before 14 one anyway.
    let _ = write!(
        sql,
        "SELECT s.query, pg_get_userbyid(s.userid) AS role, sum(s.calls)::int8 AS calls, count(*) AS number \
         FROM {}.pg_stat_statements AS s \
         WHERE s.dbid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()) \
         AND (s.query = {} OR {}) GROUP BY s.query, s.userid ORDER BY calls DESC, s.query, role; COMMIT",
        quote_ident(namespace),
        quote_literal(HIDDEN),
        named.join(" OR "),
    );
    let rows = session.send(&sql).await?;
    Ok(judged(&rows, watch))
}

fn judged(rows: &[TextRow], watch: &Watch) -> Workload {
    let mut out = Workload::default();
    for row in rows {
        let text = |column: &str| row.get(column).unwrap_or_default();
        let number = |column: &str| text(column).parse().unwrap_or(0);
        if text("query") == HIDDEN {
            out.hidden += number("number");
            continue;
        }
        let reasons = watch.reasons(text("query"));
        if reasons.is_empty() {
            continue;
        }
        if out.found.len() == SHOWN {
            out.more += 1;
            continue;
        }
        out.found.push(Doomed {
            calls: number("calls"),
            role: text("role").to_owned(),
            statement: shortened(text("query")),
            reasons,
        });
    }
    out
}

/// The beginning of a statement in one line. Constants of DML are parameters already; those of other statements
/// are nobody's business.
fn shortened(statement: &str) -> String {
    let mut out = String::new();
    for token in tokens(statement) {
        match token.kind {
            TokenKind::Space if out.is_empty() || out.ends_with(' ') => {}
            TokenKind::Space => out.push(' '),
            TokenKind::Text => out.push_str("'…'"),
            TokenKind::Word
            | TokenKind::Quoted
            | TokenKind::Number
            | TokenKind::Operator
            | TokenKind::Punct
            | TokenKind::Parameter => out.push_str(token.text),
        }
        if out.chars().count() > LENGTH {
            let mut short: String = out.chars().take(LENGTH).collect();
            short.push('…');
            return short;
        }
    }
    out.trim_end().trim_end_matches(';').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_shown_in_a_line_and_without_constants() {
        assert_eq!(
            shortened("  SELECT *\n\tFROM  t -- all\n WHERE a = 'secret';"),
            "SELECT * FROM t WHERE a = '…'"
        );
        let long = shortened(&format!("SELECT {} FROM t", "größe, ".repeat(60)));
        assert_eq!(long.chars().count(), LENGTH + 1);
    }
}
