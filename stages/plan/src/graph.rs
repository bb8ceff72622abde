//! Orders and cycles of a graph of numbered nodes; it knows nothing of components.
//!
//! `needs[n]` are the nodes that come before `n`, in ascending order. Numbers are given by name, so that every answer
//! here is the same for the same names.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A strongly connected component that is a cycle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Knot {
    /// A shortest cycle: nodes in the order of needing, from the smallest one.
    pub(crate) shortest: Vec<usize>,
    /// All nodes.
    pub(crate) members: BTreeSet<usize>,
}

/// All knots, in the order of their shortest cycles.
pub(crate) fn knots(needs: &[BTreeSet<usize>]) -> Vec<Knot> {
    let knot = |members: BTreeSet<usize>| {
        let shortest = shortest_cycle(needs, &members)?;
        Some(Knot { shortest, members })
    };
    let mut knots: Vec<Knot> = components(needs).into_iter().filter_map(knot).collect();
    knots.sort_by(|one, other| one.shortest.cmp(&other.shortest));
    knots
}

/// How much work [`cuts`] spends on leaving out what need not be cut.
const PATIENCE: usize = 20_000_000;

/// A small set of edges (node, what it needs) without which `members` hold no cycle: those that point backwards when nodes that
/// need more than they are needed for come first (the heuristic of Eades, Lin and Smyth), less those that can stay.
pub(crate) fn cuts(needs: &[BTreeSet<usize>], members: &BTreeSet<usize>) -> Vec<(usize, usize)> {
    let position = in_a_line(needs, members);
    let edges = || {
        let of = |&node: &usize| needs[node].intersection(members).map(move |need| (node, *need));
        members.iter().flat_map(of)
    };
    let is_back = |(from, to): &(usize, usize)| position[from] >= position[to];
    let back: Vec<(usize, usize)> = edges().filter(is_back).collect();
    let mut kept: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for (from, to) in edges().filter(|edge| !is_back(edge)) {
        kept.entry(from).or_default().insert(to);
    }
    if back.len().saturating_mul(edges().count()) > PATIENCE {
        return back;
    }
    let mut cuts = Vec::new();
    for (from, to) in back {
        if reaches(&kept, to, from) {
            cuts.push((from, to));
        } else {
            kept.entry(from).or_default().insert(to);
        }
    }
    cuts
}

/// A place in a line for each node, such that few edges point backwards.
fn in_a_line(needs: &[BTreeSet<usize>], members: &BTreeSet<usize>) -> BTreeMap<usize, usize> {
    let mut out: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    let mut into: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for &node in members {
        for &need in needs[node].intersection(members).filter(|need| **need != node) {
            out.entry(node).or_default().insert(need);
            into.entry(need).or_default().insert(node);
        }
    }
    let mut left = members.clone();
    let (mut front, mut back) = (Vec::new(), Vec::new());
    let count =
        |edges: &BTreeMap<usize, BTreeSet<usize>>, node: &usize| edges.get(node).map_or(0, BTreeSet::len);
    while !left.is_empty() {
        let sink = left.iter().find(|node| count(&out, node) == 0).copied();
        let source = || left.iter().find(|node| count(&into, node) == 0).copied();
        let best = || {
            let gain = |node: &usize| count(&out, node).wrapping_sub(count(&into, node)) as isize;
            left.iter()
                .copied()
                .max_by_key(|node| (gain(node), std::cmp::Reverse(*node)))
        };
        let node = match (sink, sink.or_else(source).or_else(best)) {
            (Some(sink), _) => {
                back.push(sink);
                sink
            }
            (None, Some(node)) => {
                front.push(node);
                node
            }
            (None, None) => break,
        };
        left.remove(&node);
        for need in out.remove(&node).unwrap_or_default() {
            into.entry(need).or_default().remove(&node);
        }
        for user in into.remove(&node).unwrap_or_default() {
            out.entry(user).or_default().remove(&node);
        }
    }
    let line = front.into_iter().chain(back.into_iter().rev());
    line.enumerate().map(|(at, node)| (node, at)).collect()
}

fn reaches(edges: &BTreeMap<usize, BTreeSet<usize>>, from: usize, to: usize) -> bool {
    let mut seen = BTreeSet::new();
    let mut queue = vec![from];
    while let Some(node) = queue.pop() {
        if node == to {
            return true;
        }
        if seen.insert(node) {
            queue.extend(edges.get(&node).into_iter().flatten());
        }
    }
    false
}

/// Tarjan's strongly connected components, without recursion: a chain of needs may be long.
fn components(needs: &[BTreeSet<usize>]) -> Vec<BTreeSet<usize>> {
    const NEW: usize = usize::MAX;
    let mut index = vec![NEW; needs.len()];
    let mut low = vec![0; needs.len()];
    let mut on_stack = vec![false; needs.len()];
    let (mut stack, mut found, mut next) = (Vec::new(), Vec::new(), 0);
    for root in 0..needs.len() {
        if index[root] != NEW {
            continue;
        }
        let mut calls = vec![(root, needs[root].iter())];
        (index[root], low[root], on_stack[root]) = (next, next, true);
        stack.push(root);
        next += 1;
        while let Some((node, rest)) = calls.last_mut() {
            let node = *node;
            match rest.next() {
                Some(&need) if index[need] == NEW => {
                    (index[need], low[need], on_stack[need]) = (next, next, true);
                    stack.push(need);
                    next += 1;
                    calls.push((need, needs[need].iter()));
                }
                Some(&need) if on_stack[need] => low[node] = low[node].min(index[need]),
                Some(_) => {}
                None => {
                    calls.pop();
                    if let Some((caller, _)) = calls.last() {
                        low[*caller] = low[*caller].min(low[node]);
                    }
                    if low[node] == index[node] {
                        let at = stack.iter().rposition(|other| *other == node).unwrap_or(0);
                        let component: BTreeSet<usize> = stack.drain(at..).collect();
                        component.iter().for_each(|member| on_stack[*member] = false);
                        found.push(component);
                    }
                }
            }
        }
    }
    found
}

/// Of a strongly connected component; none if it is one node that does not need itself.
fn shortest_cycle(needs: &[BTreeSet<usize>], component: &BTreeSet<usize>) -> Option<Vec<usize>> {
    (component.iter())
        .filter_map(|start| way_back(needs, component, *start))
        .min_by_key(|cycle| (cycle.len(), cycle.clone()))
}

/// The shortest way from a node to itself.
fn way_back(needs: &[BTreeSet<usize>], within: &BTreeSet<usize>, start: usize) -> Option<Vec<usize>> {
    let mut from = vec![None; needs.len()];
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for &need in needs[node].intersection(within) {
            if need == start {
                let mut way = vec![node];
                while let Some(before) = from[way[way.len() - 1]].filter(|_| way[way.len() - 1] != start) {
                    way.push(before);
                }
                way.reverse();
                return Some(way);
            }
            if from[need].is_none() {
                from[need] = Some(node);
                queue.push_back(need);
            }
        }
    }
    None
}

/// All nodes, each after what it needs; where that leaves a choice, the smallest first. Nodes of cycles are left out.
pub(crate) fn order(needs: &[BTreeSet<usize>]) -> Vec<usize> {
    let mut waiting: Vec<usize> = needs.iter().map(BTreeSet::len).collect();
    let mut ready: BTreeSet<usize> = (0..needs.len()).filter(|node| waiting[*node] == 0).collect();
    let users = users(needs);
    let mut order = Vec::new();
    while let Some(node) = ready.pop_first() {
        order.push(node);
        for &user in &users[node] {
            waiting[user] -= 1;
            if waiting[user] == 0 {
                ready.insert(user);
            }
        }
    }
    order
}

/// For each node all that it needs, directly or not, in ascending order. `order` is that of [`order`].
pub(crate) fn all_needs(needs: &[BTreeSet<usize>], order: &[usize]) -> Vec<Vec<usize>> {
    let mut all: Vec<Vec<u64>> = vec![Vec::new(); needs.len()];
    let words = needs.len().div_ceil(64);
    for &node in order {
        let mut mine = vec![0; words];
        for need in &needs[node] {
            mine[need / 64] |= 1 << (need % 64);
            mine.iter_mut()
                .zip(&all[*need])
                .for_each(|(mine, theirs)| *mine |= theirs);
        }
        all[node] = mine;
    }
    let numbers = |bits: Vec<u64>| {
        let has = |number: &usize| {
            bits.get(number / 64)
                .is_some_and(|word| word & (1 << (number % 64)) != 0)
        };
        (0..needs.len()).filter(has).collect()
    };
    all.into_iter().map(numbers).collect()
}

fn users(needs: &[BTreeSet<usize>]) -> Vec<Vec<usize>> {
    let mut users = vec![Vec::new(); needs.len()];
    for (node, needs) in needs.iter().enumerate() {
        needs.iter().for_each(|need| users[*need].push(node));
    }
    users
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(needs: &[&[usize]]) -> Vec<BTreeSet<usize>> {
        needs
            .iter()
            .map(|needs| needs.iter().copied().collect())
            .collect()
    }

    #[test]
    fn shortest_cycles_are_found_and_told_from_the_smallest() {
        for (needs, expected) in [
            (graph(&[&[1], &[2], &[]]), vec![]),
            (graph(&[&[0]]), vec![vec![0]]),
            (graph(&[&[1], &[0]]), vec![vec![0, 1]]),
            // 0→1→2→3→0 and the short cut 3→1.
            (graph(&[&[1], &[2], &[3], &[0, 1]]), vec![vec![1, 2, 3]]),
            // Two cycles apart, and one node between.
            (
                graph(&[&[1], &[0, 2], &[3], &[4], &[3]]),
                vec![vec![0, 1], vec![3, 4]],
            ),
            (graph(&[&[2], &[0], &[1]]), vec![vec![0, 2, 1]]),
        ] {
            let found: Vec<_> = knots(&needs).into_iter().map(|knot| knot.shortest).collect();
            assert_eq!(found, expected, "{needs:?}");
        }
    }

    #[test]
    fn few_edges_untie_a_knot() {
        // A ring of twenty with many short cuts forward: one edge goes back.
        let mut needs: Vec<BTreeSet<usize>> = (0..20).map(|node| (node + 1..20).collect()).collect();
        needs[19].insert(0);
        let knot = &knots(&needs)[0];
        assert_eq!((knot.members.len(), knot.shortest.len()), (20, 2));
        assert_eq!(cuts(&needs, &knot.members), [(19, 0)]);
        // Whoever needs itself must be cut from itself.
        assert_eq!(cuts(&graph(&[&[0]]), &BTreeSet::from([0])), [(0, 0)]);
    }

    #[test]
    fn needs_come_first_and_then_the_smallest() {
        let needs = graph(&[&[3], &[], &[1], &[2], &[]]);
        let order = order(&needs);
        assert_eq!(order, [1, 2, 3, 0, 4]);
        assert_eq!(all_needs(&needs, &order)[0], [1, 2, 3]);
    }

    #[test]
    fn a_long_chain_is_no_recursion() {
        let mut needs: Vec<BTreeSet<usize>> = (0..50_000).map(|node| BTreeSet::from([node + 1])).collect();
        needs.push(BTreeSet::from([0]));
        assert_eq!(components(&needs).len(), 1);
        needs[50_000].clear();
        assert_eq!(order(&needs)[0], 50_000);
        assert!(knots(&needs).is_empty());
    }

    #[test]
    fn no_node_of_a_cycle_is_in_the_order() {
        // A cheap generator of graphs: every node that is not in the order is in, or needs, a cycle.
        let mut state = 7_u64;
        for _ in 0..300 {
            let mut needs: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); 8];
            for mine in &mut needs {
                for need in 0..8 {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    if state >> 61 == 0 {
                        mine.insert(need);
                    }
                }
            }
            let order = order(&needs);
            assert_eq!(order.len() == 8, knots(&needs).is_empty(), "{needs:?}");
            for (at, node) in order.iter().enumerate() {
                assert!(needs[*node].iter().all(|need| order[..at].contains(need)));
            }
            let mut cut = needs.clone();
            for knot in knots(&needs) {
                let cycle = &knot.shortest;
                for (at, node) in cycle.iter().enumerate() {
                    assert!(needs[*node].contains(&cycle[(at + 1) % cycle.len()]));
                }
                for (from, to) in cuts(&needs, &knot.members) {
                    assert!(cut[from].remove(&to), "{needs:?}");
                }
            }
            assert!(knots(&cut).is_empty(), "{needs:?}");
        }
    }
}
