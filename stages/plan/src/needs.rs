//! What each build needs: other jobs, and what stage0 lends.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use keel_artefact::Dependency;
use keel_config::{Diagnostic, Location, Project};
use keel_spec::Recipe;

use crate::{
    job::Because,
    providers::{Met, Provider, Providers},
    select,
};

/// What one build needs.
#[derive(Debug, Default, Clone)]
pub(crate) struct Needs {
    /// Recipe by index → the first requirement that led to it.
    pub(crate) jobs: BTreeMap<usize, String>,
    /// What Keel's packages meet, in the SPEC's order.
    pub(crate) direct: Vec<Dependency>,
    /// What stage0 meets.
    pub(crate) lent: BTreeSet<String>,
    /// What nobody meets.
    pub(crate) wrong: Vec<Diagnostic>,
    /// The capabilities of these.
    pub(crate) unmet: BTreeSet<String>,
    /// What the project puts into every root is in its root, too.
    pub(crate) has_base: bool,
    /// Recipe by index → where the requirement stands that led to it.
    pub(crate) because: BTreeMap<usize, Because>,
}

impl Needs {
    /// What the project puts into this root.
    pub(crate) fn base(&self, project: &Project) -> Vec<Dependency> {
        let base = project.base_requires.iter().filter(|_| self.has_base);
        base.map(Dependency::any).collect()
    }
}

/// The needs of all recipes, in their order.
pub(crate) fn all(project: &Project, recipes: &[Recipe], providers: &Providers<'_>) -> Vec<Needs> {
    let plain: Vec<Needs> = (0..recipes.len())
        .map(|index| of(&recipes[index], &[], recipes, providers))
        .collect();
    let base: Vec<Dependency> = project.base_requires.iter().map(Dependency::any).collect();
    if base.is_empty() {
        return plain;
    }
    // What the base itself is built from cannot have it in its build root.
    let below = below(&base, &plain, providers);
    (plain.into_iter().enumerate())
        .map(|(index, needs)| {
            if below.contains(&index) {
                needs
            } else {
                of(&recipes[index], &base, recipes, providers)
            }
        })
        .collect()
}

/// The components that make the base, and all that these need to be built.
fn below(base: &[Dependency], needs: &[Needs], providers: &Providers<'_>) -> BTreeSet<usize> {
    let mut below = BTreeSet::new();
    let mut queue: VecDeque<usize> = VecDeque::new();
    for requirement in base {
        for (provider, _) in closure(requirement, providers, &mut BTreeSet::new(), &mut Vec::new()) {
            queue.push_back(provider.recipe);
        }
    }
    while let Some(index) = queue.pop_front() {
        if below.insert(index) {
            queue.extend(needs[index].jobs.keys());
        }
    }
    below
}

/// The needs of one recipe, which need not be among `recipes`.
pub(crate) fn of<'a>(
    recipe: &Recipe,
    base: &[Dependency],
    recipes: &[Recipe],
    providers: &Providers<'a>,
) -> Needs {
    let mut needs = Needs {
        has_base: !base.is_empty(),
        ..Needs::default()
    };
    let mut seen: BTreeSet<&'a str> = BTreeSet::new();
    let cannot = |line: Option<u32>, note: String| {
        Diagnostic::new(format!("cannot plan `{}`", recipe.component))
            .at(Location::line(&recipe.spec_shown, line.unwrap_or(0)))
            .note(note)
    };
    let from_base = base
        .iter()
        .map(|requirement| (requirement, None, "base-requires"));
    let from_spec = recipe
        .build_requires
        .iter()
        .map(|require| (&require.dependency, require.line, "BuildRequires"));
    for (requirement, line, tag) in from_base.chain(from_spec) {
        let says = format!("{tag}: {requirement}");
        if requirement.is_rich() && !providers.is_lent(&requirement.name) {
            let cause = "this version of Keel does not resolve boolean dependencies between builds";
            needs.wrong.push(cannot(line, says).cause(cause));
            needs.unmet.insert(requirement.name.clone());
            continue;
        }
        match providers.meet_build(requirement) {
            Met::Package(_) => {
                needs.direct.push(requirement.clone());
                let mut unmet = Vec::new();
                for (provider, through) in closure(requirement, providers, &mut seen, &mut unmet) {
                    if needs.jobs.contains_key(&provider.recipe) {
                        continue;
                    }
                    needs.jobs.insert(provider.recipe, requirement.to_string());
                    let (says, capability) = match through {
                        Some((by, requires)) => {
                            let says = format!("{says} (of which `{by}` requires `{requires}`)");
                            (says, &requires.name)
                        }
                        None => (says.clone(), &requirement.name),
                    };
                    let because = Because {
                        line,
                        says,
                        capability: capability.clone(),
                    };
                    needs.because.insert(provider.recipe, because);
                }
                for (by, requirement, met) in unmet {
                    needs.unmet.insert(requirement.name.clone());
                    let cause = format!("`{}` requires `{requirement}`", by.package.nevra.name);
                    let new = cannot(line, says.clone()).cause(cause);
                    needs
                        .wrong
                        .push(select::unmet(new, requirement, &met, recipes, providers));
                }
            }
            Met::Lent => {
                needs.lent.insert(requirement.name.clone());
            }
            met => {
                needs.unmet.insert(requirement.name.clone());
                let new = cannot(line, says);
                needs
                    .wrong
                    .push(select::unmet(new, requirement, &met, recipes, providers));
            }
        }
    }
    needs
}

/// Which package asked for what.
type Through<'a> = Option<(&'a str, &'a Dependency)>;

/// The packages that `requirement` brings into a build root: its provider, and what that is known to require, unless
/// stage0 lends it. In the order of finding, the provider first. Packages in `seen` are there already.
fn closure<'a>(
    requirement: &Dependency,
    providers: &Providers<'a>,
    seen: &mut BTreeSet<&'a str>,
    unmet: &mut Vec<(Provider<'a>, &'a Dependency, Met<'a>)>,
) -> Vec<(Provider<'a>, Through<'a>)> {
    let Met::Package(first) = providers.meet_build(requirement) else {
        return Vec::new();
    };
    let mut found: Vec<(Provider<'a>, Through<'a>)> = Vec::new();
    let mut queue = VecDeque::from([(first, None)]);
    while let Some((provider, through)) = queue.pop_front() {
        let name = provider.package.nevra.name.as_str();
        if !seen.insert(name) {
            continue;
        }
        found.push((provider, through));
        for requires in &provider.package.requires {
            // A boolean or a file's name is met, or not, when the packages are there.
            if requires.is_rich() || requires.name.starts_with('/') || providers.is_lent(&requires.name) {
                continue;
            }
            match providers.meet(requires) {
                Met::Package(next) => queue.push_back((next, Some((name, requires)))),
                met => unmet.push((provider, requires, met)),
            }
        }
    }
    found
}
