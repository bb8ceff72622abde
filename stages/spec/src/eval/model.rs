//! What a SPEC says, for one architecture and one macro environment.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::dependency::{Dependency, Kind};

/// The version of the serialised form of [`Evaluated`].
pub const FORMAT: u32 = 1;

/// A SPEC, evaluated: what `rpmspec` knows of it, and what its sections say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evaluated {
    /// [`FORMAT`].
    pub format: u32,
    /// `%{_target_cpu}` at the end: `noarch` if the SPEC says so.
    pub arch: String,
    /// The source package; its requirements are the build requirements.
    pub source: Package,
    /// The main package, then the others in the order of the SPEC; those with [`Package::built`] are made.
    pub packages: Vec<Package>,
    /// Sources and patches, in the order of the source package's header.
    pub sources: Vec<Source>,
    /// `ExclusiveArch:`.
    pub exclusive_arch: Vec<String>,
    /// `ExcludeArch:`.
    pub exclude_arch: Vec<String>,
    /// `ExclusiveOS:`.
    pub exclusive_os: Vec<String>,
    /// `ExcludeOS:`.
    pub exclude_os: Vec<String>,
    /// `BuildArch:`.
    pub build_arch: Vec<String>,
    /// The source package lacks some of its sources (`NoSource:`, `NoPatch:`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_source: bool,
    /// The source package's file name; rpm 4.18 does not know it before the build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_rpm: Option<String>,
    /// The source package's name, epoch, version and release, which packages of rpm 6's format name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_nevr: Option<String>,
    /// The build's scripts by name (`prep`, `build` …), with appended and prepended parts.
    pub sections: BTreeMap<String, String>,
}

impl Evaluated {
    /// The packages that the build makes.
    pub fn built(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.built)
    }
}

/// One package: a header before it is built.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its epoch.
    pub epoch: Option<u32>,
    /// Its version.
    pub version: String,
    /// Its release.
    pub release: String,
    /// Its architecture.
    pub arch: String,
    /// It has `%files`.
    pub built: bool,
    /// The tags that hold one text, by rpm's name in lower case: `summary`, `license`, `url` …
    #[serde(flatten)]
    pub texts: BTreeMap<String, String>,
    /// Texts in other languages than the first, by tag and language.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub translations: BTreeMap<String, BTreeMap<String, String>>,
    /// What it provides, sorted as rpm sorts.
    pub provides: Vec<Dependency>,
    /// What it requires.
    pub requires: Vec<Dependency>,
    /// What it conflicts with.
    pub conflicts: Vec<Dependency>,
    /// What it replaces.
    pub obsoletes: Vec<Dependency>,
    /// What it recommends.
    pub recommends: Vec<Dependency>,
    /// What it suggests.
    pub suggests: Vec<Dependency>,
    /// What it supplements.
    pub supplements: Vec<Dependency>,
    /// What it enhances.
    pub enhances: Vec<Dependency>,
    /// What is installed before it.
    pub order_with_requires: Vec<Dependency>,
    /// `Prefix:`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<String>,
    /// The lines of `%files`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// The files named by `%files -f`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub file_lists: Vec<String>,
    /// Scripts and triggers in the order of the SPEC.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scripts: Vec<Script>,
    /// The changelog, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changelog: Vec<Change>,
    /// Whether requirements are looked for in its files.
    pub auto_requires: bool,
    /// Whether provides are looked for in its files.
    pub auto_provides: bool,
}

impl Package {
    pub(super) fn new() -> Self {
        Self {
            auto_requires: true,
            auto_provides: true,
            ..Self::default()
        }
    }

    /// A tag that holds one text, by rpm's name in lower case.
    pub fn text(&self, tag: &str) -> Option<&str> {
        match tag {
            "name" => Some(&self.name),
            "version" => Some(&self.version),
            "release" => Some(&self.release),
            "arch" => Some(&self.arch),
            _ => self.texts.get(tag).map(String::as_str),
        }
    }

    /// `[epoch:]version-release`.
    pub fn evr(&self) -> String {
        let epoch = self.epoch.map_or(String::new(), |epoch| format!("{epoch}:"));
        format!("{epoch}{}-{}", self.version, self.release)
    }

    pub(super) fn dependencies(&mut self, kind: Kind) -> &mut Vec<Dependency> {
        match kind {
            Kind::Provides => &mut self.provides,
            Kind::Requires => &mut self.requires,
            Kind::Conflicts => &mut self.conflicts,
            Kind::Obsoletes => &mut self.obsoletes,
            Kind::Recommends => &mut self.recommends,
            Kind::Suggests => &mut self.suggests,
            Kind::Supplements => &mut self.supplements,
            Kind::Enhances => &mut self.enhances,
            Kind::OrderWithRequires => &mut self.order_with_requires,
        }
    }
}

/// What a source file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// `SourceN:`.
    Source,
    /// `PatchN:`.
    Patch,
}

/// One `SourceN:` or `PatchN:`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its number.
    pub number: u32,
    /// Source or patch.
    pub kind: SourceKind,
    /// The file's name: what is after the last `/` (and, behind that, the last `=`).
    pub file: String,
    /// What the tag says.
    pub full: String,
    /// Where the build finds it: in `%{_sourcedir}`.
    pub path: String,
    /// `NoSource:` or `NoPatch:` keeps it out of the source package.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub left_out: bool,
}

/// A script that runs when a package is installed or removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Script {
    /// The section: `post`, `triggerin` …
    pub section: String,
    /// What runs it, with arguments.
    pub interpreter: Vec<String>,
    /// Its text.
    pub body: String,
    /// A file in the build root that holds it (`-f`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// What fires it, if it is a trigger.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Dependency>,
    /// `-P` of a file trigger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
}

/// One entry of the changelog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Seconds since 1970.
    pub time: i64,
    /// Who, and mostly the version.
    pub name: String,
    /// What.
    pub text: String,
}
