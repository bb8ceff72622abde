//! What each build needs: other jobs, and what stage0 lends.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use keel_artefact::{Dependency, Interrupted, PackageName, Rich};
use keel_config::{Diagnostic, Location, Project};
use keel_rpm::solve::Stopped;
use keel_spec::Recipe;

use crate::{
    job::{Because, Generated},
    providers::{Needed, Providers, Through},
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
    /// Published packages that are in its root: recipe by index, name, the first requirement that led to it.
    pub(crate) taken: Vec<(usize, PackageName, String)>,
    /// Recipe by index → where the requirement stands that led to it.
    pub(crate) because: BTreeMap<usize, Because>,
    /// Recipes, by index, that each round of `%generate_buildrequires` needs, that before the first one included; none without the
    /// section. `jobs` has all of them.
    pub(crate) rounds: Vec<BTreeSet<usize>>,
}

/// A requirement that nobody meets, or that stands against the others.
#[derive(Debug, Clone)]
pub(crate) struct Unmet {
    /// The SPEC's line.
    line: Option<u32>,
    /// What it says there.
    says: String,
    /// What nobody meets; none: see `apart`.
    pub(crate) requirement: Option<Dependency>,
    /// The package that requires it; none: the SPEC itself does.
    by: Option<String>,
    /// Why it cannot be met together with the rest.
    apart: Vec<String>,
    /// What `%generate_buildrequires` printed, if that led to it.
    pub(crate) generated: Option<Dependency>,
    /// Why nobody knows whether it can be met.
    too_hard: Option<String>,
}

impl Unmet {
    /// Names that, lent, would meet it: of an expression, what nobody provides in it or, if that is nothing, the whole.
    pub(crate) fn lacks(&self, providers: &Providers<'_>) -> Vec<String> {
        let Some(requirement) = &self.requirement else {
            return Vec::new();
        };
        let mut names = Vec::new();
        if let (Ok(rich), true) = (Rich::of(requirement), requirement.is_rich()) {
            select::asked(&rich, &mut |leaf| {
                if !providers.is_there(leaf) {
                    names.push(leaf.name.clone());
                }
            });
        }
        if names.is_empty() {
            names.push(requirement.name.clone());
        }
        names
    }

    /// What to say of it to whoever wrote `recipe`.
    pub(crate) fn told(&self, recipe: &Recipe, recipes: &[Recipe], providers: &Providers<'_>) -> Diagnostic {
        let mut new = Diagnostic::new(format!("cannot plan `{}`", recipe.component))
            .at(Location::line(&recipe.spec_shown, self.line.unwrap_or(0)))
            .note(&self.says);
        if let Some(why) = &self.too_hard {
            return new.cause(why).hint(Stopped::HINT);
        }
        let Some(requirement) = &self.requirement else {
            new = new.cause("the packages of the build root cannot be installed together");
            return (self.apart.iter()).fold(new, |new, line| new.cause(line));
        };
        if let Some(by) = &self.by {
            new = new.cause(format!("`{by}` requires `{requirement}`"));
        }
        select::unmet(new, requirement, recipes, providers)
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
) -> Result<Vec<Needs>, Interrupted> {
    let of = |index: usize, base: &[Dependency]| {
        let recipe = &recipes[index];
        if providers.is_published(index) {
            return Ok(Needs::default());
        }
        of(recipe, base, generated_of(recipe, generated), providers)
    };
    let plain = (0..recipes.len()).map(|index| of(index, &[]));
    let plain: Vec<Needs> = plain.collect::<Result<_, _>>()?;
    let base: Vec<Dependency> = project.base_requires.iter().map(Dependency::any).collect();
    if base.is_empty() {
        return Ok(plain);
    }
    // What the base itself is built from cannot have it in its build root.
    let below = below(&base, &plain, providers)?;
    (plain.into_iter().enumerate())
        .map(|(index, needs)| {
            if below.contains(&index) {
                Ok(needs)
            } else {
                of(index, &base)
            }
        })
        .collect()
}

/// The components that make the base, and all that these need to be built.
fn below(
    base: &[Dependency],
    needs: &[Needs],
    providers: &Providers<'_>,
) -> Result<BTreeSet<usize>, Interrupted> {
    let mut below = BTreeSet::new();
    let kept: Vec<Dependency> = base
        .iter()
        .filter(|wish| !providers.is_lent(&wish.name))
        .cloned()
        .collect();
    let answer = providers.in_root(&kept)?;
    let mut queue: VecDeque<usize> = answer.packages.iter().map(|needed| needed.recipe).collect();
    while let Some(index) = queue.pop_front() {
        if below.insert(index) {
            queue.extend(needs[index].jobs.keys());
        }
    }
    Ok(below)
}

/// What `%generate_buildrequires` of this recipe is known to print.
pub(crate) fn generated_of<'g>(recipe: &Recipe, generated: &'g Generated) -> &'g [Vec<Dependency>] {
    match recipe.generates {
        Some(_) => generated.get(&recipe.component).map_or(&[], Vec::as_slice),
        None => &[],
    }
}

/// The needs of one recipe, which need not be one of those that provide: of all rounds of its section.
pub(crate) fn of(
    recipe: &Recipe,
    base: &[Dependency],
    generated: &[Vec<Dependency>],
    providers: &Providers<'_>,
) -> Result<Needs, Interrupted> {
    let mut needs = at_once(recipe, base, generated, providers)?;
    if recipe.generates.is_none() {
        return Ok(needs);
    }
    let last = needs.jobs.keys().copied().collect();
    for round in 0..generated.len() {
        let earlier = at_once(recipe, base, &generated[..round], providers)?;
        needs.rounds.push(earlier.jobs.keys().copied().collect());
        // With less to ask for, the solver may choose another provider.
        for (need, requirement) in earlier.jobs {
            needs.jobs.entry(need).or_insert(requirement);
        }
        for (need, because) in earlier.because {
            needs.because.entry(need).or_insert(because);
        }
    }
    needs.rounds.push(last);
    Ok(needs)
}

/// The needs of the root in which the section printed just this.
fn at_once(
    recipe: &Recipe,
    base: &[Dependency],
    generated: &[Vec<Dependency>],
    providers: &Providers<'_>,
) -> Result<Needs, Interrupted> {
    let mut needs = Needs {
        has_base: !base.is_empty(),
        ..Needs::default()
    };
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
        .flatten()
        .map(|requirement| (requirement, section, GENERATED));
    let mut asked: Vec<Asked<'_>> = Vec::new();
    for (requirement, line, tag) in from_base.chain(from_spec).chain(from_section) {
        if lends(requirement, providers, &mut needs.lent) {
            continue;
        }
        asked.push(Asked {
            requirement,
            line,
            tag,
        });
    }
    let wishes: Vec<Dependency> = asked.iter().map(|asked| asked.requirement.clone()).collect();
    let answer = providers.in_root(&wishes)?;
    for needed in &answer.packages {
        let Some(asked) = asked.get(needed.wish) else {
            continue;
        };
        (needs.jobs.entry(needed.recipe)).or_insert_with(|| asked.requirement.to_string());
        if providers.is_published(needed.recipe) {
            let name = needed.package.nevra.name.clone();
            (needs.taken).push((needed.recipe, name, asked.requirement.to_string()));
        }
        (needs.because.entry(needed.recipe)).or_insert_with(|| asked.because(needed));
    }
    let missing = answer.unmet.iter().filter_map(|unmet| {
        let asked = asked.get(unmet.wish)?;
        let mut new = asked.unmet();
        // In the words of the SPEC, where it asks itself.
        new.requirement = Some(match unmet.by {
            Some(_) => unmet.requirement.clone(),
            None => asked.requirement.clone(),
        });
        new.by = unmet.by.map(|(_, by)| by.nevra.name.to_string());
        Some((unmet.wish, new))
    });
    let apart = answer.apart.iter().filter_map(|(wish, chain)| {
        let mut new = asked.get(*wish)?.unmet();
        new.apart.clone_from(chain);
        Some((*wish, new))
    });
    let mut unmet: Vec<(usize, Unmet)> = missing.chain(apart).collect();
    unmet.sort_by_key(|(wish, _)| *wish);
    let in_vain: BTreeSet<usize> = (answer.unmet.iter().filter(|unmet| unmet.by.is_none()))
        .map(|unmet| unmet.wish)
        .collect();
    if let (Some(why), Some(first)) = (answer.too_hard, asked.first()) {
        let too_hard = Some(why);
        needs.unmet.push(Unmet {
            too_hard,
            ..first.unmet()
        });
    }
    needs.unmet.extend(unmet.into_iter().map(|(_, unmet)| unmet));
    let met = asked
        .iter()
        .enumerate()
        // What the section prints, the build hears from the section.
        .filter(|(number, asked)| !in_vain.contains(number) && asked.tag != GENERATED);
    needs.direct = met.map(|(_, asked)| asked.requirement.clone()).collect();
    Ok(needs)
}

/// Does stage0 lend all that a requirement names? What stage0 lends is borrowed even where a component makes it, too: glibc is
/// built with `sed`, and `sed` with glibc. Lent capabilities have no version: any is taken as met. What is lent is noted.
fn lends(requirement: &Dependency, providers: &Providers<'_>, lent: &mut BTreeSet<String>) -> bool {
    // A whole expression can be lent by its text, too.
    if providers.is_lent(&requirement.name) {
        lent.insert(requirement.name.clone());
        return true;
    }
    let Ok(rich) = Rich::of(requirement) else {
        return false;
    };
    let mut all = requirement.is_rich();
    rich.leaves(&mut |leaf| match providers.is_lent(&leaf.name) {
        true => _ = lent.insert(leaf.name.clone()),
        false => all = false,
    });
    // Two that are lent may still contradict: `(a unless b)`.
    all && matches!(rich, Rich::And(_) | Rich::Or(_))
}

/// A requirement that Keel's packages meet, or nobody does.
struct Asked<'a> {
    requirement: &'a Dependency,
    line: Option<u32>,
    tag: &'static str,
}

impl Asked<'_> {
    fn says(&self) -> String {
        format!("{}: {}", self.tag, self.requirement)
    }

    fn unmet(&self) -> Unmet {
        Unmet {
            line: self.line,
            says: self.says(),
            requirement: None,
            by: None,
            apart: Vec::new(),
            generated: (self.tag == GENERATED).then(|| self.requirement.clone()),
            too_hard: None,
        }
    }

    fn because(&self, needed: &Needed<'_>) -> Because {
        let name = |text: &str| {
            text.parse()
                .map_or_else(|_| text.to_owned(), |need: Dependency| need.name)
        };
        let (says, capability) = match &needed.through {
            Some(Through { by, requires, .. }) => {
                let by = &by.nevra.name;
                let says = format!("{} (of which `{by}` requires `{requires}`)", self.says());
                (says, name(requires))
            }
            None => (self.says(), self.requirement.name.clone()),
        };
        Because {
            line: self.line,
            says,
            capability,
        }
    }
}
