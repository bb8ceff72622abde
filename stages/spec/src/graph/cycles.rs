//! A directed graph: its strongly connected components, and how deep it is.

use std::collections::BTreeSet;

/// Nodes by number, and the nodes that each needs.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// What each node is called.
    pub names: Vec<String>,
    /// What each node needs, sorted.
    pub edges: Vec<BTreeSet<usize>>,
}

/// The strongly connected components of a graph, what is needed before what needs it.
pub(super) struct Components {
    pub all: Vec<Vec<usize>>,
    /// The component of each node.
    pub of: Vec<usize>,
}

impl Graph {
    pub(super) fn add(&mut self, name: String) -> usize {
        self.names.push(name);
        self.edges.push(BTreeSet::new());
        self.names.len() - 1
    }

    /// Tarjan's algorithm without recursion: a chain of needs may be as long as there are nodes.
    pub(super) fn components(&self) -> Components {
        let mut search = Search {
            index: vec![None; self.edges.len()],
            low: vec![0; self.edges.len()],
            is_open: vec![false; self.edges.len()],
            open: Vec::new(),
            visited: 0,
            found: Components {
                all: Vec::new(),
                of: vec![0; self.edges.len()],
            },
        };
        for root in 0..self.edges.len() {
            if search.index[root].is_none() {
                search.run(self, root);
            }
        }
        search.found
    }

    /// How many components follow each other in the longest chain; 0 for no graph.
    pub(super) fn depth(&self, components: &Components) -> usize {
        let mut depths = vec![0; components.all.len()];
        for (number, nodes) in components.all.iter().enumerate() {
            let needed = nodes.iter().flat_map(|node| &self.edges[*node]);
            let below = needed.map(|node| depths[components.of[*node]]).max();
            depths[number] = 1 + below.unwrap_or(0);
        }
        depths.into_iter().max().unwrap_or(0)
    }
}

struct Search {
    /// In which order nodes were reached.
    index: Vec<Option<usize>>,
    /// The first node reached that is still open and can be come back to.
    low: Vec<usize>,
    is_open: Vec<bool>,
    open: Vec<usize>,
    visited: usize,
    found: Components,
}

impl Search {
    fn run(&mut self, graph: &Graph, root: usize) {
        let mut path = vec![(root, graph.edges[root].iter())];
        self.enter(root);
        while let Some((node, rest)) = path.last_mut() {
            let node = *node;
            match rest.next() {
                Some(next) => match self.index[*next] {
                    None => {
                        self.enter(*next);
                        path.push((*next, graph.edges[*next].iter()));
                    }
                    Some(index) if self.is_open[*next] => self.low[node] = self.low[node].min(index),
                    Some(_) => {}
                },
                None => {
                    path.pop();
                    if let Some((before, _)) = path.last() {
                        self.low[*before] = self.low[*before].min(self.low[node]);
                    }
                    self.leave(node);
                }
            }
        }
    }

    fn enter(&mut self, node: usize) {
        self.index[node] = Some(self.visited);
        self.low[node] = self.visited;
        self.visited += 1;
        self.open.push(node);
        self.is_open[node] = true;
    }

    /// Closes the component that `node` was the first of, if it was.
    fn leave(&mut self, node: usize) {
        if Some(self.low[node]) != self.index[node] {
            return;
        }
        let mut component = Vec::new();
        while let Some(member) = self.open.pop() {
            self.is_open[member] = false;
            self.found.of[member] = self.found.all.len();
            component.push(member);
            if member == node {
                break;
            }
        }
        self.found.all.push(component);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(nodes: usize, edges: &[(usize, usize)]) -> Graph {
        let mut graph = Graph::default();
        for node in 0..nodes {
            graph.add(node.to_string());
        }
        for (from, to) in edges {
            graph.edges[*from].insert(*to);
        }
        graph
    }

    #[test]
    fn cycles_are_found_all_at_once() {
        let graph = graph(
            8,
            &[
                (0, 1),
                (1, 2),
                (2, 0),
                (2, 3),
                (3, 4),
                (4, 3),
                (5, 5),
                (6, 5),
                (6, 0),
            ],
        );
        let components = graph.components();
        let mut found: Vec<Vec<usize>> = components.all.clone();
        found.iter_mut().for_each(|nodes| nodes.sort_unstable());
        assert_eq!(found, [vec![3, 4], vec![0, 1, 2], vec![5], vec![6], vec![7]]);
        assert_eq!(graph.depth(&components), 3);
        assert_eq!(
            super::Graph::default().depth(&super::Graph::default().components()),
            0
        );
    }

    #[test]
    fn a_long_chain_does_not_overflow_the_stack() {
        let edges: Vec<_> = (1..200_000).map(|node| (node - 1, node)).collect();
        let graph = graph(200_000, &edges);
        assert_eq!(graph.depth(&graph.components()), 200_000);
    }
}
