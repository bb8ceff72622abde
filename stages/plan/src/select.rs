//! Which components a target needs, and why each is there.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use keel_artefact::{Dependency, PackageName};
use keel_config::{Diagnostic, Errors, Location, Project};
use keel_spec::{Recipe, RecipePackage};

use crate::{
    Targets, job,
    needs::Needs,
    providers::{Met, Provider, Providers},
};

/// Why a component is in the plan; other components by index.
#[derive(Clone)]
pub(crate) enum Why {
    Asked,
    Package {
        package: PackageName,
        image: Option<String>,
    },
    Requires {
        by: PackageName,
        requirement: String,
        of: usize,
    },
    Build {
        of: usize,
        requirement: String,
    },
}

impl Why {
    /// The same, with names.
    pub(crate) fn named(&self, recipes: &[Recipe]) -> job::Why {
        let name = |index: &usize| recipes[*index].component.clone();
        match self {
            Self::Asked => job::Why::Asked,
            Self::Package { package, image } => job::Why::Package {
                package: package.clone(),
                image: image.clone(),
            },
            Self::Requires { by, requirement, of } => job::Why::Requires {
                by: by.clone(),
                requirement: requirement.clone(),
                of: name(of),
            },
            Self::Build { of, requirement } => job::Why::Build {
                of: name(of),
                requirement: requirement.clone(),
            },
        }
    }
}

/// Components by index, each with the first reason found for it.
pub(crate) type Chosen = BTreeMap<usize, Why>;

pub(crate) fn select<'a>(
    project: &Project,
    recipes: &'a [Recipe],
    providers: &Providers<'a>,
    needs: &[Needs],
    targets: &Targets,
) -> Result<Chosen, Errors> {
    let mut wrong = Vec::new();
    let mut queue: VecDeque<(usize, Why)> = VecDeque::new();
    let mut rest = 0..0;
    match targets {
        Targets::All => {
            // Images first: they are the better reason to be here.
            let packages: Vec<_> = images(project)
                .map(|(image, package)| (package.clone(), Some(image)))
                .collect();
            queue.extend(run_time(recipes, providers, &packages, &mut Vec::new()));
            rest = 0..recipes.len();
        }
        Targets::Components(names) => {
            for name in names {
                match recipes.iter().position(|recipe| recipe.component == *name) {
                    Some(index) => queue.push_back((index, Why::Asked)),
                    None => wrong.push(
                        (Diagnostic::new(format!("there is no component `{name}`"))).did_you_mean(
                            name.as_str(),
                            recipes.iter().map(|recipe| recipe.component.as_str()),
                        ),
                    ),
                }
            }
        }
        Targets::Packages(names) => {
            let image_of = |name| {
                images(project)
                    .find(|(_, package)| *package == name)
                    .map(|(image, _)| image)
            };
            let packages: Vec<_> = names.iter().map(|name| (name.clone(), image_of(name))).collect();
            queue.extend(run_time(recipes, providers, &packages, &mut wrong));
        }
    }
    let mut chosen = Chosen::new();
    while let Some((index, why)) = queue
        .pop_front()
        .or_else(|| rest.next().map(|index| (index, Why::Asked)))
    {
        if chosen.contains_key(&index) {
            continue;
        }
        chosen.insert(index, why);
        for (need, requirement) in &needs[index].jobs {
            queue.push_back((
                *need,
                Why::Build {
                    of: index,
                    requirement: requirement.clone(),
                },
            ));
        }
    }
    Errors::check(chosen, wrong)
}

/// Image and package, for every package that an image asks for.
fn images(project: &Project) -> impl Iterator<Item = (String, &PackageName)> {
    (project.images.values()).flat_map(|image| {
        image
            .packages
            .iter()
            .map(move |package| (image.name.to_string(), package))
    })
}

/// The components of packages and of all that these are known to require. Nothing is lent to an image; what is
/// provided by a file or found by rpmbuild is not known here, and is the image stage's to resolve.
fn run_time<'a>(
    recipes: &'a [Recipe],
    providers: &Providers<'a>,
    packages: &[(PackageName, Option<String>)],
    wrong: &mut Vec<Diagnostic>,
) -> Vec<(usize, Why)> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    let mut queue: VecDeque<Provider<'a>> = VecDeque::new();
    for (name, image) in packages {
        match providers.meet(&Dependency::any(name.as_str())) {
            Met::Package(provider) => {
                let why = Why::Package {
                    package: name.clone(),
                    image: image.clone(),
                };
                found.push((provider.recipe, why));
                queue.push_back(provider);
            }
            _ => {
                let new = Diagnostic::new(format!("no component makes the package `{name}`"));
                let names = packages_of(recipes).map(|package| package.nevra.name.as_str());
                let new = new.did_you_mean(name.as_str(), names);
                wrong.push(match image {
                    Some(image) => new.hint(format!("image `{image}` installs it")),
                    None => new,
                });
            }
        }
    }
    while let Some(provider) = queue.pop_front() {
        if !seen.insert(provider.package.nevra.name.clone()) {
            continue;
        }
        for requirement in &provider.package.requires {
            match providers.meet(requirement) {
                Met::Package(next) => {
                    let (by, requirement) = (provider.package.nevra.name.clone(), requirement.to_string());
                    found.push((
                        next.recipe,
                        Why::Requires {
                            by,
                            requirement,
                            of: provider.recipe,
                        },
                    ));
                    queue.push_back(next);
                }
                _ if requirement.is_rich() || requirement.name.starts_with('/') => {}
                met => {
                    let recipe = &recipes[provider.recipe];
                    let new = Diagnostic::new(format!(
                        "nothing provides what `{}` requires",
                        provider.package.nevra.name
                    ))
                    .at(Location::file(&recipe.spec_shown))
                    .note(format!("Requires: {requirement}"));
                    wrong.push(unmet(new, requirement, &met, recipes, providers));
                }
            }
        }
    }
    found
}

fn packages_of(recipes: &[Recipe]) -> impl Iterator<Item = &RecipePackage> {
    recipes.iter().flat_map(|recipe| &recipe.packages)
}

/// Adds why a requirement is not met.
pub(crate) fn unmet(
    new: Diagnostic,
    requirement: &Dependency,
    met: &Met<'_>,
    recipes: &[Recipe],
    providers: &Providers<'_>,
) -> Diagnostic {
    let name = &requirement.name;
    match met {
        Met::OtherVersion(newest) => {
            let spec = recipes[newest.recipe].spec_shown.display();
            new.cause(format!(
                "newest `{name}` in this distribution is {} ({spec})",
                newest.version()
            ))
        }
        Met::Lent => new.cause(format!("only stage0 has `{name}`, and it ships nothing")),
        _ => (new.cause(format!(
            "no package of this distribution provides `{name}`, and stage0 does not lend it"
        )))
        .did_you_mean(name, providers.names()),
    }
}

/// How far a hint follows the reasons.
const MOST_STEPS: usize = 4;

/// `zlib` is here because …; none if it is here because it was asked for.
pub(crate) fn why(index: usize, recipes: &[Recipe], chosen: &Chosen) -> Option<String> {
    let mut steps = Vec::new();
    let mut at = index;
    let mut seen = BTreeSet::new();
    while seen.insert(at) && steps.len() < MOST_STEPS {
        let of = match chosen.get(&at)? {
            Why::Asked => break,
            Why::Package {
                package,
                image: Some(image),
            } => {
                steps.push(format!("image `{image}` installs `{package}`"));
                break;
            }
            Why::Package { package, image: None } => {
                steps.push(format!("the package `{package}` was asked for"));
                break;
            }
            Why::Requires { by, requirement, of } => {
                steps.push(format!("`{by}` requires `{requirement}`"));
                *of
            }
            Why::Build { of, requirement } => {
                steps.push(format!(
                    "`{}` is built with `{requirement}`",
                    recipes[*of].component
                ));
                *of
            }
        };
        at = of;
    }
    let component = &recipes[index].component;
    (!steps.is_empty()).then(|| format!("`{component}` is here because {}", steps.join(", and ")))
}
