//! A tree that others wrote: Azure Linux 4, as it is.

use std::{collections::BTreeMap, path::Path};

use keel_config::{Spec, load, overlay::Calculation};

/// The figures of commit `afd2c0a1` of its repository, counted by other means.
#[test]
fn azure_linux_4_is_read_as_it_is() {
    let Some(folder) = std::env::var_os("KEEL_CORPUS_AZL4") else {
        eprintln!("skipped: KEEL_CORPUS_AZL4 does not name a checkout of Azure Linux 4");
        return;
    };
    let project = load(Path::new(&folder)).unwrap();
    let components: Vec<_> = project.components.values().collect();
    let count = |fits: &dyn Fn(&keel_config::Component) -> bool| {
        components.iter().filter(|component| fits(component)).count()
    };
    let upstream = |component: &keel_config::Component| match &component.spec {
        Some(Spec::Upstream(upstream)) => Some(upstream.clone()),
        _ => None,
    };
    assert_eq!(components.len(), 7583);
    assert_eq!(count(&|component| component.is_bare), 7382);
    assert_eq!(count(&|component| upstream(component).is_none()), 3);
    let has = |part: fn(&keel_config::Upstream) -> bool| {
        count(&|component| upstream(component).is_some_and(|upstream| part(&upstream)))
    };
    assert_eq!(has(|upstream| upstream.commit.is_some()), 54);
    assert_eq!(has(|upstream| upstream.name.is_some()), 13);
    let snapshot =
        |upstream: &keel_config::Upstream| upstream.snapshot.as_deref() == Some("2026-02-24T00:00:00-08:00");
    assert_eq!(has(snapshot), 7580);
    assert_eq!(count(&|component| component.release == Calculation::Manual), 36);
    assert_eq!(count(&|component| !component.groups.is_empty()), 182);
    assert_eq!(count(&|component| !component.source_files.is_empty()), 2);
    assert_eq!(count(&|component| !component.overlays.is_empty()), 97);
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for overlay in components.iter().flat_map(|component| &component.overlays) {
        let kind = serde_json::to_value(&overlay.change).unwrap()["type"].to_string();
        *kinds.entry(kind.trim_matches('"').to_owned()).or_default() += 1;
    }
    let kinds: Vec<(&str, usize)> = kinds
        .iter()
        .map(|(kind, count)| (kind.as_str(), *count))
        .collect();
    assert_eq!(
        kinds,
        [
            ("file-add", 16),
            ("file-remove", 2),
            ("file-rename", 3),
            ("file-search-replace", 10),
            ("patch-add", 9),
            ("patch-remove", 1),
            ("spec-add-tag", 22),
            ("spec-append-lines", 18),
            ("spec-insert-tag", 11),
            ("spec-prepend-lines", 5),
            ("spec-remove-section", 12),
            ("spec-remove-tag", 15),
            ("spec-search-replace", 93),
            ("spec-set-tag", 2),
            ("spec-update-tag", 14),
        ]
    );
    let packages = |group: &str| project.package_groups[group].packages.len();
    assert_eq!(
        (
            packages("base-packages"),
            packages("sdk-packages"),
            packages("exceptions-packages")
        ),
        (6081, 17748, 9231)
    );
    let bash = &project.components["bash"];
    assert_eq!(
        project.package_settings(bash, "bash").rpm_channel.as_deref(),
        Some("rpm-base")
    );
    assert_eq!(
        project
            .package_settings(bash, "no-such-package")
            .rpm_channel
            .as_deref(),
        Some("rpm-sdk")
    );
    assert!(
        project
            .spec_file(bash)
            .unwrap()
            .ends_with("specs/b/bash/bash.spec")
    );
}
