//! Orders and cycles of a graph of numbered nodes; it knows nothing of components.
//!
//! `needs[n]` are the nodes that come before `n`, in ascending order. Numbers are given by name, so that every answer
//! here is the same for the same names.

use std::collections::{BTreeSet, VecDeque};

/// The strongly connected components that are cycles, each as a shortest cycle: nodes in the order of needing, from
/// the smallest one. Ordered by their first nodes.
pub(crate) fn cycles(needs: &[BTreeSet<usize>]) -> Vec<Vec<usize>> {
    let mut cycles: Vec<Vec<usize>> = (components(needs).iter())
        .filter_map(|component| shortest_cycle(needs, component))
        .collect();
    cycles.sort();
    cycles
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

/// For each node the cost of the most expensive chain from it to a node that nobody needs, both included.
/// `order` is that of [`order`].
pub(crate) fn critical_paths(needs: &[BTreeSet<usize>], order: &[usize], cost: &[f64]) -> Vec<f64> {
    let users = users(needs);
    let mut path = vec![0.0; needs.len()];
    for &node in order.iter().rev() {
        let rest = users[node].iter().map(|user| path[*user]).fold(0.0, f64::max);
        path[node] = cost[node] + rest;
    }
    path
}

/// For each node all that it needs, directly or not. `order` is that of [`order`].
pub(crate) fn all_needs(needs: &[BTreeSet<usize>], order: &[usize]) -> Vec<BTreeSet<usize>> {
    let mut all: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); needs.len()];
    for &node in order {
        let mut mine = needs[node].clone();
        for need in &needs[node] {
            mine.extend(&all[*need]);
        }
        all[node] = mine;
    }
    all
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
            assert_eq!(cycles(&needs), expected, "{needs:?}");
        }
    }

    #[test]
    fn needs_come_first_and_then_the_smallest() {
        let needs = graph(&[&[3], &[], &[1], &[2], &[]]);
        let order = order(&needs);
        assert_eq!(order, [1, 2, 3, 0, 4]);
        assert_eq!(
            critical_paths(&needs, &order, &[1.0, 10.0, 2.0, 3.0, 4.0]),
            [1.0, 16.0, 6.0, 4.0, 4.0]
        );
        assert_eq!(all_needs(&needs, &order)[0], BTreeSet::from([1, 2, 3]));
    }

    #[test]
    fn a_long_chain_is_no_recursion() {
        let mut needs: Vec<BTreeSet<usize>> = (0..50_000).map(|node| BTreeSet::from([node + 1])).collect();
        needs.push(BTreeSet::from([0]));
        assert_eq!(components(&needs).len(), 1);
        needs[50_000].clear();
        assert_eq!(order(&needs)[0], 50_000);
        assert!(cycles(&needs).is_empty());
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
            assert_eq!(order.len() == 8, cycles(&needs).is_empty(), "{needs:?}");
            for (at, node) in order.iter().enumerate() {
                assert!(needs[*node].iter().all(|need| order[..at].contains(need)));
            }
            for cycle in cycles(&needs) {
                for (at, node) in cycle.iter().enumerate() {
                    assert!(needs[*node].contains(&cycle[(at + 1) % cycle.len()]));
                }
            }
        }
    }
}
