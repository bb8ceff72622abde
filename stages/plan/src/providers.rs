//! Who provides a capability: a package that a component makes, or stage0.

use std::{
    cell::OnceCell,
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet, HashMap},
};

use keel_artefact::{Comparison, Dependency, Evr};
use keel_config::{Diagnostic, Lends, Location};
use keel_spec::{Recipe, RecipePackage};

/// A package, by the index of its recipe.
#[derive(Clone, Copy)]
pub(crate) struct Provider<'a> {
    pub(crate) recipe: usize,
    pub(crate) package: &'a RecipePackage,
    /// Its place among all packages.
    pub(crate) number: usize,
    evr: Option<&'a Evr>,
}

/// How a dependency is met.
pub(crate) enum Met<'a> {
    /// By a package.
    Package(Provider<'a>),
    /// By stage0.
    Lent,
    /// By none: nobody provides its name, at any version.
    Nobody,
    /// By none: this is the newest there is of that name.
    OtherVersion(Provider<'a>),
}

/// Everything that is provided, by name.
pub(crate) struct Providers<'a> {
    by_name: HashMap<&'a str, Vec<Provider<'a>>>,
    lends: &'a Lends,
    /// For each package what it requires, as far as that is known to matter in a build root; each is found once.
    required: Vec<OnceCell<Required<'a>>>,
}

/// What a package brings into a build root.
#[derive(Default)]
pub(crate) struct Required<'a> {
    /// The requirement, and who meets it.
    pub(crate) met: Vec<(&'a Dependency, Provider<'a>)>,
    /// What nobody meets.
    pub(crate) unmet: Vec<&'a Dependency>,
}

impl<'a> Providers<'a> {
    pub(crate) fn new(recipes: &'a [Recipe], lends: &'a Lends) -> Self {
        let mut by_name: HashMap<&str, Vec<Provider<'_>>> = HashMap::new();
        let mut required = Vec::new();
        for (number, (recipe, package)) in packages(recipes).enumerate() {
            required.push(OnceCell::new());
            let mut add = |name: &'a str, evr| {
                let provider = Provider {
                    recipe,
                    package,
                    number,
                    evr,
                };
                by_name.entry(name).or_default().push(provider);
            };
            // A recipe's package always provides itself, whether or not its list says so.
            let name = package.nevra.name.as_str();
            add(name, Some(&package.nevra.evr));
            for provide in package.provides.iter().filter(|provide| provide.name != name) {
                add(&provide.name, provide.evr.as_ref());
            }
        }
        Self {
            by_name,
            lends,
            required,
        }
    }

    /// How many packages there are.
    pub(crate) fn len(&self) -> usize {
        self.required.len()
    }

    /// What a package in a build root brings along: what it requires, unless stage0 lends it.
    pub(crate) fn required(&self, provider: &Provider<'a>) -> &Required<'a> {
        self.required[provider.number].get_or_init(|| {
            let mut required = Required::default();
            for requires in &provider.package.requires {
                // A boolean or a file's name is met, or not, when the packages are there.
                if requires.is_rich() || requires.name.starts_with('/') || self.is_lent(&requires.name) {
                    continue;
                }
                match self.meet(requires) {
                    Met::Package(next) => required.met.push((requires, next)),
                    _ => required.unmet.push(requires),
                }
            }
            required
        })
    }

    /// Is it lent by stage0?
    pub(crate) fn is_lent(&self, name: &str) -> bool {
        self.lends.contains_key(name) || without_isa(name).is_some_and(|name| self.lends.contains_key(name))
    }

    /// What stage0 lends is borrowed even where a component makes it, too: glibc is built with `sed`, and `sed` with
    /// glibc. Lent capabilities have no version: any is taken as met.
    pub(crate) fn meet_build(&self, dependency: &Dependency) -> Met<'a> {
        if self.is_lent(&dependency.name) {
            Met::Lent
        } else {
            self.meet(dependency)
        }
    }

    /// By a package, whatever stage0 lends; [`Met::Lent`] if only stage0 has it.
    pub(crate) fn meet(&self, dependency: &Dependency) -> Met<'a> {
        let all = self
            .by_name
            .get(dependency.name.as_str())
            .map(Vec::as_slice)
            .unwrap_or_default();
        let best = |fits: &dyn Fn(&Provider<'_>) -> bool| {
            let fitting = all.iter().copied().filter(|provider| fits(provider));
            fitting.max_by(|one, other| preferred(one, other, dependency))
        };
        if let Some(provider) = best(&|provider| satisfies(provider.evr, dependency.version.as_ref())) {
            return Met::Package(provider);
        }
        match best(&|_| true) {
            Some(newest) => Met::OtherVersion(newest),
            None if self.is_lent(&dependency.name) => Met::Lent,
            None => Met::Nobody,
        }
    }

    /// Names that can be asked for, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let provided = self.by_name.keys().copied();
        let names: BTreeSet<&str> = provided.chain(self.lends.keys().map(String::as_str)).collect();
        names.into_iter()
    }
}

impl Provider<'_> {
    /// The version at which it provides what was asked for.
    pub(crate) fn version(&self) -> String {
        self.evr
            .map_or_else(|| "no version".to_owned(), ToString::to_string)
    }
}

fn satisfies(have: Option<&Evr>, asked: Option<&(Comparison, Evr)>) -> bool {
    match (have, asked) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(have), Some((comparison, asked))) => comparison.accepts(have.compare(asked)),
    }
}

/// The package of that very name, else the newest, else the first by name.
fn preferred(one: &Provider<'_>, other: &Provider<'_>, dependency: &Dependency) -> Ordering {
    let named = |provider: &Provider<'_>| provider.package.nevra.name.as_str() == dependency.name;
    let by_version = || match (one.evr, other.evr) {
        (Some(one), Some(other)) => one.compare(other),
        (one, other) => one.is_some().cmp(&other.is_some()),
    };
    (named(one).cmp(&named(other)))
        .then_with(by_version)
        .then_with(|| other.package.nevra.name.cmp(&one.package.nevra.name))
}

/// `gcc(x86-64)` → `gcc`.
pub fn without_isa(name: &str) -> Option<&str> {
    ["(x86-64)", "(aarch-64)"]
        .iter()
        .find_map(|isa| name.strip_suffix(isa))
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
