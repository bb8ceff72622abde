//! What a project is, once everything in it has been read and checked.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use keel_artefact::{ComponentName, ImageName, PackageName, Sha256, format::Version};
use serde::Serialize;

use crate::{Image, Location};

/// A distribution as its authors wrote it.
#[derive(Debug, Clone, Serialize)]
pub struct Project {
    /// Version of this artefact's format.
    pub format: Version,
    /// The folder of the project file. Absolute.
    pub root: PathBuf,
    /// The project file and everything it includes, image definitions too; absolute, in reading order.
    pub files: Vec<PathBuf>,
    /// The name of the distribution that is built: the key of its `[distros.NAME]`.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// Which version of the distribution is built.
    pub distro: Distro,
    /// Where stages put what a user takes away (`output-dir`, default `out`). Absolute.
    pub output_dir: PathBuf,
    /// The lock of the sources: `keel.lock` beside the project file. It need not exist.
    pub lock_file: PathBuf,
    /// Macro files of the distribution, in reading order. They exist.
    pub macros: Vec<PathBuf>,
    /// Capabilities that are in every build root without being asked for.
    pub base_requires: Vec<String>,
    /// The registry of numeric users and groups, if there is one.
    pub users: Option<PathBuf>,
    /// The Debian root that lends compiler and tools.
    pub stage0: Stage0,
    /// Components by name.
    pub components: BTreeMap<ComponentName, Component>,
    /// Images by name.
    pub images: BTreeMap<ImageName, Image>,
    /// Package groups by name.
    pub package_groups: BTreeMap<String, Group>,
}

impl Project {
    /// `path` as people should see it: relative to the project's folder if it is inside.
    pub fn display(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.root).unwrap_or(path).to_owned()
    }
}

/// The distribution and version that a project builds (`project.default-distro`).
#[derive(Debug, Clone, Default, Serialize)]
pub struct Distro {
    /// The key of `[distros.NAME]`.
    pub name: String,
    /// `release-ver` of the chosen `[distros.NAME.versions.VERSION]`.
    pub version: String,
    /// The distribution's description.
    pub description: String,
}

/// What the Debian root is made of, and what it may lend to build roots.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Stage0 {
    /// Debian's suite: `trixie`.
    pub suite: String,
    /// Debian packages, in the order given; what they depend on comes along.
    pub packages: Vec<String>,
    /// Debian packages that only components with [`BuildOptions::bootstrap_libc`] see.
    pub libc_dev: Vec<String>,
    /// What build roots may require from it.
    pub lends: Lends,
}

/// Capability → the Debian packages that lend it.
pub type Lends = BTreeMap<String, Vec<String>>;

/// One source package and how it is built.
#[derive(Debug, Clone, Serialize)]
pub struct Component {
    /// Its name: the key of `[components.NAME]`.
    pub name: ComponentName,
    /// Its SPEC. Absolute; the file exists.
    pub spec: PathBuf,
    /// How it is built.
    pub build: BuildOptions,
    /// Source files that do not lie beside the SPEC, in the order given.
    pub source_files: Vec<SourceFile>,
    /// Where its `[components.NAME]` is.
    pub defined_at: Location,
}

/// `[components.NAME.build]`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct BuildOptions {
    /// `%bcond`s switched on.
    pub with: Vec<String>,
    /// `%bcond`s switched off.
    pub without: Vec<String>,
    /// Macros defined before the SPEC is read.
    pub defines: BTreeMap<String, String>,
    /// Macros undefined before the SPEC is read.
    pub undefines: Vec<String>,
    /// The build root has Debian's libc headers and libc: only for what comes before Keel's own libc.
    pub bootstrap_libc: bool,
    /// What it ships may be linked with stage0's libc: for test fixtures. Images with its packages say so.
    pub borrowed_libc: bool,
    /// Whether `%check` runs.
    pub check: Check,
    /// Measured cost of a build; the scheduler's hint, part of no fingerprint.
    pub cpu_seconds: Option<f64>,
    /// A long build, where nobody measured it; the scheduler's hint, part of no fingerprint.
    pub expensive: bool,
}

/// `[components.NAME.build.check]`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Check {
    /// `%check` is left out.
    pub skip: bool,
    /// Why; never empty when `skip` is set.
    pub skip_reason: Option<String>,
}

/// One `[[components.NAME.source-files]]`.
#[derive(Debug, Clone, Serialize)]
pub struct SourceFile {
    /// Its plain file name, as the SPEC's `SourceN` or `PatchN` ends.
    pub filename: String,
    /// Its digest, if the configuration has it; otherwise the lock must.
    pub digest: Option<Sha256>,
    /// Its size in bytes, if known.
    pub size: Option<u64>,
    /// Where it may be had, best first. Never empty.
    pub origins: Vec<Origin>,
    /// Where it is written.
    pub defined_at: Location,
}

/// Where a source file may be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Origin {
    /// Debian's archive.
    Debian {
        /// Name of the source package.
        source: String,
        /// Suite: `trixie`.
        suite: String,
        /// Path below the archive's root (`pool/…`), if pinned.
        path: Option<String>,
        /// A binary package (`.deb`) and not a file of the source package.
        binary: bool,
    },
    /// A URL (`http` or `https`; the digest is what makes it trusted). azldev calls it `download`.
    Https {
        /// The URL.
        url: String,
    },
    /// A file of this machine or tree. Absolute.
    File {
        /// Where it lies.
        path: PathBuf,
    },
    /// A crate on crates.io.
    Crates {
        /// The crate.
        name: String,
        /// Its version.
        version: String,
    },
    /// A source distribution on PyPI.
    Pypi {
        /// The project.
        name: String,
        /// Its version.
        version: String,
    },
}

/// `[package-groups.NAME]`: packages under one name, for image definitions.
#[derive(Debug, Clone, Serialize)]
pub struct Group {
    /// One line for people.
    pub description: String,
    /// Its packages, in the order given.
    pub packages: Vec<PackageName>,
    /// Where it is written.
    pub defined_at: Location,
}
