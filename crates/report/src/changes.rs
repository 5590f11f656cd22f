//! What changed between two derivations of a plan.

use reconcile_plan::Plan;
use similar::TextDiff;

use crate::document::PlanFile;

/// A unified diff of the statements of a saved plan and of the plan as it is now; empty if they
/// are the same.
pub fn step_changes(saved: &PlanFile, now: &Plan) -> String {
    let before: String = saved
        .batches
        .iter()
        .map(|b| batch(b.transaction, b.steps.iter().map(|s| s.sql.as_str())))
        .collect();
    let after: String = now
        .batches
        .iter()
        .map(|b| batch(b.transaction, b.steps.iter().map(|s| s.sql.as_str())))
        .collect();
    if before == after {
        return String::new();
    }
    TextDiff::from_lines(&before, &after)
        .unified_diff()
        .header("saved plan", "plan now")
        .to_string()
}

impl PlanFile {
    /// Whether a plan is the rest of this one: the same transactions to its end.
    pub fn ends_with(&self, now: &Plan) -> bool {
        let rest = self.batches.len().checked_sub(now.batches.len());
        let Some(rest) = rest.and_then(|from| self.batches.get(from..)) else { return false };
        !rest.is_empty()
            && rest.iter().zip(&now.batches).all(|(saved, now)| {
                let (saved_sql, now_sql) =
                    (saved.steps.iter().map(|s| &s.sql), now.steps.iter().map(|s| &s.sql));
                saved.transaction == now.transaction && saved_sql.eq(now_sql)
            })
    }
}

fn batch<'a>(transaction: bool, steps: impl Iterator<Item = &'a str>) -> String {
    let steps: String = steps.map(|sql| format!("{};\n", sql.trim_end())).collect();
    if transaction { format!("BEGIN;\n{steps}COMMIT;\n") } else { steps }
}
