//! Asks the server whether statements would be accepted, without executing them.
//!
//! Invariant: nothing is executed and nothing stays: each statement is prepared and deallocated in
//! one read-only transaction that is rolled back.

use std::time::Duration;

use reconcile_kinds::gate::{Probe, Test};

use crate::connect::Session;
use crate::error::{Error, ServerError};
use crate::reading::{self, Limits};

/// A probe that did not pass.
#[derive(Debug, Clone)]
pub struct Failed {
    /// What was asked.
    pub probe: Probe,
    /// What the server says; absent if it just says no.
    pub error: Option<ServerError>,
}

/// How long one question may wait and take.
const LIMITS: Limits = Limits { lock: Duration::from_secs(5), statement: Duration::from_secs(10) };

/// How many probes go in one message; after one that fails the rest goes in another.
const TOGETHER: usize = 100;

/// Asks all probes and gives those that fail, in their order.
///
/// # Errors
/// If the connection fails, or a lock is not had.
pub async fn probe(session: &mut Session, probes: &[Probe]) -> Result<Vec<Failed>, Error> {
    let mut failed = Vec::new();
    let mut at = 0;
    while at < probes.len() {
        let chunk = &probes[at..probes.len().min(at + TOGETHER)];
        let mut sql = reading::begin(session, LIMITS);
        let mut first = Vec::new();
        let mut statements = reading::begin_len(session);
        for probe in chunk {
            first.push(statements);
            statements += match &probe.test {
                Test::Prepare { parameters, sql: text } => {
                    sql.push_str(&format!(
                        "PREPARE reconcile_probe{parameters} AS {text}; DEALLOCATE reconcile_probe; "
                    ));
                    2
                }
                Test::Holds(expression) => {
                    sql.push_str(&format!("SELECT ({expression})::text; "));
                    1
                }
            };
        }
        sql.push_str("ROLLBACK");
        match session.send_sets(&sql).await {
            Ok(sets) => {
                for (probe, index) in chunk.iter().zip(first) {
                    let holds = sets.get(index).and_then(|s| s.rows.first()).and_then(|r| r.at(0));
                    if matches!(probe.test, Test::Holds(_)) && holds != Some("true") {
                        failed.push(Failed { probe: probe.clone(), error: None });
                    }
                }
                at += chunk.len();
            }
            Err(Error::Server(error)) => {
                session.rollback().await?;
                let culprit = first.iter().rposition(|start| *start <= error.statement_index);
                let Some(culprit) =
                    culprit.filter(|_| error.statement_index >= reading::begin_len(session))
                else {
                    return Err(Error::Server(error));
                };
                // What stood before it was fine, unless it only said no: ask those once more.
                if culprit > 0 {
                    failed.extend(Box::pin(probe_again(session, &chunk[..culprit])).await?);
                }
                failed.push(Failed { probe: chunk[culprit].clone(), error: Some(*error) });
                at += culprit + 1;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(failed)
}

async fn probe_again(session: &mut Session, probes: &[Probe]) -> Result<Vec<Failed>, Error> {
    let questions: Vec<Probe> =
        probes.iter().filter(|p| matches!(p.test, Test::Holds(_))).cloned().collect();
    if questions.is_empty() { Ok(Vec::new()) } else { probe(session, &questions).await }
}
