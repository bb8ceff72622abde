//! A graph of things to be built, to be looked at: Graphviz' language, JSON, or a page that needs nothing but itself.
//!
//! What follows from other edges is not drawn: of a thousand builds that all need the C library, only the first ones show it.

use std::{collections::BTreeSet, fmt::Write as _};

use serde::Serialize;

use crate::{
    args::plan::Graph,
    failure::{Class, Failure},
};

/// The page; what is drawn goes in the place of [`HERE`].
const PAGE: &str = include_str!("drawing/page.html");
const HERE: &str = "\"DRAWING\"";

/// A graph.
#[derive(Debug, Serialize)]
pub struct Drawing {
    /// What it is called.
    title: String,
    /// Its nodes; no cycle.
    nodes: Vec<Placed>,
}

/// A thing to be built.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Node {
    /// What it is called.
    pub name: String,
    /// Its version.
    pub version: String,
    /// `cached`, `build`, `maybe`; none where nobody looked.
    pub state: Option<&'static str>,
    /// How long it takes.
    pub seconds: f64,
    /// It is on the longest chain.
    pub critical: bool,
    /// Why it is built, in a line.
    pub why: String,
    /// Nodes that come before it, by index.
    pub needs: Vec<usize>,
}

/// A node with its place.
#[derive(Debug, Serialize)]
struct Placed {
    #[serde(flatten)]
    node: Node,
    /// Of `needs`, those that do not follow from others.
    edges: Vec<usize>,
    /// How many steps come before it at least.
    layer: usize,
}

impl Drawing {
    /// Places the nodes, each of which comes after those that it needs.
    pub fn new(title: &str, nodes: Vec<Node>) -> Self {
        let mut before: Vec<Bits> = Vec::with_capacity(nodes.len());
        let mut placed: Vec<Placed> = Vec::with_capacity(nodes.len());
        for (at, node) in nodes.into_iter().enumerate() {
            let needs: BTreeSet<usize> = node.needs.iter().copied().filter(|need| *need < at).collect();
            let mut implied = Bits::new(at);
            needs.iter().for_each(|need| implied.add(&before[*need]));
            let edges = needs.iter().copied().filter(|need| !implied.has(*need)).collect();
            let layer = needs
                .iter()
                .map(|need| placed[*need].layer + 1)
                .max()
                .unwrap_or(0);
            needs.iter().for_each(|need| implied.set(*need));
            before.push(implied);
            placed.push(Placed { node, edges, layer });
        }
        Self {
            title: title.to_owned(),
            nodes: placed,
        }
    }

    /// For each node, how many steps come before it at least.
    pub fn layers(&self) -> impl Iterator<Item = usize> {
        self.nodes.iter().map(|placed| placed.layer)
    }

    fn dot(&self) -> String {
        let mut out = format!(
            "digraph {} {{\n  rankdir=LR;\n  node [shape=box];\n",
            quoted(&self.title)
        );
        for Placed { node, edges, .. } in &self.nodes {
            let style = match node.state {
                Some("build") => ", style=filled, fillcolor=\"#f5c6a5\"",
                Some("maybe") => ", style=filled, fillcolor=\"#fdf0c4\"",
                _ => "",
            };
            let width = if node.critical { ", penwidth=3" } else { "" };
            let (name, label) = (
                quoted(&node.name),
                quoted(&format!("{} {}", node.name, node.version)),
            );
            // Writing to a string cannot fail.
            let _ = writeln!(out, "  {name} [label={label}{style}{width}];");
            for need in edges {
                let _ = writeln!(out, "  {name} -> {};", quoted(&self.nodes[*need].node.name));
            }
        }
        out + "}\n"
    }
}

/// A set of small numbers.
struct Bits(Vec<u64>);

impl Bits {
    /// Room for the numbers below `size`.
    fn new(size: usize) -> Self {
        Self(vec![0; size.div_ceil(64)])
    }

    fn has(&self, number: usize) -> bool {
        self.0
            .get(number / 64)
            .is_some_and(|word| word & (1 << (number % 64)) != 0)
    }

    fn set(&mut self, number: usize) {
        if let Some(word) = self.0.get_mut(number / 64) {
            *word |= 1 << (number % 64);
        }
    }

    fn add(&mut self, other: &Self) {
        self.0
            .iter_mut()
            .zip(&other.0)
            .for_each(|(mine, theirs)| *mine |= theirs);
    }
}

/// The graph in one of its forms.
pub fn written(drawing: &Drawing, form: Graph) -> Result<String, Failure> {
    let bug = |error| Failure::because(Class::Bug, "cannot write the graph as JSON", &error);
    match form {
        Graph::Dot => Ok(drawing.dot()),
        Graph::Json => serde_json::to_string_pretty(drawing).map_err(bug),
        Graph::Html => {
            // In a script, nothing but `</script` and `<!--` has a meaning of its own.
            let json = serde_json::to_string(drawing)
                .map_err(bug)?
                .replace('<', "\\u003c");
            Ok(PAGE.replacen(HERE, &json, 1))
        }
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawing() -> Drawing {
        let node = |name: &str, state, needs: &[usize]| Node {
            name: name.to_owned(),
            version: "1-1".to_owned(),
            state: Some(state),
            needs: needs.to_vec(),
            ..Node::default()
        };
        Drawing::new(
            "a \"plan\"",
            vec![
                node("a", "cached", &[]),
                node("b</script>", "build", &[0]),
                node("c", "maybe", &[0, 1]),
                node("d", "cached", &[0]),
            ],
        )
    }

    #[test]
    fn what_follows_is_not_drawn() {
        let drawing = drawing();
        let edges: Vec<&[usize]> = drawing.nodes.iter().map(|node| node.edges.as_slice()).collect();
        assert_eq!(edges, [&[] as &[usize], &[0], &[1], &[0]]);
        let layers: Vec<usize> = drawing.nodes.iter().map(|node| node.layer).collect();
        assert_eq!(layers, [0, 1, 2, 1]);
    }

    #[test]
    fn each_form_has_all_of_it() {
        let drawing = drawing();
        let dot = written(&drawing, Graph::Dot).unwrap();
        assert!(dot.starts_with("digraph \"a \\\"plan\\\"\" {"), "{dot}");
        assert!(
            dot.contains("  \"c\" -> \"b</script>\";\n") && !dot.contains("\"c\" -> \"a\""),
            "{dot}"
        );
        let json: serde_json::Value = serde_json::from_str(&written(&drawing, Graph::Json).unwrap()).unwrap();
        assert_eq!(json["nodes"][2]["needs"], serde_json::json!([0, 1]));
        let page = written(&drawing, Graph::Html).unwrap();
        assert!(
            page.contains("b\\u003c/script>") && !page.contains(HERE),
            "{page}"
        );
        assert_eq!(page.matches("</script>").count(), 2);
        // Nothing is loaded from anywhere.
        for word in ["src=", "href=\"http", "@import", "url("] {
            assert!(!page.contains(word), "{word}");
        }
    }
}
