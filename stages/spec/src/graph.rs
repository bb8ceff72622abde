//! `keel spec graph`: which SPEC needs which, and where they go round in circles.
//!
//! Purpose: to see, before anything is built, in what order a folder of SPECs could be, and what nobody provides.
//!
//! Input: [`Node`]s, one a SPEC. Output: an [`Analysis`]: a [`Report`] and three graphs.
//!
//! 1. SPECs that are not for the architecture are left out.
//! 2. What packages provide is indexed. Of several providers the first by path of SPEC, then by name, is taken.
//! 3. Build graph: a SPEC needs the SPECs of what it requires for building.
//! 4. Build and run: a SPEC needs packages for building, a package its SPEC, and packages for running.
//! 5. Run: the same without building.
//!
//! Only what SPECs say is known: requirements that rpm generates while it builds (`pkgconfig(…)`, sonames, files) are
//! not. A provider is taken by name whatever its version; a version that does not fit is reported.

mod cycles;
mod names;
mod report;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use keel_artefact::{Comparison, Evr};

pub use cycles::Graph;
pub use report::{Ambiguous, BuildRequires, Report, Shape, Unfit, Unresolved};

/// A SPEC, as far as the graph is concerned.
#[derive(Debug, Clone, Default)]
pub struct Node {
    /// The SPEC's path: what it is called, and its place in the order.
    pub spec: String,
    /// What it needs to be built.
    pub build_requires: Vec<Capability>,
    /// The packages that it makes.
    pub packages: Vec<Package>,
    /// Architectures that it is for; none: all.
    pub exclusive_arch: Vec<String>,
    /// Architectures that it is not for.
    pub exclude_arch: Vec<String>,
}

/// A package that a SPEC makes.
#[derive(Debug, Clone, Default)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// What it provides, itself included.
    pub provides: Vec<Capability>,
    /// What it needs to be installed.
    pub requires: Vec<Capability>,
}

/// A name, perhaps with a version: provided, or asked for. A rich requirement is kept whole as the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capability {
    /// The name.
    pub name: String,
    /// How versions must compare, and with which: `epoch:version-release`.
    pub version: Option<(Comparison, String)>,
}

impl Node {
    /// Is it for this architecture? One for `noarch` only is for all.
    pub fn fits(&self, arch: &str) -> bool {
        let names = |list: &[String], arch: &str| list.iter().any(|name| name == arch);
        let only = &self.exclusive_arch;
        let included = only.is_empty() || names(only, arch) || names(only, "noarch");
        included && !names(&self.exclude_arch, arch)
    }
}

impl Capability {
    /// Does a provider's version do? What cannot be compared does.
    fn accepts(&self, provided: &Self) -> bool {
        let Some((wanted, version)) = &self.version else {
            return true;
        };
        let Some((have, provided)) = &provided.version else {
            return false;
        };
        match (version.parse::<Evr>(), provided.parse::<Evr>()) {
            (Ok(asked), Ok(provided)) if *have == Comparison::Equal => {
                wanted.accepts(provided.compare(&asked))
            }
            _ => true,
        }
    }
}

impl std::fmt::Display for Capability {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)?;
        match &self.version {
            Some((comparison, version)) => write!(f, " {} {version}", comparison.as_str()),
            None => Ok(()),
        }
    }
}

/// What is known about a folder of SPECs.
#[derive(Debug, Clone)]
pub struct Analysis {
    /// Numbers, cycles, and what is wrong.
    pub report: Report,
    /// SPECs, and the SPECs that they need to be built.
    pub build: Graph,
    /// SPECs and packages together.
    pub build_and_run: Graph,
    /// Packages, and the packages that they need to be installed.
    pub run: Graph,
}

/// Works out the graphs of `nodes` for one architecture (rpm's name).
pub fn analyse(nodes: &[Node], arch: &str) -> Analysis {
    let (mut chosen, skipped): (Vec<&Node>, Vec<&Node>) = nodes.iter().partition(|node| node.fits(arch));
    chosen.sort_by(|a, b| a.spec.cmp(&b.spec));
    let mut skipped: Vec<String> = skipped.iter().map(|node| node.spec.clone()).collect();
    skipped.sort_unstable();
    let index = Index::of(&chosen);

    let (build, build_requires) = index.build_graph();
    let (build_and_run, run, run_unresolved) = index.package_graphs();
    let packages = || chosen.iter().flat_map(|node| &node.packages);
    let report = Report {
        arch: arch.to_owned(),
        specs: chosen.len(),
        skipped,
        packages: packages().count(),
        provides: packages().map(|package| package.provides.len()).sum(),
        requires: packages().map(|package| package.requires.len()).sum(),
        build_requires,
        run_unresolved,
        build: Shape::of(&build),
        build_and_run: Shape::of(&build_and_run),
        run: Shape::of(&run),
        most_needed: report::most_needed(&build),
        ambiguous: index.ambiguous(),
    };
    Analysis {
        report,
        build,
        build_and_run,
        run,
    }
}

/// Who provides what.
struct Index<'a> {
    nodes: &'a [&'a Node],
    /// By name: number of the SPEC, package, the provide itself; in order.
    providers: HashMap<&'a str, Vec<(usize, &'a str, &'a Capability)>>,
}

impl<'a> Index<'a> {
    fn of(nodes: &'a [&'a Node]) -> Self {
        let mut providers: HashMap<&str, Vec<_>> = HashMap::new();
        for (number, node) in nodes.iter().enumerate() {
            for package in &node.packages {
                for provide in &package.provides {
                    let entry = (number, package.name.as_str(), provide);
                    providers.entry(&provide.name).or_default().push(entry);
                }
            }
        }
        for entries in providers.values_mut() {
            entries.sort_by_key(|(number, package, _)| (*number, *package));
        }
        Self { nodes, providers }
    }

    fn providers(&self, name: &str) -> &[(usize, &'a str, &'a Capability)] {
        self.providers.get(name).map_or(&[], Vec::as_slice)
    }

    /// The specs' graph of building, and what was noticed about requirements.
    fn build_graph(&self) -> (Graph, BuildRequires) {
        let mut graph = Graph::default();
        let mut seen = BuildRequires::default();
        let (mut unresolved, mut unfit) = (BTreeMap::new(), BTreeMap::new());
        for (number, node) in self.nodes.iter().enumerate() {
            graph.add(node.spec.clone());
            for wanted in node.build_requires.iter().filter(|wanted| !is_rpmlib(wanted)) {
                seen.entries += 1;
                seen.rich += usize::from(wanted.name.starts_with('('));
                for name in names::names(&wanted.name) {
                    seen.capabilities += 1;
                    let providers = self.providers(name);
                    let Some((first, ..)) = providers.first() else {
                        note(&mut unresolved, name.to_owned(), &node.spec);
                        continue;
                    };
                    graph.edges[number].insert(*first);
                    seen.ambiguous += usize::from(providers.iter().any(|(other, ..)| other != first));
                    if !providers.iter().any(|(.., provided)| wanted.accepts(provided)) {
                        note(&mut unfit, wanted.to_string(), &node.spec);
                    }
                }
            }
        }
        seen.unresolved = report::unresolved(unresolved);
        seen.unfit = report::unfit(unfit, |name| self.best(name));
        (graph, seen)
    }

    /// The versions that there are of a capability.
    fn best(&self, wanted: &str) -> Vec<String> {
        let name = wanted.split(' ').next().unwrap_or(wanted);
        let all = self
            .providers(name)
            .iter()
            .map(|(.., provided)| provided.to_string());
        all.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The graph of SPECs and packages, that of packages alone, and what no package provides.
    fn package_graphs(&self) -> (Graph, Graph, Vec<Unresolved>) {
        let (mut both, mut run) = (Graph::default(), Graph::default());
        let mut numbers: HashMap<(usize, &str), usize> = HashMap::new();
        for node in self.nodes {
            both.add(format!("build {}", node.spec));
        }
        for (number, node) in self.nodes.iter().enumerate() {
            for package in &node.packages {
                numbers.entry((number, package.name.as_str())).or_insert_with(|| {
                    both.add(format!("{} ({})", package.name, node.spec));
                    run.add(format!("{} ({})", package.name, node.spec))
                });
            }
        }
        let specs = self.nodes.len();
        let mut unresolved = BTreeMap::new();
        let find = |name: &str| {
            let (number, package, _) = self.providers(name).first()?;
            numbers.get(&(*number, *package)).copied()
        };
        for (number, node) in self.nodes.iter().enumerate() {
            let wanted = node.build_requires.iter().filter(|wanted| !is_rpmlib(wanted));
            let found = wanted
                .flat_map(|wanted| names::names(&wanted.name))
                .filter_map(find);
            both.edges[number].extend(found.map(|package| specs + package));
            for package in &node.packages {
                let own = numbers[&(number, package.name.as_str())];
                both.edges[specs + own].insert(number);
                for wanted in package.requires.iter().filter(|wanted| !is_rpmlib(wanted)) {
                    for name in names::names(&wanted.name) {
                        match find(name) {
                            Some(found) => {
                                both.edges[specs + own].insert(specs + found);
                                run.edges[own].insert(found);
                            }
                            None => note(&mut unresolved, name.to_owned(), &package.name),
                        }
                    }
                }
            }
        }
        (both, run, report::unresolved(unresolved))
    }

    /// Names that packages of several SPECs provide and a SPEC asks for.
    fn ambiguous(&self) -> Vec<Ambiguous> {
        let wanted = self.nodes.iter().flat_map(|node| &node.build_requires);
        let names: BTreeSet<&str> = wanted.flat_map(|wanted| names::names(&wanted.name)).collect();
        let several = names.into_iter().filter_map(|name| {
            let specs: BTreeSet<usize> = self.providers(name).iter().map(|(number, ..)| *number).collect();
            let specs: Vec<String> = specs
                .iter()
                .map(|number| self.nodes[*number].spec.clone())
                .collect();
            (specs.len() > 1).then(|| Ambiguous {
                name: name.to_owned(),
                specs,
            })
        });
        several.collect()
    }
}

fn is_rpmlib(wanted: &Capability) -> bool {
    wanted.name.starts_with("rpmlib(")
}

/// Counts one who asks.
fn note(asked: &mut BTreeMap<String, Vec<String>>, name: String, by: &str) {
    asked.entry(name).or_default().push(by.to_owned());
}

#[cfg(test)]
mod tests;
