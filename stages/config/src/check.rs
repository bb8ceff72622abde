//! What only the whole project can show: references between its parts.

use std::{collections::BTreeMap, path::Path};

use keel_artefact::{ImageName, PackageName};

use crate::{
    Diagnostic, Distro, FORMAT, Group, Image, Project, diagnostic,
    settings::{DistroReference, Draft},
    table::Problems,
};

/// What every Debian root has without being asked for (Debian Policy 3.8, as of trixie).
const ESSENTIAL: [&str; 21] = [
    "base-files",
    "base-passwd",
    "bash",
    "bsdutils",
    "coreutils",
    "dash",
    "debianutils",
    "diffutils",
    "dpkg",
    "findutils",
    "grep",
    "gzip",
    "hostname",
    "init-system-helpers",
    "libc-bin",
    "ncurses-base",
    "ncurses-bin",
    "perl-base",
    "sed",
    "tar",
    "util-linux",
];

/// The finished project; what is wrong goes to `problems`.
pub(crate) fn whole(root: &Path, main: &Path, draft: Draft, problems: &Problems) -> Option<Project> {
    let shown = diagnostic::shown(root, main);
    let distro = distro(&draft, &shown, problems);
    let keel = draft.keel;
    for (_, lender, unlisted) in keel.lenders {
        let packages = &keel.stage0.packages;
        if !packages.contains(&lender) && !ESSENTIAL.contains(&lender.as_str()) {
            problems.push(unlisted.did_you_mean(&lender, packages.iter().map(String::as_str)));
        }
    }
    if keel.stage0.suite.is_empty() && !draft.components.is_empty() && problems.is_empty() {
        let message = format!(
            "`{}` does not say which Debian suite lends compiler and tools",
            shown.display()
        );
        problems.push(Diagnostic::new(message).hint("[keel.stage0]\n  suite = \"trixie\""));
    }
    one_group_each(&draft.groups, problems);
    let images = unfold(draft.images, &draft.groups, problems);
    let distro = distro?;
    Some(Project {
        format: FORMAT,
        root: root.to_owned(),
        files: draft.files,
        name: distro.name.clone(),
        description: draft.description,
        output_dir: draft.output_dir.unwrap_or_else(|| root.join("out")),
        lock_file: root.join("keel.lock"),
        macros: keel.macros,
        base_requires: keel.base_requires,
        users: keel.users,
        stage0: keel.stage0,
        components: draft.components,
        images,
        package_groups: draft.groups,
        distro,
    })
}

fn distro(draft: &Draft, main: &Path, problems: &Problems) -> Option<Distro> {
    let Some(DistroReference { name, version, wrong }) = &draft.default_distro else {
        let message = format!("`{}` does not say which distribution it builds", main.display());
        let hint = "[project]\n  default-distro = { name = \"NAME\", version = \"VERSION\" }";
        problems.push(Diagnostic::new(message).hint(hint));
        return None;
    };
    let report = |message: String, wanted: &str, kind: &str, known: Vec<&str>| {
        let wrong = Diagnostic {
            message,
            ..wrong.clone()
        };
        problems.push(match diagnostic::nearest(wanted, known.iter().copied()) {
            Some(near) if kind == "distributions" => wrong.hint(format!("did you mean `{near}`?")),
            _ if known.is_empty() => wrong,
            _ => wrong.hint(format!("known {kind}: {}", known.join(", "))),
        });
    };
    let Some(distro) = draft.distros.get(name) else {
        let known = draft.distros.keys().map(String::as_str).collect();
        report(
            format!("there is no `[distros.{name}]`"),
            name,
            "distributions",
            known,
        );
        return None;
    };
    let known = distro.versions.keys().map(String::as_str).collect();
    let Some(version) = version.as_ref().or(distro.default_version.as_ref()) else {
        let message = format!(
            "`{name}` needs a version: `default-distro` has none, nor has `[distros.{name}]` a `default-version`"
        );
        report(message, "", "versions", known);
        return None;
    };
    let Some(release) = distro.versions.get(version) else {
        report(
            format!("there is no `[distros.{name}.versions.{version:?}]`"),
            version,
            "versions",
            known,
        );
        return None;
    };
    Some(Distro {
        name: name.clone(),
        version: release.clone(),
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

fn unfold(
    drafts: BTreeMap<ImageName, crate::definition::ImageDraft>,
    groups: &BTreeMap<String, Group>,
    problems: &Problems,
) -> BTreeMap<ImageName, Image> {
    let mut images = BTreeMap::new();
    for (name, draft) in drafts {
        let mut image = draft.image;
        for (group, wrong) in draft.groups {
            let Some(known) = groups.get(&group) else {
                let message = format!("unknown package group `{group}`");
                let wrong = Diagnostic { message, ..wrong };
                problems.push(wrong.did_you_mean(&group, groups.keys().map(String::as_str)));
                continue;
            };
            for package in &known.packages {
                if !image.packages.contains(package) {
                    image.packages.push(package.clone());
                }
            }
        }
        if image.packages.is_empty() && problems.is_empty() {
            let message = format!("image `{name}` has no packages");
            problems.push(Diagnostic::new(message).at(image.defined_at.clone()));
        }
        images.insert(name, image);
    }
    images
}
