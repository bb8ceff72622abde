//! What only the whole project can show: references between its parts.

use std::collections::{BTreeMap, BTreeSet};

use keel_artefact::PackageName;

use crate::{
    Component, Diagnostic, Distro, Group, Origin, Project, SourceFile, Spec, diagnostic,
    table::{Problems, Table},
};

/// Reports references that lead nowhere.
pub(crate) fn whole(project: &Project, root: &Table<'_>, is_azldevs: bool, problems: &Problems) {
    one_group_each(&project.package_groups, problems);
    test_suites(project, root);
    upstreams(project, problems);
    for component in project.components.values() {
        archives(component, is_azldevs, problems);
    }
}

/// Archives that overlays change, and source files that say that they are such: rule M47.
fn archives(component: &Component, is_azldevs: bool, problems: &Problems) {
    let of_archives = || component.overlays.iter().filter(|overlay| !overlay.is_beside());
    let subject = || format!("component `{}`", component.name);
    let is_changed = |file: &SourceFile| file.origins.contains(&Origin::Overlay);
    for file in component.source_files.iter().filter(|file| is_changed(file)) {
        let name = &file.filename;
        if !of_archives().any(|overlay| overlay.archive.as_ref() == Some(name)) {
            let message =
                format!("`{name}` says that overlays change it, and none has `archive = \"{name}\"`");
            problems.push(
                Diagnostic::new(message)
                    .at(file.defined_at.clone())
                    .note(subject()),
            );
        }
    }
    let mut told = BTreeSet::new();
    for overlay in of_archives() {
        let archive = overlay
            .archive
            .as_ref()
            .expect("only those of archives are looked at");
        if !told.insert(archive) {
            continue;
        }
        let stated = component
            .source_files
            .iter()
            .any(|file| file.filename == *archive && is_changed(file));
        if is_azldevs && !stated {
            let message = format!("an overlay changes `{archive}`, and no source file says so");
            let hint = format!(
                "[[components.{}.source-files]]\n  filename = \"{archive}\"\n  origin = {{ type = \"overlay\" }}\n  replace-upstream = true\n  replace-reason = \"…\"",
                component.name
            );
            let wrong = Diagnostic::new(message).at(overlay.defined_at.clone());
            problems.push(wrong.note(subject()).hint(hint));
        }
        let mut loose = component.overlays.iter().filter(|other| other.is_beside());
        if let Some(loose) = loose.find(|other| other.change.file() == Some(archive)) {
            let message =
                format!("an overlay is about `{archive}` itself, and another one about what is in it");
            let other = format!(
                "{}; what is in it is changed at {}",
                subject(),
                overlay.defined_at
            );
            let wrong = Diagnostic::new(message).at(loose.defined_at.clone());
            problems.push(wrong.note(other));
        }
    }
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
