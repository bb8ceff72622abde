//! Which components a target needs, and why each is there.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use keel_artefact::{Dependency, Interrupted, PackageName, Rich};
use keel_config::{Diagnostic, Errors, Image, Location, Project};
use keel_rpm::solve::Stopped;
use keel_spec::{Recipe, RecipePackage};

use crate::{
    Error, Targets, job,
    needs::Needs,
    providers::{Needed, Providers, Through},
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

/// Packages of published components by index and name, each with the first reason found for it.
pub(crate) type Taken = BTreeMap<(usize, PackageName), Why>;

pub(crate) fn select(
    project: &Project,
    recipes: &[Recipe],
    providers: &Providers<'_>,
    needs: &[Needs],
    targets: &Targets,
) -> Result<(Chosen, Taken), Error> {
    let mut wrong = Vec::new();
    let mut taken = Taken::new();
    let mut queue: VecDeque<(usize, Why)> = VecDeque::new();
    let mut rest = 0..0;
    match targets {
        Targets::All => {
            // Images first: they are the better reason to be here.
            let groups = images(project);
            queue.extend(run_time(
                recipes,
                providers,
                &groups,
                &mut taken,
                &mut Vec::new(),
            )?);
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
            let groups = named(project, names);
            queue.extend(run_time(recipes, providers, &groups, &mut taken, &mut wrong)?);
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
        for (recipe, package, requirement) in &needs[index].taken {
            let requirement = requirement.clone();
            (taken.entry((*recipe, package.clone()))).or_insert(Why::Build {
                of: index,
                requirement,
            });
        }
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
    Ok(Errors::check((chosen, taken), wrong)?)
}

/// Packages that are to be installed together, by an image or for somebody.
struct Group<'a> {
    image: Option<&'a Image>,
    packages: Vec<&'a PackageName>,
}

/// What every image asks for.
fn images(project: &Project) -> Vec<Group<'_>> {
    let root = |image| Group {
        image: Some(image),
        packages: image.packages.iter().collect(),
    };
    // An initial RAM disk is a root of its own, and nothing is excluded from it.
    let initrd = project.images.values().filter_map(|image| image.live.as_ref());
    let initrd = initrd.map(|live| Group {
        image: None,
        packages: live.initrd_packages.iter().collect(),
    });
    project.images.values().map(root).chain(initrd).collect()
}

/// The packages that were named, by the first image that asks for them. What no image asks for stands alone.
fn named<'a>(project: &'a Project, names: &'a [PackageName]) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for name in names {
        let image = project
            .images
            .values()
            .find(|image| image.packages.contains(name));
        let same = |group: &&mut Group<'_>| {
            image.is_some() && group.image.map(|image| &image.name) == image.map(|image| &image.name)
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.packages.push(name),
            None => groups.push(Group {
                image,
                packages: vec![name],
            }),
        }
    }
    groups
}

/// The components of packages and of all that these are known to require. Nothing is lent to an image; what is
/// provided by a file or found by rpmbuild is not known here, and is the image stage's to resolve.
fn run_time(
    recipes: &[Recipe],
    providers: &Providers<'_>,
    groups: &[Group<'_>],
    taken: &mut Taken,
    wrong: &mut Vec<Diagnostic>,
) -> Result<Vec<(usize, Why)>, Interrupted> {
    let mut found = Vec::new();
    let mut told = BTreeSet::new();
    for group in groups {
        let is_made = |name: &&PackageName| providers.newest(name.as_str()).is_some();
        let (made, strange): (Vec<&PackageName>, Vec<&PackageName>) =
            group.packages.iter().copied().partition(is_made);
        wrong.extend(strange.into_iter().map(|name| not_made(name, group, recipes)));
        let wishes: Vec<Dependency> = made.iter().map(|name| Dependency::any(name.as_str())).collect();
        let exclude = group
            .image
            .iter()
            .flat_map(|image| &image.exclude)
            .map(PackageName::as_str)
            .collect();
        let weak = group.image.is_some_and(|image| image.install_weak_deps);
        let answer = providers.in_image(&wishes, &exclude, weak)?;
        // What was asked for first: that is the better reason to be here.
        let (asked, required): (Vec<_>, Vec<_>) = answer
            .packages
            .iter()
            .partition(|needed| needed.through.is_none());
        for needed in asked.into_iter().chain(required) {
            let why = reason(needed, group, &made);
            if providers.is_published(needed.recipe) {
                let name = needed.package.nevra.name.clone();
                (taken.entry((needed.recipe, name))).or_insert_with(|| why.clone());
            }
            found.push((needed.recipe, why));
        }
        for unmet in &answer.unmet {
            let Some((recipe, by)) = unmet.by else { continue };
            if !told.insert((by.nevra.name.clone(), unmet.requirement.to_string())) {
                continue;
            }
            let new = Diagnostic::new(format!("nothing provides what `{}` requires", by.nevra.name))
                .at(Location::file(&recipes[recipe].spec_shown))
                .note(format!("Requires: {}", unmet.requirement));
            wrong.push(self::unmet(new, &unmet.requirement, recipes, providers));
        }
        if let Some(why) = &answer.too_hard {
            let new = Diagnostic::new(match group.image {
                Some(image) => format!("cannot choose the packages of image `{}`", image.name),
                None => "cannot choose what the packages require".to_owned(),
            });
            wrong.push(new.cause(why).hint(Stopped::HINT));
        }
        for (_, chain) in &answer.apart {
            let new = Diagnostic::new(match group.image {
                Some(image) => format!(
                    "the packages of image `{}` cannot be installed together",
                    image.name
                ),
                None => "the package cannot be installed with what it requires".to_owned(),
            });
            wrong.push(chain.iter().fold(new, |new, line| new.cause(line)));
        }
    }
    Ok(found)
}

/// Why a package of an image is there.
fn reason(needed: &Needed<'_>, group: &Group<'_>, made: &[&PackageName]) -> Why {
    let package = || match made.get(needed.wish) {
        Some(asked) if needed.is_hard => (*asked).clone(),
        _ => needed.package.nevra.name.clone(),
    };
    match &needed.through {
        Some(Through { recipe, by, requires }) => Why::Requires {
            by: by.nevra.name.clone(),
            requirement: requires.clone(),
            of: *recipe,
        },
        None => Why::Package {
            package: package(),
            image: group.image.map(|image| image.name.to_string()),
        },
    }
}

fn not_made(name: &PackageName, group: &Group<'_>, recipes: &[Recipe]) -> Diagnostic {
    let new = Diagnostic::new(format!("no component makes the package `{name}`"));
    let names = packages_of(recipes).map(|package| package.nevra.name.as_str());
    let new = new.did_you_mean(name.as_str(), names);
    match group.image {
        Some(image) => new.hint(format!("image `{}` installs it", image.name)),
        None => new,
    }
}

fn packages_of(recipes: &[Recipe]) -> impl Iterator<Item = &RecipePackage> {
    recipes.iter().flat_map(|recipe| &recipe.packages)
}

/// What an expression asks for. A condition asks for nothing, and what `without` takes away neither. The depth is bounded by the
/// parser.
pub(crate) fn asked(rich: &Rich, leaf: &mut dyn FnMut(&Dependency)) {
    match rich {
        Rich::Simple(one) => leaf(one),
        Rich::And(all) | Rich::Or(all) | Rich::With(all) => all.iter().for_each(|one| asked(one, leaf)),
        Rich::Without(one, _) => asked(one, leaf),
        Rich::If(then, _, otherwise) | Rich::Unless(then, _, otherwise) => {
            asked(then, leaf);
            if let Some(otherwise) = otherwise {
                asked(otherwise, leaf);
            }
        }
    }
}

/// Adds why a requirement is not met: of a boolean one, what nobody provides in it.
pub(crate) fn unmet(
    new: Diagnostic,
    requirement: &Dependency,
    recipes: &[Recipe],
    providers: &Providers<'_>,
) -> Diagnostic {
    let Ok(rich) = Rich::of(requirement) else {
        return new.cause("this is no dependency that rpm could read");
    };
    let mut missing = Vec::new();
    asked(&rich, &mut |leaf| missing.push(leaf.clone()));
    if requirement.is_rich() {
        missing.retain(|leaf| !providers.is_there(leaf));
    }
    if missing.is_empty() {
        return new.cause("each part of it has a package, but no set of packages meets the whole");
    }
    missing
        .iter()
        .fold(new, |new, leaf| lacking(new, leaf, recipes, providers))
}

fn lacking(new: Diagnostic, leaf: &Dependency, recipes: &[Recipe], providers: &Providers<'_>) -> Diagnostic {
    let name = &leaf.name;
    match providers.newest(name) {
        Some((recipe, version)) => {
            let spec = recipes[recipe].spec_shown.display();
            new.cause(format!(
                "newest `{name}` in this distribution is {version} ({spec})"
            ))
        }
        None if providers.is_lent(name) => {
            new.cause(format!("only stage0 has `{name}`, and it ships nothing"))
        }
        None => (new.cause(format!(
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
