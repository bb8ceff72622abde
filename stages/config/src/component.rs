//! What a component is: a name, and settings that it says or inherits.

use std::{collections::BTreeMap, fmt, ops::Deref, path::PathBuf, sync::Arc};

use keel_artefact::{ComponentName, Sha256};
use serde::{Serialize, Serializer};

use crate::{
    Location,
    overlay::{Calculation, Overlay, Semantics},
};

/// One source package and how it is built. Its settings read as its own fields.
#[derive(Debug, Clone, Serialize)]
pub struct Component {
    /// Its name: the key of `[components.NAME]`.
    pub name: ComponentName,
    /// Number of its tree in [`Project::trees`](crate::Project): 0 is the project's own.
    pub tree: usize,
    /// Lowest number of a tree that says something about it: in its own table, in a group that it is in (or by putting it there),
    /// or in what all components inherit.
    #[serde(skip)]
    pub changed_in: usize,
    /// Its own table says nothing: all that it has is inherited.
    pub is_bare: bool,
    /// The groups that it is in, by name.
    pub groups: Vec<String>,
    /// What it says or inherits; shared by all that say nothing.
    #[serde(flatten, serialize_with = "shared")]
    pub settings: Arc<Settings>,
    /// Where its `[components.NAME]` is.
    pub defined_at: Location,
}

fn shared<S: Serializer>(settings: &Arc<Settings>, serializer: S) -> Result<S::Ok, S::Error> {
    settings.as_ref().serialize(serializer)
}

impl Deref for Component {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.settings
    }
}

impl Component {
    /// Is it of the project's own tree, and not of one that this stands on?
    pub fn is_own(&self) -> bool {
        self.tree == 0
    }

    /// What its source package is called upstream.
    pub fn upstream_name(&self) -> &str {
        match &self.spec {
            Some(Spec::Upstream(Upstream { name: Some(name), .. })) => name,
            _ => self.name.as_str(),
        }
    }
}

/// What a component says or inherits.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Settings {
    /// Where its SPEC comes from. Always there in a [`Project`](crate::Project) that was loaded.
    pub spec: Option<Spec>,
    /// Who counts up its Release.
    pub release: Calculation,
    /// How overlays see its SPEC.
    pub semantics: Semantics,
    /// Changes to the SPEC and the files beside it, in order: inherited, own, those of files.
    pub overlays: Vec<Overlay>,
    /// The licence of its SPEC, an SPDX expression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// How it is built.
    pub build: BuildOptions,
    /// Files that the SPEC does not name are rendered, too.
    pub skip_file_filter: bool,
    /// Source files that do not lie beside the SPEC, in the order given.
    pub source_files: Vec<SourceFile>,
    /// Settings of its packages, by their names.
    pub packages: BTreeMap<String, PackageSettings>,
    /// Channels of all that it builds.
    pub publish: Channels,
    /// What checks of its packages find, and is as it should be.
    pub exceptions: Vec<Exception>,
}

/// Where a SPEC comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Spec {
    /// A file of the tree.
    Local {
        /// The SPEC. Absolute; the file exists.
        path: PathBuf,
    },
    /// Another distribution's.
    Upstream(Upstream),
}

/// A SPEC of another distribution.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Upstream {
    /// Which distribution's; none: the project's own.
    pub distro: Option<String>,
    /// Which version's; none: its default.
    pub version: Option<String>,
    /// Its state at this time (RFC 3339).
    pub snapshot: Option<String>,
    /// What it is called there, if not as the component.
    pub name: Option<String>,
    /// The commit of its repository, 7 to 40 hexadecimal digits; none: the last one of the snapshot.
    pub commit: Option<String>,
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.distro.as_deref().unwrap_or("upstream"))?;
        if let Some(version) = &self.version {
            write!(f, " {version}")?;
        }
        if let Some(commit) = &self.commit {
            write!(f, " at {}", commit.get(..12).unwrap_or(commit))?;
        }
        Ok(())
    }
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
    /// Macros tell the upstream's version and release to the SPEC.
    pub emit_upstream_provenance: bool,
    /// The build root has Debian's libc headers and libc: only for what comes before Keel's own libc.
    pub bootstrap_libc: bool,
    /// What it ships may be linked with stage0's libc: for test fixtures. Images with its packages say so.
    pub borrowed_libc: bool,
    /// Whether `%check` runs.
    pub check: Check,
    /// Whether the build is known to fail.
    pub failure: Failure,
    /// Measured cost of a build; the scheduler's hint, part of no fingerprint.
    pub cpu_seconds: Option<f64>,
    /// Bytes of memory that a build needs at its peak; the scheduler's hint, part of no fingerprint.
    pub memory: Option<u64>,
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

/// `[components.NAME.build.failure]`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Failure {
    /// The build is known to fail.
    pub expected: bool,
    /// Why; never empty when `expected` is set.
    pub reason: Option<String>,
}

/// One `[[components.NAME.package-checks.allow]]`. Part of no fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exception {
    /// The rule. Not known here to be one.
    pub rule: String,
    /// A pattern of package names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// A pattern of paths.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Why. Not empty.
    pub reason: String,
    /// Where it is written.
    pub defined_at: Location,
}

/// Channels of all that a component builds; `none` publishes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Channels {
    /// Of its packages.
    pub rpm: Option<String>,
    /// Of its source package.
    pub srpm: Option<String>,
    /// Of its debugging information.
    pub debuginfo: Option<String>,
}

/// Settings of one package.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PackageSettings {
    /// The channel that it is published in.
    pub rpm_channel: Option<String>,
    /// That of its debugging information.
    pub debuginfo_channel: Option<String>,
}

impl PackageSettings {
    /// What `layer` says wins.
    pub(crate) fn lay_over(&mut self, layer: &Self) {
        for (into, from) in [
            (&mut self.rpm_channel, &layer.rpm_channel),
            (&mut self.debuginfo_channel, &layer.debuginfo_channel),
        ] {
            if from.is_some() {
                into.clone_from(from);
            }
        }
    }
}

/// One `[[components.NAME.source-files]]`.
#[derive(Debug, Clone, Serialize)]
pub struct SourceFile {
    /// Its plain file name, as the SPEC's `SourceN` or `PatchN` ends.
    pub filename: String,
    /// Its digest, if the configuration has it; otherwise the lock must.
    pub digest: Option<Digest>,
    /// Its size in bytes, if known.
    pub size: Option<u64>,
    /// Where it may be had, best first. Never empty.
    pub origins: Vec<Origin>,
    /// Its upstream's signature.
    pub signature: Option<Signature>,
    /// It takes the place of the upstream's file of that name.
    pub replaces_upstream: bool,
    /// Where it is written.
    pub defined_at: Location,
}

impl SourceFile {
    /// Its SHA-256, if the configuration has that.
    pub fn sha256(&self) -> Option<Sha256> {
        match self.digest {
            Some(Digest::Sha256(digest)) => Some(digest),
            _ => None,
        }
    }
}

/// A detached OpenPGP signature of a source file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Signature {
    /// Where it is.
    pub place: SignaturePlace,
    /// A file with the keys that may sign. Absolute.
    pub key: PathBuf,
    /// It is over the archive before it was compressed.
    pub uncompressed: bool,
    /// Where it is written.
    pub defined_at: Location,
}

/// Where a signature is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SignaturePlace {
    /// A URL with `https`.
    Url(String),
    /// A file. Absolute.
    File(PathBuf),
}

/// A digest of one of the kinds that configurations may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Digest {
    /// SHA-256.
    Sha256(Sha256),
    /// SHA-512, 128 hexadecimal digits in lower case.
    Sha512(String),
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
    /// A package on npm.
    Npm {
        /// The package.
        name: String,
        /// Its version.
        version: String,
    },
    /// The files of a commit, as a tar archive.
    Git {
        /// The repository: `https://…` or `file:///…`.
        url: String,
        /// All digits of the commit's name, in lower case.
        commit: String,
    },
    /// azldev's: a program of the tree makes it.
    Custom {
        /// The program. Absolute.
        script: PathBuf,
        /// Packages that it needs.
        packages: Vec<String>,
        /// Files that it reads. Absolute.
        inputs: Vec<PathBuf>,
    },
    /// azldev's: an archive of the upstream, after its overlays.
    Overlay,
}
