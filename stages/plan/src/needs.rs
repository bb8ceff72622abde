//! What each build needs: other jobs, and what stage0 lends.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use keel_artefact::Dependency;
use keel_config::{Diagnostic, Location, Project};
use keel_spec::Recipe;

use crate::{
    job::{Because, Generated},
    providers::{Met, Provider, Providers},
    select,
};

/// What is said where a section of the SPEC printed a requirement.
const GENERATED: &str = "%generate_buildrequires";

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
    pub(crate) unmet: Vec<Unmet>,
    /// What the project puts into every root is in its root, too.
    pub(crate) has_base: bool,
    /// Recipe by index → where the requirement stands that led to it.
    pub(crate) because: BTreeMap<usize, Because>,
}

/// A requirement that nobody meets.
#[derive(Debug, Clone)]
pub(crate) struct Unmet {
    /// The SPEC's line.
    line: Option<u32>,
    /// What it says there.
    says: String,
    /// What nobody meets.
    pub(crate) requirement: Dependency,
    /// The package that requires it; none: the SPEC itself does.
    by: Option<String>,
}

impl Unmet {
    /// What to say of it to whoever wrote `recipe`.
    pub(crate) fn told(&self, recipe: &Recipe, recipes: &[Recipe], providers: &Providers<'_>) -> Diagnostic {
        let requirement = &self.requirement;
        let mut new = Diagnostic::new(format!("cannot plan `{}`", recipe.component))
            .at(Location::line(&recipe.spec_shown, self.line.unwrap_or(0)))
            .note(&self.says);
        let met = match &self.by {
            None if requirement.is_rich() => {
                let cause = "this version of Keel does not resolve boolean dependencies between builds";
                return new.cause(cause);
            }
            None => providers.meet_build(requirement),
            Some(by) => {
                new = new.cause(format!("`{by}` requires `{requirement}`"));
                providers.meet(requirement)
            }
        };
        select::unmet(new, requirement, &met, recipes, providers)
    }
}

impl Needs {
    /// What the project puts into this root.
    pub(crate) fn base(&self, project: &Project) -> Vec<Dependency> {
        let base = project.base_requires.iter().filter(|_| self.has_base);
        base.map(Dependency::any).collect()
    }
}

/// The needs of all recipes, in their order.
pub(crate) fn all(
    project: &Project,
    recipes: &[Recipe],
    providers: &Providers<'_>,
    generated: &Generated,
) -> Vec<Needs> {
    let of = |index: usize, base: &[Dependency]| {
        let recipe = &recipes[index];
        of(recipe, base, generated_of(recipe, generated), providers)
    };
    let plain: Vec<Needs> = (0..recipes.len()).map(|index| of(index, &[])).collect();
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
                of(index, &base)
            }
        })
        .collect()
}

/// The components that make the base, and all that these need to be built.
fn below(base: &[Dependency], needs: &[Needs], providers: &Providers<'_>) -> BTreeSet<usize> {
    let mut below = BTreeSet::new();
    let mut queue: VecDeque<usize> = VecDeque::new();
    for requirement in base {
        let Met::Package(first) = providers.meet_build(requirement) else {
            continue;
        };
        for (provider, _) in closure(
            first,
            providers,
            &mut vec![false; providers.len()],
            &mut Vec::new(),
        ) {
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

/// What `%generate_buildrequires` of this recipe is known to print.
pub(crate) fn generated_of<'g>(recipe: &Recipe, generated: &'g Generated) -> &'g [Dependency] {
    match recipe.generates {
        Some(_) => generated.get(&recipe.component).map_or(&[], Vec::as_slice),
        None => &[],
    }
}

/// The needs of one recipe, which need not be one of those that provide.
pub(crate) fn of(
    recipe: &Recipe,
    base: &[Dependency],
    generated: &[Dependency],
    providers: &Providers<'_>,
) -> Needs {
    let mut needs = Needs {
        has_base: !base.is_empty(),
        ..Needs::default()
    };
    let mut seen = vec![false; providers.len()];
    let from_base = base
        .iter()
        .map(|requirement| (requirement, None, "base-requires"));
    let from_spec = recipe
        .build_requires
        .iter()
        .map(|require| (&require.dependency, require.line, "BuildRequires"));
    let section = recipe.generates.filter(|line| *line > 0);
    let from_section = generated
        .iter()
        .map(|requirement| (requirement, section, GENERATED));
    for (requirement, line, tag) in from_base.chain(from_spec).chain(from_section) {
        let says = || format!("{tag}: {requirement}");
        let unmet = |requirement: &Dependency, by: Option<String>| Unmet {
            line,
            says: says(),
            requirement: requirement.clone(),
            by,
        };
        let first = match providers.meet_build(requirement) {
            Met::Lent => {
                needs.lent.insert(requirement.name.clone());
                continue;
            }
            Met::Package(first) if !requirement.is_rich() => first,
            _ => {
                needs.unmet.push(unmet(requirement, None));
                continue;
            }
        };
        // What the section prints, the build hears from the section.
        if tag != GENERATED {
            needs.direct.push(requirement.clone());
        }
        let mut lacking = Vec::new();
        for (provider, through) in closure(first, providers, &mut seen, &mut lacking) {
            if needs.jobs.contains_key(&provider.recipe) {
                continue;
            }
            needs.jobs.insert(provider.recipe, requirement.to_string());
            let (says, capability) = match through {
                Some((by, requires)) => {
                    let says = format!("{} (of which `{by}` requires `{requires}`)", says());
                    (says, &requires.name)
                }
                None => (says(), &requirement.name),
            };
            let because = Because {
                line,
                says,
                capability: capability.clone(),
            };
            needs.because.insert(provider.recipe, because);
        }
        let lacking = lacking.into_iter();
        needs
            .unmet
            .extend(lacking.map(|(by, requirement)| unmet(requirement, Some(by.to_owned()))));
    }
    needs
}

/// Which package asked for what.
type Through<'a> = Option<(&'a str, &'a Dependency)>;

/// The packages that `first` brings into a build root: itself, and what that is known to require, unless stage0 lends it.
/// In the order of finding. Packages in `seen`, by number, are there already.
fn closure<'a>(
    first: Provider<'a>,
    providers: &Providers<'a>,
    seen: &mut [bool],
    unmet: &mut Vec<(&'a str, &'a Dependency)>,
) -> Vec<(Provider<'a>, Through<'a>)> {
    let mut found: Vec<(Provider<'a>, Through<'a>)> = Vec::new();
    let mut queue = VecDeque::from([(first, None)]);
    while let Some((provider, through)) = queue.pop_front() {
        if std::mem::replace(&mut seen[provider.number], true) {
            continue;
        }
        found.push((provider, through));
        let name = provider.package.nevra.name.as_str();
        let required = providers.required(&provider);
        unmet.extend(required.unmet.iter().map(|requires| (name, *requires)));
        let next = required.met.iter().filter(|(_, next)| !seen[next.number]);
        queue.extend(next.map(|(requires, next)| (*next, Some((name, *requires)))));
    }
    found
}
