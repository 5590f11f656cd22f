//! From a graph to an order: groups that wait for each other become one, and the rest follows.

use std::collections::{BTreeMap, BTreeSet};

use crate::graph::{Graph, NodeId};

/// The nodes of each transaction, in order; transactions in order.
pub(crate) fn transactions(graph: &mut Graph) -> Vec<Vec<NodeId>> {
    while let Some(cycle) = cycle_of_groups(graph) {
        for pair in cycle.windows(2) {
            graph.tie(pair[0], pair[1]);
        }
    }
    let mut members: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
    for id in 0..graph.nodes.len() {
        members.entry(graph.group(id)).or_default().push(id);
    }
    let groups: Vec<NodeId> = members.keys().copied().collect();
    let waits = |group: NodeId| -> BTreeSet<NodeId> {
        let before = members[&group].iter().flat_map(|&id| graph.nodes[id].after.iter());
        before.map(|&id| graph.group(id)).filter(|&g| g != group).collect()
    };
    let key = |group: NodeId| {
        let first = members[&group].iter().map(|&id| rank(graph, id)).min();
        (relations(graph, &members[&group]), first)
    };
    sort(&groups, waits, |group, previous: Option<NodeId>| {
        // A neighbour that locks the same relations can share a transaction.
        let here = key(group);
        let apart = previous.is_none_or(|p| key(p).0 != here.0);
        (weight(graph, &members[&group]), apart, here)
    })
    .into_iter()
    .map(|group| within(graph, &members[&group]))
    .collect()
}

/// What only touches the catalog goes first, what takes long last: an application that waits for
/// new columns gets them at once.
fn weight(graph: &Graph, ids: &[NodeId]) -> u8 {
    let works = ids.iter().flat_map(|&id| graph.nodes[id].actions.iter());
    works.map(|a| u8::from(a.work.relation().is_some())).max().unwrap_or(0)
}

fn relations(graph: &Graph, ids: &[NodeId]) -> BTreeSet<reconcile_sql::QName> {
    ids.iter()
        .flat_map(|&id| graph.nodes[id].actions.iter())
        .flat_map(|a| a.locks.iter().map(|l| l.relation.clone()))
        .collect()
}

/// The order inside a transaction: clauses of one statement stand together where they may.
fn within(graph: &Graph, ids: &[NodeId]) -> Vec<NodeId> {
    let inside: BTreeSet<NodeId> = ids.iter().copied().collect();
    let waits =
        |id: NodeId| graph.nodes[id].after.iter().copied().filter(|i| inside.contains(i)).collect();
    sort(ids, waits, |id, previous: Option<NodeId>| {
        let head = |id: NodeId, last: bool| {
            let actions = &graph.nodes[id].actions;
            let action = if last { actions.last() } else { actions.first() };
            action.and_then(|a| match &a.sql {
                reconcile_kinds::Sql::Clause { head, .. } => Some(head.clone()),
                reconcile_kinds::Sql::Statement(_) => None,
            })
        };
        let joins =
            previous.is_some_and(|p| head(p, true).is_some() && head(p, true) == head(id, false));
        (!joins, rank(graph, id))
    })
}

/// What decides where nothing else does: drops, changes, creations; then kinds in their order.
fn rank(
    graph: &Graph,
    id: NodeId,
) -> (crate::graph::Verb, usize, usize, reconcile_catalog::Address) {
    let node = &graph.nodes[id];
    let kind = reconcile_kinds::KINDS
        .iter()
        .position(|k| k.name() == node.address.kind())
        .unwrap_or(usize::MAX);
    (node.verb, kind, node.place_in_catalog, node.address.clone())
}

/// A topological order; among what may come next, the smallest key. Linear but for the choice.
fn sort<K: Ord>(
    ids: &[NodeId],
    waits: impl Fn(NodeId) -> BTreeSet<NodeId>,
    key: impl Fn(NodeId, Option<NodeId>) -> K,
) -> Vec<NodeId> {
    let mut pending: BTreeMap<NodeId, usize> = BTreeMap::new();
    let mut wakes: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
    for &id in ids {
        let before = waits(id);
        pending.insert(id, before.len());
        for earlier in before {
            wakes.entry(earlier).or_default().push(id);
        }
    }
    let mut ready: Vec<NodeId> = ids.iter().copied().filter(|id| pending[id] == 0).collect();
    let mut out: Vec<NodeId> = Vec::new();
    loop {
        if ready.is_empty() {
            // What waits for each other within one transaction has no right order: the usual one.
            let stuck = pending.iter().filter(|(_, count)| **count > 0).map(|(id, _)| *id);
            let Some(id) = stuck.min_by_key(|&id| key(id, out.last().copied())) else { break };
            pending.insert(id, 0);
            ready.push(id);
        }
        let previous = out.last().copied();
        let at = (0..ready.len()).min_by_key(|&at| key(ready[at], previous)).unwrap_or(0);
        let id = ready.swap_remove(at);
        out.push(id);
        for later in wakes.remove(&id).unwrap_or_default() {
            if let Some(count) = pending.get_mut(&later) {
                let waited = *count > 0;
                *count = count.saturating_sub(1);
                if waited && *count == 0 {
                    ready.push(later);
                }
            }
        }
    }
    out
}

/// Groups that wait for each other, by one node of each; none if the order is possible.
fn cycle_of_groups(graph: &Graph) -> Option<Vec<NodeId>> {
    let mut edges: BTreeMap<NodeId, BTreeSet<NodeId>> = BTreeMap::new();
    for (id, node) in graph.nodes.iter().enumerate() {
        let group = graph.group(id);
        edges
            .entry(group)
            .or_default()
            .extend(node.after.iter().map(|&e| graph.group(e)).filter(|&e| e != group));
    }
    let mut done: BTreeSet<NodeId> = BTreeSet::new();
    for &start in edges.keys() {
        let mut path: Vec<(NodeId, Vec<NodeId>)> = Vec::new();
        if !done.contains(&start) {
            path.push((start, edges[&start].iter().copied().collect()));
        }
        while let Some((group, rest)) = path.last_mut() {
            let group = *group;
            match rest.pop() {
                None => {
                    done.insert(group);
                    path.pop();
                }
                Some(next) if done.contains(&next) => {}
                Some(next) => {
                    if let Some(at) = path.iter().position(|(g, _)| *g == next) {
                        return Some(path[at..].iter().map(|(g, _)| *g).collect());
                    }
                    path.push((next, edges.get(&next).into_iter().flatten().copied().collect()));
                }
            }
        }
    }
    None
}
