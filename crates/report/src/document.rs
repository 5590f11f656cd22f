//! A plan as JSON: for programs, and as the file that `plan --out` saves and `apply --plan` reads.
//!
//! Invariant: the same plan gives the same bytes, and nothing in it is a statistic that decides
//! whether the plan still holds: that is the digest of the steps, and the fingerprint of what they
//! touch.

use reconcile_catalog::fingerprint;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::after::left_alone;
use crate::preview::Preview;

/// The version of the form.
const FORMAT: u32 = 1;

/// A plan as JSON.
pub fn document(of: &Preview<'_>) -> Value {
    let plan = of.plan;
    let changes: Vec<Value> = plan
        .changes
        .iter()
        .map(|change| {
            use reconcile_diff::Change;
            match change {
                Change::Create(address) => json!({ "change": "create", "address": address }),
                Change::Drop(address) => json!({ "change": "drop", "address": address }),
                Change::Rename { from, to } => {
                    json!({ "change": "rename", "address": to, "live_address": from })
                }
                Change::Alter { desired, live, properties } => {
                    let properties: Vec<Value> = properties
                        .iter()
                        .map(|p| json!({ "name": p.name, "live": p.live.to_string(), "desired": p.desired.to_string(), "proven": p.proven }))
                        .collect();
                    json!({ "change": "alter", "address": desired, "live_address": live, "properties": properties })
                }
            }
        })
        .collect();
    json!({
        "format": FORMAT,
        "tool": concat!("reconcile ", env!("CARGO_PKG_VERSION")),
        "target": of.target,
        "role": of.role,
        "server_version": of.version.to_string(),
        "server_version_num": of.version.0,
        "model": of.model,
        "digest": plan.digest(),
        "fingerprint": fingerprint(of.live, &plan.touched),
        "bridge": plan.bridge,
        "in_sync": plan.is_empty(),
        "diff": of.diff(),
        "changes": changes,
        "batches": plan.batches,
        "preflights": plan.steps().flat_map(|s| &s.preflights).collect::<Vec<_>>(),
        "refusals": plan.refusals,
        "warnings": plan.warnings,
        "workload": of.workload,
        "space": plan.space,
        "followers": of.facts.followers,
        "extra": plan.extra,
        "unmanaged": plan.unmanaged,
        "left_alone": left_alone(of),
        "excluded": of.facts.exclusions,
        "not_compared": of.not_compared,
        "touched": plan.touched,
    })
}

/// A plan that was saved; as much of it as is needed to see whether it still holds.
#[derive(Clone, Debug, Deserialize)]
pub struct PlanFile {
    /// The version of the form.
    pub format: u32,
    /// The digest of the steps.
    pub digest: String,
    /// The fingerprint of what they touch.
    pub fingerprint: String,
    /// The database that it was made for, without the password.
    pub target: String,
    /// The server's version.
    pub server_version: String,
    /// Whether it was made with a bridge for old statements.
    #[serde(default)]
    pub bridge: bool,
    /// The transactions.
    pub batches: Vec<SavedBatch>,
}

/// A transaction of a saved plan.
#[derive(Clone, Debug, Deserialize)]
pub struct SavedBatch {
    /// False for a step outside of a transaction.
    pub transaction: bool,
    /// The steps.
    pub steps: Vec<SavedStep>,
}

/// A step of a saved plan.
#[derive(Clone, Debug, Deserialize)]
pub struct SavedStep {
    /// The statement.
    pub sql: String,
}

/// Why a text is no saved plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanFileError {
    /// It is not what `plan --out` writes.
    #[error("this is no plan that `reconcile plan --out` wrote: {0}")]
    NoPlan(serde_json::Error),
    /// Another version of the tool wrote it.
    #[error(
        "the plan has format {0}, and this version of reconcile reads format {FORMAT}: make it again"
    )]
    Format(u32),
}

impl PlanFile {
    /// Reads what `plan --out` wrote.
    ///
    /// # Errors
    /// If it is something else.
    pub fn read(text: &str) -> Result<Self, PlanFileError> {
        #[derive(Deserialize)]
        struct Form {
            format: u32,
        }
        let form: Form = serde_json::from_str(text).map_err(PlanFileError::NoPlan)?;
        if form.format != FORMAT {
            return Err(PlanFileError::Format(form.format));
        }
        serde_json::from_str(text).map_err(PlanFileError::NoPlan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_plan_is_told_from_a_plan_of_another_version() {
        assert!(matches!(PlanFile::read("{}"), Err(PlanFileError::NoPlan(_))));
        assert!(matches!(PlanFile::read("{\"format\": 7}"), Err(PlanFileError::Format(7))));
        assert!(matches!(PlanFile::read("{\"format\": 1}"), Err(PlanFileError::NoPlan(_))));
    }
}
