//! What only the whole project can show: references between its parts.

use std::collections::{BTreeMap, BTreeSet};

use keel_artefact::PackageName;

use crate::{
    Diagnostic, Distro, Group, Project, Spec, diagnostic,
    table::{Problems, Table},
};

/// Reports references that lead nowhere.
pub(crate) fn whole(project: &Project, root: &Table<'_>, problems: &Problems) {
    one_group_each(&project.package_groups, problems);
    test_suites(project, root);
    upstreams(project, problems);
}

/// The distribution that is built; none if it cannot be told.
pub(crate) fn distro(project: &Project, root: &Table<'_>, main: &str) -> Option<Distro> {
    let reference = root
        .table("project")
        .and_then(|project| project.table("default-distro"));
    let name = reference.as_ref().and_then(|reference| reference.text("name"));
    let (Some(reference), Some(name)) = (reference, name) else {
        if !root.problems.is_empty() {
            return None;
        }
        let message = format!("`{main}` does not say which distribution it builds");
        let hint = "[project]\n  default-distro = { name = \"NAME\", version = \"VERSION\" }";
        root.problems.push(Diagnostic::new(message).hint(hint));
        return None;
    };
    let report = |message: String, hint: Option<String>| {
        let wrong = root.wrong(name.at, message);
        root.problems.push(match hint {
            Some(hint) => wrong.hint(hint),
            None => wrong,
        });
    };
    let Some(distro) = project.distros.get(name.value) else {
        let near = diagnostic::nearest(name.value, project.distros.keys().map(String::as_str));
        report(
            format!("there is no `[distros.{}]`", name.value),
            near.map(|near| format!("did you mean `{near}`?")),
        );
        return None;
    };
    let known: Vec<&str> = distro.versions.keys().map(String::as_str).collect();
    let hint = (!known.is_empty()).then(|| format!("known versions: {}", known.join(", ")));
    let version = reference
        .string("version")
        .or_else(|| distro.default_version.clone());
    let Some(version) = version else {
        let message = format!(
            "`{0}` needs a version: `default-distro` has none, nor has `[distros.{0}]` a `default-version`",
            name.value
        );
        report(message, hint);
        return None;
    };
    let Some(found) = distro.versions.get(&version) else {
        report(
            format!("there is no `[distros.{}.versions.{version:?}]`", name.value),
            hint,
        );
        return None;
    };
    Some(Distro {
        name: name.value.to_owned(),
        key: version,
        version: found.release_ver.clone(),
        description: distro.description.clone(),
    })
}

fn one_group_each(groups: &BTreeMap<String, Group>, problems: &Problems) {
    let mut owner: BTreeMap<&PackageName, (&String, &Group)> = BTreeMap::new();
    for (name, group) in groups {
        for package in &group.packages {
            if let Some((first, other)) = owner.insert(package, (name, group)) {
                let message = format!("package `{package}` is in two package groups, `{first}` and `{name}`");
                let place = Diagnostic::new(message).at(group.defined_at.clone());
                problems.push(place.cause(format!("`{first}` is defined at {}", other.defined_at)));
            }
        }
    }
}

fn test_suites(project: &Project, root: &Table<'_>) {
    for (_, image) in root.named("images") {
        let tests = image.table("tests");
        for suite in tests.map(|tests| tests.tables("test-suites")).unwrap_or_default() {
            let Some(name) = suite.text("name") else { continue };
            if !project.test_suites.contains_key(name.value) {
                let wrong = suite.wrong(name.at, format!("there is no `[test-suites.{}]`", name.value));
                let known = project.test_suites.keys().map(String::as_str);
                suite.problems.push(wrong.did_you_mean(name.value, known));
            }
        }
    }
}

/// Distributions and versions that SPECs are taken from; each that is unknown is told once.
fn upstreams(project: &Project, problems: &Problems) {
    let mut told = BTreeSet::new();
    for component in project.components.values() {
        let Some(Spec::Upstream(upstream)) = &component.spec else {
            continue;
        };
        let Some(name) = &upstream.distro else { continue };
        if !told.insert((name, &upstream.version)) {
            continue;
        }
        let wrong = |message: String| {
            let subject = format!("component `{}` takes its SPEC from `{name}`", component.name);
            Diagnostic::new(message)
                .at(component.defined_at.clone())
                .note(subject)
        };
        let Some(distro) = project.distros.get(name) else {
            let known = project.distros.keys().map(String::as_str);
            problems.push(wrong(format!("there is no `[distros.{name}]`")).did_you_mean(name, known));
            continue;
        };
        let version = upstream.version.as_ref().or(distro.default_version.as_ref());
        if let Some(version) = version
            && !distro.versions.contains_key(version)
        {
            let known: Vec<&str> = distro.versions.keys().map(String::as_str).collect();
            let message = format!("there is no `[distros.{name}.versions.{version:?}]`");
            problems.push(wrong(message).hint(format!("known versions: {}", known.join(", "))));
        }
    }
}
