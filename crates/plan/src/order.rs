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
    let about = |group: NodeId| {
        let relations = relations(graph, &members[&group]);
        let first = members[&group].iter().map(|&id| rank(graph, id)).min();
        About {
            weight: weight(graph, &members[&group]),
            // A neighbour that locks the same relations can share a transaction.
            begins: Some(relations.clone()),
            ends: Some(relations.clone()),
            rank: (relations, first),
        }
    };
    sort(&groups, waits, about).into_iter().map(|group| within(graph, &members[&group])).collect()
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
    let head = |action: Option<&reconcile_kinds::Action>| match &action?.sql {
        reconcile_kinds::Sql::Clause { head, .. } => Some(head.clone()),
        reconcile_kinds::Sql::Statement(_) => None,
    };
    sort(ids, waits, |id| {
        let actions = &graph.nodes[id].actions;
        let (begins, ends) = (head(actions.first()), head(actions.last()));
        About { weight: 0, begins, ends, rank: rank(graph, id) }
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

/// What decides which of several comes next: the lightest first, among those what goes on where
/// the one before ended, then the rank.
struct About<C, K> {
    weight: u8,
    begins: Option<C>,
    ends: Option<C>,
    rank: K,
}

/// What may come next, found by what decides.
struct Ready<'a, C, K> {
    by_rank: BTreeSet<(u8, &'a K, NodeId)>,
    by_beginning: BTreeSet<(u8, &'a C, &'a K, NodeId)>,
}

impl<'a, C: Ord, K: Ord> Ready<'a, C, K> {
    fn insert(&mut self, id: NodeId, about: &'a About<C, K>) {
        self.by_rank.insert((about.weight, &about.rank, id));
        if let Some(begins) = &about.begins {
            self.by_beginning.insert((about.weight, begins, &about.rank, id));
        }
    }

    fn remove(&mut self, id: NodeId, about: &'a About<C, K>) {
        self.by_rank.remove(&(about.weight, &about.rank, id));
        if let Some(begins) = &about.begins {
            self.by_beginning.remove(&(about.weight, begins, &about.rank, id));
        }
    }

    /// The next one behind something that ended like this.
    fn next(&self, ended: Option<&'a C>) -> Option<NodeId> {
        let &(weight, rank, first) = self.by_rank.first()?;
        // No rank is before the least of all that are ready.
        let going_on = ended.and_then(|ended| {
            let from = self.by_beginning.range((weight, ended, rank, 0)..).next();
            from.filter(|next| (next.0, next.1) == (weight, ended))
        });
        Some(going_on.map_or(first, |next| next.3))
    }
}

/// A topological order; among what may come next, what [`About`] says.
fn sort<C: Ord, K: Ord>(
    ids: &[NodeId],
    waits: impl Fn(NodeId) -> BTreeSet<NodeId>,
    about: impl Fn(NodeId) -> About<C, K>,
) -> Vec<NodeId> {
    let about: BTreeMap<NodeId, About<C, K>> = ids.iter().map(|&id| (id, about(id))).collect();
    let mut pending: BTreeMap<NodeId, usize> = BTreeMap::new();
    let mut wakes: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
    let mut ready = Ready { by_rank: BTreeSet::new(), by_beginning: BTreeSet::new() };
    for &id in ids {
        let before = waits(id);
        if before.is_empty() {
            ready.insert(id, &about[&id]);
        } else {
            pending.insert(id, before.len());
        }
        for earlier in before {
            wakes.entry(earlier).or_default().push(id);
        }
    }
    let mut out: Vec<NodeId> = Vec::new();
    loop {
        let ended = out.last().and_then(|id| about[id].ends.as_ref());
        if ready.by_rank.is_empty() {
            // What waits for each other within one transaction has no right order: the usual one.
            let mut stuck = Ready { by_rank: BTreeSet::new(), by_beginning: BTreeSet::new() };
            pending.keys().for_each(|id| stuck.insert(*id, &about[id]));
            let Some(id) = stuck.next(ended) else { break };
            pending.remove(&id);
            ready.insert(id, &about[&id]);
        }
        let Some(id) = ready.next(ended) else { break };
        ready.remove(id, &about[&id]);
        out.push(id);
        for later in wakes.remove(&id).unwrap_or_default() {
            if let Some(count) = pending.get_mut(&later) {
                *count -= 1;
                if *count == 0 {
                    pending.remove(&later);
                    ready.insert(later, &about[&later]);
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
