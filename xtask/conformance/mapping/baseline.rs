//! A line of a baseline, as the oracle's script writes it.

use anyhow::{Context as _, Result};
use serde::{Deserialize, Deserializer};

use super::{Facts, Kind, Package, dependency, evr};

#[derive(Deserialize)]
struct BaselineLine {
    spec: String,
    source: Option<BaselinePackage>,
    #[serde(default)]
    built: Vec<BaselinePackage>,
    /// Only where it differs from `source.requires`; null where nothing is left.
    #[serde(default, deserialize_with = "present")]
    requires_with_check: Option<Option<Vec<BaselineDependency>>>,
    all_nevra: Option<Vec<String>>,
    has_check: Option<bool>,
    parse_sha256: Option<String>,
}

/// Keeps `null` apart from absence.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct BaselinePackage {
    name: String,
    epoch: Option<String>,
    version: String,
    release: String,
    arch: String,
    summary: String,
    group: String,
    license: String,
    url: String,
    requires: Vec<BaselineDependency>,
    provides: Vec<BaselineDependency>,
    conflicts: Vec<BaselineDependency>,
    obsoletes: Vec<BaselineDependency>,
    recommends: Vec<BaselineDependency>,
    suggests: Vec<BaselineDependency>,
    supplements: Vec<BaselineDependency>,
    enhances: Vec<BaselineDependency>,
    orders: Vec<BaselineDependency>,
    source: Vec<String>,
    patch: Vec<String>,
    exclusivearch: Vec<String>,
    excludearch: Vec<String>,
}

#[derive(Deserialize)]
struct BaselineDependency {
    n: String,
    op: Option<String>,
    #[serde(default)]
    v: String,
    #[serde(default)]
    q: Vec<String>,
}

impl BaselineDependency {
    fn text(&self) -> String {
        let relation = self.op.as_deref().map(|op| (op, self.v.as_str()));
        // The script that makes baselines names the bits 5 and 6 of rpm's flags wrongly (include/rpm/rpmds.h), and does
        // not look at 7, which is RPMSENSE_PRETRANS.
        let right = |name: &String| match name.as_str() {
            "pretrans" => "posttrans".to_owned(),
            "posttrans" => "prereq".to_owned(),
            _ => name.clone(),
        };
        dependency(&self.n, relation, self.q.iter().map(right))
    }
}

/// rpm prints a tag that is not there as `(none)`.
fn none_if_absent(text: String) -> String {
    if text == "(none)" { String::new() } else { text }
}

fn texts_of(list: &[BaselineDependency]) -> Vec<String> {
    list.iter().map(BaselineDependency::text).collect()
}

impl From<BaselinePackage> for Package {
    fn from(package: BaselinePackage) -> Self {
        let by_kind = [
            (Kind::Requires, &package.requires),
            (Kind::Provides, &package.provides),
            (Kind::Conflicts, &package.conflicts),
            (Kind::Obsoletes, &package.obsoletes),
            (Kind::Recommends, &package.recommends),
            (Kind::Suggests, &package.suggests),
            (Kind::Supplements, &package.supplements),
            (Kind::Enhances, &package.enhances),
            (Kind::OrderWithRequires, &package.orders),
        ];
        Self {
            evr: evr(package.epoch.as_deref(), &package.version, &package.release),
            dependencies: by_kind
                .into_iter()
                .map(|(kind, list)| (kind, texts_of(list)))
                .collect(),
            name: package.name,
            arch: package.arch,
            texts: vec![
                ("Summary", none_if_absent(package.summary)),
                ("Group", none_if_absent(package.group)),
                ("License", none_if_absent(package.license)),
                ("URL", none_if_absent(package.url)),
            ],
        }
    }
}

/// Reads a line of a baseline: the SPEC's path in the corpus, and what rpm says; nothing where rpm refuses the SPEC.
pub fn from_baseline(line: &str) -> Result<(String, Option<Facts>)> {
    let line: BaselineLine = serde_json::from_str(line).context("no line of a baseline")?;
    let Some(mut source) = line.source else {
        return Ok((line.spec, None));
    };
    let words = |list: &[String]| {
        list.iter()
            .flat_map(|text| text.split_whitespace().map(str::to_owned))
            .collect()
    };
    let (exclusive_arch, exclude_arch) = (words(&source.exclusivearch), words(&source.excludearch));
    let (sources, patches) = (
        std::mem::take(&mut source.source),
        std::mem::take(&mut source.patch),
    );
    let with_check = match &line.requires_with_check {
        Some(list) => texts_of(list.as_deref().unwrap_or_default()),
        None => texts_of(&source.requires),
    };
    let facts = Facts {
        source: source.into(),
        built: line.built.into_iter().map(Package::from).collect(),
        requires_with_check: Some(with_check),
        sources,
        patches,
        exclusive_arch,
        exclude_arch,
        all: line.all_nevra,
        has_check: line.has_check,
        parse_sha256: line.parse_sha256,
    };
    Ok((line.spec, Some(facts)))
}
