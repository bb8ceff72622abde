//! What is there without being a package: what a borrowed root provides.
//!
//! A requirement of a package that is lent is met, and brings nothing in. Nothing is said of versions: any is taken as met. What
//! packages conflict with, or obsolete, they never find among what is lent.

use std::collections::BTreeSet;

use keel_artefact::{Dependency, Evr, Rich};

use super::{Package, Repository};

/// The name of who lends: no package can have it.
pub(super) const LENDER: &str = "(lent)";

/// The requirements of all packages, with what `is_lent` takes as met; and who lends, as a repository of what is installed.
///
/// `wishes` are dependencies that a request will ask for, by what [`lent`] makes of them.
pub fn lend<'a>(
    packages: &mut [Package],
    wishes: impl IntoIterator<Item = &'a Dependency>,
    is_lent: &dyn Fn(&str) -> bool,
) -> Repository {
    let mut names = BTreeSet::new();
    for package in packages {
        for requirement in &mut package.requires {
            let met = lent(requirement, is_lent);
            note(requirement, &met, &mut names);
            *requirement = met;
        }
    }
    for wish in wishes {
        note(wish, &lent(wish, is_lent), &mut names);
    }
    let evr = Evr {
        epoch: 0,
        version: String::new(),
        release: String::new(),
    };
    let mut lender = Package::named(LENDER, evr, "noarch");
    lender.provides = names.into_iter().map(Dependency::any).collect();
    Repository {
        name: "lent".to_owned(),
        installed: true,
        packages: vec![lender],
        ..Repository::default()
    }
}

/// A requirement in which all that is lent stands as `lent(NAME)`. One that cannot be read stays as it is.
pub fn lent(requirement: &Dependency, is_lent: &dyn Fn(&str) -> bool) -> Dependency {
    // A whole expression can be lent by its text, too.
    if is_lent(&requirement.name) {
        return alias(&requirement.name);
    }
    match Rich::of(requirement) {
        Ok(rich) if requirement.is_rich() => Dependency::any(aliased(&rich, is_lent).to_string()),
        _ => requirement.clone(),
    }
}

fn alias(name: &str) -> Dependency {
    Dependency::any(format!("lent({name})"))
}

/// The depth is bounded by the parser.
fn aliased(rich: &Rich, is_lent: &dyn Fn(&str) -> bool) -> Rich {
    let list = |list: &[Rich]| list.iter().map(|item| aliased(item, is_lent)).collect();
    let boxed = |rich: &Rich| Box::new(aliased(rich, is_lent));
    let maybe = |rich: &Option<Box<Rich>>| rich.as_deref().map(boxed);
    match rich {
        Rich::Simple(dependency) if is_lent(&dependency.name) => Rich::Simple(alias(&dependency.name)),
        Rich::With(_) | Rich::Without(..) if is_lent_whole(rich, is_lent) => {
            let mut first = rich;
            while let Some(inner) = inner(first) {
                first = inner;
            }
            aliased(first, is_lent)
        }
        Rich::Simple(_) | Rich::With(_) | Rich::Without(..) => rich.clone(),
        Rich::And(items) => Rich::And(list(items)),
        Rich::Or(items) => Rich::Or(list(items)),
        Rich::If(then, condition, otherwise) => Rich::If(boxed(then), boxed(condition), maybe(otherwise)),
        Rich::Unless(then, condition, otherwise) => {
            Rich::Unless(boxed(then), boxed(condition), maybe(otherwise))
        }
    }
}

/// What speaks of one package is lent if every part that asks for something is.
fn is_lent_whole(rich: &Rich, is_lent: &dyn Fn(&str) -> bool) -> bool {
    match rich {
        Rich::Simple(dependency) => is_lent(&dependency.name),
        Rich::With(items) => items.iter().all(|item| is_lent_whole(item, is_lent)),
        Rich::Without(one, _) => is_lent_whole(one, is_lent),
        _ => false,
    }
}

fn inner(rich: &Rich) -> Option<&Rich> {
    match rich {
        Rich::With(items) => items.first(),
        Rich::Without(one, _) => Some(one),
        _ => None,
    }
}

/// Notes what stands in `met` and not in `asked`: who writes such a name in a SPEC is lent nothing.
fn note(asked: &Dependency, met: &Dependency, names: &mut BTreeSet<String>) {
    let written = aliases(asked);
    names.extend(aliases(met).into_iter().filter(|name| !written.contains(name)));
}

fn aliases(requirement: &Dependency) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    if let Ok(rich) = Rich::of(requirement) {
        rich.leaves(&mut |leaf| {
            if leaf.name.starts_with("lent(") {
                names.insert(leaf.name.clone());
            }
        });
    }
    names
}
