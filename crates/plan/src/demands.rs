//! What a person should know, and what a person has to approve.

use std::collections::BTreeSet;

use reconcile_catalog::Address;
use reconcile_kinds::{Fires, Refusal};

use crate::planner::Planner;
use crate::step::Warning;

impl Planner<'_> {
    /// Gathers the warnings of the steps, and those about whoever follows this server.
    pub(crate) fn warn(&mut self) {
        let mut locked = BTreeSet::new();
        for node in &self.graph.nodes {
            for action in &node.actions {
                self.out.touched.insert(action.address.clone());
                locked.extend(
                    action
                        .locks
                        .iter()
                        .filter(|l| l.level.blocks_readers())
                        .map(|l| l.relation.clone()),
                );
                let warn = |text: &String| Warning {
                    address: Some(action.address.clone()),
                    text: text.clone(),
                };
                self.out.warnings.extend(action.warnings.iter().map(warn));
            }
        }
        let facts = self.inputs.facts;
        for relation in locked.intersection(&facts.published_in_part) {
            self.out.warnings.push(Warning {
                address: None,
                text: format!(
                    "{relation} is published with a column list: logical replication does not carry DDL, and only what is in the \
                     list concerns the subscribers"
                ),
            });
        }
        for relation in locked.intersection(&facts.published) {
            self.out.warnings.push(Warning {
                address: None,
                text: format!(
                    "{relation} is published: logical replication does not carry DDL, so change the subscribers first"
                ),
            });
        }
        for publication in facts.publications_of_all.iter().filter(|_| !self.graph.nodes.is_empty())
        {
            self.out.warnings.push(Warning {
                address: None,
                text: format!(
                    "publication {publication} is one of all tables, so the journal's are published too, and its subscribers stop \
                     at the first `apply` until they have them: `pg_dump --schema-only --schema` with the journal's namespace \
                     writes them"
                ),
            });
        }
        if !locked.is_empty() && !facts.followers.is_empty() {
            self.out.warnings.push(Warning {
                address: None,
                text: format!(
                    "ACCESS EXCLUSIVE locks are replayed on standbys, whose readers wait too: {}",
                    facts.followers.join(", ")
                ),
            });
        }
    }

    /// Refuses what loses data, lets triggers fire, or stalls for too long, unless it is approved.
    pub(crate) fn demand_approvals(&mut self) {
        let approvals = self.inputs.approvals;
        let approved =
            |patterns: &[String], address: &Address| patterns.iter().any(|p| address.matches(p));
        for fires in self
            .out
            .batches
            .iter()
            .flat_map(|b| &b.steps)
            .flat_map(|s| &s.pieces)
            .flat_map(|p| &p.fires)
        {
            let Fires { trigger, when } = fires;
            if approved(&approvals.trigger, trigger) {
                let text = format!("it fires {when}: that is approved");
                self.out.warnings.push(Warning { address: Some(trigger.clone()), text });
            } else {
                let reason = format!(
                    "it would fire {when}; approve that with --allow-trigger {trigger}, or let a role apply that may \
                     set session_replication_role"
                );
                self.out.refusals.push(Refusal::new(trigger, reason));
            }
        }
        for batch in &mut self.out.batches {
            for step in &mut batch.steps {
                let Some(loses) = &step.loses else { continue };
                if !step.addresses.iter().all(|a| approved(&approvals.drop, a)) {
                    let address = step.addresses[0].clone();
                    let reason = format!("loses {loses}; approve it with --allow-drop {address}");
                    self.out.refusals.push(Refusal::new(&address, reason));
                } else if approvals.only_if_empty {
                    // The guards see to it that nothing is there to be lost.
                    (step.loses, step.irreversible) = (None, None);
                } else {
                    step.guards.clear();
                }
            }
            let limit = self.inputs.limits.max_stall;
            if batch.stall > limit {
                let heavy = batch
                    .steps
                    .iter()
                    .max_by_key(|s| (s.work.clone(), std::cmp::Reverse(s.number)));
                let Some(address) = heavy.map(|s| s.addresses[0].clone()) else { continue };
                if !batch
                    .steps
                    .iter()
                    .any(|s| s.addresses.iter().any(|a| approved(&approvals.stall, a)))
                {
                    let reason = format!(
                        "may stall clients for {} s, more than --max-stall {} s allows; approve it with \
                         --allow-stall {address}, or do it at a quiet time",
                        seconds(batch.stall),
                        seconds(limit)
                    );
                    self.out.refusals.push(Refusal::new(&address, reason));
                }
            }
        }
    }
}

/// Seconds to a tenth; a bound is never shown as less than it is.
fn seconds(duration: std::time::Duration) -> String {
    format!("{:.1}", (duration.as_secs_f64() * 10.0).ceil() / 10.0)
}
