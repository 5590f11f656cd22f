//! Renames come first: whatever is behind them names things as they are called in the end.
//!
//! Invariant: what is asked before anything is done names things as they are called today.

use reconcile_catalog::Scope;
use reconcile_kinds::kind;
use reconcile_sql::QName;

use crate::graph::{NodeId, Verb};
use crate::planner::Planner;
use crate::step::Warning;

impl Planner<'_> {
    /// Adds the steps of the renames; gives their nodes.
    pub(crate) fn rename_first(&mut self) -> Vec<NodeId> {
        let cx = self.cx;
        let renames = &self.inputs.difference.renames;
        self.out.renames = renames.clone();
        let mut nodes: Vec<NodeId> = Vec::new();
        let mut together = false;
        let mut aside: Option<&str> = None;
        for step in &renames.steps {
            let address = &step.object.address;
            let Some(kind) = kind(address.kind()) else { continue };
            match kind.rename(&step.object, &step.to, &cx) {
                Ok(mut stages) => {
                    // Under a name that only this transaction knows it is locked already.
                    if together && aside == Some(address.name()) {
                        let actions = stages.iter_mut().flat_map(|stage| &mut stage.actions);
                        actions.for_each(|action| {
                            action.locks.clear();
                            action.warnings.clear();
                        });
                    }
                    if step.with_next && !together {
                        aside = Some(&step.to);
                    }
                    let node = self.graph.add_within(address, Verb::Alter, stages);
                    if let (Some(node), Some(&before)) = (node, nodes.last()) {
                        self.graph.order(before, node);
                        if together {
                            self.graph.tie(before, node);
                        }
                    }
                    nodes.extend(node);
                }
                Err(refusal) => self.out.refusals.push(refusal),
            }
            together = step.with_next;
        }
        for object in self.inputs.live.in_place().filter(|_| !renames.is_empty()) {
            let names = object.definition.left_behind(renames);
            if !names.is_empty() {
                let text = format!(
                    "its text says {}, and PostgreSQL does not put the new name there: write it anew",
                    names.join(", ")
                );
                let address = Some(object.address.clone());
                self.out.warnings.push(Warning { address, text });
            }
        }
        nodes
    }

    /// Puts everything else behind the renames, but for what has a name that one of them needs.
    pub(crate) fn order_behind(&mut self, renames: &[NodeId]) {
        let Some(&last) = renames.last() else { return };
        let declared = &self.inputs.difference.renames.declared;
        let in_the_way: Vec<NodeId> = (0..self.graph.nodes.len())
            .filter(|id| {
                let node = &self.graph.nodes[*id];
                let takes = |path: &[String]| {
                    declared.iter().any(|(_, to)| to.path() == path && to != &node.address)
                };
                node.verb == Verb::Drop
                    && node.address.target().is_none()
                    && takes(node.address.path())
            })
            .collect();
        for id in 0..self.graph.nodes.len() {
            if renames.contains(&id) {
                continue;
            }
            match in_the_way.contains(&id) {
                true => self.graph.order(id, renames[0]),
                false => self.graph.order(last, id),
            }
        }
    }

    /// Lets the questions that are asked before the renames use the names of today, and the
    /// objects that they are about be known by these as well.
    pub(crate) fn ask_by_former_names(&mut self) {
        let renames = &self.inputs.difference.renames;
        if renames.is_empty() {
            return;
        }
        let names = renames.former_names();
        for action in self.graph.nodes.iter_mut().flat_map(|node| &mut node.actions) {
            for preflight in &mut action.preflights {
                preflight.sql = names.of_text(&preflight.sql, Some(&preflight.relation));
                preflight.relation = names.of(&preflight.relation);
            }
            for formula in &mut action.formulas {
                let Scope { namespace, relation, columns, assigned_to } = &mut formula.scope;
                let own = QName::new(&*namespace, &*relation);
                formula.text = names.of_text(&formula.text, Some(&own));
                for (column, ty) in columns {
                    let former = renames.former(&formula.address.renamed(column));
                    former.name().clone_into(column);
                    *ty = names.of_type(ty);
                }
                *assigned_to = assigned_to.take().map(|ty| names.of_type(&ty));
                *relation = names.of(&own).name;
                *namespace = names.in_namespace(namespace);
            }
        }
        let former: Vec<_> = self.out.touched.iter().map(|a| renames.former(a)).collect();
        self.out.touched.extend(former);
        for (before, after) in &renames.declared {
            self.out.touched.extend([before.clone(), after.clone()]);
            // What tells two of one kind from each other.
            for part in self.inputs.live.children(after).filter(|o| o.definition.is_column()) {
                self.out.touched.extend([renames.former(&part.address), part.address.clone()]);
            }
        }
    }
}
