//! Arrows between crates point down the flow: what a stage may know of others is decided here, once.

use std::{collections::BTreeMap, path::Path};

/// Each crate and the layer it is on. A crate may depend only on crates of lower layers.
const LAYERS: &[(&str, &[&str])] = &[
    ("base", &["keel-artefact"]),
    ("base", &["keel-store", "keel-sandbox", "keel-rpm"]),
    ("base", &["keel-host", "keel-inspect"]),
    ("stages", &["keel-config"]),
    ("stages", &["keel-spec"]),
    ("stages", &["keel-source"]),
    ("stages", &["keel-plan"]),
    ("stages", &["keel-build"]),
    ("stages", &["keel-repo"]),
    ("stages", &["keel-image"]),
    (".", &["keel-cli"]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the cli is in the workspace")
}

/// Names of the crates that the manifest of `folder` depends on, tests' aside.
fn dependencies(folder: &Path) -> Vec<String> {
    let text = fs_err::read_to_string(folder.join("Cargo.toml")).unwrap();
    let manifest: toml::Table = text.parse().unwrap();
    let table = manifest["dependencies"].as_table().unwrap();
    table
        .keys()
        .filter(|name| name.starts_with("keel-"))
        .cloned()
        .collect()
}

fn folder_of(layer: &str, name: &str) -> std::path::PathBuf {
    match layer {
        "." => root().join("cli"),
        layer => root().join(layer).join(name.strip_prefix("keel-").unwrap()),
    }
}

#[test]
fn arrows_follow_the_flow() {
    let height: BTreeMap<&str, usize> = LAYERS
        .iter()
        .enumerate()
        .flat_map(|(height, (_, names))| names.iter().map(move |name| (*name, height)))
        .collect();
    for (layer, names) in LAYERS {
        for name in *names {
            for dependency in dependencies(&folder_of(layer, name)) {
                let below = height
                    .get(dependency.as_str())
                    .unwrap_or_else(|| panic!("{dependency} has no layer"));
                assert!(
                    *below < height[name],
                    "{name} depends on {dependency}, which is not below it"
                );
            }
        }
    }
}

#[test]
fn every_member_of_the_workspace_has_its_layer_and_its_folder() {
    let text = fs_err::read_to_string(root().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = text.parse().unwrap();
    let members = manifest["workspace"]["members"].as_array().unwrap();
    let members: Vec<_> = members
        .iter()
        .map(|member| root().join(member.as_str().unwrap()))
        .collect();
    let mut known: Vec<_> = LAYERS
        .iter()
        .flat_map(|(layer, names)| names.iter().map(|name| folder_of(layer, name)))
        .collect();
    known.push(root().join("xtask"));
    known.sort();
    let mut sorted = members.clone();
    sorted.sort();
    assert_eq!(sorted, known);
    assert!(
        members.len() <= 15,
        "8 to 14 crates and xtask: merge before you add"
    );
}
