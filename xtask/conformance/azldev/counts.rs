//! The configuration of Azure Linux 4, as it is: how much there is of what.

use std::collections::BTreeMap;

use keel_config::{Component, Project, Spec, overlay::Calculation};
use keel_spec::overlay;

/// Of the commit that is compared, counted by other means than this reader.
const EXPECTED: [(&str, usize); 30] = [
    ("bare components", 7382),
    ("components", 7583),
    ("components in groups", 182),
    ("components with overlays", 97),
    ("components with source files", 2),
    ("local SPECs", 3),
    ("of another name", 13),
    ("overlay file-add", 16),
    ("overlay file-remove", 2),
    ("overlay file-rename", 3),
    ("overlay file-search-replace", 10),
    ("overlay patch-add", 9),
    ("overlay patch-remove", 1),
    ("overlay spec-add-tag", 22),
    ("overlay spec-append-lines", 18),
    ("overlay spec-insert-tag", 11),
    ("overlay spec-prepend-lines", 5),
    ("overlay spec-remove-section", 12),
    ("overlay spec-remove-tag", 15),
    ("overlay spec-search-replace", 93),
    ("overlay spec-set-tag", 2),
    ("overlay spec-update-tag", 14),
    ("packages of base-packages", 6081),
    ("packages of exceptions-packages", 9231),
    ("packages of sdk-packages", 17748),
    ("packages published as bash is, in rpm-base", 1),
    ("pinned", 54),
    ("released by hand", 36),
    ("snapshots", 1),
    ("with a snapshot", 7580),
];

/// How many counts are others.
pub fn run(project: &Project) -> usize {
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    let mut snapshots: Vec<&str> = Vec::new();
    for component in project.components.values() {
        for (what, fits) in facts(component) {
            *found.entry(what.to_owned()).or_default() += usize::from(fits);
        }
        for one in &component.overlays {
            *found
                .entry(format!("overlay {}", overlay::kind_of(&one.change)))
                .or_default() += 1;
        }
        if let Some(Spec::Upstream(upstream)) = &component.spec {
            snapshots.extend(upstream.snapshot.as_deref());
        }
    }
    found.insert("with a snapshot".to_owned(), snapshots.len());
    snapshots.dedup();
    found.insert("snapshots".to_owned(), snapshots.len());
    for (name, group) in &project.package_groups {
        found.insert(format!("packages of {name}"), group.packages.len());
    }
    let bash = project
        .components
        .values()
        .find(|component| component.name.as_str() == "bash");
    let channel = bash.and_then(|bash| project.package_settings(bash, "bash").rpm_channel);
    let is_base = channel.as_deref() == Some("rpm-base");
    found.insert(
        "packages published as bash is, in rpm-base".to_owned(),
        usize::from(is_base),
    );

    let expected: BTreeMap<String, usize> = EXPECTED
        .iter()
        .map(|(what, count)| ((*what).to_owned(), *count))
        .collect();
    let names: std::collections::BTreeSet<&String> = found.keys().chain(expected.keys()).collect();
    let other = names
        .iter()
        .filter(|name| found.get(**name) != expected.get(**name));
    let mut failed = 0;
    for name in other {
        failed += 1;
        let count = |counts: &BTreeMap<String, usize>| counts.get(*name).copied().unwrap_or(0);
        println!("{name}: {} instead of {}", count(&found), count(&expected));
    }
    println!(
        "configuration: {} of {} counts equal",
        EXPECTED.len().saturating_sub(failed),
        EXPECTED.len()
    );
    failed
}

fn facts(component: &Component) -> [(&'static str, bool); 9] {
    let upstream = match &component.spec {
        Some(Spec::Upstream(upstream)) => Some(upstream),
        _ => None,
    };
    [
        ("components", true),
        ("bare components", component.is_bare),
        ("local SPECs", upstream.is_none()),
        (
            "pinned",
            upstream.is_some_and(|upstream| upstream.commit.is_some()),
        ),
        (
            "of another name",
            upstream.is_some_and(|upstream| upstream.name.is_some()),
        ),
        ("released by hand", component.release == Calculation::Manual),
        ("components in groups", !component.groups.is_empty()),
        ("components with source files", !component.source_files.is_empty()),
        ("components with overlays", !component.overlays.is_empty()),
    ]
}
