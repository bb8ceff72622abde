//! What a recipe's build gets: exact files, by digest.

use keel_artefact::{Arch, ComponentName, Fingerprint, Sha256, format::Version};
use serde::{Deserialize, Serialize};

/// The exact files that one recipe needs; all are in the store, checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceSet {
    /// Version of this artefact's format.
    pub format: Version,
    /// The component.
    pub component: ComponentName,
    /// The architecture its recipe was read for.
    pub arch: Arch,
    /// The files, by name; the SPEC itself is not among them.
    pub files: Vec<PinnedFile>,
}

/// One source or patch file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinnedFile {
    /// Its plain name in the build's `SOURCES`.
    pub name: String,
    /// Its digest.
    pub digest: Sha256,
    /// Its size in bytes.
    pub size: u64,
    /// Where it comes from.
    pub kind: Kind,
    /// It is the file that the project pins. False: it replaces one that is gone, see [`refresh`](crate).
    pub locked: bool,
    /// For provenance: the origin that gave it (`debian:trixie:pool/…`), if it was fetched by this store's runs.
    /// Depends on the machine; part of no fingerprint.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub origin: Option<String>,
    /// The file that overlays of the project made this one of ([`overlaid`](crate::overlaid())).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub overlaid: Option<Sha256>,
}

/// Where a file comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// It lies beside the SPEC.
    Local,
    /// It was fetched, by its digest.
    Fetched,
}

impl SourceSet {
    /// The digest of what a build sees of it: names and bytes, and nothing of where they came from.
    pub fn fingerprint(&self) -> Sha256 {
        let mut fingerprint = Fingerprint::new("sources/1");
        for file in &self.files {
            fingerprint
                .add("name", &file.name)
                .add_digest("digest", &file.digest);
        }
        fingerprint.finish()
    }

    /// Are all files the ones that the project pins?
    pub fn is_locked(&self) -> bool {
        self.files.iter().all(|file| file.locked)
    }
}
