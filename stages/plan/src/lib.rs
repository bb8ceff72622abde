//! The fourth stage: [`Recipe`]s and [`SourceSet`]s → [`Plan`].
//!
//! Purpose: which builds, in which order, each with what it needs; and a clear answer when that cannot be.
//!
//! Input: the project, all its recipes, the source sets of those that are built, the targets. Output: a [`Plan`].
//!
//! 1. Index what all packages provide, and what stage0 lends ([`providers`]); components whose packages a base's repository has stand
//!    for these, and are no jobs ([`published`]).
//! 2. Ask the solver of [`keel_rpm::solve`] for each build root, with what `%generate_buildrequires` is known to print ([`Round`]; what of
//!    that can still be so, [`fitting`] says): what stage0 lends is borrowed, all else comes from Keel's packages. What a package in a build root is known to require, and stage0 does not lend, is
//!    needed, too ([`needs`]).
//! 3. Choose the components that the targets need ([`select()`]).
//! 4. Refuse cycles, with the ways out of each ([`draft`]); order the jobs ([`graph`]).
//!
//! What makes a job's fingerprint (the build stage computes it, because it needs the packages of earlier jobs):
//!
//! | input | changes the fingerprint |
//! |---|---|
//! | SPEC: its bytes ([`Recipe::spec_digest`]) | yes |
//! | macros defined or undefined for it: `with`, `without`, `defines`, `upstream_version` of a refreshed source | yes |
//! | the rebuild counter of what is published with other bytes: it is in the macro `dist` | yes |
//! | sources and patches: name and digest of each ([`SourceSet`]) | yes |
//! | macro files of the distribution ([`Recipe::macros_digest`]) | yes |
//! | stage0: its Debian packages by digest, and how it is laid out | yes |
//! | packages in the build root: digests of the *unsigned* packages | yes |
//! | what `%generate_buildrequires` printed | yes |
//! | architecture | yes |
//! | `bootstrap-libc`; whether `%check` runs | yes |
//! | version of the build's protocol | yes |
//! | what `base-requires` and `lends` say | only through what is in the build root |
//! | signing key | no: packages are signed after they are built |
//! | `cpu-seconds`, `memory`, `expensive`, what earlier builds cost | no: only the scheduler and estimates look at them |
//! | descriptions, images, package groups, names of TOML files | no |
//! | number of cores, output and cache folder, host name, user, clock | no: they never reach a package |
//! | whether a source is the pinned one | no: its digest does; the provenance says "unlocked" |
//!
//! Invariants:
//! - The same input gives the same plan, whatever the order of the recipes.
//! - A requirement that nobody meets is an error with file and line, and with the reason why it is asked for.
//! - A job comes after everything that may be in its build root.
//!
//! Never: files, processes, the network; what rpmbuild will find in a package's files (that is the build's to add).
//!
//! Files owned: none.

mod draft;
mod graph;
mod hints;
mod job;
mod needs;
mod providers;
mod published;
mod select;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use keel_artefact::{Arch, ComponentName, Dependency, Interrupt, Interrupted};
use keel_config::{Errors, Project};
use keel_source::SourceSet;
use keel_spec::Recipe;

pub use draft::{Suggestion, Variant, Variants, missing, suggest};
pub use hints::fitting;
pub use job::{Because, Cost, CostFrom, Costs, Generated, Job, Plan, Printed, Round, Skip, Targets, Why};
pub use providers::without_isa;
pub use published::{Published, PublishedComponent, PublishedPackage, Taken, TakenPackage};

use draft::Draft;
use needs::{Needs, generated_of};

/// The version of [`Plan`]'s serialised form.
pub const FORMAT: keel_artefact::format::Version = keel_artefact::format::Version(2);

/// What a plan goes by besides recipes and sources.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// What sections of SPECs are known to ask for besides.
    pub generated: &'a Generated,
    /// What is not built, because a repository has it.
    pub published: &'a Published,
    /// Ends the planning.
    pub interrupt: &'a Interrupt,
}

/// Guesses of a build's cost in CPU seconds, where nobody measured it.
const CPU_SECONDS: f64 = 20.0;
const CPU_SECONDS_EXPENSIVE: f64 = 600.0;

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something is wrong with the input.
    #[error(transparent)]
    Input(#[from] Errors),
    /// The user interrupted it.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// Whoever called did not fetch what [`select()`] named.
    #[error("the sources of `{0}` were not fetched before planning")]
    NoSources(ComponentName),
    /// Recipes of several architectures, or none at all.
    #[error("a plan is for one architecture: there are recipes for {0}")]
    Architectures(String),
}

/// The components that are built for `targets`, by name: those whose sources [`plan`] wants.
///
/// `recipes` are those of all components, as for [`plan`]; everything that is wrong is reported as there. `variants` is
/// asked for other readings of the SPECs on a cycle, to tell which of them is a way out. Published components that are needed are
/// named, too.
pub fn select(
    project: &Project,
    recipes: &[Recipe],
    targets: &Targets,
    variants: &Variants<'_>,
    known: &Known<'_>,
) -> Result<Vec<ComponentName>, Error> {
    let recipes = known.published.stand_in(by_name(recipes), &project.stage0.lends);
    let draft = Draft::new(project, &recipes, targets, variants, known)?;
    Ok(draft
        .chosen
        .keys()
        .map(|index| recipes[*index].component.clone())
        .collect())
}

/// Plans the builds for `targets`. `recipes` are those of all components; `sources` those of the ones that are built;
/// `costs` what earlier builds cost, where that is known: only the order in which ready jobs start depends on it.
pub fn plan(
    project: &Project,
    recipes: &[Recipe],
    sources: &[SourceSet],
    targets: &Targets,
    costs: &Costs,
    known: &Known<'_>,
) -> Result<Plan, Error> {
    let Known {
        generated, published, ..
    } = *known;
    let recipes = published.stand_in(by_name(recipes), &project.stage0.lends);
    let arch = arch(&recipes)?;
    let draft = Draft::new(project, &recipes, targets, &|_| Vec::new(), known)?;
    let sources: BTreeMap<&ComponentName, &SourceSet> =
        sources.iter().map(|set| (&set.component, set)).collect();

    let indices: Vec<usize> = draft.chosen.keys().copied().collect();
    let edges = draft.edges(&indices);
    let order = graph::order(&edges);
    let costs: Vec<(Cost, CostFrom)> = indices
        .iter()
        .map(|index| cost(project, &recipes[*index], costs))
        .collect();
    let after = graph::all_needs(&edges, &order);
    let name = |node: &usize| recipes[indices[*node]].component.clone();

    let mut jobs = Vec::new();
    for &node in &order {
        let (cost, cost_from) = costs[node];
        let because = &draft.needs[indices[node]].because;
        let because = because
            .iter()
            .map(|(need, because)| (recipes[*need].component.clone(), because.clone()));
        let (recipe, needs) = (&recipes[indices[node]], &draft.needs[indices[node]]);
        let component = &recipe.component;
        if published.has(component) {
            continue;
        }
        let build = project
            .components
            .get(component)
            .map(|component| component.build.clone())
            .unwrap_or_default();
        let files = sources
            .get(component)
            .ok_or_else(|| Error::NoSources(component.clone()))?;
        jobs.push(Job {
            component: component.clone(),
            arch,
            recipe: recipe.clone(),
            sources: (*files).clone(),
            needs: edges[node].iter().map(name).collect(),
            after: after[node].iter().map(name).collect(),
            direct: needs.direct.clone(),
            rounds: rounds(needs, generated_of(recipe, generated), &indices, &after, &name),
            lent: needs.lent.iter().cloned().collect(),
            bootstrap_libc: build.bootstrap_libc,
            borrowed_libc: build.borrowed_libc,
            skip_check: build.check.skip,
            skip: build.check.skip.then(|| Skip::Configuration {
                reason: build.check.skip_reason.clone(),
            }),
            why: draft.chosen[&indices[node]].named(&recipes),
            because: because.collect(),
            cpu_seconds: cost.cpu,
            wall_seconds: (cost_from == CostFrom::Measured).then_some(cost.wall),
            cost_from,
            hinted_seconds: hint(project, recipe).0,
            memory: build.memory,
            peak_memory: (cost_from == CostFrom::Measured).then_some(cost.memory),
            expensive: build.expensive,
        });
    }
    let providers = (recipes.iter())
        .flat_map(|recipe| {
            recipe
                .packages
                .iter()
                .map(|package| (package.nevra.name.clone(), recipe.component.clone()))
        })
        .collect();
    Ok(Plan {
        format: FORMAT,
        arch,
        jobs,
        published: taken(&draft, &recipes, published),
        providers,
    })
}

/// The rounds of a section. `indices` are recipes by node, `after` the nodes below each one.
fn rounds(
    needs: &Needs,
    generated: &[Vec<Dependency>],
    indices: &[usize],
    after: &[Vec<usize>],
    name: &dyn Fn(&usize) -> ComponentName,
) -> Vec<Round> {
    let prints = std::iter::once(&[][..]).chain(generated.iter().map(Vec::as_slice));
    let round = |(prints, jobs): (&[Dependency], &BTreeSet<usize>)| {
        let nodes = jobs.iter().filter_map(|job| indices.binary_search(job).ok());
        let all: BTreeSet<usize> = nodes
            .flat_map(|node| after[node].iter().copied().chain([node]))
            .collect();
        Round {
            prints: prints.to_vec(),
            after: all.iter().map(name).collect(),
        }
    };
    prints.zip(&needs.rounds).map(round).collect()
}

/// What comes from repositories, by component.
fn taken(draft: &Draft, recipes: &[Recipe], published: &Published) -> Vec<Taken> {
    let mut all: Vec<Taken> = Vec::new();
    for ((index, name), why) in &draft.taken {
        let recipe = &recipes[*index];
        let mut packages = recipe.packages.iter();
        let Some(package) = packages.find(|package| package.nevra.name == *name) else {
            continue;
        };
        let package = TakenPackage {
            name: name.clone(),
            nevra: package.nevra.to_string(),
            why: why.named(recipes),
        };
        match all.last_mut().filter(|taken| taken.component == recipe.component) {
            Some(taken) => taken.packages.push(package),
            None => all.push(Taken {
                component: recipe.component.clone(),
                repository: (published.components.get(&recipe.component))
                    .map_or_else(String::new, |component| component.repository.clone()),
                packages: vec![package],
            }),
        }
    }
    all
}

fn by_name(recipes: &[Recipe]) -> Vec<Recipe> {
    let mut recipes = recipes.to_vec();
    recipes.sort_by(|one, other| one.component.cmp(&other.component));
    recipes
}

fn arch(recipes: &[Recipe]) -> Result<Arch, Error> {
    let archs: BTreeSet<Arch> = recipes.iter().map(|recipe| recipe.arch).collect();
    match archs.iter().collect::<Vec<_>>().as_slice() {
        [arch] => Ok(**arch),
        [] => Err(Error::Architectures(
            "none (has the project no components?)".to_owned(),
        )),
        several => {
            let names: Vec<&str> = several.iter().map(|arch| arch.rpm()).collect();
            Err(Error::Architectures(names.join(", ")))
        }
    }
}

fn cost(project: &Project, recipe: &Recipe, costs: &Costs) -> (Cost, CostFrom) {
    if let Some(cost) = costs.get(&recipe.component) {
        return (*cost, CostFrom::Measured);
    }
    let (cpu, from) = hint(project, recipe);
    let cost = Cost {
        cpu,
        wall: cpu,
        memory: 0,
    };
    (cost, from)
}

/// Processor seconds that the configuration says, or a guess.
fn hint(project: &Project, recipe: &Recipe) -> (f64, CostFrom) {
    let component = project.components.get(&recipe.component);
    let build = component.map(|component| &component.build);
    match build.map(|build| (build.cpu_seconds, build.expensive)) {
        Some((Some(seconds), _)) => (seconds, CostFrom::Hint),
        Some((None, true)) => (CPU_SECONDS_EXPENSIVE, CostFrom::Hint),
        _ => (CPU_SECONDS, CostFrom::Guess),
    }
}
