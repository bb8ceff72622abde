//! The artefact of this stage: what was built, and from what.

use std::collections::BTreeMap;

use keel_artefact::{Arch, ComponentName, Epoch, Nevra, Sha256, format};
use serde::{Deserialize, Serialize};

use crate::Check;

/// The version of [`Packages`] as JSON.
pub const FORMAT: format::Version = format::Version(1);

/// What a package is for, which decides the repository it goes to.
pub use keel_inspect::Kind;

/// One package, not signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuiltPackage {
    /// Its identity.
    pub nevra: Nevra,
    /// The component that made it.
    pub component: ComponentName,
    /// What it is for.
    pub kind: Kind,
    /// The unsigned RPM file, an object of the store.
    pub rpm: Sha256,
    /// Its size in bytes.
    pub size: u64,
    /// `SOURCE_DATE_EPOCH` of the build; the time of its signature.
    pub epoch: Epoch,
    /// It has scriptlets or triggers: none of Keel's has. What they make of a root is a part of the fingerprint.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub scriptlets: bool,
}

/// All packages of a run, sorted by name, then by the rest of the identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packages {
    /// Version of this format.
    pub format: format::Version,
    /// The architecture that they were built for.
    pub arch: Arch,
    /// The packages.
    pub packages: Vec<BuiltPackage>,
    /// Components with a source that is not the locked one (`--refresh`), or a stage0 that is not: what was built from
    /// it says so in its provenance.
    pub unlocked: Vec<ComponentName>,
    /// What became of each component's `%check`.
    #[serde(default)]
    pub checks: BTreeMap<ComponentName, Check>,
}

impl Packages {
    /// Adds packages that no job made.
    pub fn add(&mut self, others: Vec<BuiltPackage>) {
        let new = Self::new(
            self.arch,
            self.packages.drain(..).chain(others).collect(),
            Vec::new(),
        );
        self.packages = new.packages;
    }

    /// Puts the packages in the order of the artefact.
    pub fn new(arch: Arch, mut packages: Vec<BuiltPackage>, mut unlocked: Vec<ComponentName>) -> Self {
        packages.sort_by(|one, other| {
            (one.nevra.name.cmp(&other.nevra.name))
                .then_with(|| one.nevra.evr.compare(&other.nevra.evr))
                .then_with(|| one.nevra.arch.cmp(&other.nevra.arch))
        });
        unlocked.sort();
        unlocked.dedup();
        Self {
            format: FORMAT,
            arch,
            packages,
            unlocked,
            checks: BTreeMap::new(),
        }
    }
}
