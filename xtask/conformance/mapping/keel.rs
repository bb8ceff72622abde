//! A line of `keel spec eval --output json`.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::{Facts, Kind, Package, dependency, evr};

#[derive(Deserialize)]
struct KeelLine {
    spec: String,
    error: Option<String>,
    source: Option<KeelPackage>,
    #[serde(default)]
    packages: Vec<KeelPackage>,
    #[serde(default)]
    sources: Vec<KeelSource>,
    #[serde(default)]
    exclusive_arch: Vec<String>,
    #[serde(default)]
    exclude_arch: Vec<String>,
    #[serde(default)]
    sections: BTreeMap<String, serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct KeelSource {
    kind: String,
    file: String,
}

#[derive(Deserialize)]
struct KeelPackage {
    name: String,
    epoch: Option<u64>,
    version: String,
    release: String,
    arch: String,
    summary: Option<String>,
    group: Option<String>,
    license: Option<String>,
    url: Option<String>,
    #[serde(default)]
    built: bool,
    #[serde(default)]
    requires: Vec<KeelDependency>,
    #[serde(default)]
    provides: Vec<KeelDependency>,
    #[serde(default)]
    conflicts: Vec<KeelDependency>,
    #[serde(default)]
    obsoletes: Vec<KeelDependency>,
    #[serde(default)]
    recommends: Vec<KeelDependency>,
    #[serde(default)]
    suggests: Vec<KeelDependency>,
    #[serde(default)]
    supplements: Vec<KeelDependency>,
    #[serde(default)]
    enhances: Vec<KeelDependency>,
    #[serde(default)]
    order_with_requires: Vec<KeelDependency>,
}

#[derive(Deserialize)]
struct KeelDependency {
    name: String,
    op: Option<String>,
    evr: Option<String>,
    #[serde(default)]
    qualifiers: Vec<String>,
}

impl From<KeelPackage> for Package {
    fn from(package: KeelPackage) -> Self {
        let text = |dependency_: &KeelDependency| {
            let relation = dependency_.op.as_deref().zip(dependency_.evr.as_deref());
            dependency(
                &dependency_.name,
                relation,
                dependency_.qualifiers.iter().cloned(),
            )
        };
        let by_kind = [
            (Kind::Requires, &package.requires),
            (Kind::Provides, &package.provides),
            (Kind::Conflicts, &package.conflicts),
            (Kind::Obsoletes, &package.obsoletes),
            (Kind::Recommends, &package.recommends),
            (Kind::Suggests, &package.suggests),
            (Kind::Supplements, &package.supplements),
            (Kind::Enhances, &package.enhances),
            (Kind::OrderWithRequires, &package.order_with_requires),
        ];
        let epoch = package.epoch.map(|epoch| epoch.to_string());
        Self {
            evr: evr(epoch.as_deref(), &package.version, &package.release),
            dependencies: by_kind
                .into_iter()
                .map(|(kind, list)| (kind, list.iter().map(text).collect()))
                .collect(),
            name: package.name,
            arch: package.arch,
            texts: vec![
                ("Summary", package.summary.unwrap_or_default()),
                ("Group", package.group.unwrap_or_default()),
                ("License", package.license.unwrap_or_default()),
                ("URL", package.url.unwrap_or_default()),
            ],
        }
    }
}

/// Reads a line of `keel spec eval --output json`: the SPEC as it was named, and what Keel says or why it says nothing.
pub fn from_keel(line: &str) -> Result<(String, Result<Facts, String>)> {
    let line: KeelLine = serde_json::from_str(line).context("no line of `keel spec eval --output json`")?;
    let Some(source) = line.source else {
        let why = line
            .error
            .unwrap_or_else(|| "neither an error nor a source package".to_owned());
        return Ok((line.spec, Err(why)));
    };
    let files = |kind: &str| {
        let of_kind = line.sources.iter().filter(|source| source.kind == kind);
        of_kind.map(|source| source.file.clone()).collect()
    };
    let (sources, patches) = (files("source"), files("patch"));
    let mut all = Vec::new();
    let mut built = Vec::new();
    for package in line.packages {
        let has_files = package.built;
        let package = Package::from(package);
        all.push(format!("{}.{}", package.nevr(), package.arch));
        if has_files {
            built.push(package);
        }
    }
    let facts = Facts {
        source: source.into(),
        built,
        requires_with_check: None,
        sources,
        patches,
        exclusive_arch: line.exclusive_arch,
        exclude_arch: line.exclude_arch,
        all: Some(all),
        has_check: Some(line.sections.contains_key("check")),
        parse_sha256: None,
    };
    Ok((line.spec, Ok(facts)))
}
