//! The packages of a stage0, written down to be reviewed: has Debian moved since?

use std::collections::BTreeMap;

use keel_artefact::{Arch, format};
use serde::{Deserialize, Serialize};

use super::{Deb, Manifest};

/// The version of the lock's format.
pub const FORMAT: format::Version = format::Version(1);

/// The packages of one stage0, as they are kept in the distribution's tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage0Lock {
    /// Version of this format.
    pub version: format::Version,
    /// Debian's release.
    pub suite: String,
    /// Architecture of the programs.
    pub arch: Arch,
    /// The packages, sorted by name.
    #[serde(rename = "package")]
    pub packages: Vec<Deb>,
}

/// How a stage0 differs from a lock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Drift {
    /// Not in the lock.
    pub added: Vec<Deb>,
    /// In the lock only.
    pub removed: Vec<Deb>,
    /// Locked, and found, with other bytes.
    pub changed: Vec<(Deb, Deb)>,
}

impl Drift {
    /// Is it what was locked?
    pub fn is_none(&self) -> bool {
        self == &Self::default()
    }
}

impl std::fmt::Display for Drift {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_none() {
            return f.write_str("as locked");
        }
        let count = (self.changed.len(), self.added.len(), self.removed.len());
        write!(
            f,
            "{} changed, {} added, {} removed since the lock",
            count.0, count.1, count.2
        )
    }
}

impl Stage0Lock {
    pub(crate) fn of(manifest: &Manifest) -> Self {
        let (suite, arch, packages) = (manifest.suite.clone(), manifest.arch, manifest.packages.clone());
        Self {
            version: FORMAT,
            suite,
            arch,
            packages,
        }
    }

    /// How `found` differs from this.
    pub fn drift(&self, found: &Self) -> Drift {
        let by_name = |lock: &Self| -> BTreeMap<(String, String), Deb> {
            lock.packages
                .iter()
                .map(|deb| ((deb.name.clone(), deb.arch.clone()), deb.clone()))
                .collect()
        };
        let (mut before, mut drift) = (by_name(self), Drift::default());
        for (name, deb) in by_name(found) {
            match before.remove(&name) {
                None => drift.added.push(deb),
                Some(old) if old != deb => drift.changed.push((old, deb)),
                Some(_) => {}
            }
        }
        drift.removed = before.into_values().collect();
        drift
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keel_artefact::Sha256;

    #[test]
    fn drift_tells_what_debian_moved() {
        let deb = |name: &str, version: &str| Deb {
            name: name.to_owned(),
            arch: "amd64".to_owned(),
            version: version.to_owned(),
            sha256: Sha256::of(version.as_bytes()),
        };
        let lock = |packages: &[Deb]| Stage0Lock {
            version: FORMAT,
            suite: "trixie".to_owned(),
            arch: Arch::X86_64,
            packages: packages.to_vec(),
        };
        let before = lock(&[deb("a", "1"), deb("b", "1"), deb("c", "1")]);
        let after = lock(&[deb("b", "1"), deb("c", "2"), deb("d", "1")]);
        let drift = before.drift(&after);
        assert_eq!(
            (&drift.removed[..], &drift.added[..]),
            (&[deb("a", "1")][..], &[deb("d", "1")][..])
        );
        assert_eq!(drift.changed, [(deb("c", "1"), deb("c", "2"))]);
        assert_eq!(drift.to_string(), "1 changed, 1 added, 1 removed since the lock");
        assert!(before.drift(&before).is_none());
    }
}
