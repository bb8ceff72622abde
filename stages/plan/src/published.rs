//! Packages that the repositories of a tree's bases have: what makes them is not built.
//!
//! A recipe of such a component stands for its published packages: it makes these, and nothing is needed to build it. What they
//! require of a component that is built all the same is known by what the repository has of that: rpmbuild finds
//! `libz.so.1()(64bit)` in files, and no SPEC says it.

use std::collections::{BTreeMap, HashMap, HashSet};

use keel_artefact::{ComponentName, Dependency, PackageName, Provide, Rich};
use keel_config::Lends;
use keel_spec::{Recipe, RecipePackage};
use serde::Serialize;

use crate::{job::Why, providers::is_lent};

/// What the repositories of a tree's bases have.
#[derive(Debug, Clone, Default)]
pub struct Published {
    /// Components that are not built, and their packages.
    pub components: BTreeMap<ComponentName, PublishedComponent>,
    /// Packages that are there, and that components of this plan make in their place.
    pub replaced: Vec<PublishedPackage>,
}

/// A component that is not built.
#[derive(Debug, Clone)]
pub struct PublishedComponent {
    /// The address of the repository that has it.
    pub repository: String,
    /// Its packages.
    pub packages: Vec<PublishedPackage>,
}

/// A package of a repository.
#[derive(Debug, Clone)]
pub struct PublishedPackage {
    /// What a recipe would say of it, and what rpmbuild found besides.
    pub package: RecipePackage,
    /// Its files that others may require by path.
    pub files: Vec<String>,
}

/// A component that is not built, because a repository has what is needed of it.
#[derive(Debug, Clone, Serialize)]
pub struct Taken {
    /// The component.
    pub component: ComponentName,
    /// The address of the repository.
    pub repository: String,
    /// Its packages that are needed, by name, and who asks for each.
    pub packages: Vec<TakenPackage>,
}

/// A package of a repository that is needed.
#[derive(Debug, Clone, Serialize)]
pub struct TakenPackage {
    /// Its name.
    pub name: PackageName,
    /// Name, version, release, architecture.
    pub nevra: String,
    /// Who asks for it: the first reason that was found.
    pub why: Why,
}

impl Published {
    /// Is it not built?
    pub fn has(&self, component: &ComponentName) -> bool {
        self.components.contains_key(component)
    }

    /// The recipes, with those of published components as they stand for their packages.
    pub(crate) fn stand_in(&self, mut recipes: Vec<Recipe>, lends: &Lends) -> Vec<Recipe> {
        if self.components.is_empty() {
            return recipes;
        }
        let asked = self.paths(&recipes);
        let known = Known::new(self, &recipes, lends);
        let stand_in = |published: &PublishedPackage| {
            let mut new = published.package.clone();
            let files = published.files.iter().filter(|path| asked.contains(*path));
            let files = files.map(|path| Provide {
                name: path.clone(),
                evr: None,
            });
            new.provides.extend(files);
            new.requires = (new.requires.into_iter())
                .filter_map(|need| known.requirement(need))
                .collect();
            new
        };
        let of = |recipe: &Recipe| {
            let component = self.components.get(&recipe.component)?;
            Some(component.packages.iter().map(stand_in).collect())
        };
        let packages: Vec<Option<Vec<RecipePackage>>> = recipes.iter().map(of).collect();
        for (recipe, packages) in recipes.iter_mut().zip(packages) {
            if let Some(packages) = packages {
                recipe.packages = packages;
                recipe.build_requires.clear();
                recipe.generates = None;
            }
        }
        recipes
    }

    fn packages(&self) -> impl Iterator<Item = &PublishedPackage> {
        self.components.values().flat_map(|component| &component.packages)
    }

    /// All paths that somebody asks for.
    fn paths(&self, recipes: &[Recipe]) -> HashSet<String> {
        let mut paths = HashSet::new();
        let mut add = |need: &Dependency| {
            if let Ok(rich) = Rich::of(need) {
                rich.leaves(&mut |leaf| {
                    if leaf.name.starts_with('/') {
                        paths.insert(leaf.name.clone());
                    }
                });
            }
        };
        for recipe in recipes {
            recipe
                .build_requires
                .iter()
                .for_each(|need| add(&need.dependency));
            let requires = recipe.packages.iter().flat_map(|package| &package.requires);
            requires.for_each(&mut add);
        }
        let requires = self.packages().flat_map(|published| &published.package.requires);
        requires.for_each(&mut add);
        paths
    }
}

/// Who provides what.
struct Known<'a> {
    lends: &'a Lends,
    /// Names that packages of the plan provide → the first that does.
    names: HashMap<&'a str, &'a PackageName>,
    /// Files of published packages → the first that has it.
    files: HashMap<&'a str, &'a PackageName>,
    /// What replaced packages provide → such a package, if it is made.
    replaced: HashMap<&'a str, &'a PackageName>,
}

impl<'a> Known<'a> {
    fn new(published: &'a Published, recipes: &'a [Recipe], lends: &'a Lends) -> Self {
        let built = recipes
            .iter()
            .filter(|recipe| !published.has(&recipe.component))
            .flat_map(|recipe| &recipe.packages);
        let there = published.packages().map(|published| &published.package);
        let mut names = HashMap::new();
        for package in built.chain(there) {
            for name in provided(package) {
                names.entry(name).or_insert(&package.nevra.name);
            }
        }
        let mut files = HashMap::new();
        for there in published.packages() {
            for path in &there.files {
                files.entry(path.as_str()).or_insert(&there.package.nevra.name);
            }
        }
        let mut replaced = HashMap::new();
        let is_made = |there: &&PublishedPackage| names.contains_key(there.package.nevra.name.as_str());
        for there in published.replaced.iter().filter(is_made) {
            let paths = there.files.iter().map(String::as_str);
            for name in provided(&there.package).chain(paths) {
                replaced.entry(name).or_insert(&there.package.nevra.name);
            }
        }
        Self {
            lends,
            names,
            files,
            replaced,
        }
    }

    /// What a published package requires, as far as it can be known before there are packages: what nobody is known to provide is
    /// met, or not, in the build root.
    fn requirement(&self, need: Dependency) -> Option<Dependency> {
        if need.is_rich() {
            // What stays unknown in it is met, or not, when the packages are there.
            let known = |leaf: &Dependency| self.by(leaf).unwrap_or_else(|| leaf.clone());
            let rich = Rich::of(&need).map(|rich| rich.map(&known));
            return Some(rich.map_or(need, |rich| Dependency::any(rich.to_string())));
        }
        let name = need.name.as_str();
        match (is_lent(self.lends, name), self.files.get(name)) {
            _ if self.names.contains_key(name) => Some(self.by(&need).unwrap_or(need)),
            // Of an image, not of a root.
            (true, Some(_)) => Some(need),
            (true, None) => None,
            (false, _) => self.by(&need),
        }
    }

    /// The package that stands for a capability that no name in the plan can: a path, or what only packages that are replaced are known
    /// to provide.
    fn by(&self, need: &Dependency) -> Option<Dependency> {
        let name = need.name.as_str();
        let by = match self.names.get(name) {
            Some(by) => Some(by).filter(|_| name.starts_with('/')),
            None if is_lent(self.lends, name) => None,
            None => self.files.get(name).or_else(|| self.replaced.get(name)),
        };
        by.map(|package| Dependency::any(package.as_str()))
    }
}

fn provided(package: &RecipePackage) -> impl Iterator<Item = &str> {
    let provides = package.provides.iter().map(|provide| provide.name.as_str());
    provides.chain([package.nevra.name.as_str()])
}
