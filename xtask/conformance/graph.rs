//! The known answers for a grapher: the numbers of the BuildRequires graph of a folder of SPECs.
//!
//! Explicit Provides only; of several providers the first by path; the lines are those of the baseline's own script, so that they
//! can be compared as text.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::mapping::{Facts, Kind, capability};

/// The lines that are compared: totals, and size, cycles and depth of three graphs. `specs` in the order of their paths.
pub fn lines(specs: &[(&str, &Facts)], arch: &str) -> Vec<String> {
    let wanted: Vec<_> = specs
        .iter()
        .copied()
        .filter(|(_, facts)| is_for(facts, arch))
        .collect();
    let providers = providers(&wanted);
    let (by_spec, counts) = spec_graph(&wanted, &providers);
    let packages = || wanted.iter().flat_map(|(_, facts)| &facts.built);
    let entries = |kind| packages().map(|package| package.of(kind).len()).sum::<usize>();

    let mut lines = vec![
        format!(
            "specs {} skipped by arch {} built packages {} provides {} requires entries {}",
            wanted.len(),
            specs.len() - wanted.len(),
            packages().count(),
            entries(Kind::Provides),
            entries(Kind::Requires)
        ),
        counts,
    ];
    let names: Vec<&str> = wanted.iter().map(|(path, _)| *path).collect();
    let (line, cycles) = describe("spec BuildRequires graph", &by_spec);
    lines.push(line);
    for cycle in cycles.iter().take(8) {
        let mut members: Vec<&str> = cycle.iter().map(|node| component(names[*node])).collect();
        members.sort_unstable();
        let members: Vec<String> = members.iter().take(30).map(|name| format!("'{name}'")).collect();
        lines.push(format!("    {} [{}]", cycle.len(), members.join(", ")));
    }
    let (all, runtime) = package_graphs(&wanted, &providers);
    lines.push(describe("build+run node graph", &all).0);
    lines.push(describe("runtime requires graph (packages)", &runtime).0);
    lines
}

/// From each node, where its edges go.
type Graph = Vec<BTreeSet<usize>>;
/// For each capability, the (SPEC, package name) that provide it; SPECs by index, which is the order of their paths.
type Providers<'a> = HashMap<&'a str, BTreeSet<(usize, &'a str)>>;

/// `SPECS/zlib/zlib.spec` is `zlib`.
fn component(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.strip_suffix(".spec").unwrap_or(name)
}

fn is_for(facts: &Facts, arch: &str) -> bool {
    let among = |list: &[String], arch: &str| list.iter().any(|name| name == arch);
    let only = &facts.exclusive_arch;
    (only.is_empty() || among(only, arch) || among(only, "noarch")) && !among(&facts.exclude_arch, arch)
}

fn providers<'a>(specs: &[(&'a str, &'a Facts)]) -> Providers<'a> {
    let mut providers = Providers::new();
    for (index, (_, facts)) in specs.iter().enumerate() {
        for package in &facts.built {
            for provide in package.of(Kind::Provides) {
                let of = providers.entry(capability(provide)).or_default();
                of.insert((index, package.name.as_str()));
            }
        }
    }
    providers
}

/// What a dependency asks for: of a rich one, all names before `if` or `unless`.
fn capabilities(dependency: &str) -> Vec<&str> {
    let name = capability(dependency);
    if !name.starts_with('(') {
        return vec![name];
    }
    let inside = name.trim_matches(['(', ')']);
    let asked = split_words(inside, &["if", "unless"])
        .into_iter()
        .next()
        .unwrap_or_default();
    let terms = split_words(asked, &["and", "or", "with", "without"]);
    terms
        .iter()
        .filter_map(|term| term.split_whitespace().next())
        .collect()
}

/// Splits `text` at each of `words`, where it stands as a word of its own.
fn split_words<'a>(text: &'a str, words: &[&str]) -> Vec<&'a str> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii();
    let (bytes, mut parts, mut start, mut at) = (text.as_bytes(), Vec::new(), 0, 0);
    while at < bytes.len() {
        let length = bytes[at..].iter().take_while(|byte| is_part(**byte)).count();
        if words.contains(&&text[at..at + length]) {
            parts.push(&text[start..at]);
            start = at + length;
        }
        at += length.max(1);
    }
    parts.push(&text[start..]);
    parts
}

/// SPEC → SPECs of its BuildRequires, and the line that counts them.
fn spec_graph(specs: &[(&str, &Facts)], providers: &Providers<'_>) -> (Graph, String) {
    let (mut entries, mut rich, mut asked, mut several) = (0, 0, 0, 0);
    let mut unresolved: BTreeMap<&str, usize> = BTreeMap::new();
    let mut graph = Graph::new();
    for (_, facts) in specs {
        let mut edges = BTreeSet::new();
        for dependency in facts.source.of(Kind::Requires) {
            if dependency.starts_with("rpmlib(") {
                continue;
            }
            entries += 1;
            rich += usize::from(dependency.starts_with('('));
            for capability in capabilities(dependency) {
                asked += 1;
                let Some(of) = providers.get(capability) else {
                    *unresolved.entry(capability).or_default() += 1;
                    continue;
                };
                let by: BTreeSet<usize> = of.iter().map(|(spec, _)| *spec).collect();
                several += usize::from(by.len() > 1);
                edges.extend(by.first());
            }
        }
        graph.push(edges);
    }
    let line = format!(
        "BuildRequires entries {entries} capabilities {asked} rich {rich} unresolved (no explicit Provides) {} distinct {} multi-provider {several}",
        unresolved.values().sum::<usize>(),
        unresolved.len()
    );
    (graph, line)
}

/// The graph of builds and packages as a planner sees it, and that of packages alone.
fn package_graphs(specs: &[(&str, &Facts)], providers: &Providers<'_>) -> (Graph, Graph) {
    let mut numbers: HashMap<(usize, &str), usize> = HashMap::new();
    for (index, (_, facts)) in specs.iter().enumerate() {
        for package in &facts.built {
            let next = specs.len() + numbers.len();
            numbers.entry((index, package.name.as_str())).or_insert(next);
        }
    }
    let provider = |capability: &str| {
        let first = providers.get(capability)?.first()?;
        numbers.get(first).copied()
    };
    let needs = |dependencies: &[String]| -> BTreeSet<usize> {
        let real = dependencies
            .iter()
            .filter(|dependency| !dependency.starts_with("rpmlib("));
        real.flat_map(|dependency| capabilities(dependency))
            .filter_map(provider)
            .collect()
    };
    let mut all: Graph = vec![BTreeSet::new(); specs.len() + numbers.len()];
    for (index, (_, facts)) in specs.iter().enumerate() {
        all[index] = needs(facts.source.of(Kind::Requires));
        for package in &facts.built {
            let node = numbers[&(index, package.name.as_str())];
            all[node].insert(index);
            all[node].extend(needs(package.of(Kind::Requires)));
        }
    }
    let runtime = all[specs.len()..].iter().map(|edges| {
        let to_packages = edges.iter().filter(|node| **node >= specs.len());
        to_packages.map(|node| node - specs.len()).collect()
    });
    let runtime = runtime.collect();
    (all, runtime)
}

/// Size, cycles and depth as one line, and the cycles, largest first.
fn describe(name: &str, graph: &Graph) -> (String, Vec<Vec<usize>>) {
    let parts = components(graph);
    let mut part_of = vec![0; graph.len()];
    for (index, part) in parts.iter().enumerate() {
        for node in part {
            part_of[*node] = index;
        }
    }
    // Components come with what they depend on first.
    let mut depths: Vec<usize> = Vec::with_capacity(parts.len());
    for (index, part) in parts.iter().enumerate() {
        let below = part
            .iter()
            .flat_map(|node| &graph[*node])
            .map(|node| part_of[*node]);
        let deepest = below
            .filter(|other| *other != index)
            .map(|other| depths[other])
            .max();
        depths.push(1 + deepest.unwrap_or(0));
    }
    let mut cycles: Vec<Vec<usize>> = parts.into_iter().filter(|part| part.len() > 1).collect();
    cycles.sort_by_key(|cycle| std::cmp::Reverse(cycle.len()));
    let sizes: Vec<String> = cycles
        .iter()
        .take(12)
        .map(|cycle| cycle.len().to_string())
        .collect();
    let line = format!(
        "{name}: nodes {}, edges {}, self-loops {}, SCCs>1: {} sizes [{}], nodes in cycles {}, depth of condensation {}",
        graph.len(),
        graph.iter().map(BTreeSet::len).sum::<usize>(),
        graph
            .iter()
            .enumerate()
            .filter(|(node, edges)| edges.contains(node))
            .count(),
        cycles.len(),
        sizes.join(", "),
        cycles.iter().map(Vec::len).sum::<usize>(),
        depths.iter().max().unwrap_or(&0)
    );
    (line, cycles)
}

/// Strongly connected components, each after those that it depends on (Tarjan 1972, without recursion).
pub fn components(graph: &[BTreeSet<usize>]) -> Vec<Vec<usize>> {
    const UNSEEN: usize = usize::MAX;
    let mut order = vec![UNSEEN; graph.len()];
    let mut low = vec![0; graph.len()];
    let mut open = vec![false; graph.len()];
    let (mut next, mut stack, mut parts) = (0, Vec::new(), Vec::new());
    for root in 0..graph.len() {
        if order[root] != UNSEEN {
            continue;
        }
        let mut work = vec![(root, graph[root].iter())];
        (order[root], low[root], open[root]) = (next, next, true);
        next += 1;
        stack.push(root);
        while let Some((node, edges)) = work.last_mut() {
            let node = *node;
            if let Some(to) = edges.next().copied() {
                if order[to] == UNSEEN {
                    (order[to], low[to], open[to]) = (next, next, true);
                    next += 1;
                    stack.push(to);
                    work.push((to, graph[to].iter()));
                } else if open[to] {
                    low[node] = low[node].min(order[to]);
                }
                continue;
            }
            work.pop();
            if let Some((parent, _)) = work.last() {
                low[*parent] = low[*parent].min(low[node]);
            }
            if low[node] == order[node] {
                let start = stack.iter().rposition(|other| *other == node).unwrap_or(0);
                let part = stack.split_off(start);
                for member in &part {
                    open[*member] = false;
                }
                parts.push(part);
            }
        }
    }
    parts
}

/// The lines that `golden` (the text of the baseline's script) has under `##### FOLDER…`, as far as [`lines`] makes them.
pub fn known(golden: &str, folders: &[&str]) -> Option<Vec<String>> {
    let title = format!("##### {}", folders.join(" "));
    let section = golden.lines().skip_while(|line| *line != title).skip(1);
    let section = section.take_while(|line| !line.starts_with("#####"));
    let starts = [
        "specs ",
        "BuildRequires entries ",
        "spec BuildRequires graph",
        "    ",
        "build+run node graph",
        "runtime requires graph",
    ];
    let wanted = section.filter(|line| starts.iter().any(|start| line.starts_with(start)));
    let wanted: Vec<String> = wanted.map(str::to_owned).collect();
    (!wanted.is_empty()).then_some(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Package;

    fn facts(name: &str, build_requires: &[&str], requires: &[&str]) -> Facts {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let package = |dependencies: &[(Kind, Vec<String>)]| Package {
            name: name.to_owned(),
            dependencies: dependencies.iter().cloned().collect(),
            ..Package::default()
        };
        Facts {
            source: package(&[(Kind::Requires, texts(build_requires))]),
            built: vec![package(&[
                (Kind::Provides, texts(&[&format!("{name} = 1")])),
                (Kind::Requires, texts(requires)),
            ])],
            ..Facts::default()
        }
    }

    #[test]
    fn three_specs_two_of_them_in_a_cycle() {
        let (a, b) = (
            facts("a", &["b >= 1", "rpmlib(X)", "nobody"], &["a"]),
            facts("b", &["(a if c)"], &["a"]),
        );
        let mut other = facts("other", &[], &[]);
        other.exclusive_arch = vec!["s390x".to_owned()];
        let c = facts("c", &["a"], &[]);
        let specs = [
            ("S/a/a.spec", &a),
            ("S/b/b.spec", &b),
            ("S/c/c.spec", &c),
            ("S/o/o.spec", &other),
        ];
        let expected = [
            "specs 3 skipped by arch 1 built packages 3 provides 3 requires entries 2",
            "BuildRequires entries 4 capabilities 4 rich 1 unresolved (no explicit Provides) 1 distinct 1 multi-provider 0",
            "spec BuildRequires graph: nodes 3, edges 3, self-loops 0, SCCs>1: 1 sizes [2], nodes in cycles 2, depth of condensation 2",
            "    2 ['a', 'b']",
            "build+run node graph: nodes 6, edges 8, self-loops 1, SCCs>1: 1 sizes [4], nodes in cycles 4, depth of condensation 3",
            "runtime requires graph (packages): nodes 3, edges 2, self-loops 1, SCCs>1: 0 sizes [], nodes in cycles 0, depth of condensation 2",
        ];
        let lines = lines(&specs, "x86_64");
        assert_eq!(lines, expected);
        let golden = format!(
            "##### S\n{}\n top unresolved\n##### S T\nspecs 9\n",
            expected.join("\n")
        );
        assert_eq!(known(&golden, &["S"]).unwrap(), expected);
        assert_eq!(known(&golden, &["S", "T"]).unwrap(), ["specs 9"]);
        assert_eq!(known(&golden, &["T"]), None);
    }

    #[test]
    fn rich_dependencies_ask_for_what_stands_before_the_condition() {
        assert_eq!(capabilities("make >= 4"), ["make"]);
        assert_eq!(capabilities("(a >= 1 and b-and-c)"), ["a", "b-", "-c"]);
        assert_eq!(capabilities("(x(y) or z if w)"), ["x(y)", "z"]);
    }
}
