//! `keel package diff`: what differs between two builds.

use std::collections::{BTreeMap, BTreeSet};

use keel_inspect::{
    Kind, Package, Policy, check,
    diff::{Aspect, Difference},
    facts,
};

use super::{named, project, read};
use crate::{context::Context, failure::Failure, pipeline, report};

/// Compares two builds, or what is published with what was built.
pub fn run(context: &Context<'_>, old: &str, new: Option<&str>) -> Result<(), Failure> {
    let project = project(context)?;
    let project = project.as_ref();
    let (old, new) = match new {
        Some(new) => (
            named(context, project, old)?.packages,
            named(context, project, new)?.packages,
        ),
        None => {
            let Some(project) = project else {
                return Err(Failure::input("name two packages, or run it in a project"));
            };
            let dir = pipeline::repository_dir(context, project).join("os");
            if !dir.is_dir() {
                return Err(Failure::input("nothing was published yet").hint("`keel repo create` publishes"));
            }
            let published = read(context, Some(project), &facts::find(&dir)?)?;
            let published = published.into_iter().map(Package::foreign).collect();
            (published, named(context, Some(project), old)?.packages)
        }
    };
    let (mut differences, _) = check::versions(&old, &new, &Policy::default());
    if differences.is_empty() {
        let failure = Failure::input("no package of the one is in the other");
        return Err(failure.hint(
            "packages are compared by their names; source packages and debugging information are not",
        ));
    }
    differences.retain(|difference| !difference.is_empty());
    differences.extend(alone(&old, &new));
    report::print(context, &differences, |all| {
        let texts: Vec<String> = all.iter().map(text).collect();
        texts.join("\n\n")
    })
}

/// Packages that one side has alone, of source packages that both have.
fn alone(old: &[Package], new: &[Package]) -> Vec<Difference> {
    let installable = |packages: &'_ [Package]| -> BTreeMap<String, Package> {
        let binary = packages.iter().filter(|one| one.facts.kind() == Kind::Binary);
        binary.map(|one| (one.name().to_owned(), one.clone())).collect()
    };
    let (old, new) = (installable(old), installable(new));
    let sources = |packages: &BTreeMap<String, Package>| -> BTreeSet<String> {
        packages
            .values()
            .map(|one| one.facts.source_name().to_owned())
            .collect()
    };
    let (before, now) = (sources(&old), sources(&new));
    let only = |these: &BTreeMap<String, Package>, those: &BTreeMap<String, Package>, is_new: bool| {
        let both = |one: &&Package| {
            let source = one.facts.source_name();
            !those.contains_key(one.name()) && before.contains(source) && now.contains(source)
        };
        let row = |one: &Package| {
            let (evr, size) = (one.info().nevra.evr.to_string(), one.info().installed_size);
            let mut difference = Difference {
                package: one.name().to_owned(),
                ..Difference::default()
            };
            match is_new {
                true => (difference.new, difference.size.1) = (evr, size),
                false => (difference.old, difference.size.0) = (evr, size),
            }
            difference
        };
        these.values().filter(both).map(row).collect::<Vec<_>>()
    };
    let mut rows = only(&old, &new, false);
    rows.extend(only(&new, &old, true));
    rows
}

/// A difference as people read it: a line each, `+` for what is new, `-` for what is gone, `!` for what changed.
fn text(difference: &Difference) -> String {
    if difference.new.is_empty() || difference.old.is_empty() {
        let (evr, what) = match difference.new.is_empty() {
            true => (&difference.old, "gone"),
            false => (&difference.new, "new"),
        };
        return format!("{}: {evr} is {what}", difference.package);
    }
    let mut lines = vec![format!(
        "{}: {} -> {}, {} -> {} installed",
        difference.package,
        difference.old,
        difference.new,
        report::bytes(difference.size.0),
        report::bytes(difference.size.1)
    )];
    for library in &difference.libraries {
        lines.push(format!("  symbols of {} ({})", library.soname, library.path));
        for (sign, names) in [("-", &library.gone), ("!", &library.changed), ("+", &library.new)] {
            lines.extend(names.iter().map(|name| format!("    {sign} {name}")));
        }
    }
    let aspect = |indent: &str, aspect: &Aspect| {
        let Aspect { what, was, is } = aspect;
        let short = |text: &str| match text {
            "" => "nothing".to_owned(),
            text if text.parse::<keel_artefact::Sha256>().is_ok() => text[..12].to_owned(),
            text => text.lines().next().unwrap_or_default().to_owned(),
        };
        format!("{indent}! {what}: {}, was {}", short(is), short(was))
    };
    if !difference.header.is_empty() {
        lines.push("  header".to_owned());
        lines.extend(difference.header.iter().map(|one| aspect("    ", one)));
    }
    let parts = [
        ("sonames", &difference.sonames),
        ("scripts", &difference.scripts),
        ("provides", &difference.provides),
        ("requires", &difference.requires),
    ];
    let relations = difference.relations.iter().map(|(what, change)| (*what, change));
    let parts = parts
        .into_iter()
        .chain(relations)
        .chain([("files", &difference.files)]);
    for (what, change) in parts.filter(|(_, change)| !change.is_empty()) {
        lines.push(format!("  {what}"));
        for (sign, names) in [("-", &change.gone), ("+", &change.new)] {
            lines.extend(names.iter().map(|name| format!("    {sign} {name}")));
        }
    }
    if !difference.changed.is_empty() {
        lines.push("  changed files".to_owned());
    }
    for file in &difference.changed {
        lines.push(format!("    ! {}", file.path));
        lines.extend(file.aspects.iter().map(|one| aspect("      ", one)));
    }
    lines.join("\n")
}
