//! What is told about graphs: as data, as a table, as a drawing.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Write as _},
};

use serde::Serialize;

use super::Graph;

/// How many of a long list a table shows.
const SHOWN: usize = 25;

/// Numbers, cycles, and what is wrong.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// For which architecture, by rpm's name.
    pub arch: String,
    /// SPECs that are for it.
    pub specs: usize,
    /// SPECs that are not.
    pub skipped: Vec<String>,
    /// Packages that they make.
    pub packages: usize,
    /// What packages provide.
    pub provides: usize,
    /// What packages need to be installed.
    pub requires: usize,
    /// What SPECs need to be built.
    pub build_requires: BuildRequires,
    /// What packages need to be installed and no package provides.
    pub run_unresolved: Vec<Unresolved>,
    /// SPECs that need SPECs to be built.
    pub build: Shape,
    /// SPECs that need packages, packages that need their SPEC and packages.
    pub build_and_run: Shape,
    /// Packages that need packages to be installed.
    pub run: Shape,
    /// The SPECs that most others need to be built, with how many do.
    pub most_needed: Vec<(String, usize)>,
    /// Names that several SPECs provide; the first is taken.
    pub ambiguous: Vec<Ambiguous>,
}

/// What SPECs need to be built.
#[derive(Debug, Clone, Default, Serialize)]
pub struct BuildRequires {
    /// Requirements.
    pub entries: usize,
    /// Names in them.
    pub capabilities: usize,
    /// Requirements that are expressions.
    pub rich: usize,
    /// Names for which there were several SPECs to choose from.
    pub ambiguous: usize,
    /// Names that no package provides.
    pub unresolved: Vec<Unresolved>,
    /// Requirements of a version that no provider has.
    pub unfit: Vec<Unfit>,
}

/// A name that no package provides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unresolved {
    /// The name.
    pub name: String,
    /// What kind of name it is.
    pub kind: &'static str,
    /// Who asks for it, once for each time.
    pub asked_by: Vec<String>,
}

/// A requirement of a version that no provider has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unfit {
    /// What is asked for.
    pub wanted: String,
    /// What there is.
    pub provided: Vec<String>,
    /// Who asks for it.
    pub asked_by: Vec<String>,
}

/// A name that several SPECs provide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ambiguous {
    /// The name.
    pub name: String,
    /// The SPECs, that which is taken first.
    pub specs: Vec<String>,
}

/// What a graph looks like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shape {
    /// How many nodes.
    pub nodes: usize,
    /// How many edges.
    pub edges: usize,
    /// Nodes that need themselves.
    pub self_loops: usize,
    /// Strongly connected components of more than one node, the largest first.
    pub cycles: Vec<Vec<String>>,
    /// How many nodes are in them.
    pub in_cycles: usize,
    /// The longest chain, when each component is taken as one: how many steps a build takes at least.
    pub depth: usize,
}

impl Shape {
    pub(super) fn of(graph: &Graph) -> Self {
        let components = graph.components();
        let several = components.all.iter().filter(|nodes| nodes.len() > 1);
        let mut cycles: Vec<Vec<String>> = several
            .map(|nodes| {
                let mut names: Vec<String> = nodes.iter().map(|node| graph.names[*node].clone()).collect();
                names.sort_unstable();
                names
            })
            .collect();
        cycles.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        let edges = graph.edges.iter().enumerate();
        Self {
            nodes: graph.names.len(),
            edges: graph.edges.iter().map(BTreeSet::len).sum(),
            self_loops: edges.filter(|(node, needed)| needed.contains(node)).count(),
            in_cycles: cycles.iter().map(Vec::len).sum(),
            cycles,
            depth: graph.depth(&components),
        }
    }
}

/// The nodes that most others need, with how many do.
pub(super) fn most_needed(graph: &Graph) -> Vec<(String, usize)> {
    let mut counts = vec![0; graph.names.len()];
    for needed in graph.edges.iter().flatten() {
        counts[*needed] += 1;
    }
    let mut all: Vec<(String, usize)> = graph.names.iter().cloned().zip(counts).collect();
    all.retain(|(_, count)| *count > 0);
    all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    all.truncate(SHOWN);
    all
}

/// Names by how often they were asked for.
pub(super) fn unresolved(asked: BTreeMap<String, Vec<String>>) -> Vec<Unresolved> {
    let all = asked.into_iter().map(|(name, asked_by)| Unresolved {
        kind: kind(&name),
        name,
        asked_by,
    });
    let mut all: Vec<Unresolved> = all.collect();
    all.sort_by_key(|one| std::cmp::Reverse(one.asked_by.len()));
    all
}

pub(super) fn unfit(asked: BTreeMap<String, Vec<String>>, best: impl Fn(&str) -> Vec<String>) -> Vec<Unfit> {
    let all = asked.into_iter().map(|(wanted, asked_by)| Unfit {
        provided: best(&wanted),
        wanted,
        asked_by,
    });
    all.collect()
}

fn kind(name: &str) -> &'static str {
    match name {
        _ if name.starts_with('/') => "file path",
        _ if name.starts_with("pkgconfig(") => "pkgconfig()",
        _ if name.starts_with("perl(") => "perl()",
        _ if name.contains("dist(") => "python3dist()",
        _ if name.starts_with("cmake(") => "cmake()",
        _ if name.contains('%') => "macro left",
        _ if name.contains('(') => "other()",
        _ => "name",
    }
}

impl fmt::Display for Report {
    /// A table for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let skipped = self.skipped.len();
        writeln!(
            f,
            "for {}: {} SPECs ({skipped} are for other architectures)",
            self.arch, self.specs
        )?;
        let Self {
            packages,
            provides,
            requires,
            ..
        } = self;
        writeln!(f, "packages {packages}, provides {provides}, requires {requires}")?;
        let BuildRequires {
            entries,
            capabilities,
            rich,
            ambiguous,
            ..
        } = &self.build_requires;
        writeln!(
            f,
            "build requirements {entries}, names {capabilities}, rich {rich}, of several providers {ambiguous}"
        )?;
        writeln!(f)?;
        writeln!(
            f,
            "{:14}{:>8}{:>8}{:>7}{:>11}{:>10}{:>7}",
            "graph", "nodes", "edges", "loops", "components", "in them", "depth"
        )?;
        for (name, shape) in [
            ("build", &self.build),
            ("build and run", &self.build_and_run),
            ("run", &self.run),
        ] {
            let Shape {
                nodes,
                edges,
                self_loops,
                cycles,
                in_cycles,
                depth,
            } = shape;
            let cycles = cycles.len();
            writeln!(
                f,
                "{name:14}{nodes:>8}{edges:>8}{self_loops:>7}{cycles:>11}{in_cycles:>10}{depth:>7}"
            )?;
        }
        for cycle in &self.build.cycles {
            writeln!(f, "\na circle of {} SPECs:", cycle.len())?;
            cycle.iter().try_for_each(|spec| writeln!(f, "  {spec}"))?;
        }
        list_unresolved(
            f,
            "no package provides, for building",
            &self.build_requires.unresolved,
        )?;
        list_unresolved(f, "no package provides, for running", &self.run_unresolved)?;
        let unfit = &self.build_requires.unfit;
        heading(f, "no provider has the version", unfit.len())?;
        for one in unfit.iter().take(SHOWN) {
            let (provided, by) = (one.provided.join(", "), one.asked_by.join(", "));
            writeln!(f, "  {} (there is {provided}), for {by}", one.wanted)?;
        }
        heading(
            f,
            "several SPECs provide (the first is taken)",
            self.ambiguous.len(),
        )?;
        for one in self.ambiguous.iter().take(SHOWN) {
            writeln!(f, "  {}: {}", one.name, one.specs.join(", "))?;
        }
        heading(f, "most needed", self.most_needed.len())?;
        for (spec, count) in self.most_needed.iter().take(SHOWN) {
            writeln!(f, "{count:>7}  {spec}")?;
        }
        Ok(())
    }
}

fn heading(f: &mut fmt::Formatter<'_>, text: &str, count: usize) -> fmt::Result {
    match count {
        0 => Ok(()),
        1..=SHOWN => writeln!(f, "\n{text}:"),
        _ => writeln!(f, "\n{text} ({SHOWN} of {count}):"),
    }
}

fn list_unresolved(f: &mut fmt::Formatter<'_>, text: &str, all: &[Unresolved]) -> fmt::Result {
    heading(f, text, all.len())?;
    for one in all.iter().take(SHOWN) {
        let more = match one.asked_by.len() {
            0..=3 => String::new(),
            count => format!(" and {} more", count - 3),
        };
        let first: Vec<&str> = one.asked_by.iter().take(3).map(String::as_str).collect();
        writeln!(f, "  {}, for {}{more}", one.name, first.join(", "))?;
    }
    Ok(())
}

impl Graph {
    /// The graph in Graphviz's language: an arrow leads to what is needed, each cycle has a box around it.
    pub fn dot(&self, title: &str) -> String {
        let components = self.components();
        let mut out = format!(
            "digraph {} {{\n  rankdir=LR;\n  node [shape=box];\n",
            quoted(title)
        );
        let cycles = components.all.iter().filter(|nodes| nodes.len() > 1);
        for (number, nodes) in cycles.enumerate() {
            let names: BTreeSet<String> = nodes.iter().map(|node| quoted(&self.names[*node])).collect();
            let names: Vec<String> = names.into_iter().collect();
            // Writing to a string cannot fail.
            let _ = writeln!(out, "  subgraph cluster_{number} {{ {}; }}", names.join("; "));
        }
        for (node, needed) in self.edges.iter().enumerate() {
            let name = quoted(&self.names[node]);
            if needed.is_empty() {
                let _ = writeln!(out, "  {name};");
            }
            for other in needed {
                let _ = writeln!(out, "  {name} -> {};", quoted(&self.names[*other]));
            }
        }
        out + "}\n"
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
