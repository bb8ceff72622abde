//! What one job made: its packages, and what later jobs must know of them.

use std::time::Duration;

use keel_artefact::{Dependency, Provide, Sha256, format};
use serde::{Deserialize, Serialize};

use crate::{BuiltPackage, scriptlets::Changes, trace::Leak};

/// The version of [`Built`] as recorded in the store: raised when what is recorded changes, and when a check does, so that
/// what an older check accepted is checked again.
pub const FORMAT: format::Version = format::Version(2);

/// The version of [`Unchecked`] as recorded in the store.
pub const FORMAT_UNCHECKED: format::Version = format::Version(1);

/// What rpmbuild made, recorded in the store under the job's fingerprint before anything of it is checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unchecked {
    /// Version of this format.
    pub format: format::Version,
    /// Its packages, objects of the store, in the order of their file names.
    pub rpms: Vec<Sha256>,
    /// What the linker read, an object of the store.
    pub trace: Sha256,
    /// The build's log, an object of the store.
    pub log: Sha256,
    /// How long it took.
    pub wall: Duration,
    /// Processor time, user and system, of all its processes.
    pub cpu: Duration,
    /// Memory of all its processes at the peak, in bytes; 0 where an older Keel did not look.
    #[serde(default)]
    pub memory: u64,
    /// Did `%check` run? None where an older Keel did not listen.
    #[serde(default)]
    pub checked: Option<bool>,
}

/// The result of a job, recorded in the store under its fingerprint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Built {
    /// Version of this format.
    pub format: format::Version,
    /// All that the job could see.
    pub fingerprint: Sha256,
    /// Its packages, sorted by identity.
    pub outputs: Vec<Output>,
    /// The packages that were in its build root, sorted by name.
    pub root: Vec<BuiltPackage>,
    /// The build's log, an object of the store.
    pub log: Sha256,
    /// How long it took.
    pub wall: Duration,
    /// Processor time, user and system, of all its processes.
    pub cpu: Duration,
    /// Memory of all its processes at the peak, in bytes; 0 where an older Keel did not look.
    #[serde(default)]
    pub memory: u64,
    /// The linker runs of the build, and what they borrowed.
    pub links: Links,
    /// What scriptlets of foreign packages did in the build root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scriptlets: Option<Changes>,
    /// What `%generate_buildrequires` printed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub generated: Vec<Dependency>,
    /// Did `%check` run? None where an older Keel did not listen.
    #[serde(default)]
    pub checked: Option<bool>,
}

/// What the linker's trace showed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Links {
    /// How many links were traced.
    pub count: usize,
    /// Borrowed files in links of what no package ships (only where Debian's libc is in the root).
    pub borrowed: Vec<Leak>,
}

/// One package, and what a build root needs to know of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// The package.
    pub package: BuiltPackage,
    /// What it provides.
    pub provides: Vec<Provide>,
    /// What it requires.
    pub requires: Vec<Dependency>,
    /// What it cannot be installed with.
    pub conflicts: Vec<Dependency>,
    /// What it replaces.
    pub obsoletes: Vec<Dependency>,
    /// Its files that others may require by path: those that rpm-md's primary metadata lists
    /// (`/etc/…`, `…/bin/…`).
    pub files: Vec<String>,
}

/// Is it a path that others require? The rule of rpm-md's primary metadata.
pub fn is_primary(path: &str) -> bool {
    path.starts_with("/etc/") || path.contains("bin/") || path == "/usr/lib/sendmail"
}
