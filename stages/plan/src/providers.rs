//! Who provides a capability: a package that a component makes, or stage0. Which packages a set of requirements needs, the solver
//! of [`keel_rpm::solve`] says, from one pool for build roots and one for images.

use std::{
    cell::OnceCell,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
};

use keel_artefact::{Dependency, Evr, Interrupt, Interrupted, Provide, Rich};
use keel_config::{Diagnostic, Lends, Location, Project};
use keel_rpm::solve::{
    self, Chosen, Limits, Missing, NoAnswer, Package, PackageId, Pool, Problem, Remedy, Repository, Solution,
    Stopped, Target, Why,
};
use keel_spec::{Recipe, RecipePackage};

/// Everything that is provided.
pub(crate) struct Providers<'a> {
    /// All packages, with the index of their recipe.
    packages: Vec<(usize, &'a RecipePackage)>,
    lends: &'a Lends,
    limits: Limits,
    /// Recipes that are not built, by index.
    published: BTreeSet<usize>,
    /// As they are in a build root: what stage0 lends is there.
    roots: Pool,
    /// As they are in an image.
    images: OnceCell<Pool>,
}

/// What a set of requirements needs.
pub(crate) struct Answer<'a> {
    /// Packages, those that the first requirements lead to first, and of these the nearest.
    pub(crate) packages: Vec<Needed<'a>>,
    /// What nobody meets.
    pub(crate) unmet: Vec<Unmet<'a>>,
    /// Why the rest cannot be together: the requirement to blame, and the reasons.
    pub(crate) apart: Vec<(usize, Vec<String>)>,
    /// Why nobody knows; then nothing else is said.
    pub(crate) too_hard: Option<String>,
}

/// A package that is needed.
pub(crate) struct Needed<'a> {
    /// Its recipe.
    pub(crate) recipe: usize,
    /// The package.
    pub(crate) package: &'a RecipePackage,
    /// The requirement that leads to it, by number.
    pub(crate) wish: usize,
    /// Which package requires it, and what that says; none: the requirement itself, or nobody but a recommendation.
    pub(crate) through: Option<Through<'a>>,
    /// It was asked for, or is required: it is not only recommended.
    pub(crate) is_hard: bool,
}

/// Which package asks for what.
pub(crate) struct Through<'a> {
    /// Its recipe.
    pub(crate) recipe: usize,
    /// The package.
    pub(crate) by: &'a RecipePackage,
    /// What it says.
    pub(crate) requires: String,
}

/// A requirement that nobody meets.
pub(crate) struct Unmet<'a> {
    /// The requirement that leads to it, by number.
    pub(crate) wish: usize,
    /// What nobody meets.
    pub(crate) requirement: Dependency,
    /// The package that requires it, with its recipe; none: it was asked for.
    pub(crate) by: Option<(usize, &'a RecipePackage)>,
}

impl<'a> Providers<'a> {
    pub(crate) fn new(recipes: &'a [Recipe], lends: &'a Lends, interrupt: &Interrupt) -> Self {
        let packages: Vec<(usize, &RecipePackage)> = packages(recipes).collect();
        let lent = |name: &str| is_lent(lends, name);
        let known = Known::new(&packages);
        let mut all: Vec<Package> = (packages.iter())
            .map(|(_, package)| {
                let mut new = for_solver(package);
                // A file's name is met, or not, when the packages are there.
                (new.requires).retain(|need| !need.name.starts_with('/') && known.is_clear(need, &lent));
                new
            })
            .collect();
        let names = lends.keys().flat_map(|name| {
            let with_isa = ISAS.iter().map(move |isa| format!("{name}{isa}"));
            with_isa.chain([name.clone()])
        });
        let wishes: Vec<Dependency> = names.map(Dependency::any).collect();
        let lender = solve::lend(&mut all, &wishes, &lent);
        Self {
            roots: pool(Some(lender), all),
            images: OnceCell::new(),
            packages,
            lends,
            limits: Limits::until(interrupt),
            published: BTreeSet::new(),
        }
    }

    /// Of recipes in which what is published [stands in](crate::Published) for what is not built.
    pub(crate) fn with(project: &'a Project, recipes: &'a [Recipe], known: &crate::Known<'_>) -> Self {
        let all = recipes.iter().enumerate();
        let not_built = all.filter(|(_, recipe)| known.published.has(&recipe.component));
        Self {
            published: not_built.map(|(index, _)| index).collect(),
            ..Self::new(recipes, &project.stage0.lends, known.interrupt)
        }
    }

    /// Is the recipe of this index not built?
    pub(crate) fn is_published(&self, recipe: usize) -> bool {
        self.published.contains(&recipe)
    }

    /// The pool for images. What is provided by a file, or found by rpmbuild, is not known here.
    fn images(&self) -> &Pool {
        self.images.get_or_init(|| {
            let known = Known::new(&self.packages);
            let all = self.packages.iter().map(|(_, package)| {
                let mut new = for_solver(package);
                new.requires.retain(|need| known.is_clear(need, &|_| false));
                new
            });
            pool(None, all.collect())
        })
    }

    /// What a build root holds that meets `wishes`, what stage0 lends left out.
    pub(crate) fn in_root(&self, wishes: &[Dependency]) -> Result<Answer<'a>, Interrupted> {
        let lent: Vec<Dependency> = wishes
            .iter()
            .map(|wish| solve::lent(wish, &|name| self.is_lent(name)))
            .collect();
        self.answer(&self.roots, &lent, &[], false)
    }

    /// What an image holds that asks for `wishes` and excludes the packages of some names.
    pub(crate) fn in_image(
        &self,
        wishes: &[Dependency],
        exclude: &BTreeSet<&str>,
        weak: bool,
    ) -> Result<Answer<'a>, Interrupted> {
        let pool = self.images();
        let disabled: Vec<PackageId> = pool
            .packages()
            .filter(|id| exclude.contains(pool.name(*id)))
            .collect();
        self.answer(pool, wishes, &disabled, weak)
    }

    fn answer(
        &self,
        pool: &Pool,
        wishes: &[Dependency],
        disabled: &[PackageId],
        weak: bool,
    ) -> Result<Answer<'a>, Interrupted> {
        Ok(match solve::install(pool, wishes, disabled, weak, &self.limits) {
            Ok(solution) => Answer {
                packages: self.needed(pool, &solution).0,
                unmet: Vec::new(),
                apart: Vec::new(),
                too_hard: None,
            },
            Err(NoAnswer::Stopped(Stopped::Interrupted(interrupted))) => return Err(interrupted),
            Err(NoAnswer::Stopped(stopped)) => Answer {
                packages: Vec::new(),
                unmet: Vec::new(),
                apart: Vec::new(),
                too_hard: Some(stopped.to_string()),
            },
            Err(NoAnswer::Refused(refusal)) => {
                let (packages, wish_of) = self.needed(pool, &refusal.without);
                let unmet = refusal.missing.into_iter().map(|missing| match missing {
                    Missing::Asked(wish) => Unmet {
                        wish,
                        requirement: wishes[wish].clone(),
                        by: None,
                    },
                    Missing::Required { by, dependency } => Unmet {
                        wish: wish_of.get(&by).copied().unwrap_or_default(),
                        requirement: dependency,
                        by: Some(self.packages[pool.place(by)]),
                    },
                });
                Answer {
                    packages,
                    unmet: unmet.collect(),
                    apart: refusal.problems.into_iter().map(apart).collect(),
                    too_hard: None,
                }
            }
        })
    }

    /// The packages of a solution, and the number of the wish that leads to each.
    fn needed(&self, pool: &Pool, solution: &Solution) -> (Vec<Needed<'a>>, HashMap<PackageId, usize>) {
        let by_id: HashMap<PackageId, &Chosen> = (solution.install.iter())
            .map(|chosen| (chosen.package, chosen))
            .collect();
        let mut wish_of = HashMap::new();
        let mut all: Vec<(usize, usize, Needed<'a>)> = Vec::new();
        for chosen in &solution.install {
            let (wish, depth) = lead(chosen, &by_id);
            wish_of.insert(chosen.package, wish);
            let (recipe, package) = self.packages[pool.place(chosen.package)];
            let through = match &chosen.why {
                Why::Required { by, dependency } if by_id.contains_key(by) => {
                    let (recipe, by) = self.packages[pool.place(*by)];
                    Some(Through {
                        recipe,
                        by,
                        requires: dependency.clone(),
                    })
                }
                _ => None,
            };
            let needed = Needed {
                recipe,
                package,
                wish,
                through,
                is_hard: !matches!(chosen.why, Why::Recommended { .. } | Why::Supplements),
            };
            all.push((wish, depth, needed));
        }
        all.sort_by_key(|(wish, depth, _)| (*wish, *depth));
        (all.into_iter().map(|(.., needed)| needed).collect(), wish_of)
    }

    /// Is it lent by stage0?
    pub(crate) fn is_lent(&self, name: &str) -> bool {
        is_lent(self.lends, name)
    }

    /// Does a package, or stage0, have it in that version?
    pub(crate) fn is_there(&self, leaf: &Dependency) -> bool {
        self.is_lent(&leaf.name) || !self.roots.provide(leaf).is_empty()
    }

    /// The newest there is of a capability, and in which recipe: where another version was asked for.
    pub(crate) fn newest(&self, name: &str) -> Option<(usize, String)> {
        let provides = |package: &'a RecipePackage| -> Option<Option<&'a Evr>> {
            if package.nevra.name.as_str() == name {
                return Some(Some(&package.nevra.evr));
            }
            let mut provides = package.provides.iter();
            provides
                .find(|provide| provide.name == name)
                .map(|provide| provide.evr.as_ref())
        };
        let all = self
            .packages
            .iter()
            .filter_map(|(recipe, package)| Some((*recipe, provides(package)?)));
        let newest = all.max_by(|(_, one), (_, other)| match (one, other) {
            (Some(one), Some(other)) => one.compare(other),
            (one, other) => one.is_some().cmp(&other.is_some()),
        });
        newest.map(|(recipe, evr)| {
            (
                recipe,
                evr.map_or_else(|| "no version".to_owned(), ToString::to_string),
            )
        })
    }

    /// Names that can be asked for, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let provided = self.packages.iter().flat_map(|(_, package)| provided(package));
        let names: BTreeSet<&str> = provided.chain(self.lends.keys().map(String::as_str)).collect();
        names.into_iter()
    }
}

fn pool(lender: Option<Repository>, packages: Vec<Package>) -> Pool {
    let recipes = Repository {
        name: "recipes".to_owned(),
        packages,
        ..Repository::default()
    };
    let repositories: Vec<Repository> = lender.into_iter().chain([recipes]).collect();
    let pool = Pool::new(&repositories, &Target::default());
    pool.expect("one lender, and fewer packages than recipes that fit into memory can make")
}

fn for_solver(package: &RecipePackage) -> Package {
    let mut new = Package::of(&package.nevra, &package.provides, &package.requires);
    new.conflicts.clone_from(&package.conflicts);
    new.obsoletes.clone_from(&package.obsoletes);
    new.recommends.clone_from(&package.recommends);
    new.supplements.clone_from(&package.supplements);
    new
}

/// The wish that leads to a package, and how many packages stand between.
fn lead(chosen: &Chosen, by_id: &HashMap<PackageId, &Chosen>) -> (usize, usize) {
    let mut at = chosen;
    for depth in 0..=by_id.len() {
        let by = match &at.why {
            Why::Asked(wish) => return (*wish, depth),
            Why::Required { by, .. } | Why::Recommended { by, .. } => by_id.get(by),
            _ => None,
        };
        match by {
            Some(by) => at = by,
            None => break,
        }
    }
    (usize::MAX, 0)
}

/// A problem, and the first wish that it blames.
fn apart(problem: Problem) -> (usize, Vec<String>) {
    let wishes = problem.remedies.iter().filter_map(|remedy| match remedy {
        Remedy::DropJob(wish) => Some(*wish),
        _ => None,
    });
    (wishes.min().unwrap_or_default(), problem.chain)
}

/// Names that some package provides.
struct Known<'a>(HashSet<&'a str>);

impl<'a> Known<'a> {
    fn new(packages: &[(usize, &'a RecipePackage)]) -> Self {
        Self(
            packages
                .iter()
                .flat_map(|(_, package)| provided(package))
                .collect(),
        )
    }

    /// Is everything known that a boolean requirement, or that of a file, names? If not, it is met, or not, when the packages are there.
    fn is_clear(&self, need: &Dependency, is_lent: &dyn Fn(&str) -> bool) -> bool {
        if !need.is_rich() && !need.name.starts_with('/') {
            return true;
        }
        let mut is_clear = true;
        let Ok(rich) = Rich::of(need) else {
            return false;
        };
        rich.leaves(&mut |leaf| is_clear &= self.0.contains(leaf.name.as_str()) || is_lent(&leaf.name));
        is_clear
    }
}

fn provided(package: &RecipePackage) -> impl Iterator<Item = &str> {
    let provides = package.provides.iter().map(|Provide { name, .. }| name.as_str());
    provides.chain([package.nevra.name.as_str()])
}

pub(crate) fn is_lent(lends: &Lends, name: &str) -> bool {
    lends.contains_key(name) || without_isa(name).is_some_and(|name| lends.contains_key(name))
}

/// What rpm appends to a name for a package of an architecture.
const ISAS: [&str; 2] = ["(x86-64)", "(aarch-64)"];

/// `gcc(x86-64)` → `gcc`.
pub fn without_isa(name: &str) -> Option<&str> {
    ISAS.iter().find_map(|isa| name.strip_suffix(isa))
}

fn packages(recipes: &[Recipe]) -> impl Iterator<Item = (usize, &RecipePackage)> {
    (recipes.iter().enumerate())
        .flat_map(|(index, recipe)| recipe.packages.iter().map(move |package| (index, package)))
}

/// Two components that make packages of one name.
pub(crate) fn made_twice(recipes: &[Recipe]) -> Vec<Diagnostic> {
    let mut makers: BTreeMap<&str, &Recipe> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (recipe, package) in packages(recipes) {
        let (name, recipe) = (package.nevra.name.as_str(), &recipes[recipe]);
        if let Some(first) = makers.insert(name, recipe) {
            let message = format!(
                "`{}` and `{}` both make the package `{name}`",
                first.component, recipe.component
            );
            let place = Diagnostic::new(message).at(Location::file(&recipe.spec_shown));
            wrong.push(place.cause(format!("{} makes it, too", first.spec_shown.display())));
        }
    }
    wrong
}
