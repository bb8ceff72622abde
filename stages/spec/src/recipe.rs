//! What a SPEC means for one architecture.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use keel_artefact::{
    Arch, ComponentName, Dependency, Epoch, Evr, Nevra, PackageName, Provide, Sha256, format::Version,
};
use serde::{Deserialize, Serialize};

use crate::{
    answer,
    eval::{self, Evaluated},
};

/// A SPEC, evaluated for one architecture and one set of macros.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// Version of this artefact's format.
    pub format: Version,
    /// The component it was read for.
    pub component: ComponentName,
    /// The architecture it was read for; a [`noarch`](Self::noarch) package has it too.
    pub arch: Arch,
    /// Name of the source package.
    pub name: PackageName,
    /// Its epoch, version and release.
    pub evr: Evr,
    /// Digest of the SPEC's bytes.
    pub spec_digest: Sha256,
    /// The SPEC. Absolute.
    pub spec_file: PathBuf,
    /// The same, as people should see it: relative to the project's folder if it is inside.
    pub spec_shown: PathBuf,
    /// Digest of the distribution's macro files, with their names and order.
    pub macros_digest: Sha256,
    /// Time of the newest entry of `%changelog`.
    pub source_date_epoch: Epoch,
    /// `License:` of the main package.
    pub licence: String,
    /// The SPEC says `BuildArch: noarch`.
    pub noarch: bool,
    /// `BuildRequires`, in the order of lines where they are known, then by name; `rpmlib(…)` left out.
    pub build_requires: Vec<BuildRequire>,
    /// Binary packages that it makes, by name. Debuginfo packages, which only a build can know, are left out.
    pub packages: Vec<RecipePackage>,
    /// `SourceN` and `PatchN`: sources first, each by number.
    pub sources: Vec<RecipeSource>,
    /// The line of `%generate_buildrequires`, which prints requirements that are known when it has run; 0: of a macro. None:
    /// there is no such section.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generates: Option<u32>,
    /// It has a `%check`.
    #[serde(default)]
    pub has_check: bool,
    /// Macros defined before it is read, the `--with` and `--without` switches included, as rpmbuild must get them.
    pub defines: BTreeMap<String, String>,
    /// Macros undefined before it is read, as rpmbuild must get them.
    pub undefines: Vec<String>,
    /// The rebuild counter in its Release; 0 is none. What it makes of `%dist` is in [`defines`](Self::defines).
    #[serde(default, skip_serializing_if = "is_none")]
    pub rebuild: u32,
}

fn is_none(rebuild: &u32) -> bool {
    *rebuild == 0
}

impl Recipe {
    /// What a SPEC outside of a project means: `shown` is its path as it was named, `text` its text. None if it is not for `arch`;
    /// an error says in words what it does not say. Nothing can be built of it: it has no macros and no files.
    ///
    /// Macros that nobody defines are no error here, as for rpm they are none: what is left of a version without their signs
    /// is a version, and what has one in its name is left out. The second value says so.
    pub fn of_spec(
        component: ComponentName,
        shown: &Path,
        text: &str,
        spec: &Evaluated,
        arch: Arch,
    ) -> Result<Option<(Self, Vec<String>)>, String> {
        let (read, told) = match answer::read(spec, text, arch) {
            Ok(read) => (read, Vec::new()),
            Err(_) => {
                let (spec, told) = without_macros(spec.clone());
                (answer::read(&spec, text, arch).map_err(|odd| odd.0)?, told)
            }
        };
        if read.not_for.is_some() {
            return Ok(None);
        }
        let recipe = Self {
            format: crate::FORMAT,
            component,
            arch,
            name: read.name,
            evr: read.evr,
            spec_digest: Sha256::of(text.as_bytes()),
            spec_file: shown.to_owned(),
            spec_shown: shown.to_owned(),
            macros_digest: Sha256::of(b""),
            source_date_epoch: read.source_date_epoch.unwrap_or(Epoch(0)),
            licence: read.licence,
            noarch: read.noarch,
            build_requires: read.build_requires,
            packages: read.packages,
            sources: read.sources,
            generates: read.generates,
            has_check: read.has_check,
            defines: BTreeMap::new(),
            undefines: Vec::new(),
            rebuild: 0,
        };
        Ok(Some((recipe, told)))
    }
}

/// What a recipe has of a package's dependencies.
fn lists(package: &mut eval::Package) -> [&mut Vec<eval::Dependency>; 6] {
    [
        &mut package.provides,
        &mut package.requires,
        &mut package.conflicts,
        &mut package.obsoletes,
        &mut package.recommends,
        &mut package.supplements,
    ]
}

/// The same without the macros that are left in it, and what was done about each.
fn without_macros(mut spec: Evaluated) -> (Evaluated, Vec<String>) {
    let mut told = BTreeSet::new();
    let mut clean = |text: &mut String| {
        if text.contains('%') {
            let plain: String = text.chars().filter(|c| !"%{}?!".contains(*c)).collect();
            told.insert(format!("`{text}` is read as `{plain}`"));
            *text = plain;
        }
    };
    clean(&mut spec.source.name);
    for package in spec.packages.iter_mut().chain([&mut spec.source]) {
        clean(&mut package.version);
        clean(&mut package.release);
        for list in lists(package) {
            list.iter_mut().for_each(|dependency| clean(&mut dependency.evr));
        }
    }
    let mut is_named = |name: &str| {
        let is_plain = !name.contains('%');
        if !is_plain {
            told.insert(format!("`{name}` is left out"));
        }
        is_plain
    };
    spec.packages.retain(|package| is_named(&package.name));
    for package in spec.packages.iter_mut().chain([&mut spec.source]) {
        for list in lists(package) {
            list.retain(|dependency| is_named(&dependency.name));
        }
    }
    // Names of files are of no interest here.
    spec.sources.clear();
    (spec, told.into_iter().collect())
}

/// One `BuildRequires`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildRequire {
    /// What is required.
    pub dependency: Dependency,
    /// The SPEC's line that says so, if it says so literally.
    pub line: Option<u32>,
}

/// A binary package as its SPEC declares it. What rpmbuild finds in its files comes later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecipePackage {
    /// Its identity.
    pub nevra: Nevra,
    /// What it provides: itself (`name = evr`, `name(isa) = evr`) and what the SPEC says.
    pub provides: Vec<Provide>,
    /// What the SPEC says that it requires; `rpmlib(…)` left out.
    pub requires: Vec<Dependency>,
    /// What the SPEC says that it cannot be installed with.
    pub conflicts: Vec<Dependency>,
    /// What the SPEC says that it replaces.
    pub obsoletes: Vec<Dependency>,
    /// What the SPEC says that should come along.
    pub recommends: Vec<Dependency>,
    /// With what the SPEC says that it should come along.
    pub supplements: Vec<Dependency>,
    /// Its summary.
    pub summary: String,
}

/// One `SourceN` or `PatchN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecipeSource {
    /// The last part of what the SPEC says: the name in the build's `SOURCES`.
    pub file_name: String,
    /// What the SPEC says, if that is a URL.
    pub url: Option<String>,
    /// N.
    pub number: u32,
    /// Source or patch.
    pub kind: SourceKind,
}

/// Which tag names a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    /// `SourceN`.
    Source,
    /// `PatchN`.
    Patch,
}
