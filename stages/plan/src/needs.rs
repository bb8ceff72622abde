//! What each build needs: other jobs, and what stage0 lends.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use keel_artefact::Dependency;
use keel_config::{Diagnostic, Location, Project};
use keel_spec::Recipe;

use crate::{
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
    /// Recipe by index → where the requirement stands that led to it.
    pub(crate) because: BTreeMap<usize, (Option<u32>, String)>,
}

/// The needs of all recipes, in their order.
pub(crate) fn all(project: &Project, recipes: &[Recipe], providers: &Providers<'_>) -> Vec<Needs> {
    let plain: Vec<Needs> = (0..recipes.len())
        .map(|index| of(index, &[], recipes, providers))
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
                of(index, &base, recipes, providers)
            }
        })
        .collect()
}

/// The components that make the base, and all that these need to be built.
fn below(base: &[Dependency], needs: &[Needs], providers: &Providers<'_>) -> BTreeSet<usize> {
    let mut below = BTreeSet::new();
    let mut queue: VecDeque<usize> = VecDeque::new();
    for requirement in base {
        for (provider, _) in closure(requirement, providers, &mut Vec::new()) {
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

fn of(index: usize, base: &[Dependency], recipes: &[Recipe], providers: &Providers<'_>) -> Needs {
    let recipe = &recipes[index];
    let mut needs = Needs::default();
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
        if requirement.is_rich() {
            let cause = "this version of Keel does not resolve boolean dependencies between builds";
            needs.wrong.push(cannot(line, says).cause(cause));
            continue;
        }
        match providers.meet_build(requirement) {
            Met::Package(_) => {
                needs.direct.push(requirement.clone());
                let mut unmet = Vec::new();
                for (provider, through) in closure(requirement, providers, &mut unmet) {
                    needs
                        .jobs
                        .entry(provider.recipe)
                        .or_insert_with(|| requirement.to_string());
                    let says = match through {
                        Some((by, requires)) => format!("{says} (of which `{by}` requires `{requires}`)"),
                        None => says.clone(),
                    };
                    needs.because.entry(provider.recipe).or_insert((line, says));
                }
                for (by, requirement, met) in unmet {
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
            met => needs.wrong.push(select::unmet(
                cannot(line, says),
                requirement,
                &met,
                recipes,
                providers,
            )),
        }
    }
    needs
}

/// Which package asked for what.
type Through = Option<(String, String)>;

/// The packages that `requirement` brings into a build root: its provider, and what that is known to require, unless
/// stage0 lends it. In the order of finding, the provider first.
fn closure<'a>(
    requirement: &Dependency,
    providers: &Providers<'a>,
    unmet: &mut Vec<(Provider<'a>, &'a Dependency, Met<'a>)>,
) -> Vec<(Provider<'a>, Through)> {
    let Met::Package(first) = providers.meet_build(requirement) else {
        return Vec::new();
    };
    let mut found: Vec<(Provider<'a>, Through)> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut queue = VecDeque::from([(first, None)]);
    while let Some((provider, through)) = queue.pop_front() {
        if !seen.insert(&provider.package.nevra.name) {
            continue;
        }
        found.push((provider, through));
        for requires in &provider.package.requires {
            // A boolean or a file's name is met, or not, when the packages are there.
            if requires.is_rich() || requires.name.starts_with('/') || providers.is_lent(&requires.name) {
                continue;
            }
            match providers.meet(requires) {
                Met::Package(next) => {
                    let through = (provider.package.nevra.name.to_string(), requires.to_string());
                    queue.push_back((next, Some(through)));
                }
                met => unmet.push((provider, requires, met)),
            }
        }
    }
    found
}
